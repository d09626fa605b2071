//! Who is expected to mint.

use microbus_wire::Hostname;
use microbus_wire::host::HostnameError;
use std::collections::BTreeSet;
use thiserror::Error;

/// The services that are expected to call Mint, and whose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Minters {
    expected: BTreeSet<(String, String)>,
}

impl Minters {
    /// Reads a list: a line for each, with the host name of the caller and that of the issuer, or `*` for both
    /// issuers; `#` begins a comment.
    ///
    /// # Errors
    /// [`MintersError`] names the line.
    pub fn parse(text: &str) -> Result<Self, MintersError> {
        let mut expected = BTreeSet::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.split_once('#').map_or(line, |(line, _)| line);
            let mut words = line.split_whitespace();
            let Some(caller) = words.next() else { continue };
            let number = index + 1;
            let (Some(issuer), None) = (words.next(), words.next()) else {
                return Err(MintersError::Line { number });
            };
            let host = |text| {
                Hostname::parse(text).map_err(|source| MintersError::Host { number, source })
            };
            let issuer = match issuer {
                ANY => ANY.to_owned(),
                issuer => host(issuer)?.to_string(),
            };
            expected.insert((host(caller)?.to_string(), issuer));
        }
        Ok(Self { expected })
    }

    /// Tells whether `caller` is expected to mint at `issuer`.
    #[must_use]
    pub fn expect(&self, caller: &str, issuer: &str) -> bool {
        [issuer, ANY].iter().any(|issuer| {
            self.expected
                .contains(&(caller.to_owned(), (*issuer).to_owned()))
        })
    }
}

/// Why a text lists no minters.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum MintersError {
    /// Not two words.
    #[error("line {number}: write the host of the caller and the host of the issuer, or *")]
    Line {
        /// The line, counted from 1.
        number: usize,
    },
    /// No host name.
    #[error("line {number}")]
    Host {
        /// The line, counted from 1.
        number: usize,
        /// What is wrong.
        #[source]
        source: HostnameError,
    },
}

/// Both issuers.
const ANY: &str = "*";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_a_caller_and_an_issuer() {
        let minters = Minters::parse(
            "# stock\nhttp.ingress.core access.token.core\n\nforeman.core *  # run time\n",
        )
        .unwrap();
        for (caller, issuer, expected) in [
            ("http.ingress.core", "access.token.core", true),
            ("http.ingress.core", "bearer.token.core", false),
            ("foreman.core", "bearer.token.core", true),
            ("login.acme", "access.token.core", false),
        ] {
            assert_eq!(minters.expect(caller, issuer), expected, "{caller}");
        }
    }

    #[test]
    fn a_wrong_line_is_named() {
        assert_eq!(
            Minters::parse("a.b c.d\na.b\n"),
            Err(MintersError::Line { number: 2 })
        );
        assert!(matches!(
            Minters::parse("a_b *"),
            Err(MintersError::Host { number: 1, .. })
        ));
    }
}
