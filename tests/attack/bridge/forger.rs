//! Makes tokens of a provider that are wrong in one way, and signs them properly where the signature is not what is wrong.

use super::Target;
use super::signer::Signer;
use crate::NOW;
use crate::forger::encode;
use microbus_idp_bridge::TokenKind;

/// A token that must be refused.
pub(crate) struct Case {
    /// `family/algorithm/kind/what is wrong`.
    pub(crate) name: String,
    pub(crate) token: String,
    /// What it is presented as.
    pub(crate) kind: TokenKind,
    /// The nonce of the login that it is presented for.
    pub(crate) nonce: Option<&'static str>,
    /// The code of the refusal.
    pub(crate) reason: &'static str,
}

/// An attacker who somehow got at a key of the provider: all other checks must hold without the signature.
pub(crate) struct Forger<'t> {
    pub(crate) target: &'t Target,
    pub(crate) signer: &'t Signer,
    /// Another owner's key of the same algorithm and identifier.
    pub(crate) stranger: &'t Signer,
    pub(crate) kind: TokenKind,
}

impl Forger<'_> {
    pub(crate) fn typ(&self) -> &'static str {
        match self.kind {
            TokenKind::IdToken => "JWT",
            TokenKind::AccessToken => "at+jwt",
        }
    }

    pub(crate) fn audience(&self) -> &'static str {
        match self.kind {
            TokenKind::IdToken => "web-app",
            TokenKind::AccessToken => "api",
        }
    }

    pub(crate) fn header(&self) -> String {
        self.header_with(&format!(r#""typ":"{}""#, self.typ()))
    }

    /// A header of the right algorithm and key with other members.
    pub(crate) fn header_with(&self, members: &str) -> String {
        let (alg, kid) = (self.signer.alg, &self.signer.kid);
        format!(r#"{{"alg":"{alg}","kid":"{kid}",{members}}}"#)
    }

    pub(crate) fn payload(&self) -> String {
        self.payload_with(r#""roles":["reader"]"#)
    }

    /// Good claims with further members.
    pub(crate) fn payload_with(&self, members: &str) -> String {
        self.payload_but(
            &["exp", "iat", "iss", "aud", "sub", "jti", "client_id"],
            members,
        )
    }

    /// Good claims of these names only, with further members.
    pub(crate) fn payload_but(&self, kept: &[&str], members: &str) -> String {
        let text = |text: &str| format!("\"{text}\"");
        let all = [
            ("exp", (NOW + 300).to_string()),
            ("iat", (NOW - 5).to_string()),
            ("iss", text(self.target.provider.issuer())),
            ("aud", text(self.audience())),
            ("sub", text("harry")),
            ("jti", text("j")),
            ("client_id", text("batch")),
        ];
        let kept = all.iter().filter(|(name, _)| kept.contains(name));
        let mut written: Vec<_> = kept
            .map(|(name, value)| format!("\"{name}\":{value}"))
            .collect();
        written.extend((!members.is_empty()).then(|| members.to_owned()));
        format!("{{{}}}", written.join(","))
    }

    /// Good claims, but for one that has this value, or none.
    pub(crate) fn payload_where(&self, name: &str, value: Option<&str>) -> String {
        let all = ["exp", "iat", "iss", "aud", "sub", "jti", "client_id"];
        let kept: Vec<_> = all.into_iter().filter(|other| *other != name).collect();
        let member = value.map(|value| format!("\"{name}\":{value}"));
        self.payload_but(&kept, &member.unwrap_or_default())
    }

    /// A token that is really signed, whatever it says.
    pub(crate) fn signed(&self, header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
        let input = format!("{}.{}", encode(header), encode(payload));
        let signature = encode(self.signer.sign(input.as_bytes()).unwrap());
        format!("{input}.{signature}")
    }

    pub(crate) fn good(&self) -> String {
        self.signed(self.header(), self.payload())
    }

    /// The three parts of a good token.
    pub(crate) fn parts(&self) -> [String; 3] {
        let good = self.good();
        let mut parts = good.split('.').map(String::from);
        [(); 3].map(|()| parts.next().unwrap())
    }

    pub(crate) fn case(
        &self,
        family: &str,
        what: impl AsRef<str>,
        token: String,
        reason: &'static str,
    ) -> Case {
        let kind = match self.kind {
            TokenKind::IdToken => "ID token",
            TokenKind::AccessToken => "access token",
        };
        Case {
            name: format!("{family}/{}/{kind}/{}", self.signer.alg, what.as_ref()),
            token,
            kind: self.kind,
            nonce: None,
            reason,
        }
    }
}
