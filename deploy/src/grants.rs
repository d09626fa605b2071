//! What the patterns of a credential amount to: whose they are, how far they reach, which of them mint.

use crate::jwt::Jwt;
use crate::permissions::overlap;
use serde::Serialize;

/// Whether a pattern is for publishing or for subscribing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// Publishing: calls and answers.
    Publish,
    /// Subscribing: serving and listening.
    Subscribe,
}

impl Verb {
    /// Returns it as reports show it, of one width.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Subscribe => "subscribe",
        }
    }
}

/// One line of a credential's permissions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Grant {
    /// What it allows.
    pub verb: Verb,
    /// The subjects that it allows it for.
    pub pattern: String,
}

impl Grant {
    /// Returns all grants of a user's JWT. An empty list allows everything, and is returned as `>`.
    #[must_use]
    pub fn all_of(user: &Jwt) -> Vec<Self> {
        let of = |verb, list| {
            let patterns = user.strings(&[list, "allow"]);
            let patterns = if patterns.is_empty() {
                vec![">"]
            } else {
                patterns
            };
            patterns.into_iter().map(move |pattern| Self {
                verb,
                pattern: pattern.to_owned(),
            })
        };
        of(Verb::Publish, "pub")
            .chain(of(Verb::Subscribe, "sub"))
            .collect()
    }

    /// Tells whether it reaches into port 666, by name or by a wildcard.
    #[must_use]
    pub fn is_danger(&self) -> bool {
        !self.is_outside_bus() && overlap(&self.pattern, "*.danger.>")
    }

    /// Tells whether it belongs to the broker or to client libraries rather than to the bus.
    #[must_use]
    pub fn is_outside_bus(&self) -> bool {
        self.segment(PLANE).starts_with(['$', '_'])
    }

    /// Tells whether whoever holds it can call Mint of the issuer whose host name is flattened to `issuer`.
    #[must_use]
    pub fn mints(&self, issuer: &str) -> bool {
        // Mint is declared with any method; its callers use POST.
        self.verb == Verb::Publish
            && overlap(
                &self.pattern,
                &format!("*.danger.666.*.{issuer}._.POST.mint"),
            )
    }

    /// Tells whether it is all of a plane, or all of one tier of it.
    #[must_use]
    pub fn is_whole_tier(&self) -> bool {
        is_rest(self.segment(TRUST)) || is_rest(self.segment(PORT))
    }

    /// Returns its plane, `None` where it is a wildcard, or where there is none.
    #[must_use]
    pub fn plane(&self) -> Option<&str> {
        Some(self.segment(PLANE)).filter(|plane| !is_wild(plane) && !self.is_outside_bus())
    }

    /// Returns as whom it lets its holder speak, `None` where it is a wildcard.
    #[must_use]
    pub fn source(&self) -> Option<&str> {
        Some(self.segment(SOURCE)).filter(|source| !is_wild(source))
    }

    /// Returns whom a request goes to, or whom a reply is for; `None` where it is a wildcard.
    #[must_use]
    pub fn destination(&self) -> Option<&str> {
        Some(self.segment(DESTINATION)).filter(|destination| !is_wild(destination))
    }

    /// Tells whether its port is a wildcard.
    #[must_use]
    pub fn is_any_port(&self) -> bool {
        is_wild(self.segment(PORT))
    }

    /// Tells whether it is about replies, by name or by a wildcard.
    #[must_use]
    pub fn is_reply(&self) -> bool {
        let trust = self.segment(TRUST);
        trust == "reply" || is_wild(trust)
    }

    /// Returns the segment at `index`; a `>` stands for all after it, and nothing for those after the end.
    fn segment(&self, index: usize) -> &str {
        let mut last = "";
        for segment in self.pattern.split('.').take(index + 1) {
            if is_rest(segment) {
                return segment;
            }
            last = segment;
        }
        if self.pattern.split('.').count() > index {
            last
        } else {
            ""
        }
    }
}

fn is_rest(segment: &str) -> bool {
    segment == ">"
}

fn is_wild(segment: &str) -> bool {
    matches!(segment, "*" | ">")
}

const PLANE: usize = 0;
const TRUST: usize = 1;
const PORT: usize = 2;
const SOURCE: usize = 3;
const DESTINATION: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn publish(pattern: &str) -> Grant {
        Grant {
            verb: Verb::Publish,
            pattern: pattern.to_owned(),
        }
    }

    #[test]
    fn mint_is_found_behind_every_wildcard() {
        for (pattern, mints) in [
            ("p.danger.666.a.access_token_core.*.*.mint", true),
            ("p.danger.666.a.access_token_core._.POST.mint", true),
            ("p.danger.666.a.*.*.*.mint", true),
            ("p.danger.666.a.access_token_core.*.GET.mint", false),
            ("p.danger.666.a.access_token_core.id-1.POST.mint", false),
            ("p.danger.*.a.*.>", true),
            ("p.>", true),
            (">", true),
            ("*.danger.>", true),
            ("p.safe.>", false),
            ("p.safe.*.a.*.*.*.>", false),
            ("p.danger.666.a.bearer_token_core.*.*.mint", false),
        ] {
            assert_eq!(
                publish(pattern).mints("access_token_core"),
                mints,
                "{pattern}"
            );
        }
    }

    #[test]
    fn segments_are_read_through_wildcards() {
        let grant = publish("p.safe.443.me.you.*.GET.x");
        assert_eq!(grant.plane(), Some("p"));
        assert_eq!(grant.source(), Some("me"));
        assert_eq!(grant.destination(), Some("you"));
        assert!(!grant.is_any_port() && !grant.is_reply() && !grant.is_whole_tier());
        let grant = publish("p.safe.>");
        assert_eq!(grant.source(), None);
        assert!(grant.is_any_port() && grant.is_whole_tier());
        assert_eq!(publish("p.safe").source(), Some(""));
        assert!(publish("p.*.x.y").is_reply());
    }

    #[test]
    fn danger_is_found_by_name_and_behind_wildcards() {
        for (pattern, danger) in [
            ("p.danger.666.a.b.*.*.x", true),
            ("p.*.666.>", true),
            ("p.>", true),
            (">", true),
            ("p.safe.666.>", false),
            ("$SYS.>", false),
        ] {
            assert_eq!(publish(pattern).is_danger(), danger, "{pattern}");
        }
        assert!(publish("$SYS.>").is_outside_bus());
        assert!(publish("_INBOX.>").is_outside_bus());
    }
}
