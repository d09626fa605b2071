//! Numbers and boolean words, as Go reads them.

/// A literal that is not a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Literal {
    Number(f64),
    Boolean(bool),
    /// A number that only Go reads.
    Hexadecimal,
}

impl Literal {
    /// Reads a word as a literal; a number goes before a boolean. Nothing for any other word.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        let digits = word.strip_prefix(['+', '-']).unwrap_or(word);
        if is_hexadecimal(digits) {
            return Some(Self::Hexadecimal);
        }
        if let Some(number) = decimal(word, digits) {
            return Some(Self::Number(number));
        }
        match word {
            "t" | "T" | "true" | "TRUE" | "True" => Some(Self::Boolean(true)),
            "f" | "F" | "false" | "FALSE" | "False" => Some(Self::Boolean(false)),
            _ => None,
        }
    }
}

/// Reads what Go's `ParseFloat` reads in base ten; what is out of range is no number.
fn decimal(word: &str, digits: &str) -> Option<f64> {
    if digits.eq_ignore_ascii_case("inf") || digits.eq_ignore_ascii_case("infinity") {
        let infinity = f64::INFINITY;
        return Some(if word.starts_with('-') {
            -infinity
        } else {
            infinity
        });
    }
    if word.eq_ignore_ascii_case("nan") {
        return Some(f64::NAN);
    }
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') || !separators_fit(digits) {
        return None;
    }
    let number: f64 = word.replace('_', "").parse().ok()?;
    number.is_finite().then_some(number)
}

/// Tells whether every underscore stands between two digits.
fn separators_fit(digits: &str) -> bool {
    let bytes = digits.as_bytes();
    let digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
    bytes.iter().enumerate().all(|(at, byte)| {
        let before = at.checked_sub(1).and_then(|before| bytes.get(before));
        *byte != b'_' || digit(before) && digit(bytes.get(at.saturating_add(1)))
    })
}

/// Tells whether `digits` is a mantissa in base sixteen with a binary exponent.
fn is_hexadecimal(digits: &str) -> bool {
    let Some(rest) = digits
        .strip_prefix("0x")
        .or_else(|| digits.strip_prefix("0X"))
    else {
        return false;
    };
    let Some((mantissa, exponent)) = rest.split_once(['p', 'P']) else {
        return false;
    };
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    mantissa.contains(|c: char| c.is_ascii_hexdigit())
        && mantissa
            .chars()
            .all(|c| c.is_ascii_hexdigit() || c == '.' || c == '_')
        && exponent.contains(|c: char| c.is_ascii_digit())
        && exponent.chars().all(|c| c.is_ascii_digit() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_that_go_reads() {
        for (word, number) in [
            ("5", 5.0),
            ("+5", 5.0),
            ("-5", -5.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("1e3", 1000.0),
            ("1E-3", 0.001),
            ("1_000", 1000.0),
            ("1_0.0_1e1_0", 10.01e10),
            ("inf", f64::INFINITY),
            ("-Infinity", f64::NEG_INFINITY),
            ("9007199254740993", 9_007_199_254_740_992.0),
        ] {
            assert_eq!(
                Literal::parse(word),
                Some(Literal::Number(number)),
                "{word}"
            );
        }
        assert!(matches!(Literal::parse("NaN"), Some(Literal::Number(n)) if n.is_nan()));
    }

    #[test]
    fn other_words_are_no_numbers() {
        for word in [
            "", "+", ".", "e5", "1e", "1e400", "_1", "1_", "1__0", "1_.5", "1.5._", "+nan",
            "infin", "0x10", "0x", "1.2.3", "--5", "+-5",
        ] {
            assert_eq!(Literal::parse(word), None, "{word}");
        }
    }

    #[test]
    fn hexadecimal_numbers_are_known_for_what_they_are() {
        for word in ["0x1p4", "-0X1.8P-1", "0x_1p+0"] {
            assert_eq!(Literal::parse(word), Some(Literal::Hexadecimal), "{word}");
        }
    }

    #[test]
    fn boolean_words_have_five_spellings_each() {
        for (word, truth) in [("t", true), ("True", true), ("F", false), ("FALSE", false)] {
            assert_eq!(Literal::parse(word), Some(Literal::Boolean(truth)));
        }
        assert_eq!(Literal::parse("tRUE"), None);
    }
}
