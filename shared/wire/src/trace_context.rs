//! Where in a distributed trace a message was sent from.
//!
//! Source: W3C Trace Context, section 3.2 (`traceparent`).

use std::fmt;
use std::str;

/// The identity of a trace: 32 lower-case hex digits, not all zeros.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId([u8; 32]);

/// The identity of one span of a trace: 16 lower-case hex digits, not all zeros.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId([u8; 16]);

/// What a message says of the span that it was sent from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace: TraceId,
    /// The span.
    pub span: SpanId,
    /// Whether the sender records the trace.
    pub sampled: bool,
}

impl TraceId {
    /// Makes an identity of random bytes; `None` if they are all zeros.
    pub fn from_bytes(bytes: [u8; 16]) -> Option<Self> {
        let mut hex = [0; 32];
        write_hex(&bytes, &mut hex);
        (bytes != [0; 16]).then_some(Self(hex))
    }

    /// Reads 32 lower-case hex digits, not all zeros.
    pub fn parse(text: &str) -> Option<Self> {
        digits(text).map(Self)
    }

    /// Returns the digits.
    pub fn as_str(&self) -> &str {
        // Digits are ASCII.
        str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Returns the bytes that the digits stand for.
    pub fn to_bytes(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        read_hex(&self.0, &mut bytes);
        bytes
    }
}

impl SpanId {
    /// Makes an identity of random bytes; `None` if they are all zeros.
    pub fn from_bytes(bytes: [u8; 8]) -> Option<Self> {
        let mut hex = [0; 16];
        write_hex(&bytes, &mut hex);
        (bytes != [0; 8]).then_some(Self(hex))
    }

    /// Returns the digits.
    pub fn as_str(&self) -> &str {
        // Digits are ASCII.
        str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Returns the bytes that the digits stand for.
    pub fn to_bytes(&self) -> [u8; 8] {
        let mut bytes = [0; 8];
        read_hex(&self.0, &mut bytes);
        bytes
    }
}

impl TraceContext {
    /// Reads a `traceparent` header. Later versions may say more after the fourth part; that is passed over.
    pub fn parse(traceparent: &str) -> Option<Self> {
        let mut parts = traceparent.split('-');
        let version = parts.next()?;
        let trace = TraceId::parse(parts.next()?)?;
        let span = digits(parts.next()?).map(SpanId)?;
        let flags = parts.next()?;
        let is_hex = |text: &str| text.len() == 2 && text.bytes().all(is_digit);
        let complete = version != "00" || parts.next().is_none();
        if !is_hex(version) || version == "ff" || !is_hex(flags) || !complete {
            return None;
        }
        let flags = u8::from_str_radix(flags, 16).ok()?;
        Some(Self {
            trace,
            span,
            sampled: flags & SAMPLED != 0,
        })
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (trace, span) = (self.trace.as_str(), self.span.as_str());
        write!(
            formatter,
            "00-{trace}-{span}-{:02x}",
            u8::from(self.sampled)
        )
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Reads so many digits exactly, not all zeros.
fn digits<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits: [u8; N] = text.as_bytes().try_into().ok()?;
    let is_identity = digits.iter().copied().all(is_digit) && digits.iter().any(|d| *d != b'0');
    is_identity.then_some(digits)
}

fn is_digit(byte: u8) -> bool {
    byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)
}

fn write_hex(bytes: &[u8], hex: &mut [u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0');
    for (byte, pair) in bytes.iter().zip(hex.chunks_exact_mut(2)) {
        pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
}

fn read_hex(hex: &[u8], bytes: &mut [u8]) {
    for (byte, pair) in bytes.iter_mut().zip(hex.chunks_exact(2)) {
        // The digits were checked when they were taken.
        let pair = str::from_utf8(pair).unwrap_or_default();
        *byte = u8::from_str_radix(pair, 16).unwrap_or_default();
    }
}

/// The one flag that is defined.
const SAMPLED: u8 = 1;

#[cfg(test)]
mod tests {
    use proptest::array::{uniform8, uniform16};
    use proptest::prelude::*;

    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";

    #[test]
    fn a_header_is_read_and_written_alike() {
        for (flags, sampled) in [("00", false), ("01", true)] {
            let text = format!("00-{TRACE}-{SPAN}-{flags}");
            let context = TraceContext::parse(&text).unwrap();
            assert_eq!((context.sampled, context.to_string()), (sampled, text));
        }
    }

    #[test]
    fn what_is_no_header_of_version_00_is_refused() {
        for text in [
            "",
            "00",
            &format!("00-{TRACE}-{SPAN}"),
            &format!("ff-{TRACE}-{SPAN}-01"),
            &format!("0-{TRACE}-{SPAN}-01"),
            &format!("00-{TRACE}-{SPAN}-1"),
            &format!("00-{TRACE}-{SPAN}-01-more"),
            &format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            &format!("00-{}-{SPAN}-01", "0".repeat(32)),
            &format!("00-{TRACE}-{}-01", "0".repeat(16)),
            &format!("00-{TRACE}0-{SPAN}-01"),
        ] {
            assert_eq!(TraceContext::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_later_version_may_say_more() {
        let later = TraceContext::parse(&format!("01-{TRACE}-{SPAN}-03-more")).unwrap();
        assert!(later.sampled);
        assert_eq!(later.trace.as_str(), TRACE);
    }

    #[test]
    fn zeros_are_no_identity() {
        assert_eq!(TraceId::from_bytes([0; 16]), None);
        assert_eq!(SpanId::from_bytes([0; 8]), None);
    }

    proptest! {
        #[test]
        fn bytes_survive_the_round_trip(trace in uniform16(1u8..), span in uniform8(1u8..)) {
            prop_assert_eq!(TraceId::from_bytes(trace).unwrap().to_bytes(), trace);
            prop_assert_eq!(SpanId::from_bytes(span).unwrap().to_bytes(), span);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,80}") {
            if let Some(context) = TraceContext::parse(&text) {
                prop_assert_eq!(TraceContext::parse(&context.to_string()), Some(context));
            }
        }
    }
}
