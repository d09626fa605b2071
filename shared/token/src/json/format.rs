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
    // Most texts are too short for more than a word at a time.
    let (words, rest) = bytes.as_chunks::<8>();
    let mut run = 0_usize;
    for word in words {
        let others = others_in(u64::from_le_bytes(*word));
        if others != 0 {
            let plain = others.trailing_zeros() / u8::BITS;
            return run.saturating_add(plain as usize);
        }
        run = run.saturating_add(word.len());
    }
    let plain = rest.iter().take_while(|&&byte| is_plain(byte)).count();
    run.saturating_add(plain)
}

/// Marks the first of eight bytes that does not stand for itself, and perhaps others behind it, by their highest bits.
fn others_in(word: u64) -> u64 {
    let all = |byte: u8| u64::from_le_bytes([byte; 8]);
    // A borrow marks too much, but only behind a byte that is marked rightly.
    let below = |word: u64, least: u8| word.wrapping_sub(all(least)) & !word;
    let equal = |word: u64, byte: u8| below(word ^ all(byte), 1);
    // `"` and `&` differ in one bit, and so do `<` and `>`.
    let quotes = equal(word | all(b'"' ^ b'&'), b'"' | b'&');
    let angles = equal(word | all(b'<' ^ b'>'), b'<' | b'>');
    (word | below(word, b' ') | quotes | angles | equal(word, b'\\')) & all(0x80)
}

/// Tells whether a byte stands for itself both in the input and in the output.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..0x80) && !matches!(byte, b'"' | b'\\' | b'<' | b'>' | b'&')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_run_ends_at_the_first_byte_that_does_not_stand_for_itself() {
        for (first, second) in (0..=u8::MAX).flat_map(|a| (0..=u8::MAX).map(move |b| (a, b))) {
            for at in 0..10 {
                let mut text = [b'x'; 12];
                text[at] = first;
                text[at + 1] = second;
                let run = text.iter().position(|&byte| !is_plain(byte));
                assert_eq!(plain_run(&text), run.unwrap_or(text.len()), "{text:?}");
            }
        }
    }
}
