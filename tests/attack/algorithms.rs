//! Algorithm confusion: another `alg` than the key's, with a signature of that algorithm where one can be made.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::forger::{Case, Forger, encode};

pub(crate) fn cases(forger: &Forger) -> Vec<Case> {
    let mut cases = hmacs(forger);
    cases.extend(foreign(forger));
    cases.extend(spellings(forger));
    cases
}

/// The public key as the secret of an HMAC.
fn hmacs(forger: &Forger) -> Vec<Case> {
    let public = forger.key.verifying_key().as_bytes();
    let hexadecimal: String = public.iter().map(|byte| format!("{byte:02x}")).collect();
    let jwk = microbus_token::Jwk::of(&forger.key).to_json();
    let der = [&DER_PREFIX[..], public].concat();
    let mut secrets = published(der, &jwk, forger.kid());
    secrets.extend([
        ("raw key", public.to_vec()),
        ("hexadecimal key", hexadecimal.into_bytes()),
        ("base64url key", encode(public).into_bytes()),
        ("base64 key", STANDARD.encode(public).into_bytes()),
    ]);
    let header = |alg: &str| forger.header_with(&format!(r#""alg":"{alg}","typ":"JWT""#));
    keyed(header, &forger.payload(), &secrets)
        .into_iter()
        .map(|(what, token)| forger.case("algorithms", what, token, "alg"))
        .collect()
}

/// A public key, in any form that somebody publishes, and what else everybody knows.
pub(crate) fn published(der: Vec<u8>, jwk: &str, kid: &str) -> Vec<(&'static str, Vec<u8>)> {
    let encoded = STANDARD.encode(&der);
    let lines: Vec<_> = encoded.as_bytes().chunks(64).collect();
    let lines = String::from_utf8(lines.join(&b'\n')).unwrap();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{lines}\n-----END PUBLIC KEY-----\n");
    vec![
        ("DER key", der),
        ("PEM key", pem.clone().into_bytes()),
        ("PEM key without its last line break", pem.trim_end().into()),
        ("PEM key with CRLF", pem.replace('\n', "\r\n").into_bytes()),
        ("JWK", jwk.into()),
        ("JWK Set", format!(r#"{{"keys":[{jwk}]}}"#).into_bytes()),
        ("key ID", kid.into()),
        ("empty key", Vec::new()),
    ]
}

/// Tokens whose signature is an HMAC with one of these secrets; `header` is one of an algorithm.
pub(crate) fn keyed(
    header: impl Fn(&str) -> String,
    payload: &str,
    secrets: &[(&'static str, Vec<u8>)],
) -> Vec<(String, String)> {
    let mut tokens = Vec::new();
    for (alg, algorithm) in [
        ("HS256", hmac::HMAC_SHA256),
        ("HS384", hmac::HMAC_SHA384),
        ("HS512", hmac::HMAC_SHA512),
    ] {
        for (what, secret) in secrets {
            let input = format!("{}.{}", encode(header(alg)), encode(payload));
            let tag = hmac::sign(&hmac::Key::new(algorithm, secret), input.as_bytes());
            let token = format!("{input}.{}", encode(tag.as_ref()));
            tokens.push((format!("{alg} keyed with the {what}"), token));
        }
    }
    tokens
}

/// Registered algorithms, with a signature of their length.
fn foreign(forger: &Forger) -> Vec<Case> {
    let registered = [
        ("RS256", 256),
        ("RS384", 256),
        ("RS512", 256),
        ("RS256", 512),
        ("PS256", 256),
        ("PS384", 256),
        ("PS512", 256),
        ("ES256", 64),
        ("ES384", 96),
        ("ES512", 132),
        ("ES256K", 64),
        ("Ed448", 114),
        ("Ed25519", 64),
        ("RSA1_5", 256),
        ("RSA-OAEP", 256),
        ("A128KW", 24),
        ("dir", 0),
        ("ECDH-ES", 0),
        ("PBES2-HS256+A128KW", 24),
        ("ML-DSA-44", 2420),
        ("XMSS", 64),
        ("RS1", 256),
        ("HS256/64", 8),
        ("SHA-256", 32),
    ];
    registered
        .iter()
        .map(|(alg, length)| {
            let header = forger.header_with(&format!(r#""alg":"{alg}","typ":"JWT""#));
            let input = format!("{}.{}", encode(header), encode(forger.payload()));
            let token = format!("{input}.{}", encode(vec![0x5a; *length]));
            forger.case(
                "algorithms",
                format!("{alg} with {length} bytes"),
                token,
                "alg",
            )
        })
        .collect()
}

/// Anything but exactly `EdDSA`, properly signed.
fn spellings(forger: &Forger) -> Vec<Case> {
    let mut values: Vec<(String, &str)> = [
        "eddsa",
        "EDDSA",
        "EdDsa",
        "edDSA",
        "EdDSA ",
        " EdDSA",
        "EdDSA\\n",
        "EdDSA\\u0000",
        "EdDSA,none",
        "EdDSA;",
        "ЕdDSA",
        "ＥdDSA",
        "EdDSA\u{200b}",
        "Ed DSA",
        "Ed25519",
        "ed25519",
        "Ed25519ph",
        "Ed25519ctx",
        "EdDSAEdDSA",
        "",
        "null",
        "true",
    ]
    .iter()
    .map(|alg| (format!("\"{alg}\""), "alg"))
    .collect();
    for other in [
        "null",
        "true",
        "false",
        "0",
        "1",
        "-8",
        "1.5",
        "[]",
        "{}",
        r#"["EdDSA"]"#,
        r#"["EdDSA","none"]"#,
        r#"{"alg":"EdDSA"}"#,
        r#"[["EdDSA"]]"#,
    ] {
        values.push((other.to_owned(), "alg"));
    }
    let mut cases: Vec<_> = values
        .into_iter()
        .map(|(value, reason)| {
            let header = forger.header_with(&format!(r#""alg":{value},"typ":"JWT""#));
            let token = forger.signed(header, forger.payload());
            forger.case("algorithms", format!("alg is {value}"), token, reason)
        })
        .collect();
    for (what, members, reason) in [
        ("no alg", r#""typ":"JWT""#, "alg"),
        ("Alg instead", r#""Alg":"EdDSA""#, "alg"),
        ("ALG instead", r#""ALG":"EdDSA""#, "alg"),
        (
            "alg twice, none last",
            r#""alg":"EdDSA","alg":"none""#,
            "header",
        ),
        (
            "alg twice, none first",
            r#""alg":"none","alg":"EdDSA""#,
            "header",
        ),
        (
            "alg twice, HS256 last",
            r#""alg":"EdDSA","alg":"HS256""#,
            "header",
        ),
        (
            "alg twice, the same",
            r#""alg":"EdDSA","alg":"EdDSA""#,
            "header",
        ),
        (
            "alg twice, one escaped",
            r#""alg":"none","\u0061lg":"EdDSA""#,
            "header",
        ),
        (
            "alg twice, the other escaped",
            r#""\u0061\u006c\u0067":"EdDSA","alg":"none""#,
            "header",
        ),
    ] {
        let token = forger.signed(forger.header_with(members), forger.payload());
        cases.push(forger.case("algorithms", what, token, reason));
    }
    cases
}

/// `SubjectPublicKeyInfo` of an Ed25519 key up to the key (RFC 8410 section 4).
const DER_PREFIX: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];
