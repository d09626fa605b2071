//! One decision to mint.

use serde::Serialize;
use std::borrow::Cow;

/// One decision to mint: who asked for what, and what became of it. Never the token.
///
/// It borrows, since it is told while whoever decides still holds all of this.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Entry<'a> {
    /// When, as RFC 3339 in UTC.
    pub time: &'a str,
    /// Host of the issuer.
    pub service: &'a str,
    /// Instance of the issuer.
    pub id: &'a str,
    /// Host of the caller, as the broker vouches for it.
    pub caller: &'a str,
    /// `minted`, or the reason of the refusal.
    pub outcome: &'a str,
    /// Instance of the caller, as it says itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller_id: Option<&'a str>,
    /// ID of the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jti: Option<Cow<'a, str>>,
    /// Whom the token is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub: Option<Cow<'a, str>>,
    /// The `iss` that the caller gave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iss_given: Option<&'a str>,
    /// How long the token lives, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<u64>,
    /// ID of the key that signed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kid: Option<&'a str>,
    /// W3C trace ID of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<&'a str>,
}

/// A part of an [`Entry`] that can be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// [`Entry::caller_id`]
    CallerId,
    /// [`Entry::jti`]
    Jti,
    /// [`Entry::sub`], which is personal data in most places.
    Sub,
    /// [`Entry::iss_given`]
    IssGiven,
    /// [`Entry::lifetime`]
    Lifetime,
    /// [`Entry::kid`]
    Kid,
    /// [`Entry::trace`]
    Trace,
}

impl Field {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::CallerId,
        Self::Jti,
        Self::Sub,
        Self::IssGiven,
        Self::Lifetime,
        Self::Kid,
        Self::Trace,
    ];

    /// Returns the name of the member.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CallerId => "caller_id",
            Self::Jti => "jti",
            Self::Sub => "sub",
            Self::IssGiven => "iss_given",
            Self::Lifetime => "lifetime",
            Self::Kid => "kid",
            Self::Trace => "trace",
        }
    }
}

impl Entry<'_> {
    /// Returns the entry as one JSON object, without LF.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut json = Vec::with_capacity(USUAL_LENGTH);
        // Texts and numbers can always be written, and JSON is UTF-8.
        match serde_json::to_writer(&mut json, self) {
            Ok(()) => String::from_utf8(json).unwrap_or_default(),
            Err(_) => String::new(),
        }
    }
}

/// Of a full entry whose texts are as long as they mostly are.
const USUAL_LENGTH: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_caller_sends_cannot_end_a_line() {
        let entry = Entry {
            sub: Some("a\nb\"}".into()),
            lifetime: Some(20),
            ..Entry::default()
        };
        assert_eq!(
            entry.to_json(),
            "{\"time\":\"\",\"service\":\"\",\"id\":\"\",\"caller\":\"\",\"outcome\":\"\",\
             \"sub\":\"a\\nb\\\"}\",\"lifetime\":20}"
        );
    }

    #[test]
    fn every_field_that_can_be_left_out_is_a_member_of_a_full_entry() {
        let full = Entry {
            caller_id: Some("x"),
            jti: Some("x".into()),
            sub: Some("x".into()),
            iss_given: Some("x"),
            lifetime: Some(1),
            kid: Some("x"),
            trace: Some("x"),
            ..Entry::default()
        };
        let full: serde_json::Value = serde_json::from_str(&full.to_json()).unwrap();
        for field in Field::ALL {
            assert!(full.get(field.as_str()).is_some(), "{field:?}");
        }
    }
}
