//! Which callers may mint at all: a second line behind the broker's permissions.

use microbus_wire::host::Hostname;
use std::collections::BTreeSet;

/// Hosts that may mint; by default all that the broker lets through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Minters(Option<BTreeSet<String>>);

impl Minters {
    /// Reads host names that are separated by commas, blanks or lines; none are no restriction.
    ///
    /// # Errors
    /// The first text that is no host name, with the remedy.
    pub fn parse(text: &str) -> Result<Self, String> {
        let hosts: BTreeSet<String> = text
            .split(|c: char| c == ',' || c.is_whitespace())
            .filter(|host| !host.is_empty())
            .map(|host| match Hostname::parse(host) {
                Ok(host) => Ok(host.as_str().to_owned()),
                Err(error) => Err(format!(
                    "write host names separated by commas, '{host}' is none: {error}"
                )),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self((!hosts.is_empty()).then_some(hosts)))
    }

    /// Returns those who may by both.
    #[must_use]
    pub fn narrowed_by(&self, other: &Self) -> Self {
        Self(match (&self.0, &other.0) {
            (Some(one), Some(two)) => Some(one & two),
            (one, two) => one.clone().or_else(|| two.clone()),
        })
    }

    /// Tells whether `host` may mint.
    #[must_use]
    pub fn admits(&self, host: &str) -> bool {
        self.0.as_ref().is_none_or(|hosts| hosts.contains(host))
    }

    /// Tells whether anybody is kept out.
    #[must_use]
    pub fn restricts(&self) -> bool {
        self.0.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minters(text: &str) -> Minters {
        Minters::parse(text).unwrap()
    }

    #[test]
    fn an_empty_list_admits_all_and_another_only_who_is_on_it() {
        assert!(minters(" ").admits("a.core") && !minters("").restricts());
        let two = minters("a.core, b.core\n");
        assert!(two.admits("a.core") && two.admits("b.core") && !two.admits("c.core"));
        assert!(
            Minters::parse("a.core, b core!")
                .unwrap_err()
                .contains("'core!'")
        );
    }

    #[test]
    fn narrowing_never_admits_more() {
        for (own, other, admitted) in [
            ("", "", vec!["a.core", "b.core"]),
            ("a.core", "", vec!["a.core"]),
            ("", "a.core", vec!["a.core"]),
            ("a.core b.core", "b.core c.core", vec!["b.core"]),
            ("a.core", "b.core", vec![]),
        ] {
            let narrowed = minters(own).narrowed_by(&minters(other));
            let hosts = ["a.core", "b.core", "c.core"].into_iter();
            let mut admits: Vec<_> = hosts.filter(|host| narrowed.admits(host)).collect();
            admits.retain(|host| narrowed.restricts() || *host != "c.core");
            assert_eq!(admits, admitted, "{own} / {other}");
        }
    }
}
