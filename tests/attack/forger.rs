//! Makes tokens that are wrong in one way, and signs them properly where the signature is not what is wrong.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use microbus_token::{Issuer, Secret, SigningKey};

use crate::NOW;

/// A token that must be refused.
pub(crate) struct Case {
    /// `family/issuer/what is wrong`.
    pub(crate) name: String,
    pub(crate) token: String,
    /// The code of the refusal.
    pub(crate) reason: &'static str,
}

/// An attacker of one issuer, who somehow got at its key. The worst case: all other checks must hold without the signature.
pub(crate) struct Forger {
    pub(crate) issuer: Issuer,
    pub(crate) key: SigningKey,
}

impl Forger {
    pub(crate) fn of(issuer: Issuer) -> Self {
        let seed = match issuer {
            Issuer::Access => 1,
            Issuer::Bearer => 2,
        };
        let key = SigningKey::from_seed(&Secret::new(vec![seed; 32])).unwrap();
        Self { issuer, key }
    }

    /// The other issuer of the two.
    pub(crate) fn other(&self) -> Self {
        Self::of(match self.issuer {
            Issuer::Access => Issuer::Bearer,
            Issuer::Bearer => Issuer::Access,
        })
    }

    pub(crate) fn kid(&self) -> &str {
        self.key.id().as_str()
    }

    pub(crate) fn header(&self) -> String {
        self.header_with(r#""alg":"EdDSA","typ":"JWT""#)
    }

    /// A header of the right key with other members.
    pub(crate) fn header_with(&self, members: &str) -> String {
        format!(r#"{{"kid":"{}",{members}}}"#, self.kid())
    }

    pub(crate) fn payload(&self) -> String {
        self.payload_with(r#""sub":"harry","roles":["reader"]"#)
    }

    /// Good claims with further members.
    pub(crate) fn payload_with(&self, members: &str) -> String {
        let (exp, iat, iss) = (NOW + 20, NOW - 5, self.issuer.url());
        format!(r#"{{"exp":{exp},"iat":{iat},"iss":"{iss}",{members}}}"#)
    }

    /// A token that is really signed, whatever it says.
    pub(crate) fn signed(&self, header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
        let input = format!("{}.{}", encode(header), encode(payload));
        let signature = encode(self.key.sign(input.as_bytes()).unwrap());
        format!("{input}.{signature}")
    }

    pub(crate) fn good(&self) -> String {
        self.signed(self.header(), self.payload())
    }

    /// The three parts of a good token.
    pub(crate) fn parts(&self) -> [String; 3] {
        let input = [encode(self.header()), encode(self.payload())];
        let signature = encode(self.key.sign(input.join(".").as_bytes()).unwrap());
        let [header, payload] = input;
        [header, payload, signature]
    }

    pub(crate) fn case(
        &self,
        family: &str,
        what: impl AsRef<str>,
        token: String,
        reason: &'static str,
    ) -> Case {
        let name = format!("{family}/{}/{}", self.issuer.host(), what.as_ref());
        Case {
            name,
            token,
            reason,
        }
    }
}

pub(crate) fn encode(part: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(part)
}
