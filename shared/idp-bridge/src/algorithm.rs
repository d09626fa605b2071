//! The signature algorithms of identity providers that are believed. Pure.

use serde::Deserialize;
use std::fmt;

/// A signature algorithm (RFC 7518 section 3.1, RFC 8037 section 3.1). No other is read, so none can be confused with these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
pub(crate) enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// RSASSA-PSS with SHA-256.
    PS256,
    /// ECDSA over P-256 with SHA-256.
    ES256,
    /// Ed25519.
    EdDSA,
}

impl Algorithm {
    /// Returns the algorithm that a header or a key names, exactly.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.as_str() == name)
    }

    /// Returns the name in `alg`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::PS256 => "PS256",
            Self::ES256 => "ES256",
            Self::EdDSA => "EdDSA",
        }
    }

    /// Tells whether keys of this type and curve can be used with it.
    pub(crate) fn fits(self, kty: &str, crv: Option<&str>) -> bool {
        match self {
            Self::RS256 | Self::PS256 => kty == "RSA",
            Self::ES256 => kty == "EC" && crv == Some("P-256"),
            Self::EdDSA => kty == "OKP" && crv == Some("Ed25519"),
        }
    }

    const ALL: [Self; 4] = [Self::RS256, Self::PS256, Self::ES256, Self::EdDSA];
}

impl From<Algorithm> for jsonwebtoken::Algorithm {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::RS256 => Self::RS256,
            Algorithm::PS256 => Self::PS256,
            Algorithm::ES256 => Self::ES256,
            Algorithm::EdDSA => Self::EdDSA,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
