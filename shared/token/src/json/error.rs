//! What can be wrong with a JSON text, and the types of its values.

#[cfg(doc)]
use super::DEEPEST;

/// What is wrong, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at byte {offset} of the JSON text")]
pub struct JsonError {
    /// What is wrong.
    pub kind: JsonErrorKind,
    /// Bytes from the start of the text; for [`JsonErrorKind::Duplicate`] the end of the object.
    pub offset: usize,
}

/// What can be wrong with a JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonErrorKind {
    /// There is no value at all.
    #[error("no value")]
    Empty,
    /// The text stops inside a value.
    #[error("unexpected end")]
    UnexpectedEnd,
    /// A byte that cannot stand there (RFC 8259 sections 2 to 6).
    #[error("unexpected character")]
    Syntax,
    /// An unescaped control character in a string (RFC 8259 section 7).
    #[error("unescaped control character")]
    Control,
    /// A backslash with something unknown behind it.
    #[error("unknown escape")]
    Escape,
    /// A number beyond the range of a float64: verifiers could not read it.
    #[error("number out of range")]
    NumberRange,
    /// More than [`DEEPEST`] arrays and objects inside one another.
    #[error("nesting deeper than 128 levels")]
    Depth,
    /// Strict reading: two members of one object have the same name.
    #[error("duplicate member name")]
    Duplicate,
    /// Strict reading: invalid UTF-8 or half of a surrogate pair.
    #[error("text that is not Unicode")]
    Encoding,
    /// Strict reading: something behind the value.
    #[error("trailing bytes")]
    Trailing,
}

/// The type of a JSON value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueKind {
    /// `{…}`
    Object,
    /// `[…]`
    Array,
    /// `"…"`
    Text,
    /// `-1.5e3`
    Number,
    /// `true` or `false`
    Boolean,
    /// `null`
    Null,
}

impl ValueKind {
    /// Returns the word for it, as in `array`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::Array => "array",
            Self::Text => "text",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Null => "null",
        }
    }

    /// Returns the kind of a value by its first byte.
    pub(crate) fn of_first_byte(first: u8) -> Option<Self> {
        match first {
            b'{' => Some(Self::Object),
            b'[' => Some(Self::Array),
            b'"' => Some(Self::Text),
            b'-' | b'0'..=b'9' => Some(Self::Number),
            b't' | b'f' => Some(Self::Boolean),
            b'n' => Some(Self::Null),
            _ => None,
        }
    }
}
