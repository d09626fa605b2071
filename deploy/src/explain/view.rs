//! What a token says about itself, and which mistake a verifier met in it.

use super::token::SIZE_LIMIT;
use super::{Fact, iss, quoted};
use crate::date;
use crate::refusal::Reason;
use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use microbus_token::json::JsonErrorKind;
use microbus_token::{
    ACCESS_PADDING, BEARER_PADDING, Claims, ClaimsError, Issuer, VerifyError, looks_like_jwt,
};
use std::time::SystemTime;

/// What a token says, read as forgivingly as it can be, to be shown and never believed.
pub(super) struct View {
    header: Option<Claims>,
    payload: Option<Claims>,
}

impl View {
    pub(super) fn of(token: &str) -> Self {
        let token = token.get(..SIZE_LIMIT).unwrap_or(token);
        let mut parts = token.split('.').map(|part| {
            let json = decode(part)?;
            Claims::from_json(&json).ok()
        });
        Self {
            header: parts.next().flatten(),
            payload: parts.next().flatten(),
        }
    }

    /// Returns who the token says it is from, if that is one of the two.
    pub(super) fn issuer(&self) -> Option<Issuer> {
        Issuer::of_claim(&self.payload_text("iss")?)
    }

    fn header_text(&self, name: &str) -> Option<String> {
        let text = self.header.as_ref()?.get_text(name)?;
        Some(text.into_owned())
    }

    fn payload_text(&self, name: &str) -> Option<String> {
        let text = self.payload.as_ref()?.get_text(name)?;
        Some(text.into_owned())
    }

    /// Returns a time claim in whole seconds.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a float too large for a date becomes the largest one"
    )]
    pub(super) fn time(&self, name: &str) -> Option<i64> {
        let number: f64 = self.payload.as_ref()?.get(name)?.parse().ok()?;
        number.is_finite().then_some(number as i64)
    }

    /// Tells which mistake made the verifier say `error`.
    pub(super) fn reason(&self, error: &VerifyError, token: &str) -> Reason {
        match error {
            VerifyError::TooLarge { .. } => Reason::TooLarge,
            VerifyError::Segments => segments(token),
            VerifyError::Encoding => encoding(token),
            VerifyError::Header(error) if is_duplicate(error) => Reason::HeaderDuplicate,
            VerifyError::Header(_) => Reason::HeaderMalformed,
            VerifyError::Unsigned => Reason::AlgNone,
            VerifyError::Algorithm => self.algorithm(),
            VerifyError::HeaderMember("crit") => Reason::HeaderCrit,
            VerifyError::HeaderMember("b64") => Reason::HeaderUnencoded,
            VerifyError::HeaderMember("jwk" | "x5c") => Reason::HeaderKey,
            VerifyError::HeaderMember("jku" | "x5u") => Reason::HeaderKeyUrl,
            VerifyError::HeaderMember(_) => Reason::HeaderEncryption,
            VerifyError::Type => Reason::Typ,
            VerifyError::KeyIdMissing => Reason::KidMissing,
            VerifyError::KeyId(_) => Reason::KidMalformed,
            VerifyError::Payload(error) if is_duplicate(error) => Reason::PayloadDuplicate,
            VerifyError::Payload(_) => Reason::PayloadMalformed,
            VerifyError::Issuer => self
                .payload_text("iss")
                .map_or(Reason::IssMissing, |iss| iss::misses(&iss)),
            VerifyError::UnknownKey => Reason::KidUnknown,
            VerifyError::SignatureLength(0) => Reason::SignatureMissing,
            VerifyError::SignatureLength(_) => Reason::SignatureLength,
            VerifyError::Signature => Reason::Signature,
            VerifyError::ExpiryMissing => Reason::ExpMissing,
            VerifyError::IssueTimeMissing => Reason::IatMissing,
            VerifyError::Time(_) => Reason::TimeMalformed,
            VerifyError::Expired => Reason::Expired,
            VerifyError::IssuedLater => Reason::IssuedLater,
            VerifyError::NotYetValid => Reason::NotYetValid,
        }
    }

    fn algorithm(&self) -> Reason {
        let has_alg = self
            .header
            .as_ref()
            .is_some_and(|header| header.get("alg").is_some());
        let Some(alg) = self.header_text("alg") else {
            return if has_alg {
                Reason::AlgOther
            } else {
                Reason::AlgMissing
            };
        };
        let meant = alg.trim().to_ascii_lowercase();
        match meant.as_str() {
            "ed25519-nkey" => Reason::BrokerJwt,
            "none" | "eddsa" | "ed25519" => Reason::AlgSpelling,
            hmac if hmac.starts_with("hs") => Reason::AlgHmac,
            rsa if rsa.starts_with("rs") || rsa.starts_with("ps") => Reason::AlgRsa,
            ecdsa if ecdsa.starts_with("es") => Reason::AlgEcdsa,
            _ => Reason::AlgOther,
        }
    }

    pub(super) fn facts(&self, token: &str, now: SystemTime) -> Vec<Fact> {
        let mut facts = Vec::new();
        if !looks_like_jwt(token) {
            facts.push(Fact::new(
                "shape",
                "not that of a JWT: a Go service or an ingress takes it for no token at all",
            ));
        }
        if let Some(header) = &self.header {
            facts.push(Fact::new("algorithm", shown(header, "alg")));
            facts.push(Fact::new("key ID", shown(header, "kid")));
        }
        if let Some(payload) = &self.payload {
            let word = match self.issuer() {
                Some(_) => "pinned",
                None => "not one that verifiers believe",
            };
            let iss = shown(payload, "iss");
            facts.push(Fact::new("issuer", format!("{iss}: {word}")));
            facts.push(Fact::new("clocks", self.clocks(date::unix(now))));
            for name in ["exp", "nbf"] {
                facts.extend(
                    self.time(name)
                        .map(|time| Fact::new(name, distance(time, date::unix(now)))),
                );
            }
        }
        facts
    }

    /// Compares the clock of the issuer, as far as the token tells, with that of here.
    fn clocks(&self, now: i64) -> String {
        let here = format!("here it is {}", date::text(now));
        let (Some(issued), Some(issuer)) = (self.time("iat"), self.issuer()) else {
            return here;
        };
        let padding = match issuer {
            Issuer::Access => ACCESS_PADDING,
            Issuer::Bearer => BEARER_PADDING,
        };
        let padding = i64::try_from(padding.as_secs()).unwrap_or_default();
        let signed = issued.saturating_add(padding);
        let text = date::text(signed);
        match signed.saturating_sub(now) {
            ahead @ 1.. => format!(
                "{here}; the issuer's said {text} when it signed, so it is ahead by {} at least",
                date::span(ahead)
            ),
            ago => format!(
                "{here}; the issuer's said {text} when it signed, {} before",
                date::span(ago)
            ),
        }
    }
}

fn distance(time: i64, now: i64) -> String {
    let text = date::text(time);
    match time.saturating_sub(now) {
        left @ 1.. => format!("{text}, in {}", date::span(left)),
        past => format!("{text}, {} ago", date::span(past)),
    }
}

fn segments(token: &str) -> Reason {
    match token.split('.').count() {
        _ if token.is_empty() => Reason::Empty,
        _ if token.starts_with('{') => Reason::JsonSerialization,
        5 => Reason::Encrypted,
        _ => Reason::Segments,
    }
}

fn encoding(token: &str) -> Reason {
    if token.contains(['+', '/']) {
        Reason::EncodingStandard
    } else if token.contains('=') || token.to_ascii_lowercase().contains("%3d") {
        Reason::EncodingPadded
    } else {
        Reason::Encoding
    }
}

fn is_duplicate(error: &ClaimsError) -> bool {
    matches!(error, ClaimsError::Json(error) if error.kind == JsonErrorKind::Duplicate)
}

/// Returns a member as it may be shown: texts quoted anew, anything else as it is written.
fn shown(claims: &Claims, name: &str) -> String {
    let Some(value) = claims.get(name) else {
        return "none is named".to_owned();
    };
    let text = claims.get_text(name);
    text.map_or_else(|| quoted(value), |text| quoted(&text))
}

/// Decodes a part as forgivingly as it can be.
pub(super) fn decode(part: &str) -> Option<Vec<u8>> {
    let config = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent);
    GeneralPurpose::new(&URL_SAFE, config).decode(part).ok()
}
