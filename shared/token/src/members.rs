//! The members of one JSON object in normal form, kept apart in one buffer.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::json::push_text;

/// Where a member lies in a buffer: `"name":value` from `start` to `end`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) start: usize,
    /// Behind the closing quote of the name.
    pub(crate) name_end: usize,
    pub(crate) end: usize,
    /// Whether the name has escapes, so that its bytes are not those of the decoded name.
    pub(crate) escaped: bool,
}

impl Span {
    pub(crate) fn member<'b>(&self, buffer: &'b [u8]) -> &'b [u8] {
        buffer.get(self.start..self.end).unwrap_or_default()
    }

    fn value<'b>(&self, buffer: &'b [u8]) -> &'b [u8] {
        buffer
            .get(self.name_end.saturating_add(1)..self.end)
            .unwrap_or_default()
    }

    pub(crate) fn name<'b>(&self, buffer: &'b [u8]) -> Cow<'b, str> {
        let quoted = buffer.get(self.start..self.name_end).unwrap_or_default();
        Self::decode_name(quoted, self.escaped)
    }

    /// Returns the name that a quoted text in normal form stands for.
    pub(crate) fn decode_name(quoted: &[u8], escaped: bool) -> Cow<'_, str> {
        if escaped {
            return Cow::Owned(serde_json::from_slice(quoted).unwrap_or_default());
        }
        let text = std::str::from_utf8(quoted).unwrap_or_default();
        Cow::Borrowed(
            text.get(1..text.len().saturating_sub(1))
                .unwrap_or_default(),
        )
    }

    /// Orders by the bytes of the decoded names, as Go sorts the keys of a map.
    pub(crate) fn compare_names(&self, mine: &[u8], other: &Self, others: &[u8]) -> Ordering {
        if self.escaped || other.escaped {
            return self.name(mine).cmp(&other.name(others));
        }
        compare(self.plain_name(mine), other.plain_name(others))
    }

    fn plain_name<'b>(&self, buffer: &'b [u8]) -> &'b [u8] {
        let first = self.start.saturating_add(1);
        buffer
            .get(first..self.name_end.saturating_sub(1))
            .unwrap_or_default()
    }

    /// The same span in a buffer that lacks the first `bytes`.
    pub(crate) fn moved_down(self, bytes: usize) -> Self {
        Self {
            start: self.start.saturating_sub(bytes),
            name_end: self.name_end.saturating_sub(bytes),
            end: self.end.saturating_sub(bytes),
            escaped: self.escaped,
        }
    }
}

/// The value of a member.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'a> {
    /// JSON in normal form.
    Normal(&'a str),
    /// A text that needs no escapes.
    Plain(&'a str),
}

/// Members sorted by name, each name once. Removed and replaced ones stay in the buffer, unused.
#[derive(Clone, Default)]
pub(crate) struct Members {
    buffer: Vec<u8>,
    spans: Vec<Span>,
    /// Whether a name at any level is one that expressions take for a literal; stays when it is removed.
    literal_names: bool,
}

impl Members {
    /// Takes spans that are sorted and unique.
    pub(crate) fn new(buffer: Vec<u8>, spans: Vec<Span>, literal_names: bool) -> Self {
        Self {
            buffer,
            spans,
            literal_names,
        }
    }

    /// Tells whether there was a name, at any level, that expressions take for a literal.
    pub(crate) fn had_literal_names(&self) -> bool {
        self.literal_names
    }

    /// Notes that names inside a value were not looked at.
    pub(crate) fn suspect_literal_names(&mut self) {
        self.literal_names = true;
    }

    pub(crate) fn len(&self) -> usize {
        self.spans.len()
    }

    /// Returns the normal form of the value.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let span = self.spans.get(self.find(name).ok()?)?;
        std::str::from_utf8(span.value(&self.buffer)).ok()
    }

    /// Returns the decoded text of a string value.
    pub(crate) fn get_text(&self, name: &str) -> Option<Cow<'_, str>> {
        decode_text(self.get(name)?)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Cow<'_, str>, &str)> {
        self.spans.iter().map(|span| {
            let value = std::str::from_utf8(span.value(&self.buffer)).unwrap_or_default();
            (span.name(&self.buffer), value)
        })
    }

    /// Sets a member to a value, which is in normal form.
    pub(crate) fn insert(&mut self, name: &str, value: &[u8]) {
        let place = self.find(name);
        let start = self.buffer.len();
        let escaped = push_text(name, &mut self.buffer);
        let name_end = self.buffer.len();
        self.buffer.push(b':');
        self.buffer.extend_from_slice(value);
        let span = Span {
            start,
            name_end,
            end: self.buffer.len(),
            escaped,
        };
        self.put(place, span);
    }

    /// Sets members in one pass over those that are there. They come in the order of their names, which need no escapes.
    pub(crate) fn insert_sorted<'v>(
        &mut self,
        members: impl IntoIterator<Item = (&'static str, Value<'v>)>,
    ) {
        let mut index = 0_usize;
        for (name, value) in members {
            let later = self.spans.iter().skip(index);
            let is_before = |span: &&Span| self.compare_name(span, name).is_lt();
            index = index.saturating_add(later.take_while(is_before).count());
            let is_same = |span: &Span| self.compare_name(span, name).is_eq();
            let replaces = self.spans.get(index).is_some_and(is_same);
            let span = self.push_plain(name, value);
            self.put(if replaces { Ok(index) } else { Err(index) }, span);
        }
    }

    fn push_plain(&mut self, name: &str, value: Value<'_>) -> Span {
        let start = self.buffer.len();
        self.buffer.push(b'"');
        self.buffer.extend_from_slice(name.as_bytes());
        self.buffer.push(b'"');
        let name_end = self.buffer.len();
        self.buffer.push(b':');
        match value {
            Value::Normal(json) => self.buffer.extend_from_slice(json.as_bytes()),
            Value::Plain(text) => {
                self.buffer.push(b'"');
                self.buffer.extend_from_slice(text.as_bytes());
                self.buffer.push(b'"');
            }
        }
        Span {
            start,
            name_end,
            end: self.buffer.len(),
            escaped: false,
        }
    }

    /// Puts a span in the place of another, or before it.
    fn put(&mut self, place: Result<usize, usize>, span: Span) {
        match place {
            Ok(index) => {
                if let Some(old) = self.spans.get_mut(index) {
                    *old = span;
                }
            }
            Err(index) => self.spans.insert(index, span),
        }
    }

    pub(crate) fn remove(&mut self, name: &str) -> bool {
        let place = self.find(name);
        if let Ok(index) = place {
            self.spans.remove(index);
        }
        place.is_ok()
    }

    /// Appends `{…}` to `out`.
    pub(crate) fn write_json(&self, out: &mut Vec<u8>) {
        out.reserve(self.buffer.len().saturating_add(2));
        let mut separator = b'{';
        for span in &self.spans {
            out.push(separator);
            separator = b',';
            out.extend_from_slice(span.member(&self.buffer));
        }
        if self.spans.is_empty() {
            out.push(separator);
        }
        out.push(b'}');
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        self.spans
            .binary_search_by(|span| self.compare_name(span, name))
    }

    fn compare_name(&self, span: &Span, name: &str) -> Ordering {
        if span.escaped {
            span.name(&self.buffer).as_ref().cmp(name)
        } else {
            compare(span.plain_name(&self.buffer), name.as_bytes())
        }
    }
}

/// Compares names, most of which differ in their first byte.
fn compare(one: &[u8], other: &[u8]) -> Ordering {
    let first = one.first().cmp(&other.first());
    first.then_with(|| one.cmp(other))
}

/// Returns the decoded text if the value, in normal form, is a string.
pub(crate) fn decode_text(value: &str) -> Option<Cow<'_, str>> {
    let inner = value.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        return serde_json::from_str(value).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(inner))
}
