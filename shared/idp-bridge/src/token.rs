//! A token of an identity provider, read and judged. Pure: time is handed in.
//!
//! The header is judged before any key is looked for, the signature before any claim is believed.

use crate::algorithm::Algorithm;
use crate::key::{ForeignKey, ForeignKeyId, is_key_id};
use crate::rules::{Accepted, Rules};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use microbus_token::{Claims, ClaimsError};
use serde_json::Value;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What a token is meant for. One is never taken for the other (RFC 8725 section 3.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// Tells a client who logged in (OpenID Connect Core 1.0, section 2).
    IdToken,
    /// Lets a client call a resource server (RFC 9068).
    AccessToken,
}

impl TokenKind {
    const fn in_words(self) -> &'static str {
        match self {
            Self::IdToken => "an ID token",
            Self::AccessToken => "an access token",
        }
    }
}

/// A well-formed token whose signature nobody has looked at yet.
#[derive(Debug)]
pub(crate) struct Unverified<'t> {
    signed: &'t str,
    signature: Vec<u8>,
    key: ForeignKeyId,
    kind: TokenKind,
    claims: Claims,
}

impl<'t> Unverified<'t> {
    pub(crate) fn parse(text: &'t str) -> Result<Self, ForeignTokenError> {
        use ForeignTokenError as Error;
        if text.len() > LARGEST_TOKEN {
            return Err(Error::TooLarge);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(Error::Segments)?;
        let (header, payload) = signed.split_once('.').ok_or(Error::Segments)?;
        if payload.contains('.') {
            return Err(Error::Segments);
        }
        let header = read_object(header)?.map_err(Error::Header)?;
        let (key, kind) = check_header(&header)?;
        let claims = read_object(payload)?.map_err(Error::Payload)?;
        let signature = URL_SAFE_NO_PAD
            .decode(signature)
            .map_err(|_| Error::Encoding)?;
        Ok(Self {
            signed,
            signature,
            key,
            kind,
            claims,
        })
    }

    /// Returns who claims to have signed.
    pub(crate) fn issuer(&self) -> Option<String> {
        self.claims.get_text("iss").map(String::from)
    }

    /// Returns which key claims to have signed, and how.
    pub(crate) fn key(&self) -> &ForeignKeyId {
        &self.key
    }

    pub(crate) fn verify(self, key: &ForeignKey) -> Result<Signed, ForeignTokenError> {
        if !key.verify(self.signed.as_bytes(), &self.signature) {
            return Err(ForeignTokenError::Signature);
        }
        Ok(Signed {
            kind: self.kind,
            claims: self.claims,
        })
    }
}

/// A token whose signature holds.
#[derive(Debug)]
pub(crate) struct Signed {
    kind: TokenKind,
    claims: Claims,
}

impl Signed {
    /// Judges the claims; returns them with how long the token still lives.
    pub(crate) fn judge(
        self,
        wanted: TokenKind,
        nonce: Option<&str>,
        rules: &Rules,
        now: SystemTime,
    ) -> Result<(Claims, Duration), ForeignTokenError> {
        if self.kind != wanted {
            return Err(ForeignTokenError::Kind {
                wanted: wanted.in_words(),
            });
        }
        let lifetime = self.check_times(rules.clock_tolerance, now)?;
        self.named("sub", LONGEST_SUB)?;
        match wanted {
            TokenKind::IdToken => {
                let accepted = rules.id_tokens.as_ref();
                self.check_id_token(accepted.ok_or(ForeignTokenError::NotAccepted)?, nonce)?;
            }
            TokenKind::AccessToken => {
                // It belongs to no login, so whoever asks for that is mistaken.
                if nonce.is_some() {
                    return Err(ForeignTokenError::Nonce);
                }
                let accepted = rules.access_tokens.as_ref();
                self.check_access_token(accepted.ok_or(ForeignTokenError::NotAccepted)?)?;
            }
        }
        Ok((self.claims, lifetime))
    }

    /// OpenID Connect Core 1.0, section 3.1.3.7.
    fn check_id_token(
        &self,
        accepted: &Accepted,
        nonce: Option<&str>,
    ) -> Result<(), ForeignTokenError> {
        use ForeignTokenError as Error;
        // A logout token or another security event has it (RFC 8417 section 2.2); Keycloak names the kind in `typ`.
        if self.claims.get("events").is_some() || self.says_other_than("typ", "ID") {
            return Err(Error::Kind {
                wanted: TokenKind::IdToken.in_words(),
            });
        }
        let audiences = self.audiences()?;
        let trusted = |audience: &String| accepted.audiences.contains(audience);
        if audiences.is_empty() || !audiences.iter().all(trusted) {
            return Err(Error::Audience);
        }
        match self.text("azp")? {
            None if audiences.len() > 1 => return Err(Error::Missing("azp")),
            Some(azp) if !accepted.authorized(&azp) => return Err(Error::AuthorizedParty),
            _ => {}
        }
        match (nonce, self.text("nonce")?) {
            (Some(wanted), Some(given)) if wanted == given => Ok(()),
            (Some(_), _) => Err(Error::Nonce),
            (None, _) => Ok(()),
        }
    }

    /// RFC 9068, sections 2.2 and 4.
    fn check_access_token(&self, accepted: &Accepted) -> Result<(), ForeignTokenError> {
        use ForeignTokenError as Error;
        if self.says_other_than("typ", "Bearer") {
            return Err(Error::Kind {
                wanted: TokenKind::AccessToken.in_words(),
            });
        }
        let audiences = self.audiences()?;
        let ours = |audience: &String| accepted.audiences.contains(audience);
        if !audiences.iter().any(ours) {
            return Err(Error::Audience);
        }
        self.named("jti", LONGEST_TEXT)?;
        let client = self.named("client_id", LONGEST_TEXT)?;
        let azp = self.text("azp")?;
        if !accepted.authorized(&client) || azp.is_some_and(|azp| !accepted.authorized(&azp)) {
            return Err(Error::AuthorizedParty);
        }
        Ok(())
    }

    fn check_times(
        &self,
        tolerance: Duration,
        now: SystemTime,
    ) -> Result<Duration, ForeignTokenError> {
        use ForeignTokenError as Error;
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let expiry = self.time("exp")?.ok_or(Error::Missing("exp"))?;
        let issued = self.time("iat")?.ok_or(Error::Missing("iat"))?;
        // Neither sum overflows: dates end with the year 9999, and a tolerance with a minute.
        if now >= expiry + tolerance {
            return Err(Error::Expired);
        }
        if now + tolerance < issued {
            return Err(Error::IssuedLater);
        }
        if self
            .time("nbf")?
            .is_some_and(|begin| now + tolerance < begin)
        {
            return Err(Error::NotYetValid);
        }
        Ok((expiry + tolerance).saturating_sub(now))
    }

    /// Reads a `NumericDate` (RFC 7519 section 2).
    fn time(&self, name: &'static str) -> Result<Option<Duration>, ForeignTokenError> {
        let Some(value) = self.claims.get(name) else {
            return Ok(None);
        };
        let seconds = value.parse::<f64>().ok();
        let seconds = seconds.filter(|seconds| (0.0..=LAST_DATE).contains(seconds));
        let date = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds.trunc()).ok());
        date.map(Some).ok_or(ForeignTokenError::Malformed(name))
    }

    fn audiences(&self) -> Result<Vec<String>, ForeignTokenError> {
        let aud = self.claims.get("aud");
        let aud = aud.ok_or(ForeignTokenError::Missing("aud"))?;
        match serde_json::from_str(aud) {
            Ok(Value::String(one)) => Ok(vec![one]),
            Ok(list @ Value::Array(_)) => {
                serde_json::from_value(list).map_err(|_| ForeignTokenError::Malformed("aud"))
            }
            _ => Err(ForeignTokenError::Malformed("aud")),
        }
    }

    /// Returns a claim that must be a text, if it is there.
    fn text(&self, name: &'static str) -> Result<Option<String>, ForeignTokenError> {
        match (self.claims.get(name), self.claims.get_text(name)) {
            (None, _) => Ok(None),
            (Some(_), Some(text)) => Ok(Some(text.into_owned())),
            (Some(_), None) => Err(ForeignTokenError::Malformed(name)),
        }
    }

    /// Returns a claim that must be there, and a text that is not empty nor longer than this.
    fn named(&self, name: &'static str, longest: usize) -> Result<String, ForeignTokenError> {
        let text = self.text(name)?.ok_or(ForeignTokenError::Missing(name))?;
        let fits = (1..=longest).contains(&text.len());
        fits.then_some(text)
            .ok_or(ForeignTokenError::Malformed(name))
    }

    fn says_other_than(&self, name: &str, value: &str) -> bool {
        let given = self.claims.get_text(name);
        given.is_some_and(|given| given != value)
    }
}

/// Why a token of an identity provider is refused.
#[derive(Debug, thiserror::Error)]
pub enum ForeignTokenError {
    /// More than 16 KiB.
    #[error("the token is larger than 16384 bytes")]
    TooLarge,
    /// Not three parts between two dots.
    #[error("the token has not exactly three parts")]
    Segments,
    /// A part is not canonical unpadded base64url (RFC 7515 section 2).
    #[error("a part of the token is not unpadded base64url")]
    Encoding,
    /// The header is not one strict JSON object.
    #[error("the header of the token is malformed")]
    Header(#[source] ClaimsError),
    /// `alg` is missing, or none that is believed.
    #[error("the token is signed with no algorithm that is accepted here")]
    Algorithm,
    /// A header member that brings a key or changes how the token is to be read.
    #[error("the token has the header member `{0}`")]
    HeaderMember(&'static str),
    /// `typ` says that it is something else.
    #[error(
        "the token has a `typ` that is neither that of an ID token nor that of an access token"
    )]
    Type,
    /// No `kid`, or none that can be one.
    #[error("the token names no key")]
    KeyId,
    /// The payload is not one strict JSON object.
    #[error("the payload of the token is malformed")]
    Payload(#[source] ClaimsError),
    /// `iss` is none of the configured providers, letter by letter.
    #[error("the token is from no configured provider")]
    Issuer,
    /// The provider publishes no such key for this algorithm.
    #[error("the provider publishes no key that the token names")]
    UnknownKey,
    /// The signature is not that of this text under this key.
    #[error("the signature of the token is wrong")]
    Signature,
    /// Another kind of token than the one that was announced.
    #[error("the token is not {wanted}")]
    Kind {
        /// What was announced.
        wanted: &'static str,
    },
    /// The provider is configured without tokens of this kind.
    #[error("tokens of this kind are not accepted from the provider")]
    NotAccepted,
    /// A claim that must be there is not.
    #[error("the token has no claim `{0}`")]
    Missing(&'static str),
    /// A claim has a value of the wrong type or size.
    #[error("claim `{0}` of the token is malformed")]
    Malformed(&'static str),
    /// `exp` is past.
    #[error("the token has expired")]
    Expired,
    /// `iat` is to come.
    #[error("the token was issued in the future")]
    IssuedLater,
    /// `nbf` is to come.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// `aud` is not ours, or not ours alone.
    #[error("the token is for another audience")]
    Audience,
    /// `azp` or `client_id` is no client that may send us tokens.
    #[error("the token was issued to another party")]
    AuthorizedParty,
    /// `nonce` is not that of the login.
    #[error("the token does not belong to this login: its nonce is another")]
    Nonce,
}

impl ForeignTokenError {
    /// Returns a short fixed code, fit for a metric label.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::Segments => "segments",
            Self::Encoding => "encoding",
            Self::Header(_) => "header",
            Self::Algorithm => "alg",
            Self::HeaderMember(_) => "header_member",
            Self::Type => "typ",
            Self::KeyId => "kid",
            Self::Payload(_) => "payload",
            Self::Issuer => "issuer",
            Self::UnknownKey => "unknown_kid",
            Self::Signature => "signature",
            Self::Kind { .. } => "kind",
            Self::NotAccepted => "not_accepted",
            Self::Missing(_) => "claim_missing",
            Self::Malformed(_) => "claim_malformed",
            Self::Expired => "expired",
            Self::IssuedLater => "issued_later",
            Self::NotYetValid => "not_yet_valid",
            Self::Audience => "audience",
            Self::AuthorizedParty => "authorized_party",
            Self::Nonce => "nonce",
        }
    }
}

fn read_object(part: &str) -> Result<Result<Claims, ClaimsError>, ForeignTokenError> {
    let json = URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| ForeignTokenError::Encoding)?;
    Ok(Claims::from_json_strict(&json))
}

fn check_header(header: &Claims) -> Result<(ForeignKeyId, TokenKind), ForeignTokenError> {
    use ForeignTokenError as Error;
    let alg = header.get_text("alg");
    let algorithm = alg.as_deref().and_then(Algorithm::of_name);
    let algorithm = algorithm.ok_or(Error::Algorithm)?;
    if let Some(member) = REFUSED_MEMBERS
        .iter()
        .find(|member| header.get(member).is_some())
    {
        return Err(Error::HeaderMember(member));
    }
    let kind = match (header.get("typ"), header.get_text("typ")) {
        (None, _) => TokenKind::IdToken,
        (Some(_), Some(typ)) => kind_of(&typ).ok_or(Error::Type)?,
        (Some(_), None) => return Err(Error::Type),
    };
    let kid = header.get_text("kid").filter(|kid| is_key_id(kid));
    let kid = kid.ok_or(Error::KeyId)?;
    let key = ForeignKeyId {
        kid: kid.as_ref().into(),
        algorithm,
    };
    Ok((key, kind))
}

/// Reads a `typ`, which is a media type and so in any case (RFC 7515 section 4.1.9).
fn kind_of(typ: &str) -> Option<TokenKind> {
    let is = |name: &&&str| typ.eq_ignore_ascii_case(name);
    if ["at+jwt", "application/at+jwt"]
        .iter()
        .any(|name| is(&name))
    {
        return Some(TokenKind::AccessToken);
    }
    typ.eq_ignore_ascii_case("JWT")
        .then_some(TokenKind::IdToken)
}

/// Header members that bring a key, change what is signed, or must be understood (RFC 7515 sections 4.1.2 to 4.1.6, 4.1.11;
/// RFC 7516; RFC 7519 section 5.2; RFC 7797).
const REFUSED_MEMBERS: [&str; 9] = [
    "crit", "b64", "jwk", "jku", "x5u", "x5c", "zip", "enc", "cty",
];

/// Bytes of the largest token that is read: providers put long lists of groups into them.
const LARGEST_TOKEN: usize = 16 * 1024;
/// The end of the year 9999.
const LAST_DATE: f64 = 253_402_300_799.0;
/// OpenID Connect Core 1.0, section 2.
const LONGEST_SUB: usize = 255;
const LONGEST_TEXT: usize = 1024;
