//! A text that claims to be one of our tokens, checked.
//!
//! In two steps, so that a key cache may fetch in between: [`Unverified::parse`] says which key is
//! wanted, [`Unverified::verify`] checks with it. The order is fixed: size, form, algorithm, key
//! identifier, issuer; then the key; then signature and times. A stranger learns nothing of it: the
//! reason is for our log, outside there is one word.

use std::borrow::Cow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::claims::{Claims, ClaimsError};
use crate::identifier::{KeyId, KeyIdError};
use crate::issuer::Issuer;
use crate::jwk::JwkSet;
use crate::key::{SIGNATURE_LENGTH, VerifyingKey};

/// Tells whether a verifier of the platform would take `text` for a token at all; what is not
/// shaped like one counts as no actor. Source: spec: microbus-wire 12.1.
#[must_use]
pub fn looks_like_jwt(text: &str) -> bool {
    let alphabet = |part: &str| {
        part.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    let Some((header, payload, signature)) = segments(text) else {
        return false;
    };
    text.len() >= 40
        && text.starts_with("ey")
        && header.len() >= 35
        && payload.len() >= 2
        && (signature.is_empty() || signature.len() >= 43)
        && [header, payload, signature].into_iter().all(alphabet)
}

/// Verifies a token with the keys of a set.
///
/// # Errors
/// [`VerifyError`]; [`VerifyError::UnknownKey`] if the set has no key of that identifier.
pub fn verify(text: &str, keys: &JwkSet, now: SystemTime) -> Result<Verified, VerifyError> {
    let unverified = Unverified::parse(text, DEFAULT_SIZE_LIMIT)?;
    let key = keys
        .get(unverified.key_id())
        .ok_or(VerifyError::UnknownKey)?;
    unverified.verify(key, now, Duration::ZERO)
}

/// A well-formed token of one of our issuers, whose signature nobody has looked at yet.
///
/// Its claims cannot be read: only the issuer and the key identifier, to find the key.
#[derive(Debug)]
pub struct Unverified<'t> {
    signed: &'t str,
    signature: [u8; SIGNATURE_LENGTH],
    key_id: KeyId,
    issuer: Issuer,
    claims: Claims,
}

impl<'t> Unverified<'t> {
    /// Reads a token of at most `size_limit` bytes.
    ///
    /// # Errors
    /// [`VerifyError`], the first that applies in the order of this module.
    ///
    /// # Security
    /// The size is looked at before anything else, so a giant costs nothing.
    pub fn parse(text: &'t str, size_limit: usize) -> Result<Self, VerifyError> {
        if text.len() > size_limit {
            return Err(VerifyError::TooLarge { limit: size_limit });
        }
        let (header, payload, signature) = segments(text).ok_or(VerifyError::Segments)?;
        let header = read_object(header).map_err(PartError::of_header)?;
        let key_id = check_header(&header)?;
        let claims = read_object(payload).map_err(PartError::of_payload)?;
        let issuer = claims.get_text("iss").ok_or(VerifyError::Issuer)?;
        let issuer = Issuer::of_claim(&issuer).ok_or(VerifyError::Issuer)?;
        let decoded = URL_SAFE_NO_PAD
            .decode(signature)
            .map_err(|_| VerifyError::Encoding)?;
        let length = decoded.len();
        let signature = decoded
            .try_into()
            .map_err(|_| VerifyError::SignatureLength(length))?;
        let signed = text.rsplit_once('.').ok_or(VerifyError::Segments)?.0;
        Ok(Self {
            signed,
            signature,
            key_id,
            issuer,
            claims,
        })
    }

    /// Returns who claims to have signed.
    #[must_use]
    pub fn issuer(&self) -> Issuer {
        self.issuer
    }

    /// Returns which key claims to have signed.
    #[must_use]
    pub fn key_id(&self) -> &KeyId {
        &self.key_id
    }

    /// Checks signature and times with the key of [`Unverified::key_id`]. `leeway` is how far the clocks may differ;
    /// none is needed where they agree to 5 s, because the issuers have padded the times (spec: microbus-wire 12.2).
    ///
    /// # Errors
    /// [`VerifyError::Signature`], and those of [`Verified::check_times`].
    pub fn verify(
        self,
        key: &VerifyingKey,
        now: SystemTime,
        leeway: Duration,
    ) -> Result<Verified, VerifyError> {
        if !key.verify(self.signed.as_bytes(), &self.signature) {
            return Err(VerifyError::Signature);
        }
        let verified = Verified {
            issuer: self.issuer,
            key_id: self.key_id,
            claims: self.claims,
        };
        verified.check_times(now, leeway)?;
        Ok(verified)
    }
}

/// A token that holds: the claims may be believed.
#[derive(Clone, Debug)]
pub struct Verified {
    issuer: Issuer,
    key_id: KeyId,
    claims: Claims,
}

impl Verified {
    /// Checks that the token is valid `now`, give or take `leeway`; a token that was verified before may have expired.
    ///
    /// # Errors
    /// [`VerifyError`] of `exp`, `iat` and `nbf`. Every token of our issuers has the first two.
    pub fn check_times(&self, now: SystemTime, leeway: Duration) -> Result<(), VerifyError> {
        let now = now
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        let now = Duration::from_secs(now).as_secs_f64();
        let leeway = leeway.as_secs_f64();
        let expiry = numeric_date(&self.claims, "exp")?.ok_or(VerifyError::ExpiryMissing)?;
        if now - leeway >= expiry {
            return Err(VerifyError::Expired);
        }
        let issued = numeric_date(&self.claims, "iat")?.ok_or(VerifyError::IssueTimeMissing)?;
        if now + leeway < issued {
            return Err(VerifyError::IssuedLater);
        }
        if numeric_date(&self.claims, "nbf")?.is_some_and(|begin| now + leeway < begin) {
            return Err(VerifyError::NotYetValid);
        }
        Ok(())
    }

    /// Returns who signed.
    #[must_use]
    pub fn issuer(&self) -> Issuer {
        self.issuer
    }

    /// Returns the identifier of the key that signed.
    #[must_use]
    pub fn key_id(&self) -> &KeyId {
        &self.key_id
    }

    /// Returns all claims.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// Returns all claims as their own value.
    #[must_use]
    pub fn into_claims(self) -> Claims {
        self.claims
    }

    /// Returns about whom the token is: `sub`, if it is text.
    #[must_use]
    pub fn sub(&self) -> Option<Cow<'_, str>> {
        self.claims.get_text("sub")
    }

    /// Returns `iss` as written, with its scheme.
    #[must_use]
    pub fn iss(&self) -> Option<Cow<'_, str>> {
        self.claims.get_text("iss")
    }

    /// Returns the tenant: `tenant`, else `tid`; a whole number or the text of one.
    ///
    /// Source: spec: microbus-wire 10.3.
    #[must_use]
    pub fn tenant(&self) -> Option<i64> {
        ["tid", "tenant"]
            .into_iter()
            .find_map(|name| match self.claims.get_text(name) {
                Some(text) => text.parse().ok(),
                None => self.claims.get(name)?.parse().ok(),
            })
    }

    /// Returns the texts in the array `roles`; none if it is not an array of texts.
    #[must_use]
    pub fn roles(&self) -> Vec<String> {
        let roles = self.claims.get("roles").map(serde_json::from_str);
        roles.and_then(Result::ok).unwrap_or_default()
    }
}

/// Reads an unsigned token, the form in which tests name an actor: `alg` is `none`, the signature is empty, and
/// neither issuer nor times are looked at. It counts as one of the access issuer, with the key ID `none`.
///
/// # Errors
/// [`VerifyError`] for anything else, a signed token too.
///
/// # Security
/// Whoever can write such a token is whoever they like. Source: spec: verify 2.2, 4.
#[cfg(feature = "testing")]
pub fn read_unsigned(text: &str, size_limit: usize) -> Result<Verified, VerifyError> {
    if text.len() > size_limit {
        return Err(VerifyError::TooLarge { limit: size_limit });
    }
    let (header, payload, signature) = segments(text).ok_or(VerifyError::Segments)?;
    let header = read_object(header).map_err(PartError::of_header)?;
    if header.get("alg") != Some(r#""none""#) {
        return Err(VerifyError::Algorithm);
    }
    if !signature.is_empty() {
        return Err(VerifyError::SignatureLength(signature.len()));
    }
    Ok(Verified {
        issuer: Issuer::Access,
        key_id: KeyId::parse("none").map_err(VerifyError::KeyId)?,
        claims: read_object(payload).map_err(PartError::of_payload)?,
    })
}

/// Why a token is refused.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// More bytes than the verifier reads.
    #[error("the token is larger than {limit} bytes")]
    TooLarge {
        /// The most bytes allowed.
        limit: usize,
    },
    /// Not three parts between two dots.
    #[error("the token has not exactly three parts")]
    Segments,
    /// A part is not canonical unpadded base64url (RFC 7515 section 2).
    #[error("a part of the token is not unpadded base64url")]
    Encoding,
    /// The header is not one strict JSON object.
    #[error("the header of the token is malformed")]
    Header(#[source] ClaimsError),
    /// The header says that nobody signed.
    #[error("the token has `alg` none")]
    Unsigned,
    /// `alg` is not `EdDSA`.
    #[error("the token is not signed with EdDSA")]
    Algorithm,
    /// A header member that changes how a token is to be read, or brings its own key.
    #[error("the token has the header member `{0}`, which no issuer of ours sets")]
    HeaderMember(&'static str),
    /// `typ` is there and not `JWT`.
    #[error("the token has another `typ` than JWT")]
    Type,
    /// No `kid`, or not a text.
    #[error("the token names no key")]
    KeyIdMissing,
    /// A `kid` that no issuer of ours makes.
    #[error("the token names a malformed key id")]
    KeyId(#[source] KeyIdError),
    /// The payload is not one strict JSON object.
    #[error("the payload of the token is malformed")]
    Payload(#[source] ClaimsError),
    /// `iss` is missing or names neither issuer.
    #[error("the token is from none of our issuers")]
    Issuer,
    /// The keys at hand do not include that of the token.
    #[error("the token is signed with an unknown key")]
    UnknownKey,
    /// A signature of another length than 64 bytes.
    #[error("the signature of the token has {0} bytes; wanted are 64")]
    SignatureLength(usize),
    /// The signature is not that of this text under this key.
    #[error("the signature of the token is wrong")]
    Signature,
    /// No `exp`.
    #[error("the token has no expiry")]
    ExpiryMissing,
    /// No `iat`.
    #[error("the token has no time of issue")]
    IssueTimeMissing,
    /// `exp`, `iat` or `nbf` is not a number.
    #[error("claim `{0}` of the token is not a number")]
    Time(&'static str),
    /// `exp` is past.
    #[error("the token has expired")]
    Expired,
    /// `iat` is to come.
    #[error("the token was issued in the future")]
    IssuedLater,
    /// `nbf` is to come.
    #[error("the token is not valid yet")]
    NotYetValid,
}

impl VerifyError {
    /// Returns a short fixed code, fit for a metric label.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too_large",
            Self::Segments => "segments",
            Self::Encoding => "encoding",
            Self::Header(_) => "header",
            Self::Unsigned => "alg_none",
            Self::Algorithm => "alg",
            Self::HeaderMember(_) => "header_member",
            Self::Type => "typ",
            Self::KeyIdMissing => "kid_missing",
            Self::KeyId(_) => "kid_malformed",
            Self::Payload(_) => "payload",
            Self::Issuer => "issuer",
            Self::UnknownKey => "unknown_kid",
            Self::SignatureLength(_) => "signature_length",
            Self::Signature => "signature",
            Self::ExpiryMissing => "exp_missing",
            Self::IssueTimeMissing => "iat_missing",
            Self::Time(_) => "time_malformed",
            Self::Expired => "expired",
            Self::IssuedLater => "issued_later",
            Self::NotYetValid => "not_yet_valid",
        }
    }
}

/// Splits at exactly two dots.
fn segments(text: &str) -> Option<(&str, &str, &str)> {
    let (header, rest) = text.split_once('.')?;
    let (payload, signature) = rest.split_once('.')?;
    (!signature.contains('.')).then_some((header, payload, signature))
}

/// Why a part is not an object.
enum PartError {
    Encoding,
    Json(ClaimsError),
}

impl PartError {
    fn of_header(self) -> VerifyError {
        match self {
            Self::Encoding => VerifyError::Encoding,
            Self::Json(error) => VerifyError::Header(error),
        }
    }

    fn of_payload(self) -> VerifyError {
        match self {
            Self::Encoding => VerifyError::Encoding,
            Self::Json(error) => VerifyError::Payload(error),
        }
    }
}

fn read_object(part: &str) -> Result<Claims, PartError> {
    let json = URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| PartError::Encoding)?;
    Claims::from_json_strict(&json).map_err(PartError::Json)
}

fn check_header(header: &Claims) -> Result<KeyId, VerifyError> {
    match header.get("alg") {
        Some(r#""EdDSA""#) => {}
        Some(r#""none""#) => return Err(VerifyError::Unsigned),
        _ => return Err(VerifyError::Algorithm),
    }
    if let Some(member) = REFUSED_MEMBERS
        .iter()
        .find(|member| header.get(member).is_some())
    {
        return Err(VerifyError::HeaderMember(member));
    }
    if !matches!(header.get("typ"), None | Some(r#""JWT""#)) {
        return Err(VerifyError::Type);
    }
    let kid = header.get_text("kid").ok_or(VerifyError::KeyIdMissing)?;
    KeyId::parse(&kid).map_err(VerifyError::KeyId)
}

/// Reads seconds since 1970 (RFC 7519 section 2, `NumericDate`).
fn numeric_date(claims: &Claims, name: &'static str) -> Result<Option<f64>, VerifyError> {
    let Some(value) = claims.get(name) else {
        return Ok(None);
    };
    // Whole seconds count, as they do for the Go services.
    let seconds = value
        .parse::<f64>()
        .ok()
        .filter(|seconds| seconds.is_finite());
    seconds
        .map(|seconds| Some(seconds.trunc()))
        .ok_or(VerifyError::Time(name))
}

/// Header members that bring a key, change what is signed, or must be understood (RFC 7515
/// sections 4.1.2 to 4.1.6, 4.1.11; RFC 7516; RFC 7797).
const REFUSED_MEMBERS: [&str; 8] = ["crit", "b64", "jwk", "jku", "x5u", "x5c", "zip", "enc"];

/// Bytes of the largest token that is read, unless a caller decides otherwise.
pub const DEFAULT_SIZE_LIMIT: usize = 16 * 1024;

#[cfg(test)]
mod tests;
