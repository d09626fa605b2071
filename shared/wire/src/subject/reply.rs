//! Subjects of acks and responses.

use super::{Plane, SubjectError, check_length};

/// The parts of the subject of an ack or a response, still escaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplySubject<'a> {
    /// The plane.
    pub plane: &'a str,
    /// The segment of the responder's host.
    pub source: &'a str,
    /// The segment of the caller's host.
    pub destination: &'a str,
    /// The instance that asked.
    pub instance: &'a str,
}

impl<'a> ReplySubject<'a> {
    /// Splits a subject, `None` unless it is `<plane>.reply._.<source>.<destination>.<instance>`.
    pub fn parse(subject: &'a str) -> Option<Self> {
        let mut segments = subject.split('.');
        let plane = segments.next()?;
        if segments.next()? != "reply" || segments.next()? != "_" {
            return None;
        }
        let reply = Self {
            plane,
            source: segments.next()?,
            destination: segments.next()?,
            instance: segments.next()?,
        };
        let whole = [reply.plane, reply.source, reply.destination, reply.instance];
        (segments.next().is_none() && whole.iter().all(|part| !part.is_empty())).then_some(reply)
    }

    /// Returns the host name of the responder, which the broker vouches for.
    pub fn source_host(&self) -> std::borrow::Cow<'a, str> {
        crate::host::unescape_host(self.source)
    }
}

/// Returns the subject to answer on. The segments are escaped host names; the caller's identifier is lowercased.
///
/// # Errors
/// [`SubjectError::CallerId`] or [`SubjectError::Host`] if a part holds what could lead the answer out of
/// `<plane>.reply._.`; [`SubjectError::TooLong`].
///
/// # Security
/// The identifier comes from a header that anybody may write. With a dot or a wildcard in it the answer, a token, could
/// go to a subject of the sender's choice; such identifiers are refused.
pub fn reply_subject(
    plane: &Plane,
    responder_segment: &str,
    caller_segment: &str,
    caller_id: &str,
) -> Result<String, SubjectError> {
    for segment in [responder_segment, caller_segment] {
        if segment.is_empty() || !segment.bytes().all(|b| is_id_byte(b) || b == b'%') {
            return Err(SubjectError::Host);
        }
    }
    if caller_id.is_empty() || !caller_id.bytes().all(is_id_byte) {
        return Err(SubjectError::CallerId);
    }
    let parts = [
        plane.as_str(),
        "reply",
        "_",
        responder_segment,
        caller_segment,
    ];
    let length: usize = parts.iter().map(|part| part.len().saturating_add(1)).sum();
    let mut subject = String::with_capacity(length.saturating_add(caller_id.len()));
    for part in parts {
        subject.push_str(part);
        subject.push('.');
    }
    subject.push_str(caller_id);
    // The plane alone has capitals, and they matter.
    if let Some(id) = subject.get_mut(length..) {
        id.make_ascii_lowercase();
    }
    check_length(subject)
}

/// Returns the subject on which an instance hears the answers to its own requests.
///
/// # Errors
/// As [`reply_subject`].
pub fn reply_subscription(
    plane: &Plane,
    own_segment: &str,
    own_id: &str,
) -> Result<String, SubjectError> {
    reply_subject(plane, "_", own_segment, own_id)
        .map(|subject| subject.replacen("reply._._.", "reply._.*.", 1))
}

fn is_id_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_reply_has_exactly_six_segments() {
        let subject = reply_subject(
            &Plane::default(),
            "access_token_core",
            "http_ingress_core",
            "ID-abcdefghij",
        )
        .unwrap();
        assert_eq!(
            subject,
            "microbus.reply._.access_token_core.http_ingress_core.id-abcdefghij"
        );
        assert_eq!(subject.split('.').count(), 6);
    }

    #[test]
    fn a_reply_cannot_be_led_astray_by_the_callers_id() {
        for id in ["", "a.b", "*", ">", "id abc", "id\r\nPUB", "idé", "id%2e"] {
            let subject = reply_subject(&Plane::default(), "a", "b", id);
            assert_eq!(subject, Err(SubjectError::CallerId), "{id}");
        }
        assert_eq!(
            reply_subject(&Plane::default(), "a", "b.c", "id"),
            Err(SubjectError::Host)
        );
        assert_eq!(
            reply_subject(&Plane::default(), "a", "*", "id"),
            Err(SubjectError::Host)
        );
    }

    #[test]
    fn a_subject_that_is_no_reply_does_not_parse() {
        for subject in [
            "microbus.reply._.a.b",
            "microbus.reply._.a.b.c.d",
            "microbus.reply.x.a.b.c",
            "microbus.safe.888.a.b.c",
            "microbus.reply._.a..c",
            "",
        ] {
            assert_eq!(ReplySubject::parse(subject), None, "{subject}");
        }
    }

    #[test]
    fn the_subscription_hears_every_responder() {
        let pattern =
            reply_subscription(&Plane::default(), "access_token_core", "id-abcdefghij").unwrap();
        assert_eq!(
            pattern,
            "microbus.reply._.*.access_token_core.id-abcdefghij"
        );
    }

    proptest! {
        #[test]
        fn whatever_is_accepted_stays_under_the_reply_prefix(segment in "\\PC{0,12}", id in "\\PC{0,12}") {
            if let Ok(subject) = reply_subject(&Plane::default(), "me", &segment, &id) {
                let reply = ReplySubject::parse(&subject).unwrap();
                prop_assert_eq!(reply.destination, segment);
                prop_assert_eq!(reply.instance, id.to_ascii_lowercase());
            }
        }
    }
}
