//! Lines in which a broker, a client or a service of ours tells that the broker refused something.
//!
//! Clients quote, escape and rewrite the broker's words, so that only these are looked for, in any case.
//! Source: spec: deploy 7; nats-server's `errors.go` and `client.go`.

use crate::grants::Verb;
use crate::refusal::Reason;

/// What a line tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A subject is not allowed.
    Permission {
        /// What was tried.
        verb: Verb,
        /// At which subject.
        subject: String,
        /// In which queue group.
        queue: Option<String>,
    },
    /// A login was refused; the broker never says why.
    Login,
    /// The broker ended the connection, and said why.
    Ended(Reason),
}

impl Line {
    /// Finds the broker's words in a text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let lower = text.to_ascii_lowercase();
        for (words, verb) in PERMISSIONS {
            if let Some(at) = lower.find(words)
                && let Some(subject) = quoted_after(text.get(at..)?, &[" to ", "Subject "])
            {
                let queue = quoted_after(text.get(at..)?, &["using queue ", "Queue: "]);
                return Some(Self::Permission {
                    verb,
                    subject,
                    queue,
                });
            }
        }
        let told = |words: &&str| lower.contains(*words);
        if let Some((_, reason)) = ENDS.iter().find(|(words, _)| told(words)) {
            return Some(Self::Ended(*reason));
        }
        LOGINS.iter().any(told).then_some(Self::Login)
    }
}

/// Returns what stands in quotes behind the first of `marks` that is there; a logger may have escaped the quotes.
fn quoted_after(text: &str, marks: &[&str]) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let (mark, at) = marks
        .iter()
        .find_map(|mark| Some((mark, lower.find(&mark.to_ascii_lowercase())?)))?;
    let rest = text.get(at + mark.len()..)?.trim_start_matches('\\');
    let quoted = rest.strip_prefix('"')?;
    let (quoted, _) = quoted.split_once('"')?;
    Some(quoted.trim_end_matches('\\').to_owned())
}

const PERMISSIONS: [(&str, Verb); 4] = [
    ("permissions violation for publish", Verb::Publish),
    ("permissions violation for subscription", Verb::Subscribe),
    ("publish violation", Verb::Publish),
    ("subscription violation", Verb::Subscribe),
];

/// The more telling words first: a line may hold several.
const ENDS: [(&str, Reason); 12] = [
    ("account authentication expired", Reason::AccountExpired),
    ("authentication expired", Reason::CredsExpired),
    ("authentication revoked", Reason::CredsRevoked),
    ("maximum control line exceeded", Reason::CredsTooLong),
    (
        "maximum subscriptions exceeded",
        Reason::TooManySubscriptions,
    ),
    (
        "maximum account active connections exceeded",
        Reason::TooManyConnections,
    ),
    ("maximum connections exceeded", Reason::TooManyConnections),
    ("maximum payload violation", Reason::PayloadTooLarge),
    ("maximum payload exceeded", Reason::PayloadTooLarge),
    ("authentication timeout", Reason::LoginTimeout),
    ("tls required", Reason::TlsRequired),
    ("secure connection required", Reason::TlsRequired),
];

const LOGINS: [&str; 2] = ["authorization violation", "authentication error"];

#[cfg(test)]
mod tests {
    use super::*;

    fn permission(text: &str) -> (Verb, String, Option<String>) {
        match Line::parse(text) {
            Some(Line::Permission {
                verb,
                subject,
                queue,
            }) => (verb, subject, queue),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn the_subject_is_found_in_the_words_of_broker_clients_and_loggers() {
        let subject = "p.safe.443.a.b._.GET.x";
        for text in [
            format!("-ERR 'Permissions Violation for Publish to \"{subject}\"'"),
            format!(
                "nats: permissions violation: Permissions Violation for Publish to \"{subject}\""
            ),
            format!(
                r#"{{"level":"ERROR","error":"Permissions Violation for Publish to \"{subject}\""}}"#
            ),
            format!("nats: permissions violation for publish to \"{subject}\" on connection [7]"),
            format!(
                "[4] 2026/11/25 [ERR] 127.0.0.1:5 - cid:7 - \"v1\" - Publish Violation - User \"UABC\", Subject \"{subject}\""
            ),
        ] {
            assert_eq!(permission(&text), (Verb::Publish, subject.to_owned(), None));
        }
    }

    #[test]
    fn the_queue_group_of_a_subscription_is_found() {
        let queue = Some("a.example".to_owned());
        for text in [
            r#"Permissions Violation for Subscription to "p.>" using queue "a.example""#,
            r#"Subscription Violation - User "U", Subject "p.>", Queue: "a.example", SID 3"#,
            r#"{"error":"Permissions Violation for Subscription to \"p.>\" using queue \"a.example\""}"#,
        ] {
            assert_eq!(
                permission(text),
                (Verb::Subscribe, "p.>".to_owned(), queue.clone())
            );
        }
    }

    #[test]
    fn the_ends_of_connections_are_told_apart() {
        for (text, line) in [
            ("nats: Authorization Violation", Line::Login),
            ("authentication error - User \"x\"", Line::Login),
            (
                "'User Authentication Expired'",
                Line::Ended(Reason::CredsExpired),
            ),
            (
                "Account Authentication Expired",
                Line::Ended(Reason::AccountExpired),
            ),
            (
                "user authentication revoked",
                Line::Ended(Reason::CredsRevoked),
            ),
            (
                "Maximum Control Line Exceeded",
                Line::Ended(Reason::CredsTooLong),
            ),
        ] {
            assert_eq!(Line::parse(text), Some(line), "{text}");
        }
        assert_eq!(Line::parse("Startup"), None);
        assert_eq!(
            Line::parse("Permissions Violation for Publish to nothing"),
            None
        );
    }
}
