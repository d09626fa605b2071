//! Claims: the top-level members of the payload of a token.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;

use crate::json::{JsonError, Reading, Scanner, ValueKind, normalise};
use crate::literal::is_literal;
use crate::members::{Members, Value, decode_text};

/// The claims of a token: names with JSON values in the normal form of the Go services, sorted.
///
/// Values are texts in one buffer, never a tree; see [`crate::json`] for the normal form.
/// `Debug` shows the names only, since claims are personal data.
#[derive(Clone, Default)]
pub struct Claims(Members);

impl Claims {
    /// Returns no claims.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a JSON object as the Go services do ([`Reading::Lenient`]).
    ///
    /// # Errors
    /// [`ClaimsError::Json`] for what is not JSON, [`ClaimsError::NotAnObject`] for another value.
    pub fn from_json(input: &[u8]) -> Result<Self, ClaimsError> {
        Self::read(input, Reading::Lenient)
    }

    /// Reads a JSON object as demanded of signed text ([`Reading::Strict`]).
    ///
    /// # Errors
    /// As [`Claims::from_json`], and for equal names, text that is not Unicode, trailing bytes.
    pub fn from_json_strict(input: &[u8]) -> Result<Self, ClaimsError> {
        Self::read(input, Reading::Strict)
    }

    fn read(input: &[u8], reading: Reading) -> Result<Self, ClaimsError> {
        let mut scanner = Scanner::new(input, reading);
        let kind = scanner.peek()?;
        if kind != ValueKind::Object {
            return Err(ClaimsError::NotAnObject(kind.as_str()));
        }
        let members = scanner.members()?;
        scanner.finish()?;
        Ok(Self(members))
    }

    /// Notes that names inside values were not looked at.
    pub(crate) fn suspect_literal_names(&mut self) {
        self.0.suspect_literal_names();
    }

    pub(crate) fn from_members(members: Members) -> Self {
        Self(members)
    }

    /// Returns the value of a claim as JSON text, for example `"harry"` with its quotes, or `5`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name)
    }

    /// Returns the text of a claim that is a JSON string.
    #[must_use]
    pub fn get_text(&self, name: &str) -> Option<Cow<'_, str>> {
        self.0.get_text(name)
    }

    /// Sets a claim to anything that serde can write as JSON.
    ///
    /// # Errors
    /// [`ClaimsError::Serialise`] if the value cannot be written, for example for a map with keys
    /// that are not text; [`ClaimsError::Json`] if it nests too deep.
    pub fn insert(&mut self, name: &str, value: impl Serialize) -> Result<(), ClaimsError> {
        let text = serde_json::to_vec(&value).map_err(ClaimsError::Serialise)?;
        self.insert_json(name, &text)
    }

    /// Sets a claim to a value that is given as JSON text.
    ///
    /// # Errors
    /// [`ClaimsError::Json`] if the text is not exactly one JSON value.
    pub fn insert_json(&mut self, name: &str, value: &[u8]) -> Result<(), ClaimsError> {
        self.0.insert(name, &normalise(value, Reading::Strict)?);
        self.0.suspect_literal_names();
        Ok(())
    }

    /// Sets a claim to a value that is known to be in normal form, in which no object has a name like a literal.
    pub(crate) fn insert_normal(&mut self, name: &str, value: &[u8]) {
        self.0.insert(name, value);
    }

    /// Sets claims that come in the order of their names, which are no literals and need no escapes; names inside their values
    /// are those of claims that were here.
    pub(crate) fn insert_sorted<'v>(
        &mut self,
        claims: impl IntoIterator<Item = (&'static str, Value<'v>)>,
    ) {
        self.0.insert_sorted(claims);
    }

    /// Removes a claim; false if there was none of that name.
    pub fn remove(&mut self, name: &str) -> bool {
        self.0.remove(name)
    }

    /// Returns the names, sorted by their bytes.
    pub fn names(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.0.iter().map(|(name, _)| name)
    }

    /// Returns the number of claims.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Tells whether there are no claims.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.len() == 0
    }

    /// Appends the claims as one JSON object, the bytes that Go's encoder makes of the same map.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        self.0.write_json(out);
    }

    /// Returns the claims as one JSON object.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write_json(&mut out);
        out
    }

    /// Returns the claim names, at every level, that the platform's expressions take for a literal:
    /// a number, a boolean word, or a text in quotes.
    ///
    /// # Security
    /// In `level>5` the claim named `5` replaces the number, so whoever chooses a claim *name* can
    /// pass any gate. Source: spec: microbus-wire 12.4.
    #[must_use]
    pub fn literal_names(&self) -> Vec<String> {
        let mut found = Vec::new();
        if !self.0.had_literal_names() {
            return found;
        }
        for (name, value) in self.0.iter() {
            if is_literal(&name) {
                found.push(name.into_owned());
            }
            literal_names_inside(value, &mut found);
        }
        found
    }
}

impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Claims")?;
        f.debug_set().entries(self.names()).finish()
    }
}

/// Why claims cannot be read or set.
#[derive(Debug, thiserror::Error)]
pub enum ClaimsError {
    /// The text is not JSON.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// The text is another JSON value.
    #[error("claims are a JSON {0}; wanted is an object")]
    NotAnObject(&'static str),
    /// A value has no JSON form.
    #[error("the value of a claim cannot be written as JSON")]
    Serialise(#[source] serde_json::Error),
}

/// Collects literal names of all objects inside a value in normal form.
fn literal_names_inside(value: &str, found: &mut Vec<String>) {
    let mut rest = value;
    // In normal form a string directly before a colon is a name, and no blank is in between.
    while let Some((_, tail)) = rest.split_once('"') {
        let Some(length) = closing_quote(tail) else {
            return;
        };
        let (text, behind) = tail.split_at(length);
        rest = behind.get(1..).unwrap_or_default();
        if rest.starts_with(':') {
            let quoted = format!("\"{text}\"");
            let name = decode_text(&quoted).unwrap_or_default();
            if is_literal(&name) {
                found.push(name.into_owned());
            }
        }
    }
}

/// Returns the length of a string up to its closing quote.
fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    })
}

#[cfg(test)]
mod tests;
