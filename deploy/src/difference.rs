//! Which grants a change of credentials adds and takes away.
//!
//! Planes, keys and times are left out: they differ between environments and runs. Source: spec: deploy 3.

use crate::grants::Grant;
use crate::jwt::Jwt;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// The grants of the services of a deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    by_host: BTreeMap<String, BTreeSet<Grant>>,
}

impl Grants {
    /// Adds those of one credential, under the name of its service.
    pub fn add(&mut self, user: &Jwt) {
        let grants = self.by_host.entry(user.name.clone()).or_default();
        grants.extend(Grant::all_of(user).into_iter().map(without_plane));
    }
}

/// What was added and what was taken away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Services that had no credentials.
    pub new_services: Vec<String>,
    /// Services that have none any more.
    pub gone_services: Vec<String>,
    /// Grants that were added, those of new services among them; those that reach port 666 first.
    pub added: Vec<Change>,
    /// Grants that were taken away, those of gone services among them.
    pub removed: Vec<Change>,
}

/// A grant that changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Whose.
    pub host: String,
    /// Whether it reaches port 666.
    pub danger: bool,
    /// Which; its plane is written as `{{plane}}`.
    #[serde(flatten)]
    pub grant: Grant,
}

impl Difference {
    /// Compares what was with what is.
    #[must_use]
    pub fn between(old: &Grants, new: &Grants) -> Self {
        let mut added = missing_in(old, new);
        added.sort_by_key(|change| !change.danger);
        let hosts = |these: &Grants, others: &Grants| {
            let hosts = these.by_host.keys();
            let hosts = hosts.filter(|host| !others.by_host.contains_key(*host));
            hosts.cloned().collect()
        };
        Self {
            new_services: hosts(new, old),
            gone_services: hosts(old, new),
            added,
            removed: missing_in(new, old),
        }
    }

    /// Tells whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }

    /// Tells whether a grant was added that reaches port 666.
    #[must_use]
    pub fn adds_danger(&self) -> bool {
        self.added.iter().any(|change| change.danger)
    }

    /// Returns it as text, a line for each change.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for (sign, changes) in [('+', &self.added), ('-', &self.removed)] {
            for change in changes {
                let danger = if change.danger { " DANGER" } else { "" };
                let (host, verb) = (&change.host, change.grant.verb.as_str());
                let pattern = &change.grant.pattern;
                line(
                    &mut text,
                    format_args!("{sign}{danger} {host} {verb} {pattern}"),
                );
            }
        }
        if self.is_empty() {
            line(&mut text, format_args!("no grant was added or taken away"));
        }
        text
    }

    /// Returns it as Markdown for the comment of a review, grants that reach port 666 first.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        if self.is_empty() {
            return "No grant was added or taken away.\n".to_owned();
        }
        let mut text = String::from("| | Service | | Subjects |\n|---|---|---|---|\n");
        for (what, changes) in [("added", &self.added), ("removed", &self.removed)] {
            for change in changes {
                let what = if change.danger {
                    format!("**{what}, danger**")
                } else {
                    what.to_owned()
                };
                let (host, verb) = (&change.host, change.grant.verb.as_str());
                let pattern = &change.grant.pattern;
                line(
                    &mut text,
                    format_args!("| {what} | `{host}` | {verb} | `{pattern}` |"),
                );
            }
        }
        text
    }
}

fn missing_in(those: &Grants, these: &Grants) -> Vec<Change> {
    let mut missing = Vec::new();
    for (host, grants) in &these.by_host {
        let known = those.by_host.get(host);
        for grant in grants {
            if !known.is_some_and(|known| known.contains(grant)) {
                missing.push(Change {
                    host: host.clone(),
                    danger: grant.is_danger(),
                    grant: grant.clone(),
                });
            }
        }
    }
    missing
}

fn without_plane(grant: Grant) -> Grant {
    // A wildcard or a subject of the broker is no plane, and must show as what it is.
    match grant.plane() {
        Some(plane) => Grant {
            pattern: grant.pattern.replacen(plane, PLANE, 1),
            ..grant
        },
        None => grant,
    }
}

fn line(text: &mut String, content: std::fmt::Arguments<'_>) {
    // Writing into a string cannot fail.
    let _ok: std::fmt::Result = writeln!(text, "{content}");
}

/// What stands for the plane.
const PLANE: &str = "{{plane}}";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Account, Nkey, NkeyKind, Permissions};
    use std::time::UNIX_EPOCH;

    fn grants(host: &str, publish: &[&str], subscribe: &[&str]) -> Grants {
        let key = |kind, byte| Nkey::from_random(kind, [byte; 32]).unwrap();
        let account = Account::new("bus", key(NkeyKind::Account, 1)).unwrap();
        let owned = |patterns: &[&str]| patterns.iter().map(|p| (*p).to_owned()).collect();
        let permissions = Permissions::exactly(owned(publish), owned(subscribe)).unwrap();
        let user = key(NkeyKind::User, 2);
        let issued = account
            .issue(host, &user, &permissions, None, UNIX_EPOCH)
            .unwrap();
        let mut grants = Grants::default();
        grants.add(&Jwt::read(issued.jwt()).unwrap());
        grants
    }

    #[test]
    fn another_plane_is_no_difference() {
        let old = grants("a.b", &["prod.safe.888.a_b.>"], &["prod.safe.*.*.a_b.>"]);
        let new = grants("a.b", &["lab.safe.888.a_b.>"], &["lab.safe.*.*.a_b.>"]);
        let difference = Difference::between(&old, &new);
        assert!(difference.is_empty(), "{difference:?}");
        assert_eq!(difference.to_text(), "no grant was added or taken away\n");
    }

    #[test]
    fn danger_comes_first_and_is_told_apart() {
        let old = grants("a.b", &["p.safe.443.a_b.x.*.GET.y"], &["p.s"]);
        let new = grants(
            "a.b",
            &["p.safe.443.a_b.x.*.GET.a", "p.danger.666.a_b.x.*.*.mint"],
            &["p.s"],
        );
        let difference = Difference::between(&old, &new);
        assert!(difference.adds_danger());
        assert_eq!(
            difference.to_text(),
            "+ DANGER a.b publish {{plane}}.danger.666.a_b.x.*.*.mint\n\
             + a.b publish {{plane}}.safe.443.a_b.x.*.GET.a\n\
             - a.b publish {{plane}}.safe.443.a_b.x.*.GET.y\n"
        );
        assert!(
            difference
                .to_markdown()
                .contains("| **added, danger** | `a.b` | publish | `{{plane}}.danger.666.a_b.x.*.*.mint` |\n| added |")
        );
        let back = Difference::between(&new, &old);
        assert!(!back.adds_danger());
    }

    #[test]
    fn a_wildcard_that_reaches_danger_is_danger() {
        let old = grants("a.b", &["p.safe.>"], &["p.s"]);
        for pattern in ["p.>", "*.danger.666.a_b.x.*.*.y", ">"] {
            let new = grants("a.b", &["p.safe.>", pattern], &["p.s"]);
            assert!(Difference::between(&old, &new).adds_danger(), "{pattern}");
        }
    }

    #[test]
    fn a_new_service_adds_all_of_its_grants() {
        let old = Grants::default();
        let new = grants("a.b", &["p.x"], &["p.y"]);
        let difference = Difference::between(&old, &new);
        assert_eq!(difference.new_services, ["a.b"]);
        assert_eq!(difference.added.len(), 2);
        let gone = Difference::between(&new, &old);
        assert_eq!(gone.gone_services, ["a.b"]);
        assert_eq!(gone.removed.len(), 2);
    }
}
