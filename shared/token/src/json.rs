//! One pass over JSON bytes: checks them and writes them again as the Go services would.
//!
//! A mint must not build a tree out of claims that it only copies, and its output must be the bytes
//! that Go's encoder makes of the same value: names sorted at every level, no blanks, `<`, `>`, `&`,
//! U+2028 and U+2029 escaped. Integers alone differ: they are kept digit for digit, where Go sends
//! them through a float64 (spec: microbus-wire 11.1, 13.10).

mod error;
mod format;

use crate::literal;
use crate::members::{Members, Span};

pub use error::{JsonError, JsonErrorKind, ValueKind};
pub(crate) use format::push_text;
use format::{plain_run, push_escaped, push_float};

/// How much the reader forgives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// As Go's decoder: the last of equal names wins, invalid UTF-8 and lone surrogates become
    /// U+FFFD, what follows the first value is not looked at.
    Lenient,
    /// For what is signed: equal names, invalid UTF-8, lone surrogates and anything but blanks
    /// behind the value are errors.
    Strict,
}

/// Arrays and objects that may be open at once.
///
/// The Go services accept 10 000; no claims need that, and our reader recurses.
/// Source: spec: microbus-wire 15.3.
pub const DEEPEST: usize = 128;

/// Returns the normal form of the first value in `input`.
///
/// # Errors
/// [`JsonError`] if the value is not JSON, too deep, or offends against `reading`.
pub fn normalise(input: &[u8], reading: Reading) -> Result<Vec<u8>, JsonError> {
    let mut scanner = Scanner::new(input, reading);
    scanner.value()?;
    scanner.finish()?;
    Ok(scanner.out)
}

/// Reads bytes from the left and writes the normal form to `out`.
pub(crate) struct Scanner<'a> {
    rest: &'a [u8],
    length: usize,
    reading: Reading,
    depth: usize,
    out: Vec<u8>,
    /// Members of all objects that are open, innermost last.
    spans: Vec<Span>,
    /// Whether a name is one that expressions take for a literal.
    literal_names: bool,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(input: &'a [u8], reading: Reading) -> Self {
        Self {
            rest: input,
            length: input.len(),
            reading,
            depth: 0,
            // Room for the claims that the issuer adds.
            out: Vec::with_capacity(input.len().saturating_add(192)),
            spans: Vec::with_capacity(16),
            literal_names: false,
        }
    }

    /// Looks at the type of the next value without reading it.
    pub(crate) fn peek(&mut self) -> Result<ValueKind, JsonError> {
        self.blanks();
        let first = self.rest.first().ok_or_else(|| self.end())?;
        ValueKind::of_first_byte(*first).ok_or_else(|| self.error(JsonErrorKind::Syntax))
    }

    /// Reads one value and appends its normal form to the output.
    pub(crate) fn value(&mut self) -> Result<(), JsonError> {
        match self.peek()? {
            ValueKind::Object => self.object(),
            ValueKind::Array => self.array(),
            ValueKind::Text => self.string().map(|_| ()),
            ValueKind::Number => self.number(),
            ValueKind::Boolean if self.rest.first() == Some(&b't') => self.word(b"true"),
            ValueKind::Boolean => self.word(b"false"),
            ValueKind::Null => self.word(b"null"),
        }
    }

    /// Reads an object and keeps its members apart. What was written before is thrown away.
    pub(crate) fn members(&mut self) -> Result<Members, JsonError> {
        self.out.clear();
        let base = self.read_members()?;
        let spans = if base == 0 {
            // With the room for the claims that the issuer adds.
            std::mem::take(&mut self.spans)
        } else {
            self.spans.split_off(base)
        };
        let out = std::mem::take(&mut self.out);
        Ok(Members::new(out, spans, self.literal_names))
    }

    /// Reads an object member by member: `each` is told whether the decoded name is `wanted`, and must read the value.
    pub(crate) fn each_member(
        &mut self,
        wanted: impl Fn(&str) -> bool,
        mut each: impl FnMut(&mut Self, bool) -> Result<(), JsonError>,
    ) -> Result<(), JsonError> {
        self.open()?;
        let mut first = true;
        while self.next_in(b'}', first)? {
            first = false;
            self.out.clear();
            let escaped = self.name()?;
            let is_wanted = wanted(&Span::decode_name(&self.out, escaped));
            self.out.clear();
            each(self, is_wanted)?;
        }
        Ok(())
    }

    /// Checks what follows the value.
    pub(crate) fn finish(&mut self) -> Result<(), JsonError> {
        if self.reading == Reading::Strict {
            self.blanks();
            if !self.rest.is_empty() {
                return Err(self.error(JsonErrorKind::Trailing));
            }
        }
        Ok(())
    }

    fn object(&mut self) -> Result<(), JsonError> {
        let start = self.out.len();
        self.out.push(b'{');
        let base = self.read_members()?;
        self.out.push(b'}');
        // Members that were read in order lie in the output as they should; the others are written
        // once more. (Dropped duplicates leave the order of their successors, hence the lengths.)
        if !self.lies_in_order(base) {
            let old = self.out.split_off(start);
            self.out.push(b'{');
            let mut first = true;
            for span in self.spans.iter().skip(base) {
                if !first {
                    self.out.push(b',');
                }
                first = false;
                self.out
                    .extend_from_slice(span.moved_down(start).member(&old));
            }
            self.out.push(b'}');
        }
        self.spans.truncate(base);
        Ok(())
    }

    /// Reads `{…}` and leaves its members, sorted and without duplicates, on the stack of spans.
    /// Returns where they begin there.
    fn read_members(&mut self) -> Result<usize, JsonError> {
        self.open()?;
        let base = self.spans.len();
        let mut sorted = true;
        let mut first = true;
        while self.next_in(b'}', first)? {
            if !first {
                self.out.push(b',');
            }
            let start = self.out.len();
            let escaped = self.name()?;
            let name_end = self.out.len();
            self.out.push(b':');
            self.value()?;
            let span = Span {
                start,
                name_end,
                end: self.out.len(),
                escaped,
            };
            if !first
                && let Some(previous) = self.spans.last()
                && previous.compare_names(&self.out, &span, &self.out).is_ge()
            {
                sorted = false;
            }
            first = false;
            self.spans.push(span);
        }
        if !sorted {
            self.sort(base)?;
        }
        Ok(base)
    }

    fn sort(&mut self, base: usize) -> Result<(), JsonError> {
        let mut spans = self.spans.split_off(base);
        let count = spans.len();
        let out = &self.out;
        // The sort is stable, so of equal names the last in the text comes last.
        spans.sort_by(|a, b| a.compare_names(out, b, out));
        spans.dedup_by(|next, kept| {
            let equal = next.compare_names(out, kept, out).is_eq();
            if equal {
                *kept = *next;
            }
            equal
        });
        if spans.len() < count && self.reading == Reading::Strict {
            return Err(self.error(JsonErrorKind::Duplicate));
        }
        self.spans.append(&mut spans);
        Ok(())
    }

    fn lies_in_order(&self, base: usize) -> bool {
        let mut spans = self.spans.iter().skip(base);
        let Some(mut previous) = spans.next() else {
            return true;
        };
        // `{` before the first member, one comma between two of them, `}` behind the last.
        let mut adjacent = self.out.get(previous.start.saturating_sub(1)) == Some(&b'{');
        for span in spans {
            adjacent = adjacent && span.start == previous.end.saturating_add(1);
            previous = span;
        }
        adjacent && previous.end.saturating_add(1) == self.out.len()
    }

    fn array(&mut self) -> Result<(), JsonError> {
        self.open()?;
        self.out.push(b'[');
        let mut first = true;
        while self.next_in(b']', first)? {
            if !first {
                self.out.push(b',');
            }
            first = false;
            self.value()?;
        }
        self.out.push(b']');
        Ok(())
    }

    /// Steps over the opening bracket, which the caller has seen.
    fn open(&mut self) -> Result<(), JsonError> {
        self.depth = self.depth.saturating_add(1);
        if self.depth > DEEPEST {
            return Err(self.error(JsonErrorKind::Depth));
        }
        self.step();
        Ok(())
    }

    /// Steps over the separator before the next element; false when the closing bracket came.
    fn next_in(&mut self, close: u8, first: bool) -> Result<bool, JsonError> {
        self.blanks();
        match self.rest.first() {
            None => Err(self.end()),
            Some(&byte) if byte == close => {
                self.step();
                self.depth = self.depth.saturating_sub(1);
                Ok(false)
            }
            Some(_) if first => Ok(true),
            Some(b',') => {
                self.step();
                Ok(true)
            }
            Some(_) => Err(self.error(JsonErrorKind::Syntax)),
        }
    }

    /// Reads a name and the colon behind it. Returns whether the output has escapes.
    fn name(&mut self) -> Result<bool, JsonError> {
        match self.peek()? {
            ValueKind::Text => {}
            ValueKind::Object
            | ValueKind::Array
            | ValueKind::Number
            | ValueKind::Boolean
            | ValueKind::Null => return Err(self.error(JsonErrorKind::Syntax)),
        }
        let start = self.out.len();
        let escaped = self.string()?;
        let quoted = self.out.get(start..).unwrap_or_default();
        if quoted
            .get(1)
            .is_some_and(|&first| literal::may_begin_with(first))
        {
            self.literal_names |= literal::is_literal(&Span::decode_name(quoted, escaped));
        }
        self.blanks();
        match self.rest.first() {
            Some(b':') => self.step(),
            Some(_) => return Err(self.error(JsonErrorKind::Syntax)),
            None => return Err(self.end()),
        }
        Ok(escaped)
    }

    fn string(&mut self) -> Result<bool, JsonError> {
        // Nearly all texts are copied as they are, with their quotes.
        let inside = self.rest.get(1..).unwrap_or_default();
        let close = plain_run(inside).saturating_add(1);
        if self.rest.get(close) == Some(&b'"') {
            let (text, tail) = self.rest.split_at(close.saturating_add(1));
            self.out.extend_from_slice(text);
            self.rest = tail;
            return Ok(false);
        }
        self.step();
        self.out.push(b'"');
        let mut escaped = false;
        loop {
            let (plain, tail) = self.rest.split_at(plain_run(self.rest));
            self.out.extend_from_slice(plain);
            self.rest = tail;
            match tail.first() {
                None => return Err(self.end()),
                Some(b'"') => {
                    self.step();
                    self.out.push(b'"');
                    return Ok(escaped);
                }
                Some(b'\\') => escaped |= self.escape()?,
                Some(0..0x20) => return Err(self.error(JsonErrorKind::Control)),
                Some(&byte @ ..0x80) => {
                    self.step();
                    escaped |= self.push_char(char::from(byte));
                }
                Some(0x80..) => escaped |= self.wide()?,
            }
        }
    }

    /// Reads one character beyond ASCII.
    fn wide(&mut self) -> Result<bool, JsonError> {
        let width = match self.rest.first() {
            Some(0xc2..=0xdf) => 2,
            Some(0xe0..=0xef) => 3,
            _ => 4,
        };
        let text = self
            .rest
            .get(..width)
            .and_then(|bytes| std::str::from_utf8(bytes).ok());
        // A wrong width is not UTF-8 either; several characters fit only if the first is ASCII.
        if let Some(c) = text.and_then(|text| text.chars().next()) {
            self.rest = self.rest.get(width..).unwrap_or_default();
            return Ok(self.push_char(c));
        }
        self.replace()?;
        self.step();
        Ok(false)
    }

    /// Reads a backslash and what belongs to it. Returns whether the output has an escape for it.
    fn escape(&mut self) -> Result<bool, JsonError> {
        self.step();
        let c = match self.rest.first() {
            None => return Err(self.end()),
            Some(b'u') => return self.unicode_escape(),
            Some(&(b'"' | b'\\' | b'/')) => char::from(self.rest.first().copied().unwrap_or(b'/')),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(_) => return Err(self.error(JsonErrorKind::Escape)),
        };
        self.step();
        Ok(self.push_char(c))
    }

    fn unicode_escape(&mut self) -> Result<bool, JsonError> {
        self.step();
        let unit = self.hex4()?;
        if let Some(c) = char::from_u32(unit) {
            return Ok(self.push_char(c));
        }
        // A high half takes the low half that follows; what follows otherwise stands for itself.
        let behind = self.rest;
        if (0xd800..0xdc00).contains(&unit) && behind.starts_with(b"\\u") {
            self.step();
            self.step();
            let low = self.hex4()?;
            let pair =
                char::decode_utf16([unit, low].map(|u| u16::try_from(u).unwrap_or_default()));
            if let Some(Ok(c)) = pair.into_iter().next() {
                return Ok(self.push_char(c));
            }
            self.rest = behind;
        }
        self.replace()?;
        Ok(false)
    }

    fn hex4(&mut self) -> Result<u32, JsonError> {
        let mut unit = 0_u32;
        for _ in 0..4 {
            let byte = *self.rest.first().ok_or_else(|| self.end())?;
            let digit = char::from(byte)
                .to_digit(16)
                .ok_or_else(|| self.error(JsonErrorKind::Escape))?;
            unit = (unit << 4) | digit;
            self.step();
        }
        Ok(unit)
    }

    /// Writes U+FFFD for what is no character.
    fn replace(&mut self) -> Result<(), JsonError> {
        if self.reading == Reading::Strict {
            return Err(self.error(JsonErrorKind::Encoding));
        }
        self.out.extend_from_slice("\u{fffd}".as_bytes());
        Ok(())
    }

    fn push_char(&mut self, c: char) -> bool {
        push_escaped(c, &mut self.out)
    }

    fn number(&mut self) -> Result<(), JsonError> {
        let text = self.rest;
        if self.rest.first() == Some(&b'-') {
            self.step();
        }
        if self.rest.first() == Some(&b'0') {
            self.step();
        } else {
            self.digits()?;
        }
        let mut integer = true;
        if self.rest.first() == Some(&b'.') {
            integer = false;
            self.step();
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.rest.first() {
            integer = false;
            self.step();
            if let Some(b'+' | b'-') = self.rest.first() {
                self.step();
            }
            self.digits()?;
        }
        let text = text
            .get(..text.len().saturating_sub(self.rest.len()))
            .unwrap_or_default();
        if integer && text.len() <= LONGEST_SURE_INTEGER {
            self.out.extend_from_slice(text);
            return Ok(());
        }
        let value = std::str::from_utf8(text)
            .ok()
            .and_then(|text| text.parse::<f64>().ok());
        match value.filter(|value| value.is_finite()) {
            None => Err(self.error(JsonErrorKind::NumberRange)),
            Some(_) if integer => {
                self.out.extend_from_slice(text);
                Ok(())
            }
            Some(value) => {
                push_float(value, &mut self.out);
                Ok(())
            }
        }
    }

    /// Reads one or more digits.
    fn digits(&mut self) -> Result<(), JsonError> {
        let run = self
            .rest
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        if run == 0 {
            return Err(match self.rest.first() {
                None => self.end(),
                Some(_) => self.error(JsonErrorKind::Syntax),
            });
        }
        self.rest = self.rest.get(run..).unwrap_or_default();
        Ok(())
    }

    fn word(&mut self, word: &[u8]) -> Result<(), JsonError> {
        for &wanted in word {
            match self.rest.first() {
                Some(&byte) if byte == wanted => self.step(),
                Some(_) => return Err(self.error(JsonErrorKind::Syntax)),
                None => return Err(self.end()),
            }
        }
        self.out.extend_from_slice(word);
        Ok(())
    }

    fn blanks(&mut self) {
        while let Some((b' ' | b'\t' | b'\n' | b'\r', tail)) = self.rest.split_first() {
            self.rest = tail;
        }
    }

    fn step(&mut self) {
        self.rest = self.rest.get(1..).unwrap_or_default();
    }

    fn end(&self) -> JsonError {
        let kind = if self.out.is_empty() && self.depth == 0 {
            JsonErrorKind::Empty
        } else {
            JsonErrorKind::UnexpectedEnd
        };
        self.error(kind)
    }

    fn error(&self, kind: JsonErrorKind) -> JsonError {
        JsonError {
            kind,
            offset: self.length.saturating_sub(self.rest.len()),
        }
    }
}

/// Integers of at most 300 digits are surely in the range of a float64.
const LONGEST_SURE_INTEGER: usize = 300;

#[cfg(test)]
mod tests;
