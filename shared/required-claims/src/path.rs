//! Paths into claims: `roles.admin`, `address.country`.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// Where in the claims a value is: names between dots.
#[derive(Clone, Debug)]
pub(crate) struct ClaimPath(Box<str>);

/// What a path leads to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Found<'c> {
    Value(&'c Value),
    /// The rest of the path is an element of a list.
    Element,
    Nothing,
}

impl ClaimPath {
    /// Reads names of ASCII letters, digits and underscores between dots.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        let name = |name: &str| {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            !name.is_empty() && name.bytes().all(allowed)
        };
        word.split('.').all(name).then(|| Self(word.into()))
    }

    /// Walks into objects name by name. In a list all that is left is the text of an element.
    pub(crate) fn find<'c>(&self, claims: &'c Map<String, Value>) -> Found<'c> {
        let (mut object, mut path) = (claims, &*self.0);
        loop {
            let (name, rest) = path.split_once('.').unwrap_or((path, ""));
            match object.get(name) {
                Some(value) if rest.is_empty() => return Found::Value(value),
                Some(Value::Object(inner)) => (object, path) = (inner, rest),
                Some(Value::Array(list))
                    if list.iter().any(|element| is_text_of(element, rest)) =>
                {
                    return Found::Element;
                }
                _ => return Found::Nothing,
            }
        }
    }
}

/// Tells whether `text` is what Go prints of a scalar; null and containers print nothing that a path can hold.
fn is_text_of(element: &Value, text: &str) -> bool {
    match element {
        Value::String(string) => string == text,
        Value::Bool(true) => text == "true",
        Value::Bool(false) => text == "false",
        Value::Number(number) => number
            .as_f64()
            .is_some_and(|number| is_number_text(number, text)),
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}

/// Outside these bounds Go prints an exponent with a sign, which a path cannot hold; nor can it hold a minus.
fn is_number_text(number: f64, text: &str) -> bool {
    let plain = number == 0.0 || (1e-4..1e6).contains(&number);
    let mut rest = Remaining(text);
    plain && write!(rest, "{number}").is_ok() && rest.0.is_empty()
}

/// Takes what is written away from the front of a text, as long as it is the same.
struct Remaining<'t>(&'t str);

impl std::fmt::Write for Remaining<'_> {
    fn write_str(&mut self, written: &str) -> std::fmt::Result {
        self.0 = self.0.strip_prefix(written).ok_or(std::fmt::Error)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn finds(path: &str, claims: &Value) -> bool {
        let found = ClaimPath::parse(path)
            .unwrap()
            .find(claims.as_object().unwrap());
        !matches!(found, Found::Nothing)
    }

    #[test]
    fn a_path_is_names_between_dots() {
        for word in ["a", "a.b", "0", "_x.9", "roles.a_b"] {
            assert!(ClaimPath::parse(word).is_some(), "{word}");
        }
        for word in ["", ".", "a.", ".a", "a..b", "a-b", "é", "a b"] {
            assert!(ClaimPath::parse(word).is_none(), "{word}");
        }
    }

    #[test]
    fn a_path_walks_and_never_jumps() {
        let claims =
            json!({"a": {"b": {"c": 1}}, "x.y": 1, "l": ["m.n", {"o": 1}], "a.b": {"d": 1}});
        for path in ["a", "a.b", "a.b.c", "l.m.n"] {
            assert!(finds(path, &claims), "{path}");
        }
        for path in ["x.y", "b", "a.c", "a.b.d", "l.o", "l.m", "a.b.c.d"] {
            assert!(!finds(path, &claims), "{path}");
        }
    }

    #[test]
    fn numbers_in_lists_have_the_text_that_go_prints() {
        let claims = json!({"n": [0, -0.0, 7, 2.5, 0.0001, 999_999, 999_999.5]});
        for text in ["0", "7", "2.5", "0.0001", "999999", "999999.5"] {
            assert!(finds(&format!("n.{text}"), &claims), "{text}");
        }
        let claims = json!({"n": [7, 1_000_000, 1_234_567, 0.00001, -5, null, [], {}]});
        for text in [
            "1000000", "1234567", "0.00001", "5", "7.0", "07", "70", "null",
        ] {
            assert!(!finds(&format!("n.{text}"), &claims), "{text}");
        }
    }
}
