//! The two issuers of a Microbus application.

/// Who signs tokens. The names are fixed: every verifier has them built in.
///
/// Source: spec: microbus-wire 12.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Issuer {
    /// `access.token.core`: short-lived actor tokens, ephemeral keys.
    Access,
    /// `bearer.token.core`: long-lived tokens, keys of the operator.
    Bearer,
}

impl Issuer {
    /// Returns the host name on the bus.
    #[must_use]
    pub const fn host(self) -> &'static str {
        match self {
            Self::Access => "access.token.core",
            Self::Bearer => "bearer.token.core",
        }
    }

    /// Returns the value of the `iss` claim.
    #[must_use]
    pub const fn url(self) -> &'static str {
        match self {
            Self::Access => "https://access.token.core",
            Self::Bearer => "https://bearer.token.core",
        }
    }

    /// Returns the issuer that a value of `iss` names: what follows the first `://`, or all of it
    /// without one, is exactly one of the two hosts. The scheme is not looked at, as the Go
    /// services do not; a port, a path, a final `/` or upper case names nobody.
    #[must_use]
    pub fn of_claim(iss: &str) -> Option<Self> {
        let host = iss.split_once("://").map_or(iss, |(_, host)| host);
        [Self::Access, Self::Bearer]
            .into_iter()
            .find(|issuer| issuer.host() == host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_two_hosts_are_issuers() {
        for (iss, wanted) in [
            ("https://access.token.core", Some(Issuer::Access)),
            ("http://bearer.token.core", Some(Issuer::Bearer)),
            ("microbus://access.token.core", Some(Issuer::Access)),
            ("access.token.core", Some(Issuer::Access)),
            ("://access.token.core", Some(Issuer::Access)),
            ("https://access.token.core/", None),
            ("https://access.token.core:443", None),
            ("https://ACCESS.token.core", None),
            ("https://x@access.token.core", None),
            ("https://access.token.core.evil", None),
            ("https://https://access.token.core", None),
            ("https://access\u{2024}token.core", None),
            ("", None),
        ] {
            assert_eq!(Issuer::of_claim(iss), wanted, "{iss}");
        }
    }
}
