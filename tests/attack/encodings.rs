//! Parts that are not canonical base64url, and texts that are not three parts.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};

use crate::forger::{Case, Forger, encode};

pub(crate) fn cases(forger: &Forger) -> Vec<Case> {
    let mut cases = Vec::new();
    let parts = forger.parts();
    let mut add = |what: String, token: String, reason| {
        cases.push(forger.case("encodings", what, token, reason));
    };
    for (what, token, reason) in broken(&parts, "signature_length") {
        add(what, token, reason);
    }
    let with = |at: usize, part: String| {
        let mut parts = parts.clone();
        parts[at] = part;
        parts.join(".")
    };
    // Bits behind the last byte must be zero: 86 characters carry four of them, and others by their length.
    let signature = &parts[2];
    for last in "BCDEFGHIJKLMNOPRSTUVWXYZabcdefhijklmnopqrstuvxyz0123456789-_".chars() {
        if !"AQgw".contains(last) {
            let changed = format!("{}{last}", &signature[..85]);
            add(
                format!("the signature ends in {last}, not canonical"),
                with(2, changed),
                "encoding",
            );
        }
    }
    for (header, what) in [
        (forger.header(), "header"),
        (format!("{} ", forger.header()), "header with a blank"),
    ] {
        let canonical = encode(&header);
        if canonical.len() % 4 != 0 {
            let mut loose = canonical.clone();
            let last = loose.pop().unwrap();
            loose.push(char::from(u8::try_from(last).unwrap() + 1));
            add(
                format!("stray bits at the end of the {what}"),
                with(0, loose),
                "encoding",
            );
        }
    }
    for (what, payload) in in_other_alphabets(&forger.payload_with(TELLTALE)) {
        let input = format!("{}.{payload}", parts[0]);
        let token = format!(
            "{input}.{}",
            encode(forger.key.sign(input.as_bytes()).unwrap())
        );
        add(format!("a payload in {what}, signed so"), token, "encoding");
    }
    for (what, token, reason) in [
        ("8 KiB and a byte", "a".repeat(8 * 1024 + 1), "too_large"),
        ("8 KiB of one letter", "a".repeat(8 * 1024), "segments"),
        ("64 MiB", "a".repeat(64 << 20), "too_large"),
        (
            "a good token grown too large",
            forger.signed(
                forger.header(),
                forger.payload_with(&format!(r#""x":"{}""#, "x".repeat(8_192))),
            ),
            "too_large",
        ),
    ] {
        add(what.to_owned(), token, reason);
    }
    cases
}

/// Texts made of the parts of a good token that are none any more. `unsigned` is the code for a token whose signature is
/// empty.
pub(crate) fn broken(
    parts: &[String; 3],
    unsigned: &'static str,
) -> Vec<(String, String, &'static str)> {
    let mut broken = broken_parts(parts);
    broken.extend(broken_texts(parts, unsigned));
    broken
}

/// One part or another is no base64url.
fn broken_parts(parts: &[String; 3]) -> Vec<(String, String, &'static str)> {
    let mut broken = Vec::new();
    let with = |at: usize, part: String| {
        let mut parts = parts.clone();
        parts[at] = part;
        parts.join(".")
    };
    let mut add = |what: String, token: String| broken.push((what, token, "encoding"));
    for (at, name) in ["header", "payload", "signature"].into_iter().enumerate() {
        let part = &parts[at];
        let middle = part.len() / 2;
        for (what, inserted) in [
            ("a blank", " "),
            ("a line break", "\n"),
            ("a carriage return", "\r\n"),
            ("a tab", "\t"),
            ("NUL", "\0"),
            ("a plus", "+"),
            ("a slash", "/"),
            ("an equals sign", "="),
            ("a percent escape", "%41"),
            ("a comma", ","),
            ("an umlaut", "ä"),
            ("a fullwidth A", "Ａ"),
            ("a zero-width space", "\u{200b}"),
            ("a tilde", "~"),
            ("a quote", "\""),
            ("DEL", "\u{7f}"),
            ("a backslash", "\\"),
            ("a byte order mark", "\u{feff}"),
        ] {
            for (place, index) in [("ahead of", 0), ("inside", middle), ("behind", part.len())] {
                let mut changed = part.clone();
                changed.insert_str(index, inserted);
                add(format!("{what} {place} the {name}"), with(at, changed));
            }
        }
        for count in [1, 2, 3, 4] {
            let padded = format!("{part}{}", "=".repeat(count));
            add(
                format!("{count} of padding behind the {name}"),
                with(at, padded),
            );
        }
        // A rest of one character encodes nothing: a multiple of four and one more.
        let whole = part.len() / 4 * 4;
        add(
            format!("the {name} ends in a rest of one"),
            with(at, format!("{}A", &part[..whole])),
        );
    }
    broken
}

/// The parts are not three.
fn broken_texts(
    parts: &[String; 3],
    unsigned: &'static str,
) -> Vec<(String, String, &'static str)> {
    let [header, payload, signature] = parts;
    let good = parts.join(".");
    let texts = [
        ("nothing", String::new(), "segments"),
        ("one part", header.clone(), "segments"),
        ("one dot", ".".into(), "segments"),
        ("two dots", "..".into(), "header"),
        ("three dots", "...".into(), "segments"),
        ("four parts", format!("{good}.{header}"), "segments"),
        (
            "five parts, as an encrypted token",
            format!("{header}.{payload}.{signature}.{payload}.{signature}"),
            "segments",
        ),
        ("a thousand dots", ".".repeat(1_000), "segments"),
        ("a million dots", ".".repeat(1_000_000), "too_large"),
        ("no header", format!(".{payload}.{signature}"), "header"),
        ("no payload", format!("{header}..{signature}"), "payload"),
        ("no signature", format!("{header}.{payload}."), unsigned),
        (
            "no signature and no dot",
            format!("{header}.{payload}"),
            "segments",
        ),
        (
            "no dots",
            format!("{header}{payload}{signature}"),
            "segments",
        ),
        ("a final dot", format!("{good}."), "segments"),
        ("a leading dot", format!(".{good}"), "segments"),
        ("a prefix", format!("Bearer {good}"), "encoding"),
        (
            "a prefix in lower case",
            format!("bearer {good}"),
            "encoding",
        ),
        ("quotes around", format!("\"{good}\""), "encoding"),
        ("another token behind", format!("{good},{good}"), "segments"),
        ("a cookie", format!("Authorization={good}"), "encoding"),
        ("fullwidth dots", good.replace('.', "．"), "segments"),
        ("percent escapes", good.replace('.', "%2E"), "segments"),
        ("colons", good.replace('.', ":"), "segments"),
        (
            "the flattened JSON form",
            format!(
                r#"{{"payload":"{payload}","protected":"{header}","signature":"{signature}"}}"#
            ),
            "segments",
        ),
        (
            "the general JSON form",
            format!(
                r#"{{"payload":"{payload}","signatures":[{{"protected":"{header}","signature":"{signature}"}}]}}"#
            ),
            "segments",
        ),
        ("a PASETO", format!("v4.public.{payload}"), "encoding"),
    ];
    let texts = texts.into_iter();
    texts
        .map(|(what, token, reason)| (what.to_owned(), token, reason))
        .collect()
}

/// A payload in alphabets that are not base64url's, or padded.
pub(crate) fn in_other_alphabets(payload: &str) -> Vec<(&'static str, String)> {
    let mut encoded = vec![
        ("base64", STANDARD_NO_PAD.encode(payload)),
        ("padded base64", STANDARD.encode(format!("{payload} "))),
        (
            "padded base64 of two blanks",
            STANDARD.encode(format!("{payload}  ")),
        ),
        ("padded base64url", URL_SAFE.encode(format!("{payload} "))),
        (
            "padded base64url of two blanks",
            URL_SAFE.encode(format!("{payload}  ")),
        ),
    ];
    // Some lengths need no padding, and then it does not show.
    encoded.retain(|(_, encoded)| encoded.contains(['+', '/', '=']));
    assert!(encoded.len() >= 3, "too many look like base64url");
    encoded
}

/// A claim whose base64 is not its base64url.
pub(crate) const TELLTALE: &str = r#""x":"???>>>~~~ÿÿÿ""#;
