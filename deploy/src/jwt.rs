//! Reading the JWTs of operators, accounts and users: what they say, and whether their signer said it.
//!
//! The body is kept as the JSON that was read, so that what is changed and signed again keeps the members that this
//! crate does not know. Source: spec: deploy 5.2.

use crate::nkey::NkeyKind;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nkeys::KeyPair;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use thiserror::Error;

/// A JWT whose signature is that of the key that it names as its issuer.
///
/// # Security
/// That the issuer is the one who may say so is for the caller to check: anybody can sign with a key of their own.
#[derive(Clone, Debug, Deserialize)]
pub struct Jwt {
    /// Its ID.
    #[serde(default)]
    pub jti: String,
    /// When it was issued, in Unix seconds.
    #[serde(default)]
    pub iat: i64,
    /// The public key of the signer.
    pub iss: String,
    /// What its owner is called in logs.
    #[serde(default)]
    pub name: String,
    /// The public key of its owner.
    pub sub: String,
    /// When it ends, in Unix seconds; `None` means never.
    #[serde(default)]
    pub exp: Option<i64>,
    /// From when on it counts, in Unix seconds.
    #[serde(default)]
    pub nbf: Option<i64>,
    /// What its owner is and may do (spec: deploy 5.3).
    pub nats: Map<String, Value>,
}

impl Jwt {
    /// Reads a compact JWT, with blanks around it ignored, and verifies its signature.
    ///
    /// # Errors
    /// [`JwtError`] says what is wrong with it.
    pub fn read(compact: &str) -> Result<Self, JwtError> {
        let compact = compact.trim();
        let mut parts = compact.split('.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(JwtError::Shape);
        };
        let header: Header = json("header", header)?;
        if header.alg != ALGORITHM {
            return Err(JwtError::Algorithm { found: header.alg });
        }
        let jwt: Self = json("claims", claims)?;
        let signer = public_key(&jwt.iss)?;
        public_key(&jwt.sub)?;
        let signed_length = compact.len() - signature.len() - 1;
        let signed = compact.get(..signed_length).unwrap_or_default();
        let signature = URL_SAFE_NO_PAD
            .decode(signature)
            .map_err(|_| JwtError::Shape)?;
        signer
            .verify(signed.as_bytes(), &signature)
            .map_err(|_| JwtError::Signature {
                issuer: jwt.iss.clone(),
            })?;
        Ok(jwt)
    }

    /// Returns whose JWT it is, by its owner's key; `None` for kinds that a bus does not use.
    #[must_use]
    pub fn kind(&self) -> Option<NkeyKind> {
        NkeyKind::of_public_key(&self.sub)
    }

    /// Returns whose key signed it; `None` for kinds that a bus does not use.
    #[must_use]
    pub fn signer_kind(&self) -> Option<NkeyKind> {
        NkeyKind::of_public_key(&self.iss)
    }

    /// Returns the public keys that may sign in its owner's name, besides its own: those of an operator or account.
    #[must_use]
    pub fn signing_keys(&self) -> Vec<&str> {
        let keys = self.nats.get("signing_keys").and_then(Value::as_array);
        // A key that is bound to a role is an object (spec: deploy 5.3).
        keys.into_iter()
            .flatten()
            .filter_map(|key| key.as_str().or_else(|| key.get("key")?.as_str()))
            .collect()
    }

    /// Returns the text at `path` of the body, such as `["pub", "allow"]`, as a list of its strings.
    #[must_use]
    pub fn strings(&self, path: &[&str]) -> Vec<&str> {
        let (Some((last, parents)), mut object) = (path.split_last(), Some(&self.nats)) else {
            return Vec::new();
        };
        for parent in parents {
            object = object.and_then(|object| object.get(*parent)?.as_object());
        }
        let list = object.and_then(|object| object.get(*last)?.as_array());
        list.into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect()
    }
}

/// Why a text is no JWT of the broker. Never quotes what it read but public keys.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum JwtError {
    /// Not three parts of base64url without padding.
    #[error("not a JWT; a JWT is three parts of base64url, joined by dots")]
    Shape,
    /// A part that holds no such JSON.
    #[error("a JWT whose {part} is not the JSON that a broker reads")]
    Json {
        /// `header` or `claims`.
        part: &'static str,
    },
    /// Signed in another way.
    #[error("a JWT of algorithm {found:?}; a broker takes {ALGORITHM:?}")]
    Algorithm {
        /// The algorithm of its header.
        found: String,
    },
    /// A member that must be a public key is none.
    #[error("a JWT whose issuer or owner is no public NKEY")]
    PublicKey,
    /// The signature is not the issuer's.
    #[error("a JWT that its issuer {issuer} did not sign; it was changed or cut")]
    Signature {
        /// The public key that should have signed.
        issuer: String,
    },
}

#[derive(Deserialize)]
struct Header {
    alg: String,
}

fn json<T: DeserializeOwned>(part: &'static str, text: &str) -> Result<T, JwtError> {
    let text = URL_SAFE_NO_PAD.decode(text).map_err(|_| JwtError::Shape)?;
    serde_json::from_slice(&text).map_err(|_| JwtError::Json { part })
}

fn public_key(text: &str) -> Result<KeyPair, JwtError> {
    KeyPair::from_public_key(text).map_err(|_| JwtError::PublicKey)
}

/// The one algorithm of the broker's JWTs.
const ALGORITHM: &str = "ed25519-nkey";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Account, Nkey, Operator, Permissions};
    use std::time::{Duration, UNIX_EPOCH};

    fn key(kind: NkeyKind, byte: u8) -> Nkey {
        Nkey::from_random(kind, [byte; 32]).unwrap()
    }

    fn user_jwt() -> String {
        let account = Account::new("bus", key(NkeyKind::Account, 1)).unwrap();
        let permissions =
            Permissions::exactly(vec!["p.a".to_owned()], vec!["s.a".to_owned()]).unwrap();
        let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        account
            .issue(
                "svc",
                &key(NkeyKind::User, 2),
                &permissions,
                Some(now + Duration::from_secs(60)),
                now,
            )
            .unwrap()
            .jwt()
            .to_owned()
    }

    #[test]
    fn what_was_issued_is_read_back() {
        let jwt = Jwt::read(&format!(" {}\n", user_jwt())).unwrap();
        assert_eq!(jwt.name, "svc");
        assert_eq!((jwt.iat, jwt.exp), (1_700_000_000, Some(1_700_000_060)));
        assert_eq!(jwt.kind(), Some(NkeyKind::User));
        assert_eq!(jwt.signer_kind(), Some(NkeyKind::Account));
        assert_eq!(jwt.strings(&["pub", "allow"]), ["p.a"]);
        assert_eq!(jwt.strings(&["sub", "allow"]), ["s.a"]);
        assert!(jwt.strings(&["sub", "deny"]).is_empty());
    }

    #[test]
    fn an_operator_signs_itself() {
        let operator = Operator::new("acme", key(NkeyKind::Operator, 3)).unwrap();
        let jwt = Jwt::read(&operator.jwt(UNIX_EPOCH).unwrap()).unwrap();
        assert_eq!(jwt.iss, jwt.sub);
        assert_eq!(jwt.kind(), Some(NkeyKind::Operator));
    }

    #[test]
    fn changed_claims_are_not_the_issuers_word() {
        let jwt = user_jwt();
        let parts: Vec<_> = jwt.split('.').collect();
        let claims = URL_SAFE_NO_PAD.decode(parts[1]).unwrap();
        let claims = String::from_utf8(claims).unwrap().replace("p.a", "p.>");
        let forged = format!(
            "{}.{}.{}",
            parts[0],
            URL_SAFE_NO_PAD.encode(claims),
            parts[2]
        );
        assert!(matches!(
            Jwt::read(&forged),
            Err(JwtError::Signature { .. })
        ));
    }

    #[test]
    fn other_texts_are_refused_with_what_they_are() {
        let other = |header: &str| {
            let jwt = user_jwt();
            let (_, rest) = jwt.split_once('.').unwrap();
            Jwt::read(&format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header))).unwrap_err()
        };
        assert_eq!(
            other(r#"{"typ":"JWT","alg":"none"}"#),
            JwtError::Algorithm {
                found: "none".to_owned()
            }
        );
        assert_eq!(other("[]"), JwtError::Json { part: "header" });
        assert_eq!(Jwt::read("a.b").unwrap_err(), JwtError::Shape);
        assert_eq!(Jwt::read("").unwrap_err(), JwtError::Shape);
    }
}
