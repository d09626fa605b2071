use serde_json::json;

use super::*;
use crate::{Jwk, Secret, SigningKey};

const NOW: u64 = 1_800_000_000;

fn key() -> SigningKey {
    SigningKey::from_seed(&Secret::new(vec![1; 32])).unwrap()
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW)
}

fn encode(part: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(part)
}

const HEADER: &str = r#"{"alg":"EdDSA","kid":"NHUPmL1Z_Pw","typ":"JWT"}"#;

fn payload() -> String {
    format!(
        r#"{{"exp":{},"iat":{NOW},"iss":"https://access.token.core","sub":"x"}}"#,
        NOW + 25
    )
}

/// A token that really is signed, whatever it says.
fn signed(header: &str, payload: &str) -> String {
    let input = format!("{}.{}", encode(header), encode(payload));
    let signature = encode(key().sign(input.as_bytes()).unwrap());
    format!("{input}.{signature}")
}

fn keys() -> JwkSet {
    let mut keys = JwkSet::default();
    keys.push(Jwk::of(&key())).unwrap();
    keys
}

fn reason(token: &str) -> &'static str {
    verify(token, &keys(), now()).map_or_else(|error| error.reason(), |_| "accepted")
}

#[test]
fn a_good_token_gives_its_claims() {
    let claims = json!({"exp": NOW + 1, "iat": NOW, "nbf": NOW, "iss": "https://bearer.token.core", "sub": "harry",
        "tid": "7", "roles": ["a", "b"]});
    let verified = verify(&signed(HEADER, &claims.to_string()), &keys(), now()).unwrap();
    assert_eq!(verified.issuer(), Issuer::Bearer);
    assert_eq!(verified.key_id().as_str(), "NHUPmL1Z_Pw");
    assert_eq!(verified.sub().as_deref(), Some("harry"));
    assert_eq!(verified.iss().as_deref(), Some("https://bearer.token.core"));
    assert_eq!(verified.tenant(), Some(7));
    assert_eq!(verified.roles(), ["a", "b"]);
    assert_eq!(
        verified.into_claims().get("nbf"),
        Some(NOW.to_string().as_str())
    );
}

#[test]
fn attacks_on_the_header_are_refused() {
    let with = |members: &str| format!(r#"{{"kid":"NHUPmL1Z_Pw",{members}}}"#);
    for (header, wanted) in [
        (with(r#""alg":"none""#), "alg_none"),
        (with(r#""alg":"None""#), "alg"),
        (with(r#""alg":"NONE""#), "alg"),
        (with(r#""alg":"none ""#), "alg"),
        (with(r#""alg":"none\u0000""#), "alg"),
        (with(r#""alg":"HS256""#), "alg"),
        (with(r#""alg":"RS256""#), "alg"),
        (with(r#""alg":"eddsa""#), "alg"),
        (with(r#""alg":"EdDSA ""#), "alg"),
        (with(r#""alg":"Ed25519""#), "alg"),
        (with(r#""alg":["EdDSA"]"#), "alg"),
        (with(r#""alg":null"#), "alg"),
        (with(r#""typ":"JWT""#), "alg"),
        (with(r#""alg":"EdDSA","alg":"none""#), "header"),
        (with(r#""alg":"none","\u0061lg":"EdDSA""#), "header"),
        (with(r#""alg":"EdDSA","crit":["exp"]"#), "header_member"),
        (with(r#""alg":"EdDSA","crit":[]"#), "header_member"),
        (with(r#""alg":"EdDSA","b64":false"#), "header_member"),
        (
            with(r#""alg":"EdDSA","jwk":{"kty":"OKP"}"#),
            "header_member",
        ),
        (
            with(r#""alg":"EdDSA","jku":"https://evil.example""#),
            "header_member",
        ),
        (
            with(r#""alg":"EdDSA","x5u":"https://evil.example""#),
            "header_member",
        ),
        (with(r#""alg":"EdDSA","x5c":[]"#), "header_member"),
        (with(r#""alg":"EdDSA","zip":"DEF""#), "header_member"),
        (with(r#""alg":"EdDSA","enc":null"#), "header_member"),
        (with(r#""alg":"EdDSA","typ":"at+jwt""#), "typ"),
        (r#"{"alg":"EdDSA"}"#.into(), "kid_missing"),
        (r#"{"alg":"EdDSA","kid":5}"#.into(), "kid_missing"),
        (r#"{"alg":"EdDSA","kid":""}"#.into(), "kid_malformed"),
        (
            r#"{"alg":"EdDSA","kid":"../../etc/passwd"}"#.into(),
            "kid_malformed",
        ),
        (r#"{"alg":"EdDSA","kid":"a\r\nb"}"#.into(), "kid_malformed"),
        (r#"{"alg":"EdDSA","kid":"stranger"}"#.into(), "unknown_kid"),
        ("[]".into(), "header"),
        (format!("{HEADER} x"), "header"),
        (format!("\u{feff}{HEADER}"), "header"),
        (HEADER.replace('"', "'"), "header"),
        (with(r#""alg":"EdDSA","typ":"JWT""#), "accepted"),
    ] {
        assert_eq!(reason(&signed(&header, &payload())), wanted, "{header}");
    }
}

#[test]
fn attacks_on_the_claims_are_refused() {
    let late = NOW + 9;
    let iss = r#""iat":1799999995,"iss":"https://access.token.core""#;
    let bare = r#""iss":"https://access.token.core""#;
    for (claims, wanted) in [
        (format!(r#"{{"exp":{late}}}"#), "issuer"),
        (format!(r#"{{"exp":{late},"iss":5}}"#), "issuer"),
        (
            format!(r#"{{"exp":{late},"iss":"https://access.token.core.evil"}}"#),
            "issuer",
        ),
        (
            format!(r#"{{"exp":{late},"iss":"https://access.token.core/"}}"#),
            "issuer",
        ),
        (
            format!(r#"{{"exp":{late},"iat":0,"iss":"http://access.token.core"}}"#),
            "accepted",
        ),
        (format!("{{{iss}}}"), "exp_missing"),
        (format!(r#"{{"exp":{late},{bare}}}"#), "iat_missing"),
        (
            format!(r#"{{"exp":{late},"iat":{},{bare}}}"#, NOW + 1),
            "issued_later",
        ),
        (
            format!(r#"{{"exp":{late},"iat":"{NOW}",{bare}}}"#),
            "time_malformed",
        ),
        (format!(r#"{{"exp":"{late}",{iss}}}"#), "time_malformed"),
        (format!(r#"{{"exp":null,{iss}}}"#), "time_malformed"),
        (format!(r#"{{"exp":{NOW},{iss}}}"#), "expired"),
        (format!(r#"{{"exp":-1,{iss}}}"#), "expired"),
        (format!(r#"{{"exp":{}.5,{iss}}}"#, NOW - 1), "expired"),
        (format!(r#"{{"exp":1e400,{iss}}}"#), "payload"),
        (format!(r#"{{"exp":1,"exp":{late},{iss}}}"#), "payload"),
        (format!(r#"{{"\u0065xp":{late},"exp":1,{iss}}}"#), "payload"),
        (format!(r#"{{"exp":{late},{iss},{iss}}}"#), "payload"),
        (
            format!(r#"{{"exp":{late},"nbf":{},{iss}}}"#, NOW + 1),
            "not_yet_valid",
        ),
        (
            format!(r#"{{"exp":{late},"nbf":"x",{iss}}}"#),
            "time_malformed",
        ),
        (format!(r#"{{"exp":{late},"a":"\ud800",{iss}}}"#), "payload"),
        ("5".into(), "payload"),
        (
            format!(
                r#"{{"a":{}1{},"exp":{late},{iss}}}"#,
                "[".repeat(200),
                "]".repeat(200)
            ),
            "payload",
        ),
        (format!(r#"{{"exp":34697000000000,{iss}}}"#), "accepted"),
    ] {
        assert_eq!(reason(&signed(HEADER, &claims)), wanted, "{claims}");
    }
}

#[test]
fn texts_that_are_no_token_are_refused() {
    let good = signed(HEADER, &payload());
    assert_eq!(reason(&good), "accepted");
    let (head, tail) = good.split_once('.').unwrap();
    let (body, signature) = tail.split_once('.').unwrap();
    let last = signature.len() - 1;
    for (text, wanted) in [
        (String::new(), "segments"),
        (".".repeat(1_000), "segments"),
        (".".repeat(1_000_000), "too_large"),
        ("..".into(), "header"),
        (format!("{head}.{body}"), "segments"),
        (format!("{good}."), "segments"),
        (format!("{good}.{head}"), "segments"),
        (format!("{head}.{body}."), "signature_length"),
        (
            format!("{head}.{body}.{}", &signature[..last - 1]),
            "signature_length",
        ),
        (
            format!("{head}.{body}.{}A", &signature[..last]),
            "signature",
        ),
        (format!("{head}.{body}.{}B", &signature[..last]), "encoding"),
        (format!("{good}=="), "encoding"),
        (format!("{good}\n"), "encoding"),
        (format!(" {good}"), "encoding"),
        (format!("Bearer {good}"), "encoding"),
        (format!("{head}=.{body}.{signature}"), "encoding"),
        (
            format!("{}.{body}.{signature}", head.replacen('e', "+", 1)),
            "encoding",
        ),
        (format!("{body}.{head}.{signature}"), "alg"),
        (format!("é{good}"), "encoding"),
        (
            format!("{{\"payload\":\"{body}\",\"signatures\":[]}}"),
            "segments",
        ),
    ] {
        // The last character of a signature may happen to be the one that is put there.
        if text != good {
            assert_eq!(reason(&text), wanted, "{:.200}", text);
        }
    }
}

#[test]
fn every_flipped_bit_of_a_signature_is_noticed() {
    let good = signed(HEADER, &payload());
    let (input, signature) = good.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    for bit in 0..512 {
        let mut flipped = signature.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(
            reason(&format!("{input}.{}", encode(flipped))),
            "signature",
            "{bit}"
        );
    }
    for bytes in [[0; 64], [0xff; 64]] {
        assert_eq!(reason(&format!("{input}.{}", encode(bytes))), "signature");
    }
}

#[test]
fn a_signature_with_the_group_order_added_is_refused() {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let good = signed(HEADER, &payload());
    let (input, signature) = good.rsplit_once('.').unwrap();
    let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let mut carry = 0;
    for (byte, order) in bytes[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    assert_eq!(reason(&format!("{input}.{}", encode(bytes))), "signature");
}

#[test]
fn the_signature_covers_where_the_parts_divide() {
    let good = signed(HEADER, &payload());
    let (input, _) = good.rsplit_once('.').unwrap();
    let signature = encode(key().sign(input.replace('.', "").as_bytes()).unwrap());
    assert_eq!(reason(&format!("{input}.{signature}")), "signature");
}

#[test]
fn the_size_limit_is_the_callers() {
    let good = signed(HEADER, &payload());
    assert!(Unverified::parse(&good, good.len()).is_ok());
    let error = Unverified::parse(&good, good.len() - 1).unwrap_err();
    assert_eq!(error.reason(), "too_large");
}

#[test]
fn the_shape_of_a_token_is_that_of_the_platform() {
    let (head, body, signature) = ("ey".to_owned() + &"a".repeat(33), "e3", "s".repeat(43));
    for (text, wanted) in [
        (format!("{head}.{body}.{signature}"), true),
        (format!("{head}.{body}a."), true),
        (format!("{head}.{body}."), false),
        (format!("{head}.e.{signature}"), false),
        (format!("{head}.{body}.{}", &signature[1..]), false),
        (format!("{}.{body}.{signature}", &head[..34]), false),
        (format!("a{}.{body}.{signature}", &head[1..]), false),
        (format!("{head}.{body}.{signature}."), false),
        (format!("{head}.{body}=.{signature}"), false),
        (format!("{head} .{body}.{signature}"), false),
        ("harry".into(), false),
    ] {
        assert_eq!(looks_like_jwt(&text), wanted, "{text}");
    }
}

#[test]
fn a_leeway_moves_every_bound() {
    let claims = format!(
        r#"{{"exp":{NOW},"iat":{},"nbf":{},"iss":"https://access.token.core"}}"#,
        NOW + 3,
        NOW + 5
    );
    let token = signed(HEADER, &claims);
    for (leeway, accepted) in [(0, false), (4, false), (5, true)] {
        let unverified = Unverified::parse(&token, DEFAULT_SIZE_LIMIT).unwrap();
        let verified = unverified.verify(key().verifying_key(), now(), Duration::from_secs(leeway));
        assert_eq!(verified.is_ok(), accepted, "{leeway} s");
    }
}

#[cfg(feature = "testing")]
#[test]
fn an_unsigned_token_is_read_only_when_asked_for() {
    let read = |text: &str| read_unsigned(text, 1_000).map_err(|error| error.reason());
    let none = encode(r#"{"alg":"none","typ":"JWT"}"#);
    let unsigned = format!("{none}.{}.", encode(r#"{"sub":"harry"}"#));
    assert_eq!(read(&unsigned).unwrap().sub().as_deref(), Some("harry"));
    assert_eq!(reason(&unsigned), "alg_none");
    assert_eq!(
        read(&format!("{unsigned}c2ln")).unwrap_err(),
        "signature_length"
    );
    assert_eq!(read(&signed(HEADER, &payload())).unwrap_err(), "alg");
    assert_eq!(
        read(&format!("{none}.{}.", encode("[]"))).unwrap_err(),
        "payload"
    );
    assert_eq!(read(&"a".repeat(1_001)).unwrap_err(), "too_large");
}
