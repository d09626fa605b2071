use super::*;
use serde_json::json;

#[expect(dead_code, reason = "keys alone are tested, not tokens")]
#[path = "../../examples/bridge/signer.rs"]
mod signer;

use signer::Signer;

const ALL: [Algorithm; 4] = [
    Algorithm::RS256,
    Algorithm::PS256,
    Algorithm::ES256,
    Algorithm::EdDSA,
];

fn read(keys: &Value, pinned: &[Algorithm]) -> Result<ForeignKeySet, String> {
    let json = json!({ "keys": keys }).to_string();
    ForeignKeySet::read(json.as_bytes(), pinned).map_err(|error| error.to_string())
}

fn changed(jwk: &Value, name: &str, value: Value) -> Value {
    let mut jwk = jwk.clone();
    if value.is_null() {
        jwk.as_object_mut().unwrap().remove(name);
    } else {
        jwk[name] = value;
    }
    jwk
}

#[test]
fn a_key_verifies_what_it_signed_under_its_own_algorithm_alone() {
    for alg in ["RS256", "PS256", "ES256", "EdDSA"] {
        let signer = Signer::generate(alg, "k").unwrap();
        let set = read(&json!([signer.jwk()]), &ALL).unwrap();
        let [(id, key)] = &*set.keys else {
            panic!("{set:?}");
        };
        assert_eq!(id.algorithm.as_str(), alg);
        let signature = signer.sign(b"text").unwrap();
        assert!(key.verify(b"text", &signature), "{alg}");
        assert!(!key.verify(b"texT", &signature), "{alg}");
        for at in [0, signature.len() / 2, signature.len() - 1] {
            let mut bent = signature.clone();
            bent[at] ^= 1;
            assert!(!key.verify(b"text", &bent), "{alg} bent at {at}");
        }
        for length in [0, 1, signature.len() - 1] {
            assert!(!key.verify(b"text", &signature[..length]), "{alg} {length}");
        }
        assert!(!key.verify(b"text", &[&*signature, &[0]].concat()), "{alg}");
        let set = read(&json!([signer.jwk()]), &[]).unwrap();
        assert!(set.keys.is_empty() && set.faults.is_empty());
    }
}

#[test]
fn a_key_of_rsa_counts_for_one_padding() {
    let signer = Signer::generate("RS256", "k").unwrap();
    let silent = changed(&signer.jwk(), "alg", Value::Null);
    let set = read(&json!([silent]), &[Algorithm::PS256]).unwrap();
    assert!(
        !set.keys[0]
            .1
            .verify(b"text", &signer.sign(b"text").unwrap())
    );
    let set = read(&json!([silent]), &ALL).unwrap();
    assert_eq!(set.faults, [KeyFault::Ambiguous]);
    let other = read(&json!([signer.jwk()]), &[Algorithm::PS256]).unwrap();
    assert!(other.keys.is_empty(), "its own alg counts");
}

#[test]
fn keys_for_other_uses_are_left_out_silently() {
    let signer = Signer::generate("ES256", "k").unwrap();
    for (name, value) in [
        ("use", json!("enc")),
        ("use", json!(5)),
        ("key_ops", json!(["sign"])),
        ("key_ops", json!("verify")),
        ("alg", json!("ES384")),
        ("alg", json!("none")),
        ("alg", json!("HS256")),
        ("alg", json!(["ES256"])),
        ("alg", json!("RS256")),
        ("kty", json!("oct")),
        ("kty", json!("RSA")),
        ("kty", json!("AKP")),
        ("crv", json!("P-384")),
        ("crv", json!("secp256k1")),
        ("crv", json!("Ed25519")),
    ] {
        let set = read(
            &json!([changed(&signer.jwk(), name, value.clone())]),
            &[Algorithm::ES256],
        );
        let set = set.unwrap();
        assert!(
            set.keys.is_empty() && set.faults.is_empty(),
            "{name} {value}"
        );
    }
    for (name, value) in [
        ("key_ops", json!(["verify"])),
        ("x5t", json!("abc")),
        ("use", Value::Null),
    ] {
        let set = read(
            &json!([changed(&signer.jwk(), name, value)]),
            &[Algorithm::ES256],
        );
        assert_eq!(set.unwrap().keys.len(), 1, "{name}");
    }
}

#[test]
fn bad_keys_are_left_out_and_told() {
    let [rsa, p256, ed] =
        ["RS256", "ES256", "EdDSA"].map(|alg| Signer::generate(alg, "k").unwrap());
    let encode = |bytes: &[u8]| Value::from(URL_SAFE_NO_PAD.encode(bytes));
    let (n, x) = (bytes(rsa.jwk().as_object().unwrap(), "n").unwrap(), [9; 32]);
    let small = [&[0xff][..], &[0xff; 127]].concat();
    for (jwk, name, value, fault) in [
        (&rsa, "n", encode(&small), KeyFault::RsaBits(1024)),
        (&rsa, "n", encode(&[0x80; 1025]), KeyFault::RsaBits(8200)),
        (&rsa, "n", encode(&[]), KeyFault::RsaBits(0)),
        (
            &rsa,
            "n",
            encode(&[&[0][..], &n].concat()),
            KeyFault::Member("n"),
        ),
        (&rsa, "n", Value::Null, KeyFault::Member("n")),
        (&rsa, "n", json!(5), KeyFault::Member("n")),
        (&rsa, "e", encode(&[1]), KeyFault::Unusable),
        (&rsa, "e", encode(&[2]), KeyFault::Unusable),
        (&rsa, "e", encode(&[]), KeyFault::Unusable),
        (&rsa, "e", encode(&[1; 5]), KeyFault::Unusable),
        (&rsa, "e", json!("AQAB="), KeyFault::Member("e")),
        (&rsa, "d", encode(&x), KeyFault::Private),
        (&rsa, "p", encode(&x), KeyFault::Private),
        (&p256, "d", encode(&x), KeyFault::Private),
        (&p256, "x", encode(&x), KeyFault::Unusable),
        (&p256, "x", encode(&x[..31]), KeyFault::Member("x")),
        (&p256, "y", encode(&[0; 33]), KeyFault::Member("y")),
        (&p256, "y", Value::Null, KeyFault::Member("y")),
        (&ed, "x", encode(&[0; 32]), KeyFault::Unusable),
        (
            &ed,
            "x",
            encode(&[&[1][..], &[0; 31]].concat()),
            KeyFault::Unusable,
        ),
        (&ed, "x", encode(&[0xff; 32]), KeyFault::Unusable),
        (&ed, "x", encode(&x[..31]), KeyFault::Member("x")),
        (&ed, "x", encode(&[9; 33]), KeyFault::Member("x")),
        (&ed, "x", encode(&[]), KeyFault::Member("x")),
        (&ed, "kid", Value::Null, KeyFault::Member("kid")),
        (&ed, "kid", json!(""), KeyFault::Member("kid")),
        (&ed, "kid", json!("a b"), KeyFault::Member("kid")),
        (&ed, "kid", json!("a".repeat(129)), KeyFault::Member("kid")),
        (&ed, "kid", json!(5), KeyFault::Member("kid")),
        (&ed, "kty", Value::Null, KeyFault::Member("kty")),
    ] {
        let good = Signer::generate("EdDSA", "good").unwrap();
        let pinned = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];
        let set = read(
            &json!([changed(&jwk.jwk(), name, value.clone()), good.jwk()]),
            &pinned,
        )
        .unwrap();
        assert_eq!(set.faults, [fault], "{name} is {value}");
        assert_eq!(set.keys.len(), 1, "the good key stays");
    }
}

#[test]
fn the_library_would_believe_a_key_of_small_order() {
    // The neutral element as key and as R, and S = 0, hold for every text.
    let neutral = [&[1][..], &[0; 31]].concat();
    let key = ForeignKey {
        key: DecodingKey::from_ed_der(&neutral),
        algorithm: Algorithm::EdDSA,
    };
    let signature = [&*neutral, &[0; 32]].concat();
    assert!(
        key.verify(b"whatever", &signature),
        "then our check is superfluous"
    );
    let jwk =
        json!({"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": URL_SAFE_NO_PAD.encode(&neutral)});
    assert_eq!(
        read(&json!([jwk]), &ALL).unwrap().faults,
        [KeyFault::Unusable]
    );
}

#[test]
fn what_is_no_set_is_refused_whole() {
    let jwk = Signer::generate("EdDSA", "k").unwrap().jwk();
    let other = Signer::generate("EdDSA", "k").unwrap().jwk();
    for (text, problem) in [
        (String::new(), "not strict JSON"),
        ("<html>".to_owned(), "not strict JSON"),
        ("[]".to_owned(), "no object"),
        ("{}".to_owned(), "no object"),
        (r#"{"keys":{}}"#.to_owned(), "no object"),
        (r#"{"keys":null}"#.to_owned(), "no object"),
        (r#"{"keys":[5]}"#.to_owned(), "no object"),
        (r#"{"keys":[[]]}"#.to_owned(), "no object"),
        (r#"{"keys":[],"keys":[]}"#.to_owned(), "not strict JSON"),
        (
            r#"{"keys":[{"kid":"a","kid":"b"}]}"#.to_owned(),
            "not strict JSON",
        ),
        (r#"{"keys":[]} x"#.to_owned(), "not strict JSON"),
        ("[".repeat(100_000), "not strict JSON"),
        (json!({"keys": vec![&jwk; 65]}).to_string(), "65 keys"),
        (json!({"keys": [&jwk, &other]}).to_string(), "two keys"),
        (json!({"keys": [&jwk, &jwk]}).to_string(), "two keys"),
    ] {
        let error = ForeignKeySet::read(text.as_bytes(), &ALL)
            .unwrap_err()
            .to_string();
        assert!(error.contains(problem), "{text:.60}: {error}");
    }
    let same_kid = json!([jwk, Signer::generate("ES256", "k").unwrap().jwk()]);
    assert_eq!(
        read(&same_kid, &ALL).unwrap().keys.len(),
        2,
        "of two algorithms"
    );
    assert!(read(&json!([]), &ALL).unwrap().keys.is_empty());
}
