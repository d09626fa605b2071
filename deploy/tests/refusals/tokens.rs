//! Tokens that are wrong in one way, and signed properly where the signature is not what is wrong.

use crate::{Case, NOW};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use microbus_token::{Issuer, Jwk, JwkSet, Secret, SigningKey, Unverified, VerifyError};
use std::time::{Duration, SystemTime};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = shapes();
    cases.extend(headers());
    cases.extend(claims());
    cases.extend(signatures());
    cases
}

fn shapes() -> Vec<Case> {
    let good = good();
    let [header, payload, signature] = parts(&good);
    let large = signed(
        &header_of(KID),
        &payload_with(&format!(r#""x":"{}""#, "a".repeat(9000))),
    );
    vec![
        Case::new("nothing at all", "\n"),
        token("a token of more than 8 KiB", large),
        token(
            "a token without its signature part",
            format!("{header}.{payload}"),
        ),
        token(
            "an encrypted token of five parts",
            format!("{header}..{payload}.{signature}.{signature}"),
        ),
        token(
            "a token in JSON serialization",
            format!(
                r#"{{"payload":"{payload}","signatures":[{{"protected":"{header}","signature":"{signature}"}}]}}"#
            ),
        ),
        token("a token with a blank inside", good.replacen('.', ". ", 1)),
        token(
            "a token whose parts are padded",
            format!("{header}=.{payload}.{signature}"),
        ),
        token(
            "a token whose parts are percent-encoded",
            format!("{header}%3D.{payload}.{signature}"),
        ),
        token(
            "a token in standard base64",
            format!("{header}.{payload}.{}", "+/".repeat(43)),
        ),
    ]
}

fn headers() -> Vec<Case> {
    let with = |what, members: &str| {
        let header = format!(r#"{{"kid":"{KID}",{members}}}"#);
        token(what, signed(&header, &payload()))
    };
    let also = |what, member: &str| with(what, &format!(r#""alg":"EdDSA",{member}"#));
    let kid = |what, kid: &str| {
        let header = format!(r#"{{"alg":"EdDSA",{kid}"typ":"JWT"}}"#);
        token(what, signed(&header, &payload()))
    };
    vec![
        token(
            "a header that is no JSON",
            signed("{not json at all, not at all}", &payload()),
        ),
        also("a header with two algorithms", r#""alg":"none""#),
        with("a header without an algorithm", r#""typ":"JWT""#),
        with("alg none", r#""alg":"none""#),
        with("alg HS256", r#""alg":"HS256""#),
        with("alg RS256", r#""alg":"RS256""#),
        with("alg PS512", r#""alg":"PS512""#),
        with("alg ES256", r#""alg":"ES256""#),
        with("alg eddsa", r#""alg":"eddsa""#),
        with("alg None", r#""alg":"None""#),
        with("alg Ed448", r#""alg":"Ed448""#),
        with("alg as a number", r#""alg":1"#),
        with("a credential of the broker", r#""alg":"ed25519-nkey""#),
        also("crit", r#""crit":["exp"]"#),
        also("b64", r#""b64":false"#),
        also("an embedded jwk", r#""jwk":{"kty":"OKP"}"#),
        also("a certificate in x5c", r#""x5c":["MII"]"#),
        also("a key URL in jku", r#""jku":"https://evil.example/jwks""#),
        also("a key URL in x5u", r#""x5u":"https://evil.example/x5u""#),
        also("a compressed payload", r#""zip":"DEF""#),
        also("typ at+jwt", r#""typ":"at+jwt""#),
        kid("a header without a kid", ""),
        kid("a kid that is a path", r#""kid":"../../dev/null","#),
        kid("a kid that nobody publishes", r#""kid":"AAAAAAAAAAA","#),
        kid("a kid of the other issuer", r#""kid":"ajgD1fBZkCo","#),
    ]
}

fn claims() -> Vec<Case> {
    let iss = |what, iss: &str| {
        let payload = payload().replace("https://bearer.token.core", iss);
        token(what, signed(&header_of(KID), &payload))
    };
    let claims = |what, payload: String| token(what, signed(&header_of(KID), &payload));
    let access = payload().replace("bearer", "access");
    let mut at_edge = claims("an access token at an ingress", access);
    at_edge.options.push("--edge");
    vec![
        claims("a payload that is a list", "[1,2,3]".to_owned()),
        claims(
            "a payload with two exp",
            payload_with(&format!(r#""exp":{}"#, NOW + 9)),
        ),
        claims("a payload without iss", times(NOW + 60, NOW - 5)),
        iss("iss in upper case", "https://BEARER.token.core"),
        iss("iss with a final slash", "https://bearer.token.core/"),
        iss("iss with a port", "https://bearer.token.core:443"),
        iss("iss with a login", "https://me@bearer.token.core"),
        iss(
            "iss that only begins like an issuer",
            "https://bearer.token.core.evil.example",
        ),
        iss("iss of an identity provider", "https://login.example"),
        at_edge,
        claims(
            "a token without exp",
            format!(r#"{{"iss":"{ISS}","iat":{NOW}}}"#),
        ),
        claims(
            "a token without iat",
            format!(r#"{{"iss":"{ISS}","exp":{}}}"#, NOW + 60),
        ),
        claims(
            "exp as text",
            format!(r#"{{"iss":"{ISS}","iat":{NOW},"exp":"tomorrow"}}"#),
        ),
        claims(
            "a token that ended a second ago",
            payload_at(NOW - 1, NOW - 60),
        ),
        claims("a token that ends now", payload_at(NOW, NOW - 60)),
        claims(
            "a token of an issuer whose clock is ahead",
            payload_at(NOW + 600, NOW + 10),
        ),
        claims(
            "nbf to come",
            payload_with(&format!(r#""nbf":{}"#, NOW + 30)),
        ),
        Case::new(
            "a token that ended long ago, without a JWK Set",
            signed(&header_of(KID), &payload_at(1_700_000_000, 1_600_000_000)),
        ),
    ]
}

fn signatures() -> Vec<Case> {
    let good = good();
    let [header, payload, signature] = parts(&good);
    let with =
        |what, signature: &[u8]| token(what, format!("{header}.{payload}.{}", encode(signature)));
    let bytes = URL_SAFE_NO_PAD.decode(&signature).unwrap();
    let mut flipped = bytes.clone();
    flipped[7] ^= 1;
    let by_another = key(3)
        .sign(format!("{header}.{payload}").as_bytes())
        .unwrap();
    let other_claims = format!(
        "{header}.{}.{signature}",
        encode(payload_with(r#""roles":["admin"]"#))
    );
    vec![
        token(
            "a token without a signature",
            format!("{header}.{payload}."),
        ),
        with("a signature of 63 bytes", &bytes[..63]),
        with("a signature with the group order added", &malleated(&bytes)),
        with("a signature of another published key", &by_another),
        with("a signature with one bit flipped", &flipped),
        token("claims that were changed after signing", other_claims),
    ]
}

fn token(what: &'static str, token: impl Into<String>) -> Case {
    Case::new(what, token)
        .with("--jwks", jwk_set(&[1, 3]))
        .with("--other-jwks", jwk_set(&[2]))
}

pub(crate) fn jwk_set(seeds: &[u8]) -> String {
    let mut set = JwkSet::default();
    for seed in seeds {
        set.push(Jwk::of(&key(*seed))).unwrap();
    }
    set.to_json()
}

pub(crate) fn good() -> String {
    signed(&header_of(KID), &payload())
}

fn header_of(kid: &str) -> String {
    format!(r#"{{"alg":"EdDSA","kid":"{kid}","typ":"JWT"}}"#)
}

fn payload() -> String {
    payload_with(r#""sub":"harry""#)
}

fn payload_with(members: &str) -> String {
    format!(
        r#"{{"iss":"{ISS}","exp":{},"iat":{},{members}}}"#,
        NOW + 60,
        NOW - 5
    )
}

fn payload_at(exp: u64, iat: u64) -> String {
    format!(r#"{{"iss":"{ISS}","exp":{exp},"iat":{iat}}}"#)
}

fn times(exp: u64, iat: u64) -> String {
    format!(r#"{{"exp":{exp},"iat":{iat}}}"#)
}

fn signed(header: &str, payload: &str) -> String {
    let input = format!("{}.{}", encode(header), encode(payload));
    let signature = key(1).sign(input.as_bytes()).unwrap();
    format!("{input}.{}", encode(signature))
}

fn parts(token: &str) -> [String; 3] {
    let parts: Vec<_> = token.split('.').map(str::to_owned).collect();
    parts.try_into().unwrap()
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&Secret::new(vec![seed; 32])).unwrap()
}

fn encode(part: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(part)
}

/// Adds the group order to S, so that a lax verifier would still take the signature.
fn malleated(signature: &[u8]) -> Vec<u8> {
    let order = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let (mut second, mut carry) = (signature.to_vec(), 0);
    for (digit, order) in second[32..].iter_mut().zip(order) {
        let sum = u16::from(*digit) + order + carry;
        *digit = u8::try_from(sum & 0xff).unwrap();
        carry = sum >> 8;
    }
    second
}

const ISS: &str = "https://bearer.token.core";
/// The key ID of the key whose seed is 32 times 1 (spec: microbus-wire 11.3).
const KID: &str = "NHUPmL1Z_Pw";

#[test]
fn the_codes_of_tokens_agree_with_the_verifiers_own_word() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW);
    let golden = crate::golden();
    for case in cases() {
        let reason = microbus_deploy::Reason::all()
            .iter()
            .find(|reason| reason.code() == golden[case.what])
            .unwrap();
        let token = case.input.trim();
        let verdict = Unverified::parse(token, 8_192).and_then(|unverified| {
            let only_bearer = case.options.contains(&"--edge");
            if only_bearer && unverified.issuer() == Issuer::Access {
                return Err(VerifyError::Issuer);
            }
            let published = [key(1), key(3)];
            let key = published.iter().find(|key| key.id() == unverified.key_id());
            let key = key.ok_or(VerifyError::UnknownKey)?;
            unverified.verify(key.verifying_key(), now, Duration::ZERO)
        });
        let error = verdict.unwrap_err();
        assert_eq!(
            Some(error.reason()),
            reason.verifier_label(),
            "{}",
            case.what
        );
    }
}

#[test]
fn what_the_cases_are_made_of_is_accepted() {
    let (json, exit) = token("", format!("Authorization: Bearer {}", good())).json();
    assert_eq!(
        (json["verdict"].as_str(), exit),
        (Some("accepted"), Some(0)),
        "{json}"
    );
}

#[test]
fn without_a_jwk_set_a_living_token_is_not_judged() {
    let (json, exit) = Case::new("", good()).json();
    assert_eq!(
        (json["verdict"].as_str(), exit),
        (Some("unknown"), Some(5)),
        "{json}"
    );
}
