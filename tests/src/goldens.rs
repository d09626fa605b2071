//! Messages recorded from the Go services on a real server.

use crate::message::Message;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::path::Path;

/// One recorded exchange, in the order in which the server took its messages.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its name in the recording.
    pub name: String,
    /// Requests, acks and responses of everybody who took part.
    pub messages: Vec<Message>,
}

/// One recorded subscription of a service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct Subscription {
    /// The pattern of subjects.
    pub subject: String,
    /// The queue group; empty when there is none.
    pub queue: String,
}

impl Case {
    /// Returns the requests that went to `host`, by whatever slot.
    pub fn requests_to(&self, host: &str) -> impl Iterator<Item = &Message> {
        let segment = microbus_wire::host::escape_host(host).into_owned();
        self.messages.iter().filter(move |message| {
            let mut segments = message.subject.split('.').skip(1);
            segments.next() != Some("reply") && segments.nth(2) == Some(&segment)
        })
    }

    /// Returns the acks, responses and errors that `request` got from anybody.
    pub fn answers_to<'a>(&'a self, request: &'a Message) -> impl Iterator<Item = &'a Message> {
        self.messages.iter().filter(move |message| {
            message.subject.split('.').nth(1) == Some("reply")
                && message.message_id() == request.message_id()
        })
    }
}

/// Returns all cases of a recording, such as `local`, `prod`, `extra`, `acl` or `rotation`.
#[must_use]
pub fn load(recording: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in lines::<Line>(recording) {
        let payload = STANDARD
            .decode(&line.payload_b64)
            .expect("recordings are base64");
        let message = Message {
            subject: line.subject,
            payload: Bytes::from(payload),
        };
        match cases.iter_mut().find(|case| case.name == line.case) {
            Some(case) => case.messages.push(message),
            None => cases.push(Case {
                name: line.case,
                messages: vec![message],
            }),
        }
    }
    cases
}

/// Returns one case of a recording; panics when it is not there.
#[must_use]
pub fn case(recording: &str, name: &str) -> Case {
    load(recording)
        .into_iter()
        .find(|case| case.name == name)
        .unwrap_or_else(|| panic!("no case {name} in {recording}"))
}

/// Returns the subscriptions of a service as recorded in `subs-<deployment>-<host>`, sorted, each instance id replaced
/// by `<instance>`.
#[must_use]
pub fn subscriptions(deployment: &str, host: &str) -> Vec<Subscription> {
    without_instance(lines(&format!("subs-{deployment}-{host}")))
}

/// Sorts subscriptions and replaces the instance id in them by `<instance>`, so that two processes can be compared.
#[must_use]
pub fn without_instance(mut subscriptions: Vec<Subscription>) -> Vec<Subscription> {
    let replace = |text: &str| {
        let segments = text
            .split('.')
            .map(|segment| match segment.strip_prefix("id-") {
                Some(_) => "<instance>",
                None => segment,
            });
        segments.collect::<Vec<_>>().join(".")
    };
    for subscription in &mut subscriptions {
        subscription.subject = replace(&subscription.subject);
        subscription.queue = replace(&subscription.queue);
    }
    subscriptions.sort();
    subscriptions
}

#[derive(Deserialize)]
struct Line {
    case: String,
    subject: String,
    payload_b64: String,
}

fn lines<T: DeserializeOwned>(name: &str) -> Vec<T> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/wire/testdata/goldens");
    let path = folder.join(format!("{name}.jsonl"));
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines()
        .map(|line| serde_json::from_str(line).expect("recordings are JSON"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recorded_message_is_loaded() {
        let count = |recording| {
            let cases = load(recording);
            (
                cases.len(),
                cases.iter().map(|case| case.messages.len()).sum::<usize>(),
            )
        };
        assert_eq!(count("local"), (211, 833));
        assert_eq!(count("prod"), (43, 345));
        assert_eq!(count("extra"), (15, 57));
        assert_eq!(count("acl"), (5, 23));
        assert_eq!(count("rotation"), (12, 80));
    }

    #[test]
    fn a_request_is_found_with_its_answers() {
        let case = case("acl", "acl_mint_access");
        let requests: Vec<_> = case.requests_to("access.token.core").collect();
        assert_eq!(requests.len(), 1);
        assert_eq!(
            requests[0].first_line(),
            "POST https://access.token.core:666/mint HTTP/1.1"
        );
        let op_codes: Vec<_> = case.answers_to(requests[0]).map(Message::op_code).collect();
        assert_eq!(op_codes, ["Ack", "Res"]);
    }

    #[test]
    fn recorded_subscriptions_name_no_instance() {
        let access = subscriptions("local", "access.token.core");
        assert_eq!(access.len(), 35);
        assert!(access.contains(&Subscription {
            subject: "microbus.reply._.*.access_token_core.<instance>".to_owned(),
            queue: "<instance>".to_owned(),
        }));
    }
}
