//! `iss` that names nobody, or nearly somebody.

use microbus_token::Issuer;

use crate::NOW;
use crate::forger::{Case, Forger};

pub(crate) fn cases(forger: &Forger) -> Vec<Case> {
    let mut cases = Vec::new();
    let host = forger.issuer.host();
    let mut add = |what: String, iss: String, reason| {
        let payload = format!(
            r#"{{"exp":{},"iat":{NOW},"iss":{iss},"sub":"harry"}}"#,
            NOW + 20
        );
        let token = forger.signed(forger.header(), payload);
        cases.push(forger.case("issuers", what, token, reason));
    };
    let upper = host.to_uppercase();
    let capital = format!("{}{}", host[..1].to_uppercase(), &host[1..]);
    for url in [
        String::new(),
        " ".into(),
        "://".into(),
        "https://".into(),
        format!("https://{host}/"),
        format!("https://{host}//"),
        format!("https://{host}/x"),
        format!("https://{host}/{host}"),
        format!("https://{host}:443"),
        format!("https://{host}:888"),
        format!("https://{host}:"),
        format!("https://{host}?x"),
        format!("https://{host}#x"),
        format!("https://{host}."),
        format!("https://.{host}"),
        format!("https://{host}.evil.example"),
        format!("https://evil.{host}"),
        format!("https://evil{host}"),
        format!("https://{host}evil"),
        format!("https://x@{host}"),
        format!("https://{host}@evil.example"),
        format!("https://x:y@{host}"),
        format!("https:///{host}"),
        format!("https:/{host}"),
        format!("https:{host}"),
        format!("//{host}"),
        format!("/{host}"),
        format!("https://https://{host}"),
        format!("https://evil.example/://{host}"),
        format!("https://evil.example://{host}"),
        format!("https://{upper}"),
        format!("https://{capital}"),
        format!("https://{host} "),
        format!(" {host}"),
        format!("https:// {host}"),
        format!("https://{host}\\n"),
        format!("https://{host}\\u0000"),
        format!("https://{host}\\u0000.evil.example"),
        format!("https://{host}\\\\@evil.example"),
        format!("https://{}", host.replace('.', "-")),
        format!("https://{}", host.replace('.', "_")),
        format!("https://{}", host.replace('.', "\u{2024}")),
        format!("https://{}", host.replace('.', "\u{3002}")),
        format!("https://{}", host.replace('.', "\u{ff0e}")),
        format!("https://{}", host.replace('e', "е")),
        format!("https://{}", host.replace('.', "%2e")),
        format!("https://{}", host.replace('.', "..")),
        "https://token.core".into(),
        "https://core".into(),
        format!("https://{}", &host[..host.len() - 1]),
        format!("https://{host},{host}"),
        format!("{host};{host}"),
        "https://localhost".into(),
        "https://127.0.0.1:888".into(),
        "https://accounts.google.com".into(),
        "https://refresh.token.core".into(),
        "microbus".into(),
        "*".into(),
        "https://*.token.core".into(),
        format!("https://loc-us.{host}"),
        format!("https://id-abcdef.{host}"),
        "https://all".into(),
        "self".into(),
        "null".into(),
        format!("https://[{host}]"),
        format!("https://{host}\u{200b}"),
        format!("https://\u{202e}{host}"),
        format!("https://xn--{host}"),
    ] {
        add(format!("iss is {url:?}"), format!("\"{url}\""), "issuer");
    }
    for value in ["null", "true", "1", "[]", "{}"] {
        add(format!("iss is a {value}"), value.to_owned(), "issuer");
    }
    add(
        "iss is a list of the host".into(),
        format!(r#"["https://{host}"]"#),
        "issuer",
    );
    add(
        "iss is an object of the host".into(),
        format!(r#"{{"iss":"https://{host}"}}"#),
        "issuer",
    );
    // A host that a verifier may fetch from, but whose keys do not include this one.
    let other = match forger.issuer {
        Issuer::Access => Issuer::Bearer,
        Issuer::Bearer => Issuer::Access,
    };
    for scheme in ["https://", "http://", "microbus://", "nats://", "://", ""] {
        let iss = format!("\"{scheme}{}\"", other.host());
        add(
            format!("iss is the other issuer, as {scheme:?}"),
            iss,
            "unknown_kid",
        );
    }
    for (what, payload) in [
        ("no iss", format!(r#"{{"exp":{},"iat":{NOW}}}"#, NOW + 20)),
        (
            "Iss instead",
            format!(
                r#"{{"exp":{},"iat":{NOW},"Iss":"https://{host}"}}"#,
                NOW + 20
            ),
        ),
        (
            "issuer instead",
            format!(
                r#"{{"exp":{},"iat":{NOW},"issuer":"https://{host}"}}"#,
                NOW + 20
            ),
        ),
        (
            "iss inside an object",
            format!(
                r#"{{"exp":{},"iat":{NOW},"x":{{"iss":"https://{host}"}}}}"#,
                NOW + 20
            ),
        ),
        (
            "idp instead",
            format!(
                r#"{{"exp":{},"iat":{NOW},"idp":"https://{host}"}}"#,
                NOW + 20
            ),
        ),
        ("no claims", "{}".to_owned()),
    ] {
        cases.push(forger.case(
            "issuers",
            what,
            forger.signed(forger.header(), payload),
            "issuer",
        ));
    }
    cases
}
