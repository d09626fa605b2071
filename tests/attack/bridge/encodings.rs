//! Parts that are not canonical base64url, and texts that are not three parts.

use super::forger::{Case, Forger};
use crate::encodings::{TELLTALE, broken, in_other_alphabets};
use crate::forger::encode;

pub(crate) fn cases(forger: &Forger<'_>) -> Vec<Case> {
    let mut cases = Vec::new();
    let parts = forger.parts();
    let mut add = |what: String, token: String, reason| {
        cases.push(forger.case("encodings", what, token, reason));
    };
    for (what, token, reason) in broken(&parts, "signature") {
        add(what, token, reason);
    }
    // Bits behind the last byte must be zero; 64 and 256 bytes leave a rest.
    let mut loose = parts[2].clone();
    let last = u8::try_from(loose.pop().unwrap()).unwrap();
    loose.push(char::from(last + 1));
    add(
        "stray bits at the end of the signature".into(),
        format!("{}.{}.{loose}", parts[0], parts[1]),
        "encoding",
    );
    for (what, payload) in in_other_alphabets(&forger.payload_with(TELLTALE)) {
        let input = format!("{}.{payload}", parts[0]);
        let signature = encode(forger.signer.sign(input.as_bytes()).unwrap());
        let token = format!("{input}.{signature}");
        add(format!("a payload in {what}, signed so"), token, "encoding");
    }
    for (what, token, reason) in [
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
    ] {
        add(what.to_owned(), token, reason);
    }
    cases
}
