//! Which tokens are exchanged, and for what. What must be refused is in the attack suite.

use crate::signer::Signer;
use crate::world::{ALGORITHMS, World, now};
use microbus_idp_bridge::{ForeignToken, TokenKind};
use serde_json::json;

#[tokio::test]
async fn a_token_of_each_kind_and_algorithm_becomes_an_access_token_with_mapped_claims() {
    for alg in ALGORITHMS {
        let signer = Signer::generate(alg, "k1/=.+").unwrap();
        let world = World::start(&[&signer]).await;
        for kind in [TokenKind::IdToken, TokenKind::AccessToken] {
            let token = world.token(&signer, kind, &json!({}));
            let claims = world.exchanged(&token, kind).await.unwrap();
            assert_eq!(claims["iss"], "https://access.token.core");
            assert_eq!(claims["idp"], world.provider.issuer());
            assert_eq!(
                (&claims["sub"], &claims["source"]),
                (&json!("one|harry"), &json!("one"))
            );
            assert_eq!(claims["roles"], json!(["reader"]));
            let mut names: Vec<_> = claims.as_object().unwrap().keys().collect();
            names.sort();
            let wanted = ["exp", "iat", "idp", "iss", "jti", "roles", "source", "sub"];
            assert_eq!(names, wanted, "nothing else passes");
        }
    }
}

#[tokio::test]
async fn a_token_becomes_a_bearer_token_whose_life_is_its_issuers_business() {
    let signer = Signer::generate("ES256", "k").unwrap();
    let world = World::start(&[&signer]).await;
    let text = world.id_token(&signer);
    let token = ForeignToken {
        text: &text,
        kind: TokenKind::IdToken,
        nonce: None,
    };
    assert!(!format!("{token:?} {:?}", world.bridge).contains(&text));
    let claims = world.bridge.bearer_token(token).await.unwrap();
    let claims = claims.read_claims().unwrap();
    assert_eq!(claims["iss"], "https://bearer.token.core");
    assert_eq!(claims["sub"], "one|harry");
    assert!(claims["exp"].as_u64().unwrap() > now() + 24 * 3600);
}

#[tokio::test]
async fn an_access_token_does_not_outlive_the_foreign_one() {
    let signer = Signer::generate("EdDSA", "k").unwrap();
    let world = World::start(&[&signer]).await;
    for (foreign, ours) in [(300, 60), (20, 30)] {
        let end = json!({"exp": now() + foreign});
        let token = world.token(&signer, TokenKind::IdToken, &end);
        let claims = world.exchanged(&token, TokenKind::IdToken).await.unwrap();
        // The tolerance of the bridge, and the padding of the issuer on both sides.
        let life = claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap();
        assert!(
            life <= ours + 10 && life + 3 >= ours + 10,
            "{life} of {foreign}"
        );
    }
}

#[tokio::test]
async fn clocks_may_differ_by_the_tolerance_and_dates_may_have_fractions() {
    let signer = Signer::generate("EdDSA", "k").unwrap();
    let world = World::start(&[&signer]).await;
    for claims in [
        json!({"exp": now() - 5}),
        json!({"iat": now() + 5}),
        json!({"nbf": now() + 5}),
        json!({"exp": 253_402_300_799_u64}),
        json!({"exp": now() as f64 + 20.5, "iat": 1e9, "nbf": 0}),
    ] {
        let token = world.token(&signer, TokenKind::IdToken, &claims);
        world.exchanged(&token, TokenKind::IdToken).await.unwrap();
    }
}

#[tokio::test]
async fn audiences_and_parties_may_be_lists_and_several() {
    let signer = Signer::generate("EdDSA", "k").unwrap();
    let world = World::start(&[&signer]).await;
    for (kind, claims) in [
        (TokenKind::IdToken, json!({"aud": ["web-app"]})),
        (TokenKind::IdToken, json!({"azp": "web-app"})),
        (
            TokenKind::IdToken,
            json!({"aud": ["web-app", "web-app"], "azp": "web-app"}),
        ),
        (
            TokenKind::IdToken,
            json!({"nonce": "whatever", "typ": "ID"}),
        ),
        (TokenKind::AccessToken, json!({"aud": "api"})),
        (TokenKind::AccessToken, json!({"aud": ["elsewhere", "api"]})),
        (
            TokenKind::AccessToken,
            json!({"azp": "batch", "typ": "Bearer"}),
        ),
    ] {
        let token = world.token(&signer, kind, &claims);
        let exchanged = world.exchanged(&token, kind).await;
        assert!(exchanged.is_ok(), "{claims}: {exchanged:?}");
    }
}

#[tokio::test]
async fn a_nonce_ties_a_token_to_its_login() {
    let signer = Signer::generate("EdDSA", "k").unwrap();
    let world = World::start(&[&signer]).await;
    let text = world.token(&signer, TokenKind::IdToken, &json!({"nonce": "n"}));
    for (nonce, reason) in [
        (Some("n"), None),
        (None, None),
        (Some("m"), Some("nonce")),
        (Some(""), Some("nonce")),
        (Some("n "), Some("nonce")),
    ] {
        let token = ForeignToken {
            text: &text,
            kind: TokenKind::IdToken,
            nonce,
        };
        let found = world.bridge.identify(token).await;
        assert_eq!(found.err().map(|error| error.reason()), reason, "{nonce:?}");
    }
    let text = world.token(&signer, TokenKind::AccessToken, &json!({"nonce": "n"}));
    let token = ForeignToken {
        text: &text,
        kind: TokenKind::AccessToken,
        nonce: Some("n"),
    };
    let refused = world.bridge.identify(token).await.unwrap_err();
    assert_eq!(
        refused.reason(),
        "nonce",
        "an access token belongs to no login"
    );
}

#[tokio::test]
async fn a_token_without_what_the_mapping_requires_is_refused() {
    let signer = Signer::generate("EdDSA", "k").unwrap();
    let provider = crate::world::provider().await;
    provider.publish(&[&signer]);
    let more = "tenant: {from: org, required: true}";
    let settings = crate::world::provider_settings(provider.issuer(), "EdDSA", more);
    let world = World::with(provider, &format!("providers:\n{settings}")).await;
    let error = world
        .exchanged(&world.id_token(&signer), TokenKind::IdToken)
        .await
        .unwrap_err();
    assert_eq!(error.reason(), "claim_required");
    let token = world.token(&signer, TokenKind::IdToken, &json!({"org": 5}));
    let claims = world.exchanged(&token, TokenKind::IdToken).await.unwrap();
    assert_eq!(claims["tenant"], 5);
}
