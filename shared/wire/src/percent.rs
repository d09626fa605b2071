//! Percent escapes: the one place that reads and writes them.

use std::borrow::Cow;

/// Decodes `%xx` (either hex case), and `+` as a blank when `PLUS`. `None` if an escape is malformed.
///
/// Bytes that are no UTF-8 after decoding become U+FFFD.
pub(crate) fn decode<const PLUS: bool>(text: &str) -> Option<Cow<'_, str>> {
    if !text
        .bytes()
        .any(|byte| byte == b'%' || (PLUS && byte == b'+'))
    {
        return Some(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let high = hex_value(bytes.next()?)?;
                let low = hex_value(bytes.next()?)?;
                decoded.push(high << 4 | low);
            }
            b'+' if PLUS => decoded.push(b' '),
            other => decoded.push(other),
        }
    }
    Some(Cow::Owned(match String::from_utf8(decoded) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    }))
}

/// Appends `%xx` with lowercase hex.
pub(crate) fn push_escaped(out: &mut String, byte: u8) {
    out.push('%');
    for nibble in [byte >> 4, byte & 0x0f] {
        out.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
    }
}

fn hex_value(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_without_escapes_is_borrowed() {
        assert!(matches!(
            decode::<true>("claims"),
            Some(Cow::Borrowed("claims"))
        ));
        assert!(matches!(decode::<false>("a+b"), Some(Cow::Borrowed("a+b"))));
    }

    #[test]
    fn escapes_decode_in_either_case_and_malformed_ones_do_not() {
        assert_eq!(decode::<true>("a%2Fb%2fc+d").as_deref(), Some("a/b/c d"));
        for malformed in ["%", "%2", "%zz", "ok%"] {
            assert_eq!(decode::<true>(malformed), None, "{malformed}");
        }
    }
}
