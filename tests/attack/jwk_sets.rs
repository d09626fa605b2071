//! JWK Sets that no verifier may take keys from, because an issuer was broken into or somebody answers in its place.

use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
use microbus_token::{Issuer, Jwk, JwkSet};

use crate::forger::{Forger, encode};
use crate::signatures::NON_CANONICAL;

/// A set that must be refused, or taken without a key.
struct Case {
    name: String,
    set: String,
    /// What the refusal says in part; nothing if the set is taken and holds no key.
    refusal: Option<&'static str>,
}

fn case(name: impl Into<String>, set: impl Into<String>, refusal: Option<&'static str>) -> Case {
    Case {
        name: name.into(),
        set: set.into(),
        refusal,
    }
}

fn key() -> String {
    Jwk::of(&Forger::of(Issuer::Access).key).to_json()
}

/// A set of the good key, changed.
fn changed(name: impl Into<String>, from: &str, to: &str, refusal: Option<&'static str>) -> Case {
    let (name, good) = (name.into(), key());
    let bad = good.replacen(from, to, 1);
    assert_ne!(good, bad, "{name} changes nothing");
    case(name, format!(r#"{{"keys":[{bad}]}}"#), refusal)
}

fn members() -> Vec<Case> {
    let mut cases = Vec::new();
    for kty in ["RSA", "EC", "oct", "okp", "OKP ", "", "AKP"] {
        cases.push(changed(
            format!("kty {kty:?}"),
            r#""OKP""#,
            &format!("{kty:?}"),
            None,
        ));
    }
    for crv in ["X25519", "Ed448", "P-256", "ed25519", "", "Ed25519 "] {
        cases.push(changed(
            format!("crv {crv:?}"),
            r#""Ed25519""#,
            &format!("{crv:?}"),
            None,
        ));
    }
    for value in ["null", "1", "[]", "{}"] {
        cases.push(changed(
            format!("kty is {value}"),
            r#""OKP""#,
            value,
            Some("malformed"),
        ));
    }
    for alg in [
        "none", "HS256", "RS256", "ES256", "eddsa", "Ed25519", "", "EdDSA ",
    ] {
        cases.push(changed(
            format!("alg {alg:?}"),
            r#""EdDSA""#,
            &format!("{alg:?}"),
            Some("`alg`"),
        ));
    }
    for alg in ["1", "[]", "{}", "true", r#"["EdDSA"]"#] {
        cases.push(changed(
            format!("alg is {alg}"),
            r#""EdDSA""#,
            alg,
            Some("`alg`"),
        ));
    }
    for usage in ["enc", "SIG", "", "sig ", "sign"] {
        cases.push(changed(
            format!("use {usage:?}"),
            r#""sig""#,
            &format!("{usage:?}"),
            Some("`use`"),
        ));
    }
    for operations in [
        r#"["sign"]"#,
        "[]",
        r#""verify""#,
        r#"["encrypt","decrypt"]"#,
        r#"["VERIFY"]"#,
        "1",
    ] {
        let members = format!(r#""key_ops":{operations},"kty""#);
        cases.push(changed(
            format!("key_ops {operations}"),
            r#""kty""#,
            &members,
            Some("`key_ops`"),
        ));
    }
    let seed = encode([1; 32]);
    for private in [
        format!("\"{seed}\""),
        r#""""#.into(),
        "1".into(),
        "[]".into(),
        "{}".into(),
    ] {
        let members = format!(r#""d":{private},"kty""#);
        cases.push(changed(
            format!("d is {private:.12}"),
            r#""kty""#,
            &members,
            Some("private half"),
        ));
    }
    for member in ["kty", "crv", "x", "kid", "use", "alg", "d"] {
        let twice = format!(r#""{member}":"a","{member}":"b","kty""#);
        cases.push(changed(
            format!("{member} twice"),
            r#""kty""#,
            &twice,
            Some("malformed"),
        ));
    }
    cases
}

fn key_ids() -> Vec<Case> {
    let kid = Forger::of(Issuer::Access).kid().to_owned();
    let quoted = format!("\"{kid}\"");
    let mut cases = Vec::new();
    for bad in [
        "",
        " ",
        "../x",
        "a\\nb",
        "a\\u0000",
        "a.b",
        "a*",
        "é",
        "a b",
        "a=",
        "a/b",
        "https://evil.example",
    ] {
        cases.push(changed(
            format!("kid {bad:?}"),
            &quoted,
            &format!("\"{bad}\""),
            Some("`kid`"),
        ));
    }
    for bad in ["null", "1", "true", "[]", "{}"] {
        cases.push(changed(
            format!("kid is {bad}"),
            &quoted,
            bad,
            Some("`kid`"),
        ));
    }
    let long = format!("\"{}\"", "a".repeat(65));
    cases.push(changed(
        "kid of 65 characters",
        &quoted,
        &long,
        Some("`kid`"),
    ));
    cases.push(changed("no kid", r#""kid""#, r#""kib""#, Some("`kid`")));
    let other = key().replace(
        &encode(Forger::of(Issuer::Access).key.verifying_key().as_bytes()),
        &encode(Forger::of(Issuer::Bearer).key.verifying_key().as_bytes()),
    );
    let twice = format!(r#"{{"keys":[{},{other}]}}"#, key());
    cases.push(case("one kid, two keys", twice, Some("two keys")));
    cases
}

fn points() -> Vec<Case> {
    let public = encode(Forger::of(Issuer::Access).key.verifying_key().as_bytes());
    let with = |name: String, x: &str, refusal| changed(name, &public, x, Some(refusal));
    let mut cases = Vec::new();
    for length in [0, 1, 16, 31, 33, 57, 64] {
        cases.push(with(
            format!("x of {length} bytes"),
            &encode(vec![9; length]),
            "`x`",
        ));
    }
    for (number, torsion) in EIGHT_TORSION.iter().enumerate() {
        let x = encode(torsion.compress().as_bytes());
        cases.push(with(
            format!("x is point {number} of small order"),
            &x,
            "no usable public key",
        ));
    }
    for (number, x) in NON_CANONICAL.iter().enumerate() {
        cases.push(with(
            format!("x is non-canonical point {number}"),
            &encode(x),
            "no usable public key",
        ));
    }
    // Of two numbers one is the y of no point; search some.
    let no_points = (2_u8..60).map(|first| {
        let mut y = [0; 32];
        y[0] = first;
        y
    });
    let is_no_point = |y: &[u8; 32]| {
        curve25519_dalek::edwards::CompressedEdwardsY(*y)
            .decompress()
            .is_none()
    };
    for y in no_points.filter(is_no_point).take(8) {
        cases.push(with(
            format!("x is no point, y is {}", y[0]),
            &encode(y),
            "no usable public key",
        ));
    }
    for (what, x) in [
        ("padded", format!("{public}=")),
        ("with a blank", format!("{public} ")),
        ("of base64", public.replacen(&public[..1], "+", 1)),
        ("of a slash", public.replacen(&public[..1], "/", 1)),
        ("with stray bits", format!("{}B", &public[..42])),
        ("empty", String::new()),
        ("hexadecimal", "ab".repeat(32)),
        ("cut", public[..42].to_owned()),
    ] {
        cases.push(with(format!("x {what}"), &x, "`x`"));
    }
    for value in ["null", "1", "[]", "{}"] {
        cases.push(changed(
            format!("x is {value}"),
            &format!("\"{public}\""),
            value,
            Some("`x`"),
        ));
    }
    cases
}

fn documents() -> Vec<Case> {
    let key = key();
    let mut cases: Vec<_> = [
        ("nothing", ""),
        ("a blank", " "),
        ("HTML", "<html><body>502</body></html>"),
        ("null", "null"),
        ("a number", "5"),
        ("a text", r#""keys""#),
        ("an error", "{\"keys\":\"none\"}"),
        ("keys is a number", r#"{"keys":1}"#),
        ("keys is an object", r#"{"keys":{}}"#),
        ("keys of numbers", r#"{"keys":[1]}"#),
        ("keys of texts", r#"{"keys":["a"]}"#),
        ("keys of null", r#"{"keys":[null]}"#),
        ("keys of lists", r#"{"keys":[[]]}"#),
        ("an empty key", r#"{"keys":[{}]}"#),
        ("keys twice", r#"{"keys":[],"keys":[]}"#),
        ("no end", r#"{"keys":["#),
        ("PEM", "-----BEGIN PUBLIC KEY-----"),
        ("a final comma", r#"{"keys":[],}"#),
        ("NUL behind", "{\"keys\":[]}\0"),
        ("two documents", r#"{"keys":[]}{"keys":[]}"#),
        ("a comment", r#"{"keys":[]}//"#),
        ("a byte order mark", "\u{feff}{\"keys\":[]}"),
    ]
    .into_iter()
    .map(|(name, set)| case(name, set, Some("malformed")))
    .collect();
    for (name, set) in [
        ("an empty set", r#"{"keys":[]}"#),
        ("null for keys", r#"{"keys":null}"#),
        ("an error object", r#"{"err":{"error":"x"}}"#),
        ("Keys", r#"{"Keys":[]}"#),
    ] {
        cases.push(case(name, set, None));
    }
    let rsa = r#"{"kty":"RSA","n":"AQAB","e":"AQAB","kid":"r"}"#;
    cases.push(case(
        "keys of foreign types",
        format!(r#"{{"keys":[{rsa},{rsa}]}}"#),
        None,
    ));
    cases.push(case(
        "a bare list of keys",
        format!("[{key}]"),
        Some("malformed"),
    ));
    cases.push(case(
        "a list of a list of keys",
        format!("[[{key}]]"),
        Some("is a list"),
    ));
    let values = [
        r#""OKP","Ed25519""#,
        &encode(Forger::of(Issuer::Access).key.verifying_key().as_bytes()),
    ]
    .join(",\"");
    let listed = format!(r#"{{"keys":[[{values}","k",null,null,null,null]]}}"#);
    cases.push(case("a key as a list", listed, Some("is a list")));
    cases.push(case("a bare key", key.clone(), None));
    cases.push(case(
        "a key inside keys inside keys",
        format!(r#"{{"keys":[{{"keys":[{key}]}}]}}"#),
        Some("malformed"),
    ));
    let many = vec![rsa; 65].join(",");
    cases.push(case(
        "65 keys",
        format!(r#"{{"keys":[{many}]}}"#),
        Some("65 keys"),
    ));
    cases.push(case(
        "10 000 keys",
        format!(r#"{{"keys":[{}]}}"#, vec!["1"; 10_000].join(",")),
        Some("10000 keys"),
    ));
    cases.push(case("16 MiB", " ".repeat(16 << 20), Some("16777216 bytes")));
    cases.push(case(
        "30 000 levels",
        format!(r#"{{"keys":{}"#, "[".repeat(30_000)),
        Some("malformed"),
    ));
    // A good key does not save a set that also holds a bad one.
    for (name, bad) in [
        (
            "a private key",
            key.replacen(r#""kty""#, r#""d":"AA","kid2":1,"kty""#, 1),
        ),
        (
            "a weak key",
            key.replace(
                &encode(Forger::of(Issuer::Access).key.verifying_key().as_bytes()),
                &encode([0; 32]),
            ),
        ),
        ("a key for encryption", key.replace(r#""sig""#, r#""enc""#)),
    ] {
        let bad = bad.replace(Forger::of(Issuer::Access).kid(), "other");
        let refusal = if name == "a private key" {
            "private half"
        } else {
            "key of the JWK Set"
        };
        cases.push(case(
            format!("a good key beside {name}"),
            format!(r#"{{"keys":[{key},{bad}]}}"#),
            Some(refusal),
        ));
    }
    cases
}

#[test]
fn every_set_is_refused_or_empty() {
    let families = [members(), key_ids(), points(), documents()];
    let cases: Vec<_> = families.into_iter().flatten().collect();
    let names: std::collections::HashSet<_> = cases.iter().map(|case| &case.name).collect();
    assert_eq!(names.len(), cases.len(), "every case has its own name");
    assert!(cases.len() >= 120, "{} cases", cases.len());
    let judge = |case: &Case| {
        let found = JwkSet::from_json(case.set.as_bytes());
        let fine = match (&found, case.refusal) {
            (Err(error), Some(refusal)) => error.to_string().contains(refusal),
            (Ok(set), None) => set.is_empty(),
            (Ok(_), Some(_)) | (Err(_), None) => false,
        };
        (!fine).then(|| format!("{}: {found:?} instead of {:?}", case.name, case.refusal))
    };
    let survivors: Vec<_> = cases.iter().filter_map(judge).collect();
    assert!(survivors.is_empty(), "{}", survivors.join("\n"));
}

#[test]
fn the_set_that_the_cases_are_made_of_is_taken() {
    let set = JwkSet::from_json(format!(r#"{{"keys":[{}]}}"#, key()).as_bytes()).unwrap();
    assert_eq!(set.len(), 1);
}

/// A key plus a point of small order: a signature under it may hold for one verifier and not for another.
#[test]
fn a_signature_under_a_mixed_key_holds_only_without_cofactor() {
    use curve25519_dalek::scalar::Scalar;
    use sha2::{Digest as _, Sha512};
    let secret = Scalar::from(4_711_u64);
    for torsion in EIGHT_TORSION.iter().skip(1) {
        let public = (ED25519_BASEPOINT_POINT * secret + torsion)
            .compress()
            .to_bytes();
        let Ok(key) = microbus_token::VerifyingKey::from_bytes(&public) else {
            continue;
        };
        for number in 0..16_u64 {
            let message = number.to_le_bytes();
            let nonce = Scalar::from(number + 1);
            let r = (ED25519_BASEPOINT_POINT * nonce).compress().to_bytes();
            let challenge: [u8; 64] = Sha512::digest([&r[..], &public, &message].concat()).into();
            let challenge = Scalar::from_bytes_mod_order_wide(&challenge);
            let s = nonce + challenge * secret;
            let signature: [u8; 64] = [r, s.to_bytes()].concat().try_into().unwrap();
            let exact = (torsion * challenge).compress() == EIGHT_TORSION[0].compress();
            assert_eq!(key.verify(&message, &signature), exact);
        }
    }
}
