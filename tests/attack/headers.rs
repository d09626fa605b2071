//! Members of the header that bring a key, change what is signed, or choose one.

use crate::forger::{Case, Forger, encode};

pub(crate) fn cases(forger: &Forger) -> Vec<Case> {
    let mut cases = members(forger);
    cases.extend(key_ids(forger));
    cases.extend(types(forger));
    cases
}

fn members(forger: &Forger) -> Vec<Case> {
    let jwk = microbus_token::Jwk::of(&forger.key).to_json();
    let mut values = hostile_members(&jwk);
    for member in ["jku", "x5u"] {
        for host in ["access.token.core", "bearer.token.core"] {
            values.push((member, format!("\"https://{host}:888/jwks\"")));
        }
    }
    let mut cases: Vec<_> = values
        .into_iter()
        .map(|(member, value)| {
            let header = forger.header_with(&format!(r#""alg":"EdDSA","{member}":{value}"#));
            let token = forger.signed(header, forger.payload());
            let what = format!("{member} is {value:.60}");
            forger.case("headers", what, token, "header_member")
        })
        .collect();
    for (what, members, reason) in [
        (
            "b64 with crit",
            r#""b64":false,"crit":["b64"]"#,
            "header_member",
        ),
        ("crit escaped", r#""\u0063rit":["exp"]"#, "header_member"),
        ("jwk escaped", r#""\u006a\u0077k":{}"#, "header_member"),
        ("crit twice", r#""crit":[],"crit":[]"#, "header"),
        ("jwk twice", r#""jwk":{},"jwk":{}"#, "header"),
        ("typ twice", r#""typ":"JWT","typ":"JWT""#, "header"),
    ] {
        let header = forger.header_with(&format!(r#""alg":"EdDSA",{members}"#));
        cases.push(forger.case(
            "headers",
            what,
            forger.signed(header, forger.payload()),
            reason,
        ));
    }
    // RFC 7797: the payload stands in the token as it is.
    let header = encode(forger.header_with(r#""alg":"EdDSA","b64":false,"crit":["b64"]"#));
    let input = format!("{header}.{}", encode(forger.payload()));
    let over_plain = format!("{header}.{}", forger.payload());
    let signature = encode(forger.key.sign(over_plain.as_bytes()).unwrap());
    let token = format!("{input}.{signature}");
    cases.push(forger.case(
        "headers",
        "b64 is false and signed so",
        token,
        "header_member",
    ));
    cases
}

/// Members that bring a key, or say where one is, or that the token is to be read in another way; `jwk` is a key that is brought.
pub(crate) fn hostile_members(jwk: &str) -> Vec<(&'static str, String)> {
    let mut values = vec![("jwk", jwk.to_owned()), ("jwk", format!("[{jwk}]"))];
    for member in ["jku", "x5u"] {
        for url in [
            "https://evil.example/jwks",
            "http://127.0.0.1/jwks",
            "http://[::1]/",
            "http://169.254.169.254/latest",
            "file:///etc/passwd",
            "data:application/json,%7B%7D",
            "ftp://evil.example",
            "//evil.example",
            "https://access.token.core@evil.example",
            "gopher://evil.example",
            "\\u0000",
            "../../jwks",
        ] {
            values.push((member, format!("\"{url}\"")));
        }
    }
    for member in ["jwk", "jku", "x5u", "x5c", "crit", "b64", "zip", "enc"] {
        let plain = ["null", "true", "false", "0", "{}", "[]", "[null]"];
        for value in plain.into_iter().chain([r#""""#, r#"["exp"]"#]) {
            values.push((member, value.to_owned()));
        }
    }
    for names in [
        r#"["b64"]"#,
        r#"["alg"]"#,
        r#"["exp","exp"]"#,
        r#"["none"]"#,
        r#"[""]"#,
        r#"["crit"]"#,
        r#""exp""#,
    ] {
        values.push(("crit", names.to_owned()));
    }
    for certificate in [r#"["MIIB"]"#, r#"["",""]"#, r#""MIIB""#] {
        values.push(("x5c", certificate.to_owned()));
    }
    for algorithm in ["DEF", "GZIP", "def", "none"] {
        values.push(("zip", format!("\"{algorithm}\"")));
        values.push(("enc", format!("\"{algorithm}\"")));
    }
    values
}

fn key_ids(forger: &Forger) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |what: &str, kid: &str, reason| {
        let token = forger.signed(
            format!(r#"{{"alg":"EdDSA","kid":{kid},"typ":"JWT"}}"#),
            forger.payload(),
        );
        cases.push(forger.case("headers", format!("kid {what}"), token, reason));
    };
    for (what, kid) in [
        ("null", "null"),
        ("true", "true"),
        ("a number", "5"),
        ("a float", "1e3"),
        ("a list", "[]"),
        ("an object", "{}"),
        ("a list of the kid", r#"["NHUPmL1Z_Pw"]"#),
        ("an object of it", r#"{"kid":"a"}"#),
    ] {
        add(what, kid, "kid_missing");
    }
    for kid in [
        "",
        " ",
        "..",
        "../../dev/null",
        "/dev/null",
        "../../../../etc/passwd",
        "C:\\\\nul",
        "file:///dev/null",
        "https://evil.example/key",
        "' OR 1=1 --",
        "x' UNION SELECT 'key",
        "$(id)",
        "`id`",
        "; ls",
        "|ls",
        "%00",
        "%2e%2e",
        "a\\r\\nHost: evil",
        "a\\nb",
        "\\u0000",
        "a\\u0000",
        "\\u202e",
        "é",
        "ａｂｃ",
        "kid ",
        " kid",
        "a.b",
        "a*b",
        "a>b",
        "microbus.access",
        "{{7*7}}",
        "${jndi:ldap://evil}",
        "<script>",
        "a=b",
        "a+b",
        "a/b",
        "a,b",
        "a:b",
        "\\\"",
        "\\\\",
    ] {
        add(kid, &format!("\"{kid}\""), "kid_malformed");
    }
    add(
        "of 65 characters",
        &format!("\"{}\"", "a".repeat(65)),
        "kid_malformed",
    );
    add(
        "of 4 KiB",
        &format!("\"{}\"", "a".repeat(4096)),
        "kid_malformed",
    );
    add(
        "of 1 MiB",
        &format!("\"{}\"", "a".repeat(1 << 20)),
        "too_large",
    );
    add("padded", &format!("\"{}=\"", forger.kid()), "kid_malformed");
    add(
        "with a blank",
        &format!("\"{} \"", forger.kid()),
        "kid_malformed",
    );
    let lower = forger.kid().to_lowercase();
    for (what, kid) in [
        ("nobody's", "stranger"),
        ("none", "none"),
        ("in lower case", &lower),
        ("zero", "0"),
        ("all dashes", "----------------"),
        ("cut short", forger.kid().get(1..).unwrap()),
        ("the host", "access-token-core"),
        ("doubled", &forger.kid().repeat(2)),
        ("of the other issuer", forger.other().kid()),
    ] {
        add(what, &format!("\"{kid}\""), "unknown_kid");
    }
    for (what, header, reason) in [
        ("missing", r#"{"alg":"EdDSA"}"#.to_owned(), "kid_missing"),
        (
            "named KID",
            r#"{"alg":"EdDSA","KID":"NHUPmL1Z_Pw"}"#.to_owned(),
            "kid_missing",
        ),
        (
            "twice",
            format!(r#"{{"alg":"EdDSA","kid":"x","kid":"{}"}}"#, forger.kid()),
            "header",
        ),
        (
            "twice, escaped",
            format!(
                r#"{{"alg":"EdDSA","kid":"x","k\u0069d":"{}"}}"#,
                forger.kid()
            ),
            "header",
        ),
    ] {
        let token = forger.signed(header, forger.payload());
        cases.push(forger.case("headers", format!("kid {what}"), token, reason));
    }
    cases
}

fn types(forger: &Forger) -> Vec<Case> {
    let mut cases = Vec::new();
    for typ in [
        r#""at+jwt""#,
        r#""application/at+jwt""#,
        r#""jwt""#,
        r#""Jwt""#,
        r#""JWE""#,
        r#""JOSE""#,
        r#""JOSE+JSON""#,
        r#""secevent+jwt""#,
        r#""logout+jwt""#,
        r#""dpop+jwt""#,
        r#""id_token""#,
        r#""JWT ""#,
        r#"" JWT""#,
        r#""JWT\u0000""#,
        r#""""#,
        "null",
        "true",
        "1",
        "[]",
        "{}",
        r#"["JWT"]"#,
    ] {
        let header = forger.header_with(&format!(r#""alg":"EdDSA","typ":{typ}"#));
        let token = forger.signed(header, forger.payload());
        cases.push(forger.case("headers", format!("typ is {typ}"), token, "typ"));
    }
    let mut nested = forger.good();
    for depth in 1..=6 {
        let header = forger.header_with(r#""alg":"EdDSA","cty":"JWT""#);
        nested = forger.signed(header, &nested);
        cases.push(forger.case(
            "headers",
            format!("a token inside a token, {depth} deep"),
            nested.clone(),
            "payload",
        ));
    }
    cases
}
