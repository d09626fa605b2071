//! Headers and payloads that two JSON readers would read differently, or that cost too much.

use super::forger::{Case, Forger};
use crate::json::{malformed, members};

pub(crate) fn cases(forger: &Forger<'_>) -> Vec<Case> {
    let mut cases = Vec::new();
    for (what, text) in malformed(&forger.payload()) {
        let token = forger.signed(forger.header(), text);
        cases.push(forger.case("json", format!("payload: {what}"), token, "payload"));
    }
    for (what, text) in malformed(&forger.header()) {
        let token = forger.signed(text, forger.payload());
        cases.push(forger.case("json", format!("header: {what}"), token, "header"));
    }
    for (what, members) in members() {
        let token = forger.signed(forger.header(), forger.payload_with(&members));
        cases.push(forger.case("json", format!("claim: {what}"), token, "payload"));
        let token = forger.signed(forger.header_with(&members), forger.payload());
        cases.push(forger.case("json", format!("header member: {what}"), token, "header"));
    }
    for name in [
        "exp",
        "iat",
        "nbf",
        "iss",
        "sub",
        "aud",
        "azp",
        "nonce",
        "client_id",
        "groups",
    ] {
        let escaped = format!("\\u{:04x}{}", name.as_bytes()[0], &name[1..]);
        for (form, members) in [
            ("twice", format!(r#""{name}":1,"{name}":1"#)),
            ("twice, escaped", format!(r#""{name}":1,"{escaped}":2"#)),
            (
                "twice inside an object",
                format!(r#""x":{{"{name}":1,"{escaped}":2}}"#),
            ),
        ] {
            let token = forger.signed(forger.header(), forger.payload_with(&members));
            cases.push(forger.case("json", format!("{name} {form}"), token, "payload"));
        }
    }
    // Nobody signs these: they must be refused for their size before anything else is looked at.
    let [header, _, signature] = forger.parts();
    for (what, text) in [
        ("10 MiB of text", "x".repeat(10 << 20)),
        ("100 000 lists inside one another", "[".repeat(100_000)),
        ("100 000 claims", r#""x":0,"#.repeat(100_000)),
    ] {
        let payload = base64_simd::URL_SAFE_NO_PAD.encode_to_string(text);
        cases.push(forger.case(
            "json",
            what,
            format!("{header}.{payload}.{signature}"),
            "too_large",
        ));
    }
    cases
}
