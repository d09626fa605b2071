//! Reads YAML that somebody else may have written: bounded in what it costs, and no error quotes it.

use serde::de::DeserializeOwned;
use serde_yaml::Deserializer;

/// Reads the first document of a text, as the Go services do; none is the default.
///
/// # Errors
/// Where the text is not YAML or not of the wanted shape, and never what it says, which can be a private key.
pub(crate) fn parse<T: DeserializeOwned + Default>(text: &str) -> Result<T, String> {
    if is_absurdly_nested(text) {
        return Err(format!("more than {DEEPEST} brackets are open at once"));
    }
    match Deserializer::from_str(text).next() {
        Some(_) if text.trim().is_empty() => Ok(T::default()),
        Some(document) => T::deserialize(document).map_err(|error| without_content(&error)),
        None => Ok(T::default()),
    }
}

/// The scanner looks at all open brackets at each step, so that 200 KB of them take it minutes.
fn is_absurdly_nested(text: &str) -> bool {
    let mut open = 0_usize;
    text.bytes().any(|byte| {
        match byte {
            b'[' | b'{' => open = open.saturating_add(1),
            b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        open > DEEPEST
    })
}

fn without_content(error: &serde_yaml::Error) -> String {
    error.location().map_or_else(
        || "not valid YAML".to_owned(),
        |place| {
            format!(
                "not valid YAML at line {}, column {}",
                place.line(),
                place.column()
            )
        },
    )
}

/// More than any configuration needs, brackets inside of texts included.
const DEEPEST: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    type Map = BTreeMap<String, String>;

    #[test]
    fn the_first_document_counts_and_nothing_is_the_default() {
        let map = parse::<Map>("---\na: b\n---\na: c\n").unwrap();
        assert_eq!(map["a"], "b");
        for nothing in ["", " \n", "# comment\n", "---\n"] {
            assert_eq!(parse::<Map>(nothing), Ok(Map::new()), "{nothing:?}");
        }
    }

    #[test]
    fn what_would_take_long_is_refused_at_once() {
        for text in ["[", "{a: ", "- ["] {
            let error = parse::<Map>(&text.repeat(100_000)).unwrap_err();
            assert_eq!(error, "more than 1000 brackets are open at once");
        }
        for text in ["- ", "? ", "a:\n "] {
            assert!(parse::<Map>(&text.repeat(10_000)).is_err(), "{text:?}");
        }
        let mut aliases = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned();
        for level in 1..12 {
            let before = format!("*a{},", level - 1).repeat(9);
            aliases.push_str(&format!("a{level}: &a{level} [{before}]\n"));
        }
        assert!(parse::<BTreeMap<String, serde_yaml::Value>>(&aliases).is_err());
    }

    #[test]
    fn an_error_names_the_place_and_not_what_stands_there() {
        let error = parse::<Map>("a: [planted\n").unwrap_err();
        assert!(
            error.contains("line") && !error.contains("planted"),
            "{error}"
        );
        let error = parse::<Map>("a: {planted: secret}\n").unwrap_err();
        assert!(!error.contains("planted"), "{error}");
    }
}
