//! Claims and a key make a token.

use std::borrow::Cow;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::claims::Claims;
use crate::identifier::TokenId;
use crate::issuer::Issuer;
use crate::key::{SIGNATURE_LENGTH, SigningKey, WrongSignature};
use crate::members::Value;

/// A signed token: `header.claims.signature`, each part in unpadded base64url (RFC 7515 section 3.1).
///
/// `Debug` hides the signature, so that a logged token cannot be used.
#[derive(Clone, PartialEq, Eq)]
pub struct CompactJwt(String);

impl CompactJwt {
    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the text as its own string.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

impl fmt::Debug for CompactJwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unsigned = self.0.rsplit_once('.').map_or("", |(unsigned, _)| unsigned);
        write!(f, "CompactJwt({unsigned}.…)")
    }
}

/// Where the subject of an access token comes from: the `iss` that Mint was given, any JSON value.
///
/// Taken before claims transformers run, because they may change `iss`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityProvider(Cow<'static, str>);

impl IdentityProvider {
    /// Takes the `iss` of the claims as they came; JSON `null` if there is none.
    ///
    /// Source: spec: microbus-wire 11.1, 13.6.
    #[must_use]
    pub fn of(claims: &Claims) -> Self {
        Self(
            claims
                .get("iss")
                .map_or(Cow::Borrowed("null"), |iss| Cow::Owned(iss.to_owned())),
        )
    }
}

/// Mints an access token: [`force_access`], then [`sign_claims`].
///
/// For an issuer without claims transformers; with some, they run between
/// [`IdentityProvider::of`] and [`force_access`].
///
/// # Errors
/// [`WrongSignature`].
pub fn mint_access(
    mut claims: Claims,
    lifetime: Duration,
    jti: &TokenId,
    key: &SigningKey,
    now: SystemTime,
) -> Result<CompactJwt, WrongSignature> {
    let identity_provider = IdentityProvider::of(&claims);
    force_access(&mut claims, &identity_provider, lifetime, jti, now);
    sign_claims(&claims, key)
}

/// Mints a bearer token: [`force_bearer`], then [`sign_claims`].
///
/// # Errors
/// [`WrongSignature`].
pub fn mint_bearer(
    mut claims: Claims,
    lifetime: Duration,
    jti: &TokenId,
    key: &SigningKey,
    now: SystemTime,
) -> Result<CompactJwt, WrongSignature> {
    force_bearer(&mut claims, lifetime, jti, now);
    sign_claims(&claims, key)
}

/// Sets the claims that a caller may not choose: `idp`, `iss`, `iat`, `exp`, `jti`.
///
/// `iat` = floor(now − 5 s), `exp` = floor(now + lifetime + 5 s), in seconds since 1970.
/// A lifetime above [`ACCESS_CEILING`] is cut to it, whatever is configured.
/// Source: spec: microbus-wire 11.1.
pub fn force_access(
    claims: &mut Claims,
    identity_provider: &IdentityProvider,
    lifetime: Duration,
    jti: &TokenId,
    now: SystemTime,
) {
    let life = lifetime.min(ACCESS_CEILING);
    let times = Times::new(now, life, ACCESS_PADDING);
    force(claims, Issuer::Access, Some(identity_provider), jti, &times);
}

/// Sets the claims that a caller may not choose: `iss`, `iat`, `exp`, `jti`. A given `idp` stays.
///
/// `iat` = floor(now − 5 min), `exp` = floor(now + lifetime + 5 min), in seconds since 1970.
/// Source: spec: microbus-wire 11.3.
pub fn force_bearer(claims: &mut Claims, lifetime: Duration, jti: &TokenId, now: SystemTime) {
    let times = Times::new(now, lifetime, BEARER_PADDING);
    force(claims, Issuer::Bearer, None, jti, &times);
}

fn force(
    claims: &mut Claims,
    issuer: Issuer,
    identity_provider: Option<&IdentityProvider>,
    jti: &TokenId,
    times: &Times,
) {
    let (mut exp, mut iat) = (itoa::Buffer::new(), itoa::Buffer::new());
    let times = [
        ("exp", Value::Normal(exp.format(times.expires))),
        ("iat", Value::Normal(iat.format(times.issued))),
    ];
    let idp = identity_provider.map(|idp| ("idp", Value::Normal(&idp.0)));
    let texts = [
        ("iss", Value::Plain(issuer.url())),
        ("jti", Value::Plain(jti.as_str())),
    ];
    claims.insert_sorted(times.into_iter().chain(idp).chain(texts));
}

/// Signs claims as they are.
///
/// # Security
/// Nothing is forced here: an issuer calls [`force_access`] or [`force_bearer`] before.
///
/// # Errors
/// [`WrongSignature`].
pub fn sign_claims(claims: &Claims, key: &SigningKey) -> Result<CompactJwt, WrongSignature> {
    let unsigned = UnsignedJwt::new("", claims, key, "");
    let signature = key.sign(unsigned.signing_input())?;
    Ok(CompactJwt(unsigned.signed(&signature)))
}

/// A token that lacks its signature, between two texts: an answer in one piece.
///
/// Its `Debug` hides the claims.
pub struct UnsignedJwt {
    text: String,
    /// Length of the text before it.
    begin: usize,
    after: &'static str,
}

impl UnsignedJwt {
    /// Encodes header and claims behind `before`; `after` will follow the signature.
    #[must_use]
    pub fn new(before: &str, claims: &Claims, key: &SigningKey, after: &'static str) -> Self {
        let mut json = Vec::new();
        claims.write_json(&mut json);
        let base64 = base64_simd::URL_SAFE_NO_PAD;
        let header = key.encoded_header();
        let parts = [
            before.len(),
            header.len(),
            base64.encoded_length(json.len()),
            ROOM_FOR_SIGNATURE,
            after.len(),
        ];
        let mut text = String::with_capacity(parts.iter().sum());
        text.push_str(before);
        text.push_str(header);
        text.push('.');
        base64.encode_append(&json, &mut text);
        Self {
            text,
            begin: before.len(),
            after,
        }
    }

    /// Returns what is to be signed (RFC 7515 section 5.1).
    #[must_use]
    pub fn signing_input(&self) -> &[u8] {
        let text = self.text.as_bytes();
        text.get(self.begin..).unwrap_or_default()
    }

    /// Returns the whole with its signature.
    #[must_use]
    pub fn signed(self, signature: &[u8; SIGNATURE_LENGTH]) -> String {
        let mut text = self.text;
        text.push('.');
        base64_simd::URL_SAFE_NO_PAD.encode_append(signature, &mut text);
        text.push_str(self.after);
        text
    }
}

impl fmt::Debug for UnsignedJwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnsignedJwt").finish_non_exhaustive()
    }
}

/// Seconds since 1970.
struct Times {
    issued: i64,
    expires: i64,
}

impl Times {
    fn new(now: SystemTime, lifetime: Duration, padding: Duration) -> Self {
        Self {
            issued: now.checked_sub(padding).map_or(0, floor_seconds),
            expires: now
                .checked_add(lifetime)
                .and_then(|end| end.checked_add(padding))
                .map_or(i64::MAX, floor_seconds),
        }
    }
}

fn floor_seconds(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        Err(before) => {
            let before = before.duration();
            let whole = i64::try_from(before.as_secs()).unwrap_or(i64::MAX);
            let started = i64::from(before.subsec_nanos() > 0);
            whole.saturating_neg().saturating_sub(started)
        }
    }
}

/// No access token lives longer than this, its padding aside. Source: spec: microbus-wire 11.1.
pub const ACCESS_CEILING: Duration = Duration::from_secs(15 * 60);
/// By how much an access token is dated back and its end put off, for clocks that differ.
pub const ACCESS_PADDING: Duration = Duration::from_secs(5);
/// By how much a bearer token is dated back and its end put off, for clocks that differ.
pub const BEARER_PADDING: Duration = Duration::from_secs(5 * 60);

/// Two dots and 64 bytes in base64.
const ROOM_FOR_SIGNATURE: usize = 88;

#[cfg(test)]
mod tests;
