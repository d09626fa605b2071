//! Tokens of somebody else, for somebody else, issued to somebody else, or of another kind or login.

use super::forger::{Case, Forger};
use microbus_idp_bridge::TokenKind;

pub(crate) fn cases(forger: &Forger<'_>) -> Vec<Case> {
    let mut cases = issuers(forger);
    cases.extend(audiences(forger));
    cases.extend(required(forger));
    cases.extend(match forger.kind {
        TokenKind::IdToken => id_tokens(forger),
        TokenKind::AccessToken => access_tokens(forger),
    });
    cases
}

fn signed(forger: &Forger<'_>, name: &str, value: Option<&str>) -> String {
    forger.signed(forger.header(), forger.payload_where(name, value))
}

fn issuers(forger: &Forger<'_>) -> Vec<Case> {
    let iss = forger.target.provider.issuer();
    let address = iss.strip_prefix("http://").unwrap();
    let mut cases: Vec<_> = [
        format!("{iss}/"),
        format!("{iss}//"),
        format!("{iss}/x"),
        format!("{iss}?"),
        format!("{iss}#"),
        format!("{iss}.evil.example"),
        format!("{iss} "),
        format!(" {iss}"),
        format!("https://{address}"),
        format!("HTTP://{address}"),
        format!("//{address}"),
        address.to_owned(),
        format!("http://x@{address}"),
        format!("http://{address}@evil.example"),
        iss.replace("127.0.0.1", "127.0.0.2"),
        iss.replace("127.0.0.1", "localhost"),
        iss.replace("127.0.0.1", "127.1"),
        iss.replace("127.0.0.1", "0x7f.0.0.1"),
        iss.replace('.', "．"),
        format!("{iss}\\u0000"),
        format!("{iss}\\n"),
        format!("{iss},{iss}"),
        String::new(),
        "https://access.token.core".to_owned(),
        "https://bearer.token.core".to_owned(),
        "https://self-issued.me".to_owned(),
        "https://evil.example".to_owned(),
        "file:///etc/passwd".to_owned(),
        "http://169.254.169.254".to_owned(),
        "*".to_owned(),
    ]
    .iter()
    .map(|other| {
        let token = signed(forger, "iss", Some(&format!("\"{other}\"")));
        forger.case(
            "claims",
            format!("iss is {other:?}").replace(address, "ISSUER"),
            token,
            "issuer",
        )
    })
    .collect();
    for value in ["null", "true", "5", "{}", "[]"] {
        cases.push(forger.case(
            "claims",
            format!("iss is {value}"),
            signed(forger, "iss", Some(value)),
            "issuer",
        ));
    }
    let list = format!("[\"{iss}\"]");
    cases.push(forger.case(
        "claims",
        "iss is a list of it",
        signed(forger, "iss", Some(&list)),
        "issuer",
    ));
    cases.push(forger.case("claims", "no iss", signed(forger, "iss", None), "issuer"));
    cases
}

fn audiences(forger: &Forger<'_>) -> Vec<Case> {
    let own = forger.audience();
    let mut cases = Vec::new();
    for other in [
        "evil",
        "",
        "*",
        "WEB-APP",
        "web-app ",
        " web-app",
        "web-app/",
        "web-app,api",
        "apI",
        "api/",
        "https://api",
        "batch",
        "null",
    ] {
        let token = signed(forger, "aud", Some(&format!("\"{other}\"")));
        cases.push(forger.case("claims", format!("aud is {other:?}"), token, "audience"));
        let token = signed(forger, "aud", Some(&format!("[\"{other}\"]")));
        cases.push(forger.case(
            "claims",
            format!("aud is a list of {other:?}"),
            token,
            "audience",
        ));
    }
    let other_kind = if own == "api" { "web-app" } else { "api" };
    let token = signed(forger, "aud", Some(&format!("\"{other_kind}\"")));
    cases.push(forger.case("claims", "aud of the other kind", token, "audience"));
    cases.push(forger.case(
        "claims",
        "aud is an empty list",
        signed(forger, "aud", Some("[]")),
        "audience",
    ));
    for value in ["null", "true", "5", "{}"] {
        cases.push(forger.case(
            "claims",
            format!("aud is {value}"),
            signed(forger, "aud", Some(value)),
            "claim_malformed",
        ));
    }
    for value in [
        format!("[\"{own}\",5]"),
        format!("[[\"{own}\"]]"),
        format!("{{\"{own}\":true}}"),
        format!("[\"{own}\",null]"),
    ] {
        cases.push(forger.case(
            "claims",
            format!("aud is {value}"),
            signed(forger, "aud", Some(&value)),
            "claim_malformed",
        ));
    }
    cases.push(forger.case(
        "claims",
        "no aud",
        signed(forger, "aud", None),
        "claim_missing",
    ));
    cases
}

fn required(forger: &Forger<'_>) -> Vec<Case> {
    let mut cases = Vec::new();
    let names: &[&str] = match forger.kind {
        TokenKind::IdToken => &["sub"],
        TokenKind::AccessToken => &["sub", "jti", "client_id"],
    };
    for name in names {
        cases.push(forger.case(
            "claims",
            format!("no {name}"),
            signed(forger, name, None),
            "claim_missing",
        ));
        for value in ["null", "true", "5", "[]", "{}", r#"["harry"]"#, r#""""#] {
            let token = signed(forger, name, Some(value));
            cases.push(forger.case(
                "claims",
                format!("{name} is {value}"),
                token,
                "claim_malformed",
            ));
        }
        let long = format!("\"{}\"", "x".repeat(1025));
        cases.push(forger.case(
            "claims",
            format!("{name} is long"),
            signed(forger, name, Some(&long)),
            "claim_malformed",
        ));
    }
    cases
}

fn id_tokens(forger: &Forger<'_>) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |what: &str, payload: String, nonce, reason| {
        let token = forger.signed(forger.header(), payload);
        cases.push(Case {
            nonce,
            ..forger.case("claims", what, token, reason)
        });
    };
    for (what, members) in [
        ("another azp", r#""azp":"evil""#),
        ("azp in upper case", r#""azp":"WEB-APP""#),
        ("an empty azp", r#""azp":"""#),
        ("azp of the other kind", r#""azp":"batch""#),
    ] {
        add(what, forger.payload_with(members), None, "authorized_party");
    }
    for (what, members) in [
        ("azp is null", r#""azp":null"#),
        ("azp is a list", r#""azp":["web-app"]"#),
        ("nonce is a number", r#""nonce":5"#),
        ("nonce is a list", r#""nonce":["n"]"#),
    ] {
        add(what, forger.payload_with(members), None, "claim_malformed");
    }
    add(
        "our audience and a strange one",
        forger.payload_where("aud", Some(r#"["web-app","evil"]"#)),
        None,
        "audience",
    );
    add(
        "our audience and a strange one that azp allows",
        forger.payload_where("aud", Some(r#"["web-app","evil"],"azp":"web-app""#)),
        None,
        "audience",
    );
    add(
        "two audiences without azp",
        forger.payload_where("aud", Some(r#"["web-app","other-app"]"#)),
        None,
        "claim_missing",
    );
    for (what, members) in [
        ("no nonce", r#""x":1"#),
        ("another nonce", r#""nonce":"m""#),
        ("an empty nonce", r#""nonce":"""#),
        ("the nonce in upper case", r#""nonce":"N""#),
        ("the nonce and a blank", r#""nonce":"n ""#),
        ("the nonce and NUL", r#""nonce":"n\u0000""#),
        ("the nonce inside an object", r#""x":{"nonce":"n"}"#),
        ("Nonce instead", r#""Nonce":"n""#),
    ] {
        add(what, forger.payload_with(members), Some("n"), "nonce");
    }
    for (what, members) in [
        (
            "a logout token without typ",
            r#""events":{"http://schemas.openid.net/event/backchannel-logout":{}}"#,
        ),
        ("a security event", r#""events":{}"#),
        ("a refresh token of Keycloak", r#""typ":"Refresh""#),
        ("an access token of Keycloak", r#""typ":"Bearer""#),
        ("a logout token of Keycloak", r#""typ":"Logout""#),
    ] {
        add(what, forger.payload_with(members), None, "kind");
    }
    // The other provider takes no access tokens; this one has no rule for what it does not list.
    let as_access = forger.case(
        "claims",
        "presented as an access token",
        forger.good(),
        "kind",
    );
    cases.push(Case {
        kind: TokenKind::AccessToken,
        ..as_access
    });
    cases
}

fn access_tokens(forger: &Forger<'_>) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |what: &str, payload: String, reason| {
        let token = forger.signed(forger.header(), payload);
        cases.push(forger.case("claims", what, token, reason));
    };
    for client in ["evil", "BATCH", "batch ", "web-app", "batch,evil"] {
        let value = format!("\"{client}\"");
        add(
            &format!("client_id is {client:?}"),
            forger.payload_where("client_id", Some(&value)),
            "authorized_party",
        );
        let members = format!(r#""azp":"{client}""#);
        add(
            &format!("azp is {client:?}"),
            forger.payload_with(&members),
            "authorized_party",
        );
    }
    add(
        "azp is a list",
        forger.payload_with(r#""azp":["batch"]"#),
        "claim_malformed",
    );
    for (what, members) in [
        ("an ID token of Keycloak", r#""typ":"ID""#),
        ("a refresh token of Keycloak", r#""typ":"Refresh""#),
    ] {
        add(what, forger.payload_with(members), "kind");
    }
    let as_id = forger.case("claims", "presented as an ID token", forger.good(), "kind");
    cases.push(Case {
        kind: TokenKind::IdToken,
        ..as_id
    });
    if forger.signer.alg == "ES256" {
        let iss = format!("\"{}\"", forger.target.narrow.issuer());
        let token = signed(forger, "iss", Some(&iss));
        cases.push(forger.case(
            "claims",
            "a kind that this provider has no rule for",
            token,
            "not_accepted",
        ));
    }
    cases
}
