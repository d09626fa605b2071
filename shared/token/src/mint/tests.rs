use std::collections::HashSet;

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use proptest::prelude::*;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::Value;

use super::*;
use crate::{Jwk, JwkSet, Secret};

fn key() -> SigningKey {
    SigningKey::from_seed(&Secret::new(vec![9; 32])).unwrap()
}

fn jti() -> TokenId {
    TokenId::random(&mut StdRng::seed_from_u64(1), TokenId::ACCESS_LENGTH)
}

fn at(millis: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(millis)
}

/// The independent judge.
fn judge(token: &CompactJwt, key: &SigningKey) -> Value {
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.validate_exp = false;
    validation.required_spec_claims = HashSet::new();
    let public = DecodingKey::from_ed_der(key.verifying_key().as_bytes());
    decode::<Value>(token.as_str(), &public, &validation)
        .unwrap()
        .claims
}

#[test]
fn both_ends_of_an_access_token_are_floored_apart() {
    for (now, lifetime, iat, exp) in [
        (100_000, 20_000, 95, 125),
        (100_999, 20_000, 95, 125),
        (100_600, 20_500, 95, 126),
        (100_400, 500, 95, 105),
        (100_000, 3_600_000, 95, 100 + 900 + 5),
    ] {
        let lifetime = Duration::from_millis(lifetime);
        let token = mint_access(Claims::new(), lifetime, &jti(), &key(), at(now)).unwrap();
        let claims = judge(&token, &key());
        assert_eq!(
            (&claims["iat"], &claims["exp"]),
            (&iat.into(), &exp.into()),
            "{now}"
        );
        assert_eq!(claims["iss"], "https://access.token.core");
        assert_eq!(claims["jti"], jti().as_str());
        assert!(claims["idp"].is_null());
    }
}

#[test]
fn a_bearer_token_lives_as_configured_with_five_minutes_each_way() {
    let claims = Claims::from_json(br#"{"iss":"x","idp":"kept","exp":1}"#).unwrap();
    let ttl = Duration::from_secs(720 * 3600);
    let claims = judge(
        &mint_bearer(claims, ttl, &jti(), &key(), at(1_000_000)).unwrap(),
        &key(),
    );
    assert_eq!(claims["iss"], "https://bearer.token.core");
    assert_eq!(claims["idp"], "kept");
    assert_eq!(claims["iat"], 700);
    assert_eq!(claims["exp"], 1000 + 720 * 3600 + 300);
}

#[test]
fn the_issuer_before_the_transformers_becomes_the_identity_provider() {
    for (given, idp) in [
        (
            r#"{"iss":"https://idp.example"}"#,
            r#""https://idp.example""#,
        ),
        (r#"{"iss":5}"#, "5"),
        (r#"{"iss":{"b":1,"a":2}}"#, r#"{"a":2,"b":1}"#),
        (r#"{"idp":"forged"}"#, "null"),
    ] {
        let mut claims = Claims::from_json(given.as_bytes()).unwrap();
        let saved = IdentityProvider::of(&claims);
        claims.insert("iss", "a transformer was here").unwrap();
        force_access(&mut claims, &saved, Duration::ZERO, &jti(), at(10_000));
        assert_eq!(claims.get("idp"), Some(idp), "{given}");
        assert_eq!(
            claims.get_text("iss").as_deref(),
            Some("https://access.token.core")
        );
    }
}

#[test]
fn times_out_of_range_do_not_panic() {
    let token = mint_bearer(Claims::new(), Duration::MAX, &jti(), &key(), at(0)).unwrap();
    let claims = judge(&token, &key());
    assert_eq!(claims["iat"], -300);
    assert_eq!(claims["exp"], i64::MAX);
    assert_eq!(floor_seconds(UNIX_EPOCH - Duration::from_millis(1)), -1);
}

#[test]
fn debug_output_hides_the_signature() {
    let token = sign_claims(&Claims::new(), &key()).unwrap();
    let signature = token.as_str().rsplit_once('.').unwrap().1;
    assert!(!format!("{token:?}").contains(signature));
}

proptest! {
    // Each case makes keys and signatures, which are slow in a debug build.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_claims_are_judged_alike(members in prop::collection::btree_map(".{0,9}", ".{0,40}", 0..9), n in any::<i64>()) {
        let mut given = serde_json::to_value(&members).unwrap();
        given["n"] = n.into();
        let claims = Claims::from_json(given.to_string().as_bytes()).unwrap();
        let token = mint_access(claims, Duration::from_secs(20), &jti(), &key(), at(1_000_000)).unwrap();
        let seen = judge(&token, &key());
        for (name, value) in given.as_object().unwrap() {
            if !["iss", "idp", "iat", "exp", "jti"].contains(&name.as_str()) {
                prop_assert_eq!(&seen[name], value);
            }
        }
        let mut set = JwkSet::default();
        set.push(Jwk::of(&key())).unwrap();
        prop_assert!(crate::verify(token.as_str(), &set, at(1_000_000)).is_ok());
    }
}
