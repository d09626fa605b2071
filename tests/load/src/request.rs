//! The bytes of a request, made once and sent many times with another message ID each.

use crate::workload::Workload;
use microbus_wire::host::escape_host;

/// A PUB line and the request after it, with the place of its message ID.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    bytes: Vec<u8>,
    id_at: usize,
}

/// Which caller sent a request, and how many it had sent before; eight characters on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MessageId {
    pub(crate) caller: u16,
    pub(crate) sequence: u32,
}

impl Request {
    /// Builds the request as the Go callers write it, with a budget of 20 s.
    ///
    /// Source: spec: microbus-wire 2.1, 3.1.
    pub(crate) fn new(plane: &str, workload: Workload) -> Self {
        let operation = workload.operation;
        let (port, path) = (operation.port(), operation.path());
        let (method, host) = (operation.method(), operation.product().host);
        let subject = format!(
            "{}.{}",
            endpoint(plane, workload, &escape_host(CALLER)),
            path
        );
        let body = workload.body();
        let content = match body.len() {
            0 => String::new(),
            length => format!("Content-Length: {length}\r\nContent-Type: application/json\r\n"),
        };
        let before = format!(
            "{method} https://{host}:{port}/{path} HTTP/1.1\r\nHost: {host}:{port}\r\n{content}\
             Microbus-Call-Depth: 1\r\nMicrobus-From-Host: {CALLER}\r\nMicrobus-From-Id: {INSTANCE}\r\n\
             Microbus-From-Version: 1\r\nMicrobus-Msg-Id: "
        );
        let after =
            format!("\r\nMicrobus-Op-Code: Req\r\nMicrobus-Time-Budget: 20s\r\n\r\n{body}\r\n");
        // The last two bytes end the PUB and are not part of its payload.
        let length = before.len() + MessageId::BYTES + after.len() - 2;
        let before = format!("PUB {subject} {length}\r\n{before}");
        Self {
            id_at: before.len(),
            bytes: format!("{before}{}{after}", "0".repeat(MessageId::BYTES)).into_bytes(),
        }
    }

    /// Appends the request to `output` under `id`.
    pub(crate) fn write(&mut self, id: MessageId, output: &mut Vec<u8>) {
        let place = self
            .bytes
            .get_mut(self.id_at..self.id_at + MessageId::BYTES);
        if let Some(place) = place {
            place.copy_from_slice(&id.text());
        }
        output.extend_from_slice(&self.bytes);
    }
}

impl MessageId {
    /// Length of the text.
    pub(crate) const BYTES: usize = 8;

    /// Returns three hexadecimal digits of the caller and five of the sequence, which wraps after a million.
    fn text(self) -> [u8; Self::BYTES] {
        let number = (u64::from(self.caller) << 20) | u64::from(self.sequence & SEQUENCE_MASK);
        let digit = |place: u32| {
            let nibble = number.checked_shr(place * 4).unwrap_or(0) & 15;
            let nibble = u32::try_from(nibble).unwrap_or(0);
            char::from_digit(nibble, 16).map_or(b'0', |digit| digit as u8)
        };
        [7, 6, 5, 4, 3, 2, 1, 0].map(digit)
    }

    /// Reads such a text; `None` for any other.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let text: &[u8; Self::BYTES] = text.try_into().ok()?;
        let number = u32::from_str_radix(std::str::from_utf8(text).ok()?, 16).ok()?;
        Some(Self {
            caller: u16::try_from(number >> 20).ok()?,
            sequence: number & SEQUENCE_MASK,
        })
    }

    /// Returns the ID of the caller's next request.
    pub(crate) fn next(self) -> Self {
        Self {
            sequence: (self.sequence + 1) & SEQUENCE_MASK,
            ..self
        }
    }
}

/// Returns the subject of a workload's requests up to the path, sent by the host with the segment `from`.
pub(crate) fn endpoint(plane: &str, workload: Workload, from: &str) -> String {
    let operation = workload.operation;
    let port = operation.port();
    let trust = if port == 666 { "danger" } else { "safe" };
    let host = escape_host(operation.product().host);
    format!(
        "{plane}.{trust}.{port}.{from}.{host}._.{}",
        operation.method()
    )
}

/// Host name of the generator.
pub(crate) const CALLER: &str = "load.caller";
/// Its instance ID, in all connections: they are on different planes.
pub(crate) const INSTANCE: &str = "id-loadcaller";
const SEQUENCE_MASK: u32 = 0xf_ffff;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Operation;
    use microbus_wire::RequestSubject;

    fn written(operation: Operation, claims: u32, id: MessageId) -> String {
        let mut output = Vec::new();
        Request::new("test", Workload { operation, claims }).write(id, &mut output);
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn a_request_is_read_by_the_wire_crate_and_its_length_is_right() {
        let id = MessageId {
            caller: 255,
            sequence: 17,
        };
        for operation in Operation::ALL {
            let text = written(operation, 200, id);
            let (line, payload) = text.split_once("\r\n").unwrap();
            let payload = payload.strip_suffix("\r\n").unwrap();
            let words: Vec<_> = line.split(' ').collect();
            assert_eq!(words[2], payload.len().to_string());
            let subject = RequestSubject::parse(words[1]);
            assert_eq!(subject.source_host(), CALLER);
            assert_eq!(subject.port, operation.port().to_string());
            let request = microbus_wire::Request::parse(&payload.to_owned().into()).unwrap();
            assert_eq!(request.headers.get("Microbus-Msg-Id"), Some("0ff00011"));
        }
    }

    #[test]
    fn an_id_survives_the_wire_and_anything_else_is_refused() {
        let id = MessageId {
            caller: 4095,
            sequence: SEQUENCE_MASK,
        };
        assert_eq!(MessageId::parse(&id.text()), Some(id));
        assert_eq!(id.next().sequence, 0);
        assert_eq!(MessageId::parse(b"D05aNIKi"), None);
        assert_eq!(MessageId::parse(b"0000"), None);
    }
}
