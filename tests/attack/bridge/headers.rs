//! Members of the header that bring a key, change what is signed, choose a key, or say what the token is.

use super::forger::{Case, Forger};
use crate::forger::encode;
use crate::headers::hostile_members;
use microbus_idp_bridge::TokenKind;

pub(crate) fn cases(forger: &Forger<'_>) -> Vec<Case> {
    let mut cases = members(forger);
    cases.extend(key_ids(forger));
    cases.extend(types(forger));
    cases
}

fn members(forger: &Forger<'_>) -> Vec<Case> {
    let jwk = forger.stranger.jwk();
    let mut values = hostile_members(&jwk.to_string());
    for member in ["jku", "x5u"] {
        values.push((member, format!("\"{}\"", forger.target.provider.issuer())));
    }
    for value in ["null", "true", "{}", "[]", r#""""#, r#""JWT""#, r#""JWS""#] {
        values.push(("cty", value.to_owned()));
    }
    let mut cases: Vec<_> = values
        .into_iter()
        .map(|(member, value)| {
            let header =
                forger.header_with(&format!(r#""typ":"{}","{member}":{value}"#, forger.typ()));
            let token = forger.signed(header, forger.payload());
            forger.case(
                "headers",
                format!("{member} is {value:.60}"),
                token,
                "header_member",
            )
        })
        .collect();
    // A key of the attacker's own, brought along, with a signature that fits it.
    let header = forger.header_with(&format!(r#""jwk":{jwk}"#));
    let input = format!("{}.{}", encode(header), encode(forger.payload()));
    let signature = encode(forger.stranger.sign(input.as_bytes()).unwrap());
    let token = format!("{input}.{signature}");
    cases.push(forger.case("headers", "jwk that verifies", token, "header_member"));
    // RFC 7797: the payload stands in the token as it is.
    let header = encode(forger.header_with(r#""b64":false,"crit":["b64"]"#));
    let plain = format!("{header}.{}", forger.payload());
    let signature = encode(forger.signer.sign(plain.as_bytes()).unwrap());
    let token = format!("{header}.{}.{signature}", encode(forger.payload()));
    cases.push(forger.case(
        "headers",
        "b64 is false and signed so",
        token,
        "header_member",
    ));
    for (what, members, reason) in [
        ("crit escaped", r#""\u0063rit":["exp"]"#, "header_member"),
        ("crit twice", r#""crit":[],"crit":[]"#, "header"),
        ("jwk twice", r#""jwk":{},"jwk":{}"#, "header"),
        ("typ twice", r#""typ":"JWT","typ":"at+jwt""#, "header"),
        ("kid twice", r#""kid":"x""#, "header"),
        ("kid twice, escaped", r#""k\u0069d":"x""#, "header"),
    ] {
        let token = forger.signed(forger.header_with(members), forger.payload());
        cases.push(forger.case("headers", what, token, reason));
    }
    cases
}

fn key_ids(forger: &Forger<'_>) -> Vec<Case> {
    let mut cases = Vec::new();
    let (alg, typ, own) = (forger.signer.alg, forger.typ(), &forger.signer.kid);
    let mut add = |kid: String, reason| {
        let header = format!(r#"{{"alg":"{alg}","kid":{kid},"typ":"{typ}"}}"#);
        let token = forger.signed(header, forger.payload());
        cases.push(forger.case(
            "headers",
            format!("kid {kid:.40} of {} bytes", kid.len()),
            token,
            reason,
        ));
    };
    for kid in [
        "null",
        "true",
        "5",
        "1e3",
        "[]",
        "{}",
        r#"["key-ES256"]"#,
        r#"{"kid":"a"}"#,
    ] {
        add(kid.to_owned(), "kid");
    }
    for kid in [
        "",
        " ",
        "a b",
        "' OR 1=1 --",
        "x' UNION SELECT 'key",
        "; ls",
        "a\\r\\nHost: evil",
        "a\\nb",
        "\\u0000",
        "a\\u0000",
        "\\u202e",
        "é",
        "ａｂｃ",
        "<script x>",
        "\\u007f",
    ] {
        add(format!("\"{kid}\""), "kid");
    }
    add(format!("\"{}\"", "a".repeat(129)), "kid");
    add(format!("\"{}\"", "a".repeat(4096)), "kid");
    add(format!("\"{own} \""), "kid");
    for kid in [
        "..",
        "../../dev/null",
        "/dev/null",
        "../../../../etc/passwd",
        "file:///dev/null",
        "https://evil.example/key",
        "$(id)",
        "`id`",
        "|ls",
        "%00",
        "{{7*7}}",
        "${jndi:ldap://evil}",
        "none",
        "0",
        "null",
        "*",
        "key-*",
        "'||'1'=='1",
    ] {
        add(format!("\"{kid}\""), "unknown_kid");
    }
    for kid in [
        own.to_lowercase(),
        own.to_uppercase(),
        format!("{own}="),
        format!("{own}{own}"),
        own[1..].to_owned(),
    ] {
        if kid != *own {
            add(format!("\"{kid}\""), "unknown_kid");
        }
    }
    for (what, header) in [
        ("kid missing", format!(r#"{{"alg":"{alg}","typ":"{typ}"}}"#)),
        (
            "KID instead",
            format!(r#"{{"alg":"{alg}","KID":"{own}","typ":"{typ}"}}"#),
        ),
    ] {
        let token = forger.signed(header, forger.payload());
        cases.push(forger.case("headers", what, token, "kid"));
    }
    cases
}

fn types(forger: &Forger<'_>) -> Vec<Case> {
    let mut cases = Vec::new();
    for typ in [
        r#""JWE""#,
        r#""JOSE""#,
        r#""JOSE+JSON""#,
        r#""secevent+jwt""#,
        r#""logout+jwt""#,
        r#""dpop+jwt""#,
        r#""rt+jwt""#,
        r#""id_token""#,
        r#""token-introspection+jwt""#,
        r#""oauth-authz-req+jwt""#,
        r#""entity-statement+jwt""#,
        r#""vc+sd-jwt""#,
        r#""kb+jwt""#,
        r#""JWT ""#,
        r#"" JWT""#,
        r#""at+jwt ""#,
        r#""AT+JWT\u0000""#,
        r#""application/""#,
        r#""text/at+jwt""#,
        r#""""#,
        "null",
        "true",
        "1",
        "[]",
        "{}",
        r#"["JWT"]"#,
        r#"["at+jwt"]"#,
    ] {
        let token = forger.signed(
            forger.header_with(&format!(r#""typ":{typ}"#)),
            forger.payload(),
        );
        cases.push(forger.case("headers", format!("typ is {typ}"), token, "typ"));
    }
    // One kind of token for the other, whatever else fits.
    let others: &[&str] = match forger.kind {
        TokenKind::IdToken => &[
            "at+jwt",
            "AT+JWT",
            "application/at+jwt",
            "Application/AT+JWT",
        ],
        TokenKind::AccessToken => &["JWT", "jwt", "Jwt"],
    };
    for typ in others {
        let token = forger.signed(
            forger.header_with(&format!(r#""typ":"{typ}""#)),
            forger.payload(),
        );
        cases.push(forger.case(
            "headers",
            format!("typ of the other kind, {typ}"),
            token,
            "kind",
        ));
    }
    if forger.kind == TokenKind::AccessToken {
        let header = forger.header_with(r#""x":1"#);
        let token = forger.signed(header, forger.payload());
        cases.push(forger.case("headers", "no typ", token, "kind"));
    }
    let mut nested = forger.good();
    for depth in 1..=3 {
        nested = forger.signed(forger.header(), &nested);
        cases.push(forger.case(
            "headers",
            format!("a token inside a token, {depth} deep"),
            nested.clone(),
            "payload",
        ));
    }
    cases
}
