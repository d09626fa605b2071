//! Parts that are not canonical base64url, and texts that are not three parts.

use super::forger::{Case, Forger};
use crate::forger::encode;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};

pub(crate) fn cases(forger: &Forger<'_>) -> Vec<Case> {
    let mut cases = Vec::new();
    let parts = forger.parts();
    let mut add = |what: String, token: String, reason| {
        cases.push(forger.case("encodings", what, token, reason));
    };
    let with = |at: usize, part: String| {
        let mut parts = parts.clone();
        parts[at] = part;
        parts.join(".")
    };
    for (at, name) in ["header", "payload", "signature"].into_iter().enumerate() {
        let part = &parts[at];
        for (what, inserted) in [
            ("a blank", " "),
            ("a line break", "\n"),
            ("CRLF", "\r\n"),
            ("a tab", "\t"),
            ("NUL", "\0"),
            ("a plus", "+"),
            ("a slash", "/"),
            ("an equals sign", "="),
            ("a percent escape", "%41"),
            ("an umlaut", "ä"),
            ("a zero-width space", "\u{200b}"),
            ("a tilde", "~"),
            ("a byte order mark", "\u{feff}"),
        ] {
            for (place, index) in [
                ("ahead of", 0),
                ("inside", part.len() / 2),
                ("behind", part.len()),
            ] {
                let mut changed = part.clone();
                changed.insert_str(index, inserted);
                add(
                    format!("{what} {place} the {name}"),
                    with(at, changed),
                    "encoding",
                );
            }
        }
        for count in 1..=4 {
            add(
                format!("{count} of padding behind the {name}"),
                with(at, format!("{part}{}", "=".repeat(count))),
                "encoding",
            );
        }
        let whole = part.len() / 4 * 4;
        add(
            format!("the {name} ends in a rest of one"),
            with(at, format!("{}A", &part[..whole])),
            "encoding",
        );
    }
    // Bits behind the last byte must be zero; 64 and 256 bytes leave a rest.
    let mut loose = parts[2].clone();
    let last = u8::try_from(loose.pop().unwrap()).unwrap();
    loose.push(char::from(last + 1));
    add(
        "stray bits at the end of the signature".into(),
        with(2, loose),
        "encoding",
    );
    let text = forger.payload_with(r#""x":"???>>>~~~ÿÿÿ""#);
    for (what, encoded) in [
        ("base64", STANDARD_NO_PAD.encode(&text)),
        ("padded base64", STANDARD.encode(format!("{text} "))),
        (
            "padded base64 of two blanks",
            STANDARD.encode(format!("{text}  ")),
        ),
        ("padded base64url", URL_SAFE.encode(format!("{text} "))),
        (
            "padded base64url of two blanks",
            URL_SAFE.encode(format!("{text}  ")),
        ),
    ] {
        if encoded.contains(['+', '/', '=']) {
            let input = format!("{}.{encoded}", parts[0]);
            let token = format!(
                "{input}.{}",
                encode(forger.signer.sign(input.as_bytes()).unwrap())
            );
            add(format!("a payload in {what}, signed so"), token, "encoding");
        }
    }
    let [header, payload, signature] = &parts;
    let good = parts.join(".");
    for (what, token, reason) in [
        ("nothing", String::new(), "segments"),
        ("one part", header.clone(), "segments"),
        ("one dot", ".".into(), "segments"),
        ("two dots", "..".into(), "header"),
        ("three dots", "...".into(), "segments"),
        ("four parts", format!("{good}.{header}"), "segments"),
        (
            "five parts, as an encrypted token",
            format!("{good}.{payload}.{signature}"),
            "segments",
        ),
        ("a thousand dots", ".".repeat(1_000), "segments"),
        ("a million dots", ".".repeat(1_000_000), "too_large"),
        ("no header", format!(".{payload}.{signature}"), "header"),
        ("no payload", format!("{header}..{signature}"), "payload"),
        ("no signature", format!("{header}.{payload}."), "signature"),
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
        ("quotes around", format!("\"{good}\""), "encoding"),
        ("another token behind", format!("{good},{good}"), "segments"),
        ("fullwidth dots", good.replace('.', "．"), "segments"),
        ("percent escapes", good.replace('.', "%2E"), "segments"),
        (
            "the flattened JSON form",
            format!(
                r#"{{"payload":"{payload}","protected":"{header}","signature":"{signature}"}}"#
            ),
            "segments",
        ),
        ("16 KiB and a byte", "a".repeat(16 * 1024 + 1), "too_large"),
        ("16 KiB of one letter", "a".repeat(16 * 1024), "segments"),
        (
            "a good token grown too large",
            forger.signed(
                forger.header(),
                forger.payload_with(&format!(r#""x":"{}""#, "x".repeat(16 * 1024))),
            ),
            "too_large",
        ),
        ("a PASETO", format!("v4.public.{payload}"), "encoding"),
    ] {
        add(what.to_owned(), token, reason);
    }
    cases
}
