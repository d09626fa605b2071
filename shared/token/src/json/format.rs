//! Texts and numbers as Go's encoder writes them.

use std::fmt::Write as _;

/// Appends one character of a string as Go's encoder does. Returns whether that is an escape.
pub(crate) fn push_escaped(c: char, out: &mut Vec<u8>) -> bool {
    let escape: &[u8] = match c {
        '"' => b"\\\"",
        '\\' => b"\\\\",
        '\u{8}' => b"\\b",
        '\u{c}' => b"\\f",
        '\n' => b"\\n",
        '\r' => b"\\r",
        '\t' => b"\\t",
        '\0'..=' ' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' if c != ' ' => {
            let code = u32::from(c);
            out.extend_from_slice(b"\\u");
            for shift in [12, 8, 4, 0] {
                let digit = char::from_digit((code >> shift) & 0xf, 16).unwrap_or('0');
                out.extend_from_slice(digit.encode_utf8(&mut [0; 4]).as_bytes());
            }
            return true;
        }
        _ => {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            return false;
        }
    };
    out.extend_from_slice(escape);
    true
}

/// Appends `text` as a JSON string in normal form. Returns whether it has escapes.
pub(crate) fn push_text(text: &str, out: &mut Vec<u8>) -> bool {
    out.push(b'"');
    let (plain, rest) = text.split_at(plain_run(text.as_bytes()));
    out.extend_from_slice(plain.as_bytes());
    let mut escaped = false;
    for c in rest.chars() {
        escaped |= push_escaped(c, out);
    }
    out.push(b'"');
    escaped
}

/// Appends a finite number as Go formats a float64: shortest digits, with an exponent below 1e-6
/// and from 1e21 on.
pub(crate) fn push_float(value: f64, out: &mut Vec<u8>) {
    let size = value.abs();
    let mut text = String::with_capacity(24);
    let written = if size != 0.0 && !(1e-6..1e21).contains(&size) {
        write!(text, "{value:e}")
    } else {
        write!(text, "{value}")
    };
    debug_assert!(written.is_ok(), "writing to a String does not fail");
    match text.split_once('e') {
        Some((digits, exponent)) if !exponent.starts_with('-') => {
            out.extend_from_slice(digits.as_bytes());
            out.extend_from_slice(b"e+");
            out.extend_from_slice(exponent.as_bytes());
        }
        _ => out.extend_from_slice(text.as_bytes()),
    }
}

/// Counts the leading bytes that stand for themselves both in the input and in the output.
pub(crate) fn plain_run(bytes: &[u8]) -> usize {
    // Blocks let the compiler compare sixteen bytes at once; what is shorter is looked up.
    let (blocks, _) = bytes.as_chunks::<16>();
    let whole = blocks
        .iter()
        .take_while(|block| block.iter().fold(true, |all, &byte| all & is_plain(byte)))
        .count()
        .saturating_mul(16);
    let rest = bytes.get(whole..).unwrap_or_default();
    rest.iter()
        .position(|&byte| PLAIN.get(usize::from(byte)) != Some(&true))
        .unwrap_or(rest.len())
        .saturating_add(whole)
}

const fn is_plain(byte: u8) -> bool {
    (byte >= 0x20)
        & (byte < 0x80)
        & (byte != b'"')
        & (byte != b'\\')
        & (byte != b'<')
        & (byte != b'>')
        & (byte != b'&')
}

/// [`is_plain`] of each byte.
static PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0_u8;
    while let Some(place) = plain.split_at_mut(byte as usize).1.first_mut() {
        *place = is_plain(byte);
        if byte == u8::MAX {
            break;
        }
        byte += 1;
    }
    plain
};
