//! Floors: responders that do the least that any implementation must, so that its own share can be seen.
//!
//! A floor is a bare async-nats client on a current-thread runtime. It answers every request with a constant, in which
//! it changes nothing but the message ID, copied from the request; the signing floor also signs a constant for each
//! answer with a kept key pair.

use crate::arguments::Respond;
use crate::request::{CALLER, INSTANCE, MessageId};
use async_nats::ConnectOptions;
use aws_lc_rs::signature::Ed25519KeyPair;
use futures_util::StreamExt as _;
use memchr::memmem::Finder;
use microbus_wire::host::escape_host;
use std::error::Error;

/// Answers requests until the process is ended.
///
/// # Errors
/// When the broker refuses the credentials in the working directory, or nothing can be subscribed.
pub(crate) async fn respond(respond: Respond) -> Result<(), Box<dyn Error>> {
    let client = ConnectOptions::with_credentials_file("nats.creds")
        .await?
        .connect(&respond.url)
        .await?;
    let mut requests = client
        .queue_subscribe(respond.pattern.clone(), respond.host.clone())
        .await?;
    let reply_subject = format!(
        "{}.reply._.{}.{}.{INSTANCE}",
        respond.plane,
        escape_host(&respond.host),
        escape_host(CALLER)
    );
    let signer = match respond.sign_bytes {
        0 => None,
        length => Some((
            Ed25519KeyPair::from_seed_unchecked(&[7; 32])?,
            vec![b'c'; length],
        )),
    };
    let ack = Constant::new(ACK_STATUS, "Ack", &respond, 0);
    let answer = Constant::new(ANSWER_STATUS, "Res", &respond, respond.answer_bytes);
    let id_finder = Finder::new(MESSAGE_ID);
    while let Some(request) = requests.next().await {
        let Some(id) = message_id(&id_finder, &request.payload) else {
            continue;
        };
        if respond.messages > 1 {
            let ack = ack.under(id);
            client.publish(reply_subject.clone(), ack.into()).await?;
        }
        let mut answer = answer.under(id);
        if let Some((key, text)) = &signer {
            let signature = key.sign(text);
            let place = answer.len().saturating_sub(signature.as_ref().len());
            answer.truncate(place);
            answer.extend_from_slice(signature.as_ref());
        }
        client.publish(reply_subject.clone(), answer.into()).await?;
    }
    Ok(())
}

fn message_id<'a>(finder: &Finder<'_>, request: &'a [u8]) -> Option<&'a [u8]> {
    let begin = finder.find(request)? + finder.needle().len();
    request.get(begin..begin + MessageId::BYTES)
}

/// A message with a place for the ID of the request.
struct Constant {
    text: Vec<u8>,
    id_at: usize,
}

impl Constant {
    /// Builds a message as the issuers write it, filled up to `length` if it is shorter.
    ///
    /// Source: spec: microbus-wire 3.2, 3.3.
    fn new(status: &str, op_code: &str, respond: &Respond, length: usize) -> Self {
        let host = &respond.host;
        let mut text = format!(
            "HTTP/1.1 {status}\r\nConnection: close\r\nMicrobus-From-Host: {host}\r\n\
             Microbus-From-Id: id-floor00000\r\nMicrobus-Op-Code: {op_code}\r\nMicrobus-Queue: {host}\r\n\
             {MESSAGE_ID}"
        );
        let id_at = text.len();
        text.push_str("00000000\r\n\r\n");
        let mut text = text.into_bytes();
        text.resize(text.len().max(length), b'x');
        Self { text, id_at }
    }

    fn under(&self, id: &[u8]) -> Vec<u8> {
        let mut text = self.text.clone();
        if let Some(place) = text.get_mut(self.id_at..self.id_at + MessageId::BYTES) {
            place.copy_from_slice(id);
        }
        text
    }
}

const MESSAGE_ID: &str = "Microbus-Msg-Id: ";
const ACK_STATUS: &str = "202 Accepted";
const ANSWER_STATUS: &str = "200 OK";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_has_the_length_asked_for_and_takes_the_id_of_the_request() {
        let respond = Respond {
            url: String::new(),
            plane: "p".to_owned(),
            pattern: String::new(),
            host: "access.token.core".to_owned(),
            messages: 2,
            answer_bytes: 600,
            sign_bytes: 0,
        };
        let answer = Constant::new(ANSWER_STATUS, "Res", &respond, 600).under(b"00100002");
        assert_eq!(answer.len(), 600);
        let response = microbus_wire::Response::parse(&answer.into()).unwrap();
        assert_eq!(response.headers.get("Microbus-Msg-Id"), Some("00100002"));
        let request = b"POST / HTTP/1.1\r\nMicrobus-Msg-Id: 00100002\r\n\r\n";
        let id = message_id(&Finder::new(MESSAGE_ID), request);
        assert_eq!(id, Some(b"00100002".as_slice()));
    }
}
