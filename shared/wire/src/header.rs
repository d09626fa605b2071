//! Headers of a message, and the names that the bus gives meaning to.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::str;

use bytes::Bytes;

use crate::text::Text;

/// `Microbus-Op-Code`: see [`OpCode`].
pub const OP_CODE: &str = "Microbus-Op-Code";
/// `Microbus-Msg-Id`: ties acks and responses to a request; opaque.
pub const MESSAGE_ID: &str = "Microbus-Msg-Id";
/// `Microbus-From-Host`: not to be believed; the subject says who sends.
pub const FROM_HOST: &str = "Microbus-From-Host";
/// `Microbus-From-Id`: the sending instance.
pub const FROM_ID: &str = "Microbus-From-Id";
/// `Microbus-From-Version`: decimal; absent if 0, and on acks.
pub const FROM_VERSION: &str = "Microbus-From-Version";
/// `Microbus-Time-Budget`: see [`TimeBudget`](crate::TimeBudget).
pub const TIME_BUDGET: &str = "Microbus-Time-Budget";
/// `Microbus-Call-Depth`: decimal; how deep calls are nested.
pub const CALL_DEPTH: &str = "Microbus-Call-Depth";
/// `Microbus-Queue`: the queue group of the subscription that heard the request.
pub const QUEUE: &str = "Microbus-Queue";
/// `Microbus-Fragment`: see [`Fragment`](crate::Fragment).
pub const FRAGMENT: &str = "Microbus-Fragment";
/// `Microbus-Locality`: where the responder runs.
pub const LOCALITY: &str = "Microbus-Locality";
/// `Microbus-Actor`: a JWT that says on whose behalf; opaque to this crate.
pub const ACTOR: &str = "Microbus-Actor";
/// What the names of the framework's own headers begin with.
pub const MICROBUS_PREFIX: &str = "Microbus-";
/// What the names of application headers begin with that travel with nested calls.
pub const BAGGAGE_PREFIX: &str = "Microbus-Baggage-";
/// What the names of headers begin with that a proxy adds.
pub const FORWARDED_PREFIX: &str = "X-Forwarded-";
/// `Accept-Language`, which travels with nested calls.
pub const ACCEPT_LANGUAGE: &str = "Accept-Language";
/// `Traceparent`, the trace context of W3C.
pub const TRACEPARENT: &str = "Traceparent";
/// `Tracestate`, the vendors' part of the trace context.
pub const TRACESTATE: &str = "Tracestate";
/// `Content-Type`.
pub const CONTENT_TYPE: &str = "Content-Type";
/// `User-Agent`.
pub const USER_AGENT: &str = "User-Agent";
pub(crate) const CONNECTION: &str = "Connection";

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OpCode {
    /// A request.
    Req,
    /// Somebody heard the request.
    Ack,
    /// An answer.
    Res,
    /// An answer that says what went wrong; its body is a [`TracedError`](crate::TracedError).
    Err,
}

impl OpCode {
    /// Returns the code of a header's value, `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Req, Self::Ack, Self::Res, Self::Err]
            .into_iter()
            .find(|code| code.as_str() == text)
    }

    /// Returns the value of the header.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Req => "Req",
            Self::Ack => "Ack",
            Self::Res => "Res",
            Self::Err => "Err",
        }
    }
}

/// The headers of a message, in order of arrival.
///
/// Names are stored in canonical form (`Microbus-Msg-Id`) and found in any. Values have no control characters, so that
/// nobody can smuggle a header into a message. What frames the message (`Host`, `Content-Length`, `Transfer-Encoding`,
/// `Trailer`) is not kept here: it follows from the message when it is written.
///
/// Fields that were read stay where they are in the message, so that reading one allocates nothing for each of them.
#[derive(Clone, Default)]
pub struct Headers {
    message: Message,
    /// Names and values that do not stand in the message as they are.
    own: Vec<u8>,
    fields: Vec<Field>,
}

/// The message that fields were read from.
#[derive(Clone)]
enum Message {
    /// The part of it before the body. Nearly always it is text, which a value is then known to be.
    Text(Text),
    Bytes(Bytes),
}

impl Default for Message {
    fn default() -> Self {
        Self::Text(Text::default())
    }
}

impl Message {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }
}

#[derive(Clone, Copy)]
struct Field {
    mark: Mark,
    name: Part,
    value: Part,
}

/// The length of a name and its last letter, in which nearly all names differ: those that do need no look at the others.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Mark {
    length: u16,
    last: u8,
}

impl Mark {
    fn of(name: &[u8]) -> Self {
        Self {
            length: u16::try_from(name.len()).unwrap_or(u16::MAX),
            last: name.last().map_or(0, u8::to_ascii_lowercase),
        }
    }
}

/// Where a name or a value lies.
#[derive(Clone, Copy)]
struct Part {
    start: u32,
    end: u32,
    /// In the message, or else in the own buffer.
    in_message: bool,
}

impl Part {
    /// Notes a place; no message reaches so far that it could not be noted (the broker's limit is 64 MiB).
    fn new(start: usize, length: usize, in_message: bool) -> Self {
        let place = |at| u32::try_from(at).unwrap_or(u32::MAX);
        Self {
            start: place(start),
            end: place(start.saturating_add(length)),
            in_message,
        }
    }

    fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

impl Headers {
    /// Makes an empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes an empty list for fields of this message.
    pub(crate) fn of(message: &Bytes) -> Self {
        Self {
            message: Message::Bytes(message.clone()),
            own: Vec::new(),
            fields: Vec::with_capacity(USUAL_FIELDS),
        }
    }

    /// Notes that no more fields are read, behind so many bytes of the message.
    pub(crate) fn end_at(&mut self, length: usize) {
        if let Message::Bytes(bytes) = &self.message {
            let head = bytes.slice(..length.min(bytes.len()));
            self.message = Text::new(head.clone()).map_or(Message::Bytes(head), Message::Text);
        }
    }

    /// Returns the first value of a name; `None` if there is none or it is no UTF-8.
    pub fn get(&self, name: &str) -> Option<&str> {
        let value = self.find(name)?.value;
        match &self.message {
            Message::Text(text) if value.in_message => text.get(value.range()),
            Message::Text(_) | Message::Bytes(_) => str::from_utf8(self.bytes(value)).ok(),
        }
    }

    /// Replaces all values of a name by one. Control characters in the value become blanks, as with the peer.
    ///
    /// A name that is no HTTP token, or one that frames the message, is not stored: the peer leaves it out too.
    pub fn set(&mut self, name: &str, value: &str) {
        self.remove(name);
        self.add(name, value);
    }

    /// Adds a value beside those that the name has already. See [`Headers::set`] for what is not stored.
    pub fn add(&mut self, name: &str, value: &str) {
        if let Some(canonical) = canonical_name(name.as_bytes())
            && !is_framing(&canonical)
        {
            let value = clean_value(value);
            self.keep_field(&canonical, value.trim_ascii().as_bytes());
        }
    }

    /// Removes all values of a name.
    pub fn remove(&mut self, name: &str) {
        let mut fields = std::mem::take(&mut self.fields);
        fields.retain(|field| !self.is_named(field, name));
        self.fields = fields;
    }

    /// Returns names and values, in order. Values are nearly always text, but need not be.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.fields
            .iter()
            .map(|field| (self.name_text(field), self.bytes(field.value)))
    }

    /// Copies the fields whose canonical name is wanted from another list, all values, bytes unchanged.
    pub fn copy_from(&mut self, other: &Self, wanted: impl Fn(&str) -> bool) {
        for (name, value) in other.iter().filter(|(name, _)| wanted(name)) {
            self.keep_field(name.as_bytes(), value);
        }
    }

    /// Returns the number of fields.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Adds a field that was checked while it was read; what is borrowed is borrowed from the message.
    pub(crate) fn push_read(&mut self, name: Cow<'_, [u8]>, value: Cow<'_, [u8]>) {
        let field = Field {
            mark: Mark::of(&name),
            name: self.part(name),
            value: self.part(value),
        };
        self.fields.push(field);
    }

    /// Returns names and values as they are written: by name, and in order for equal names.
    pub(crate) fn sorted(&self) -> Vec<(&[u8], &[u8])> {
        let mut fields: Vec<(&[u8], &[u8])> = self
            .fields
            .iter()
            .map(|field| (self.bytes(field.name), self.bytes(field.value)))
            .collect();
        if !fields.is_sorted_by_key(|(name, _)| *name) {
            fields.sort_by_key(|(name, _)| *name);
        }
        fields
    }

    fn find(&self, name: &str) -> Option<&Field> {
        let mark = Mark::of(name.as_bytes());
        let fields = self.fields.iter();
        let mut alike = fields.filter(|field| field.mark == mark);
        alike.find(|field| self.is_named(field, name))
    }

    fn is_named(&self, field: &Field, name: &str) -> bool {
        // Whoever asks mostly writes it as it is stored.
        let (stored, name) = (self.bytes(field.name), name.as_bytes());
        stored == name || stored.eq_ignore_ascii_case(name)
    }

    /// Names are ASCII, since they are tokens.
    fn name_text(&self, field: &Field) -> &str {
        str::from_utf8(self.bytes(field.name)).unwrap_or_default()
    }

    fn bytes(&self, part: Part) -> &[u8] {
        let buffer: &[u8] = if part.in_message {
            self.message.bytes()
        } else {
            &self.own
        };
        buffer.get(part.range()).unwrap_or_default()
    }

    fn part(&mut self, bytes: Cow<'_, [u8]>) -> Part {
        match bytes {
            Cow::Borrowed(bytes) => {
                let start = bytes
                    .as_ptr()
                    .addr()
                    .wrapping_sub(self.message.bytes().as_ptr().addr());
                Part::new(start, bytes.len(), true)
            }
            Cow::Owned(bytes) => self.keep(&bytes),
        }
    }

    fn keep_field(&mut self, name: &[u8], value: &[u8]) {
        let field = Field {
            mark: Mark::of(name),
            name: self.keep(name),
            value: self.keep(value),
        };
        self.fields.push(field);
    }

    fn keep(&mut self, bytes: &[u8]) -> Part {
        let start = self.own.len();
        self.own.extend_from_slice(bytes);
        Part::new(start, bytes.len(), false)
    }
}

impl PartialEq for Headers {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Headers {}

impl fmt::Debug for Headers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = self
            .iter()
            .map(|(name, value)| (name, String::from_utf8_lossy(value)));
        formatter.debug_map().entries(fields).finish()
    }
}

/// Returns a name in canonical form: capitals at the beginning and after hyphens. `None` if it is no HTTP token.
pub(crate) fn canonical_name(name: &[u8]) -> Option<Cow<'_, [u8]>> {
    if USUAL_NAMES.contains(&name) {
        return Some(Cow::Borrowed(name));
    }
    let mut canonical = true;
    let mut upper = true;
    for byte in name {
        if !is_token_byte(*byte) {
            return None;
        }
        canonical &= if upper {
            !byte.is_ascii_lowercase()
        } else {
            !byte.is_ascii_uppercase()
        };
        upper = *byte == b'-';
    }
    if name.is_empty() {
        return None;
    }
    if canonical {
        return Some(Cow::Borrowed(name));
    }
    let mut upper = true;
    let recased = name.iter().map(|byte| {
        let cased = if upper {
            byte.to_ascii_uppercase()
        } else {
            byte.to_ascii_lowercase()
        };
        upper = *byte == b'-';
        cased
    });
    Some(Cow::Owned(recased.collect()))
}

/// Returns a value without control characters.
pub(crate) fn clean_value(value: &str) -> Cow<'_, str> {
    if is_value(value.as_bytes()) {
        Cow::Borrowed(value)
    } else {
        Cow::Owned(value.replace(|c: char| c.is_ascii_control() && c != '\t', " "))
    }
}

/// Tells whether all bytes may stand in a value: anything but control characters; a tab is allowed.
pub(crate) fn is_value(bytes: &[u8]) -> bool {
    // Without an early end the compiler looks at many bytes at a time.
    bytes.iter().fold(true, |valid, byte| {
        valid & (((*byte >= b' ') & (*byte != 0x7f)) | (*byte == b'\t'))
    })
}

/// Tells whether a byte may stand in a name (RFC 9110 section 5.6.2).
pub(crate) fn is_token_byte(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.')
        || matches!(byte, b'^' | b'_' | b'`' | b'|' | b'~')
}

/// Tells whether a canonical name is one that follows from the message itself.
pub(crate) fn is_framing(canonical: &[u8]) -> bool {
    matches!(
        canonical,
        b"Host" | b"Content-Length" | b"Transfer-Encoding" | b"Trailer"
    )
}

/// Names in canonical form that nearly every request has, in the order in which they come: those need no look at each letter,
/// which is otherwise a quarter of the time to read a request.
pub(crate) const USUAL_NAMES: [&[u8]; 11] = [
    b"Host",
    b"Content-Length",
    b"Content-Type",
    b"Microbus-Actor",
    b"Microbus-Call-Depth",
    b"Microbus-From-Host",
    b"Microbus-From-Id",
    b"Microbus-From-Version",
    b"Microbus-Msg-Id",
    b"Microbus-Op-Code",
    b"Microbus-Time-Budget",
];
/// What a request of a Go connector has, and a few more.
const USUAL_FIELDS: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_canonical_and_found_in_any_case() {
        let mut headers = Headers::new();
        headers.set("microbus-MSG-id", "x");
        assert_eq!(
            headers.iter().next(),
            Some(("Microbus-Msg-Id", b"x".as_slice()))
        );
        assert_eq!(headers.get("MICROBUS-msg-ID"), Some("x"));
        assert_eq!(headers.get("Microbus-Msg"), None);
    }

    #[test]
    fn the_usual_names_are_in_canonical_form() {
        for name in USUAL_NAMES {
            let lower = name.to_ascii_lowercase();
            assert_eq!(canonical_name(&lower).as_deref(), Some(name));
        }
    }

    #[test]
    fn the_first_value_wins_and_setting_replaces_all() {
        let mut headers = Headers::new();
        headers.add("A", "1");
        headers.add("a", "2");
        assert_eq!(headers.get("A"), Some("1"));
        headers.set("A", "3");
        assert_eq!((headers.get("A"), headers.len()), (Some("3"), 1));
        headers.remove("a");
        assert!(headers.is_empty());
    }

    #[test]
    fn a_value_cannot_begin_another_header() {
        let mut headers = Headers::new();
        headers.set("A", " x\r\nMicrobus-Actor: y\0 ");
        assert_eq!(headers.get("A"), Some("x  Microbus-Actor: y"));
    }

    #[test]
    fn a_name_that_is_no_token_or_frames_the_message_is_not_stored() {
        let mut headers = Headers::new();
        for name in [
            "",
            "a b",
            "a:b",
            "ä",
            "x\r\n",
            "Content-Length",
            "host",
            "transfer-encoding",
        ] {
            headers.set(name, "1");
        }
        assert!(headers.is_empty());
    }

    #[test]
    fn wanted_fields_are_copied_with_all_their_values() {
        let mut inbound = Headers::new();
        for (name, value) in [
            ("X-Forwarded-For", "a"),
            ("X-Forwarded-For", "b"),
            ("Cookie", "c"),
        ] {
            inbound.add(name, value);
        }
        let mut outbound = Headers::new();
        outbound.copy_from(&inbound, |name| name.starts_with(FORWARDED_PREFIX));
        let values: Vec<_> = outbound.iter().map(|(_, value)| value.to_vec()).collect();
        assert_eq!(values, [b"a".to_vec(), b"b".to_vec()]);
    }

    #[test]
    fn op_codes_are_read_in_exact_case() {
        assert_eq!(OpCode::parse("Req"), Some(OpCode::Req));
        assert_eq!(OpCode::parse("req"), None);
    }
}
