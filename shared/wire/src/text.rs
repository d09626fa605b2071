//! Text that shares the memory of the message it came in, and taking text apart.

use std::fmt;
use std::ops::Deref;

use bytes::Bytes;
use bytestring::ByteString;
use memchr::memchr;

/// Splits at the first occurrence of an ASCII byte, which is in neither part.
pub(crate) fn split_at_byte(text: &str, byte: u8) -> Option<(&str, &str)> {
    let at = memchr(byte, text.as_bytes())?;
    Some((text.get(..at)?, text.get(at.saturating_add(1)..)?))
}

/// Bytes that are UTF-8, looked at once. Cloning counts a reference.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Text(ByteString);

impl Text {
    /// Takes bytes, `None` if they are no UTF-8.
    pub fn new(bytes: Bytes) -> Option<Self> {
        ByteString::try_from(bytes).ok().map(Self)
    }

    /// Returns a part of a message, in the memory of which it lies.
    pub(crate) fn of(message: &Bytes, part: &str) -> Self {
        Self::new(message.slice_ref(part.as_bytes())).unwrap_or_default()
    }

    /// Returns the same text in memory of its own.
    #[must_use]
    pub fn detached(&self) -> Self {
        Self(ByteString::from(&*self.0))
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_utf_8_is_text() {
        assert_eq!(Text::new(Bytes::from_static(b"\xff")), None);
        assert_eq!(&*Text::new(Bytes::from_static(b"ab")).unwrap(), "ab");
        assert_eq!(format!("{:?}", Text::from("a\n".to_owned())), r#""a\n""#);
    }
}
