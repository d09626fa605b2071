//! The arguments of Mint, JWKS and `LocalKeys`, out of bodies, forms and queries that are split already.

use std::collections::BTreeMap;

use crate::claims::Claims;
use crate::json::{
    DEEPEST, JsonError, JsonErrorKind, Reading, Scanner, ValueKind, normalise, push_text,
};

/// Reads the claims that a Mint request asks for.
///
/// `body` is the body of a JSON request, `form` and `query` are decoded pairs in their order. The
/// query beats the form, which beats the body; within each, the last value wins. Arguments other
/// than `claims` (in any letter case) are ignored; without it there are no claims.
///
/// In names `a.b` and `a[b]` nest. Of values, `null`, `true`, `false` and JSON numbers have their
/// type, quotes around a text are taken off, all else is text. A map whose keys are 0 to n-1
/// becomes an array.
///
/// Source: spec: microbus-wire 4.1, 15.2 to 15.4.
///
/// # Errors
/// [`ArgumentsError`]: all of them are the caller's fault.
pub fn decode_claims<N: AsRef<str>, V: AsRef<str>>(
    body: Option<&[u8]>,
    form: impl IntoIterator<Item = (N, V)>,
    query: impl IntoIterator<Item = (N, V)>,
) -> Result<Claims, ArgumentsError> {
    // All three are read even if only one counts: a request that is malformed anywhere is refused.
    let in_body = body.map(claims_of_body).transpose()?.flatten();
    let in_form = claims_of_pairs(form)?;
    let in_query = claims_of_pairs(query)?;
    match in_query.or(in_form).or(in_body) {
        Some(Argument::Claims(claims)) => Ok(claims),
        Some(Argument::Null) | None => Ok(Claims::new()),
        Some(Argument::Other(kind)) => Err(ArgumentsError::Claims(kind.as_str())),
    }
}

/// Checks the JSON body of an operation without arguments, as JWKS and `LocalKeys` are: an object or
/// `null`. Source: spec: microbus-wire 15.10.
///
/// # Errors
/// [`ArgumentsError::Json`] and [`ArgumentsError::Body`].
pub fn expect_object(body: &[u8]) -> Result<(), ArgumentsError> {
    let mut scanner = Scanner::new(body, Reading::Lenient);
    let kind = scanner.peek()?;
    scanner.value()?;
    match kind {
        ValueKind::Object | ValueKind::Null => Ok(()),
        ValueKind::Array | ValueKind::Text | ValueKind::Number | ValueKind::Boolean => {
            Err(ArgumentsError::Body(kind.as_str()))
        }
    }
}

/// Why arguments cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArgumentsError {
    /// The body is not JSON, or a number in a form or query is out of range.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// The body is another JSON value.
    #[error("the body is a JSON {0}; wanted is an object")]
    Body(&'static str),
    /// The claims are another JSON value.
    #[error("argument `claims` is a JSON {0}; wanted is an object")]
    Claims(&'static str),
    /// One name stands for a value and for a map, or `claims` is spelled in two ways.
    #[error("two arguments collide: one name stands for a value and for a map of values")]
    Collision,
    /// More than 1000 pairs.
    #[error("more than 1000 arguments in a form or query")]
    TooMany,
}

/// The value of the argument `claims`.
enum Argument {
    Claims(Claims),
    Null,
    Other(ValueKind),
}

fn claims_of_body(body: &[u8]) -> Result<Option<Argument>, ArgumentsError> {
    let mut scanner = Scanner::new(body, Reading::Lenient);
    let kind = scanner.peek()?;
    if kind != ValueKind::Object {
        expect_object(body)?;
        return Ok(None);
    }
    let mut found = None;
    scanner.each_member(is_claims, |scanner, is_wanted| {
        if !is_wanted {
            return scanner.value();
        }
        found = Some(match scanner.peek()? {
            ValueKind::Object => Argument::Claims(Claims::from_members(scanner.members()?)),
            ValueKind::Null => {
                scanner.value()?;
                Argument::Null
            }
            kind
            @ (ValueKind::Array | ValueKind::Text | ValueKind::Number | ValueKind::Boolean) => {
                scanner.value()?;
                Argument::Other(kind)
            }
        });
        Ok(())
    })?;
    Ok(found)
}

/// Compares as Go does when it looks for the field: Unicode simple folding, in which the long s
/// is an s.
fn is_claims(name: &str) -> bool {
    name.chars()
        .map(|c| {
            if c == '\u{17f}' {
                's'
            } else {
                c.to_ascii_lowercase()
            }
        })
        .eq("claims".chars())
}

fn claims_of_pairs<N: AsRef<str>, V: AsRef<str>>(
    pairs: impl IntoIterator<Item = (N, V)>,
) -> Result<Option<Argument>, ArgumentsError> {
    let mut claims: Option<(String, Node)> = None;
    for (count, (name, value)) in pairs.into_iter().enumerate() {
        if count >= MOST_PAIRS {
            return Err(ArgumentsError::TooMany);
        }
        let path = name.as_ref().replace(']', "").replace('[', ".");
        let (first, path) = match path.split_once('.') {
            Some((first, path)) => (first, Some(path)),
            None => (path.as_str(), None),
        };
        if !is_claims(first) {
            continue;
        }
        let (spelling, node) = claims.get_or_insert_with(|| (first.to_owned(), Node::Unset));
        if spelling != first {
            return Err(ArgumentsError::Collision);
        }
        node.set(path, typed(value.as_ref())?, DEEPEST)?;
    }
    let Some((_, node)) = claims else {
        return Ok(None);
    };
    Ok(Some(node.into_argument()))
}

/// A value under construction: pairs come in any order.
enum Node {
    Unset,
    Value(Vec<u8>),
    Map(BTreeMap<String, Self>),
}

impl Node {
    fn set(
        &mut self,
        path: Option<&str>,
        value: Vec<u8>,
        levels: usize,
    ) -> Result<(), ArgumentsError> {
        let Some(path) = path else {
            if matches!(self, Self::Map(_)) {
                return Err(ArgumentsError::Collision);
            }
            *self = Self::Value(value);
            return Ok(());
        };
        let Some(levels) = levels.checked_sub(1).filter(|&levels| levels > 0) else {
            return Err(JsonError {
                kind: JsonErrorKind::Depth,
                offset: 0,
            }
            .into());
        };
        if matches!(self, Self::Unset) {
            *self = Self::Map(BTreeMap::new());
        }
        let Self::Map(map) = self else {
            return Err(ArgumentsError::Collision);
        };
        let (first, rest) = match path.split_once('.') {
            Some((first, rest)) => (first, Some(rest)),
            None => (path, None),
        };
        map.entry(first.to_owned())
            .or_insert(Self::Unset)
            .set(rest, value, levels)
    }

    fn into_argument(self) -> Argument {
        match self {
            Self::Unset => Argument::Null,
            Self::Value(value) => match value.first().copied().and_then(ValueKind::of_first_byte) {
                None | Some(ValueKind::Null) => Argument::Null,
                Some(kind) => Argument::Other(kind),
            },
            Self::Map(map) if is_array(&map) => Argument::Other(ValueKind::Array),
            Self::Map(map) => {
                let mut claims = Claims::new();
                claims.suspect_literal_names();
                for (name, node) in map {
                    let mut value = Vec::new();
                    node.write(&mut value);
                    claims.insert_normal(&name, &value);
                }
                Argument::Claims(claims)
            }
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Unset => out.extend_from_slice(b"null"),
            Self::Value(value) => out.extend_from_slice(value),
            Self::Map(map) if is_array(map) => {
                let elements = (0..map.len()).filter_map(|index| map.get(&index.to_string()));
                for (index, element) in elements.enumerate() {
                    out.push(if index == 0 { b'[' } else { b',' });
                    element.write(out);
                }
                out.push(b']');
            }
            Self::Map(map) => {
                for (index, (name, node)) in map.iter().enumerate() {
                    out.push(if index == 0 { b'{' } else { b',' });
                    push_text(name, out);
                    out.push(b':');
                    node.write(out);
                }
                out.push(b'}');
            }
        }
    }
}

/// Tells whether the keys are 0 to n-1. (A map is never empty: a pair made it.)
fn is_array(map: &BTreeMap<String, Node>) -> bool {
    (0..map.len()).all(|index| map.contains_key(&index.to_string()))
}

/// Gives a value of a form or query its JSON type, in normal form.
fn typed(value: &str) -> Result<Vec<u8>, JsonError> {
    if matches!(value, "null" | "true" | "false") {
        return Ok(value.as_bytes().to_vec());
    }
    if value.starts_with(|c: char| c == '-' || c.is_ascii_digit())
        && value.ends_with(|c: char| c.is_ascii_digit())
    {
        match normalise(value.as_bytes(), Reading::Strict) {
            Ok(number) => return Ok(number),
            Err(error) if error.kind == JsonErrorKind::NumberRange => return Err(error),
            Err(_) => {}
        }
    }
    let text = match value.strip_prefix('"') {
        Some(inner) if value.ends_with('"') => inner.strip_suffix('"').unwrap_or(inner),
        _ => value,
    };
    let mut quoted = Vec::with_capacity(text.len().saturating_add(2));
    push_text(text, &mut quoted);
    Ok(quoted)
}

/// Pairs that a form or query may have.
const MOST_PAIRS: usize = 1000;

#[cfg(test)]
mod tests;
