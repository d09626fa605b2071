//! One decision to mint.

use serde::Serialize;

/// One decision to mint: who asked for what, and what became of it. Never the token.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Entry {
    /// When, as RFC 3339 in UTC.
    pub time: String,
    /// Host of the issuer.
    pub service: &'static str,
    /// Instance of the issuer.
    pub id: String,
    /// Host of the caller, as the broker vouches for it.
    pub caller: String,
    /// `minted`, or the reason of the refusal.
    pub outcome: &'static str,
    /// Instance of the caller, as it says itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller_id: Option<String>,
    /// ID of the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    /// Whom the token is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
    /// The `iss` that the caller gave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iss_given: Option<String>,
    /// How long the token lives, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<u64>,
    /// ID of the key that signed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// W3C trace ID of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
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

impl Entry {
    /// Returns the entry as one JSON object, without LF.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Texts and numbers can always be written.
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_caller_sends_cannot_end_a_line() {
        let entry = Entry {
            sub: Some("a\nb\"}".to_owned()),
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
        let text = || Some("x".to_owned());
        let full = Entry {
            caller_id: text(),
            jti: text(),
            sub: text(),
            iss_given: text(),
            lifetime: Some(1),
            kid: text(),
            trace: text(),
            ..Entry::default()
        };
        let full: serde_json::Value = serde_json::from_str(&full.to_json()).unwrap();
        for field in Field::ALL {
            assert!(full.get(field.as_str()).is_some(), "{field:?}");
        }
    }
}
