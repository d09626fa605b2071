//! Algorithm confusion: `none`, secrets that are no secrets, keys of other algorithms, algorithms that are not pinned.

use super::ALGORITHMS;
use super::forger::{Case, Forger};
use crate::algorithms::{keyed, published};
use crate::unsigned::spellings_of_none;

pub(crate) fn cases(forger: &Forger<'_>) -> Vec<Case> {
    let mut cases = hmacs(forger);
    cases.extend(none(forger));
    cases.extend(spellings(forger));
    cases.extend(other_keys(forger));
    cases
}

fn header(forger: &Forger<'_>, alg: &str) -> String {
    let (kid, typ) = (&forger.signer.kid, forger.typ());
    format!(r#"{{"alg":{alg},"kid":"{kid}","typ":"{typ}"}}"#)
}

/// The public key as the secret of an HMAC.
fn hmacs(forger: &Forger<'_>) -> Vec<Case> {
    let jwk = forger.signer.jwk();
    let first = ["n", "x"].iter().find_map(|name| jwk[name].as_str());
    let der = forger.signer.public_der().unwrap();
    let mut secrets = published(der, &jwk.to_string(), &forger.signer.kid);
    secrets.push(("encoded number", first.unwrap().into()));
    let header = |alg: &str| header(forger, &format!("\"{alg}\""));
    keyed(header, &forger.payload(), &secrets)
        .into_iter()
        .map(|(what, token)| forger.case("algorithms", what, token, "alg"))
        .collect()
}

fn none(forger: &Forger<'_>) -> Vec<Case> {
    let mut cases = Vec::new();
    for (what, alg) in spellings_of_none() {
        let token = forger.signed(header(forger, &format!("\"{alg}\"")), forger.payload());
        let (input, _) = token.rsplit_once('.').unwrap();
        let empty = format!("{input}.");
        cases.push(forger.case("algorithms", format!("{what}, unsigned"), empty, "alg"));
        cases.push(forger.case("algorithms", format!("{what}, signed"), token, "alg"));
    }
    cases
}

/// Anything but exactly the algorithm's name, properly signed.
fn spellings(forger: &Forger<'_>) -> Vec<Case> {
    let alg = forger.signer.alg;
    let quoted = [
        alg.to_lowercase(),
        format!("{alg} "),
        format!(" {alg}"),
        format!("{alg}\\n"),
        format!("{alg}\\u0000"),
        format!("{alg},none"),
        format!("{alg}{alg}"),
        format!("{alg}\u{200b}"),
        String::new(),
        "null".into(),
        "RS384".into(),
        "RS512".into(),
        "PS384".into(),
        "PS512".into(),
        "ES384".into(),
        "ES512".into(),
        "ES256K".into(),
        "Ed25519".into(),
        "Ed448".into(),
        "RSA1_5".into(),
        "RSA-OAEP".into(),
        "dir".into(),
        "ECDH-ES".into(),
        "RS1".into(),
        "ML-DSA-44".into(),
        "SHA256withRSA".into(),
        "A128GCM".into(),
        "PBES2-HS256+A128KW".into(),
    ];
    let bare = [
        "null".to_owned(),
        "true".into(),
        "0".into(),
        "-257".into(),
        "[]".into(),
        "{}".into(),
        format!("[\"{alg}\"]"),
        format!("[\"{alg}\",\"none\"]"),
        format!("{{\"alg\":\"{alg}\"}}"),
    ];
    let quoted = quoted.iter().map(|alg| format!("\"{alg}\""));
    let mut cases: Vec<_> = quoted
        .chain(bare)
        .map(|alg| {
            let token = forger.signed(header(forger, &alg), forger.payload());
            forger.case("algorithms", format!("alg is {alg}"), token, "alg")
        })
        .collect();
    let kid = &forger.signer.kid;
    for (what, text, reason) in [
        ("no alg", format!(r#"{{"kid":"{kid}"}}"#), "alg"),
        (
            "ALG instead",
            format!(r#"{{"ALG":"{alg}","kid":"{kid}"}}"#),
            "alg",
        ),
        (
            "alg twice, none last",
            format!(r#"{{"alg":"{alg}","alg":"none","kid":"{kid}"}}"#),
            "header",
        ),
        (
            "alg twice, none first",
            format!(r#"{{"alg":"none","alg":"{alg}","kid":"{kid}"}}"#),
            "header",
        ),
        (
            "alg twice, one escaped",
            format!(r#"{{"alg":"{alg}","\u0061lg":"HS256","kid":"{kid}"}}"#),
            "header",
        ),
    ] {
        let token = forger.signed(text, forger.payload());
        cases.push(forger.case("algorithms", what, token, reason));
    }
    cases
}

/// A key counts for its own algorithm, and an algorithm only where it is pinned.
fn other_keys(forger: &Forger<'_>) -> Vec<Case> {
    let mut cases = Vec::new();
    let (alg, typ) = (forger.signer.alg, forger.typ());
    for other in ALGORITHMS.into_iter().filter(|other| *other != alg) {
        let header = format!(r#"{{"alg":"{other}","kid":"key-{alg}","typ":"{typ}"}}"#);
        let token = forger.signed(header, forger.payload());
        cases.push(forger.case(
            "algorithms",
            format!("{other} with the key of {alg}"),
            token,
            "unknown_kid",
        ));
        let header = format!(r#"{{"alg":"{alg}","kid":"key-{other}","typ":"{typ}"}}"#);
        let token = forger.signed(header, forger.payload());
        cases.push(forger.case(
            "algorithms",
            format!("{alg} with the key of {other}"),
            token,
            "unknown_kid",
        ));
        let header = format!(r#"{{"alg":"{other}","kid":"key-{other}","typ":"{typ}"}}"#);
        let token = forger.signed(header, forger.payload());
        cases.push(forger.case(
            "algorithms",
            format!("said to be {other}, signed with {alg}"),
            token,
            "signature",
        ));
    }
    if alg != "ES256" {
        let iss = format!("\"{}\"", forger.target.narrow.issuer());
        let token = forger.signed(forger.header(), forger.payload_where("iss", Some(&iss)));
        cases.push(forger.case("algorithms", "not pinned for this provider", token, "alg"));
    }
    cases
}
