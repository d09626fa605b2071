//! The recorded bytes of the Go services, decoded and made again.

use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;

use crate::{
    Claims, IdentityProvider, Issuer, JwkSet, SigningKey, TokenId, Unverified, decode_claims,
    force_access, force_bearer, read_key_text, sign_claims, verify,
};

const TOKENS: [&str; 2] = [
    include_str!("../testdata/tokens-local.json"),
    include_str!("../testdata/tokens-prod.json"),
];
const MINT: &str = include_str!("../testdata/mint.jsonl");

fn payload(token: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD
        .decode(token.split('.').nth(1).unwrap())
        .unwrap()
}

#[test]
fn recorded_tokens_verify_with_the_recorded_keys() {
    let mut seen = 0;
    for file in TOKENS {
        let file: Value = serde_json::from_str(file).unwrap();
        for (name, token) in file.as_object().unwrap() {
            if !name.contains("_token") {
                continue;
            }
            let token = token.as_str().unwrap();
            let issuer = name.split('_').next().unwrap();
            let set =
                JwkSet::from_json(file[format!("{issuer}_jwks")].to_string().as_bytes()).unwrap();
            let claims = Claims::from_json_strict(&payload(token)).unwrap();
            let expiry: u64 = claims.get("exp").unwrap().parse().unwrap();
            let end = UNIX_EPOCH + Duration::from_secs(expiry);
            let verified = verify(token, &set, end - Duration::from_nanos(1)).unwrap();
            assert_eq!(verified.issuer().host(), format!("{issuer}.token.core"));
            assert_eq!(verify(token, &set, end).unwrap_err().reason(), "expired");
            assert_eq!(claims.to_json(), payload(token), "{name}");
            seen += 1;
        }
    }
    assert_eq!(seen, 6);
}

#[test]
fn recorded_keys_sign_the_recorded_tokens() {
    let file: Value = serde_json::from_str(TOKENS[1]).unwrap();
    for number in ["1", "2"] {
        let token = file[format!("bearer_token_signed_by_key_{number}")]
            .as_str()
            .unwrap();
        let claims = Claims::from_json(&payload(token)).unwrap();
        for form in ["pem", "base64"] {
            let text = file[format!("bearer_private_key_{number}_{form}")]
                .as_str()
                .unwrap();
            let key = read_key_text(text.as_bytes()).unwrap().unwrap();
            assert_eq!(sign_claims(&claims, &key).unwrap().as_str(), token);
        }
    }
}

#[test]
fn recorded_key_sets_are_written_as_recorded() {
    let file: Value = serde_json::from_str(TOKENS[1]).unwrap();
    let read = JwkSet::from_json(file["bearer_jwks"].to_string().as_bytes()).unwrap();
    assert_eq!(
        read.to_json(),
        concat!(
            r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"gTl3Dqh9F19Wo1Rmw0x-zMuNipG07jeiXfYPW4_Js5Q","kid":"ajgD1fBZkCo","use":"sig","alg":"EdDSA"},"#,
            r#"{"kty":"OKP","crv":"Ed25519","x":"iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w","kid":"NHUPmL1Z_Pw","use":"sig","alg":"EdDSA"}]}"#
        )
    );
}

#[test]
fn recorded_mint_requests_give_the_recorded_claims() {
    let mut minted = 0;
    let any = SigningKey::from_seed(&crate::Secret::new(vec![3; 32])).unwrap();
    for line in MINT.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let name = case["case"].as_str().unwrap();
        let body = case["body_b64"]
            .as_str()
            .map(|body| STANDARD.decode(body).unwrap());
        let pairs = |member: &str| -> Vec<(String, String)> {
            serde_json::from_value(case[member].clone()).unwrap()
        };
        let decoded = decode_claims(body.as_deref(), pairs("form"), pairs("query"));
        let Some(token) = case["token"].as_str() else {
            decoded.expect_err(name);
            continue;
        };
        let mut claims = decoded.unwrap_or_else(|error| panic!("{name}: {error}"));
        let recorded = Claims::from_json_strict(&payload(token)).unwrap();
        let number = |claim: &str| recorded.get(claim).unwrap().parse::<u64>().unwrap();
        let jti = recorded.get_text("jti").unwrap();
        let issuer = Unverified::parse(token, 65_536).unwrap().issuer();
        let padding = if issuer == Issuer::Access { 5 } else { 300 };
        let now = UNIX_EPOCH + Duration::from_secs(number("iat") + padding);
        let lifetime = Duration::from_secs(number("exp") - number("iat") - 2 * padding);
        let jti = TokenId::recorded(&jti);
        match issuer {
            Issuer::Access => {
                let idp = IdentityProvider::of(&claims);
                force_access(&mut claims, &idp, lifetime, &jti, now);
            }
            Issuer::Bearer => force_bearer(&mut claims, lifetime, &jti, now),
        }
        // On purpose: the Go services lose the digits beyond 2^53.
        let wanted = String::from_utf8(payload(token))
            .unwrap()
            .replace("12345678901234567000", "12345678901234567890")
            .replace("9007199254740992", "9007199254740993");
        assert_eq!(
            String::from_utf8(claims.to_json()).unwrap(),
            wanted,
            "{name}"
        );
        assert_eq!(
            payload(sign_claims(&claims, &any).unwrap().as_str()),
            wanted.as_bytes()
        );
        minted += 1;
    }
    assert!(minted > 30, "{minted}");
}
