//! Names that the platform's expression language takes for a literal.
//!
//! Source: spec: microbus-wire 12.4.

/// Tells whether an expression would read `name` as a number, a boolean or a quoted text.
#[must_use]
pub fn is_literal(name: &str) -> bool {
    let name = name.trim();
    // Nearly all names end the search here.
    if !name.starts_with(|c| {
        matches!(c, '0'..='9' | '+' | '-' | '.' | '_' | '\'' | '"' | '`') || "tTfFiInN".contains(c)
    }) {
        return false;
    }
    let quoted = ['\'', '"', '`']
        .into_iter()
        .any(|quote| name.len() >= 2 && name.starts_with(quote) && name.ends_with(quote));
    quoted || BOOLEAN_WORDS.contains(&name) || is_go_number(name)
}

/// Tells whether a literal may begin with a byte, possibly behind blanks or escaped: few names do.
pub(crate) fn may_begin_with(byte: u8) -> bool {
    !byte.is_ascii_alphabetic() || b"tTfFiInN".contains(&byte)
}

/// Tells whether Go's `ParseFloat` reads `text`: a decimal number, a hexadecimal one with a `p`
/// exponent, `inf`, `infinity` or `nan` in any case; underscores only where they separate digits
/// in a form with a base prefix, but we count every digit group as a number, to be on the safe side.
fn is_go_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if ["inf", "infinity", "nan"]
        .iter()
        .any(|word| unsigned.eq_ignore_ascii_case(word))
    {
        return true;
    }
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '.' | '_')) {
        return false;
    }
    let plain = unsigned.replace('_', "");
    if let Some(hex) = plain
        .strip_prefix("0x")
        .or_else(|| plain.strip_prefix("0X"))
    {
        let Some((digits, exponent)) = hex.split_once(['p', 'P']) else {
            return false;
        };
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        let has_digits = digits.bytes().any(|byte| byte.is_ascii_hexdigit());
        let only_digits = digits
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit() || byte == b'.');
        let one_point = digits.bytes().filter(|&byte| byte == b'.').count() <= 1;
        let exponent_digits = exponent.bytes().all(|byte| byte.is_ascii_digit());
        return has_digits && only_digits && one_point && exponent_digits && !exponent.is_empty();
    }
    // Rust reads the same decimal forms; a second sign would be its own, hence the first byte.
    plain.starts_with(|c: char| c.is_ascii_digit() || c == '.') && plain.parse::<f64>().is_ok()
}

/// What Go's `ParseBool` reads, besides `0` and `1`, which are numbers.
const BOOLEAN_WORDS: [&str; 10] = [
    "t", "T", "true", "TRUE", "True", "f", "F", "false", "FALSE", "False",
];
