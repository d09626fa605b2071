use super::*;
use crate::Secret;

const X: &str = "iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w";

fn read(keys: &str) -> Result<JwkSet, JwkError> {
    JwkSet::from_json(format!(r#"{{"keys":[{keys}]}}"#).as_bytes())
}

fn ours(more: &str) -> String {
    format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{X}","kid":"k"{more}}}"#)
}

#[test]
fn a_set_is_written_in_the_order_of_the_peer() {
    let key = SigningKey::from_seed(&Secret::new(vec![1; 32])).unwrap();
    let mut set = JwkSet::default();
    assert_eq!(set.to_json(), "{}");
    set.push(Jwk::of(&key)).unwrap();
    let wanted = format!(
        r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","x":"{X}","kid":"NHUPmL1Z_Pw","use":"sig","alg":"EdDSA"}}]}}"#
    );
    assert_eq!(set.to_json(), wanted);
    assert_eq!(JwkSet::from_json(wanted.as_bytes()).unwrap(), set);
}

#[test]
fn empty_sets_are_read_in_every_spelling() {
    for text in [
        "{}",
        r#"{"keys":null}"#,
        r#"{"keys":[]}"#,
        "{}\n",
        r#"{"other":1}"#,
    ] {
        assert!(
            JwkSet::from_json(text.as_bytes()).unwrap().is_empty(),
            "{text}"
        );
    }
}

#[test]
fn keys_of_foreign_types_are_left_out_and_counted() {
    let foreign = [
        r#"{"kty":"RSA","n":"AQ","e":"AQAB","kid":"r"}"#,
        r#"{"kty":"EC","crv":"P-256","x":5,"y":null}"#,
        r#"{"kty":"oct","k":"secret"}"#,
        r#"{"kty":"OKP","crv":"X25519","x":"AA"}"#,
        r#"{"kty":"OKP","crv":"Ed448","x":"AA"}"#,
    ];
    let set = read(&format!("{},{}", foreign.join(","), ours(""))).unwrap();
    assert_eq!((set.len(), set.ignored()), (1, 5));
    assert!(set.get(&KeyId::parse("k").unwrap()).is_some());
}

#[test]
fn a_key_of_ours_must_be_right_in_every_member() {
    for (key, wanted) in [
        (ours(r#","alg":"none""#), "alg"),
        (ours(r#","alg":"Ed25519""#), "alg"),
        (ours(r#","use":"enc""#), "use"),
        (ours(r#","key_ops":["sign"]"#), "key_ops"),
        (ours("").replace(r#","kid":"k""#, ""), "kid"),
        (ours("").replace(r#""k""#, "5"), "kid"),
        (ours("").replace(X, ""), "x"),
        (ours("").replace(X, &X[..42]), "x"),
        (ours("").replace(X, &format!("{X}A")), "x"),
        (ours("").replace(X, &format!("{X}=")), "x"),
        (ours("").replace("w\",\"kid", "x\",\"kid"), "x"),
        (ours("").replace(&format!("\"{X}\""), "null"), "x"),
    ] {
        assert!(
            matches!(read(&key), Err(JwkError::Member(found)) if found == wanted),
            "{key}"
        );
    }
    assert!(matches!(
        read(&ours("").replace("\"k\"", "\"a/b\"")),
        Err(JwkError::KeyId(_))
    ));
    assert!(
        read(&ours(
            r#","alg":"EdDSA","use":"sig","key_ops":["verify"],"x5t":1"#
        ))
        .is_ok()
    );
}

#[test]
fn weak_points_are_refused() {
    let zero = "A".repeat(43);
    assert!(matches!(
        read(&ours("").replace(X, &zero)),
        Err(JwkError::Key(KeyError::SmallOrder))
    ));
    let not_canonical = URL_SAFE_NO_PAD.encode([&[0xf0][..], &[0xff; 30], &[0x7f]].concat());
    assert!(matches!(
        read(&ours("").replace(X, &not_canonical)),
        Err(JwkError::Key(_))
    ));
}

#[test]
fn a_published_private_half_is_named() {
    let error = read(&ours(r#","d":"AA""#)).unwrap_err();
    assert!(matches!(error, JwkError::PrivateKey));
    assert!(error.to_string().contains("`d`"));
}

#[test]
fn one_identifier_stands_for_one_key() {
    assert_eq!(
        read(&format!("{},{}", ours(""), ours(""))).unwrap().len(),
        1
    );
    let other = ours("").replace(X, "gTl3Dqh9F19Wo1Rmw0x-zMuNipG07jeiXfYPW4_Js5Q");
    assert!(matches!(
        read(&format!("{},{other}", ours(""))),
        Err(JwkError::Conflict(_))
    ));
}

#[test]
fn sets_are_bounded() {
    let many = |count| vec![r#"{"kty":"RSA"}"#; count].join(",");
    assert_eq!(read(&many(MOST_KEYS)).unwrap().ignored(), MOST_KEYS);
    assert!(matches!(
        read(&many(MOST_KEYS + 1)),
        Err(JwkError::TooMany(65))
    ));
    let large = vec![b' '; LARGEST_SET + 1];
    assert!(matches!(
        JwkSet::from_json(&large),
        Err(JwkError::TooLarge(_))
    ));
}

#[test]
fn what_is_no_set_is_an_error() {
    for text in [
        "",
        "[]",
        "<html>",
        r#"{"keys":{}}"#,
        r#"{"keys":[5]}"#,
        r#"{"keys":[{}]}"#,
        r#"{"keys":[],"keys":[]}"#,
        r#"{"keys":[{"kty":"OKP","kty":"RSA"}]}"#,
    ] {
        assert!(
            matches!(JwkSet::from_json(text.as_bytes()), Err(JwkError::Json(_))),
            "{text}"
        );
    }
}
