//! Why a verifier or the broker refuses: from a token or a line of a log to one [`Reason`].
//!
//! The verdict on a token is that of the verifier that services use ([`microbus_token::Unverified`]); what is added here
//! is only which of several mistakes led to it. The verdict on a subject follows the broker's rules, by the lists in the
//! credentials. Nothing here shows a token, a signature or a seed.

mod iss;
mod jwk_set;
pub mod line;
pub mod login;
pub mod metrics;
mod signature;
pub mod subject;
pub mod token;
mod view;

pub use line::Line;
pub use token::{KeySets, Published, Replica, Surface};

use crate::refusal::Reason;
use serde::Serialize;

/// What was handed in.
#[derive(Debug, PartialEq, Eq)]
pub enum Input<'t> {
    /// A token, or what should have been one.
    Token(&'t str),
    /// A line that tells of a refusal by the broker.
    Line(Line),
    /// Something else.
    Unknown,
}

impl<'t> Input<'t> {
    /// Finds out what `text` is; the name of a header, `Bearer` and quotes around a token are left out.
    #[must_use]
    pub fn of(text: &'t str) -> Self {
        let text = text.trim();
        if let Some(line) = Line::parse(text) {
            return Self::Line(line);
        }
        let token = bare_token(text);
        let one_word = !token.contains(char::is_whitespace);
        let json_serialization = token.starts_with('{') && token.contains("\"signature");
        if one_word || token.starts_with("ey") || json_serialization {
            return Self::Token(token);
        }
        Self::Unknown
    }
}

/// What became of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is refused, and this is why.
    Refused(Reason),
    /// Nothing speaks against it.
    Accepted,
    /// What is at hand does not tell.
    Unknown,
}

/// A verdict with what led to it.
#[derive(Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What it is.
    pub verdict: Verdict,
    /// Why, in a sentence.
    pub why: String,
    /// What to do about it.
    pub remedy: String,
    /// What was looked at, in the order of looking.
    pub facts: Vec<Fact>,
}

/// One thing that was looked at.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// Its name, such as `exp`.
    pub name: &'static str,
    /// What was found.
    pub found: String,
}

impl Explanation {
    pub(crate) fn refused(reason: Reason, facts: Vec<Fact>) -> Self {
        Self {
            verdict: Verdict::Refused(reason),
            why: reason.meaning(),
            remedy: reason.remedy().to_owned(),
            facts,
        }
    }

    pub(crate) fn unknown(why: &str, remedy: &str, facts: Vec<Fact>) -> Self {
        Self {
            verdict: Verdict::Unknown,
            why: why.to_owned(),
            remedy: remedy.to_owned(),
            facts,
        }
    }

    pub(crate) fn accepted(why: &str, facts: Vec<Fact>) -> Self {
        Self {
            verdict: Verdict::Accepted,
            why: why.to_owned(),
            remedy: String::new(),
            facts,
        }
    }
}

impl Fact {
    pub(crate) fn new(name: &'static str, found: impl Into<String>) -> Self {
        Self {
            name,
            found: found.into(),
        }
    }
}

/// Takes off what stands before a token where people copy it from.
fn bare_token(text: &str) -> &str {
    let mut token = text;
    for name in ["authorization", "microbus-actor", "cookie"] {
        if let Some((before, after)) = token.split_once(':')
            && before.trim().eq_ignore_ascii_case(name)
        {
            token = after.trim();
        }
    }
    token = token.strip_prefix("Authorization=").unwrap_or(token);
    token = token.strip_prefix("Bearer ").unwrap_or(token);
    token.trim().trim_matches(['"', '\''])
}

/// Returns text that somebody else chose, quoted and cut, so that it cannot pass for ours on a terminal.
fn quoted(text: &str) -> String {
    let mut shown: String = text.chars().take(LONGEST_QUOTE).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("{shown:?}")
}

const LONGEST_QUOTE: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;
    use microbus_token::KeyId;

    #[test]
    fn a_key_may_lack_at_one_replica_and_be_in_the_set_all_the_same() {
        let kid = |text: &str| KeyId::parse(text).unwrap();
        let replica = |id: &str, keys: &[&str]| Replica {
            id: id.to_owned(),
            keys: keys.iter().map(|key| (kid(key), None)).collect(),
        };
        let published = Published::read("a test", b"{}").with_replicas(vec![
            replica("id-a", &["old", "new"]),
            replica("id-b", &["old"]),
            replica("id-c", &[]),
        ]);
        assert!(!published.has(&kid("new")));
        let without = |key| published.without(&kid(key)).collect::<Vec<_>>().join(" ");
        assert_eq!([without("old"), without("new")], ["id-c", "id-b id-c"]);
    }

    #[test]
    fn a_token_is_found_wherever_people_copy_it_from() {
        for text in [
            "eyJ.e.s",
            " eyJ.e.s\n",
            "Bearer eyJ.e.s",
            "authorization: Bearer eyJ.e.s",
            "Microbus-Actor: eyJ.e.s",
            "Cookie: Authorization=eyJ.e.s",
            "\"eyJ.e.s\"",
        ] {
            assert_eq!(Input::of(text), Input::Token("eyJ.e.s"), "{text}");
        }
    }

    #[test]
    fn a_line_is_told_from_a_token_and_prose_from_both() {
        let line = r#"nats: Permissions Violation for Publish to "p.safe.443.a.b._.GET.x""#;
        assert!(matches!(Input::of(line), Input::Line(_)));
        assert_eq!(Input::of("it does not work"), Input::Unknown);
        assert_eq!(Input::of(""), Input::Token(""));
    }

    #[test]
    fn what_others_chose_is_quoted_and_cut() {
        assert_eq!(quoted("a\u{1b}[2Jb\n"), r#""a\u{1b}[2Jb\n""#);
        assert_eq!(quoted(&"x".repeat(200)).chars().count(), LONGEST_QUOTE + 3);
    }
}
