//! Providers that rotate keys, are down, or say what they should not.

use crate::signer::Signer;
use crate::world::{World, provider, provider_settings, settings, token_of};
use axum::http::StatusCode;
use microbus_idp_bridge::{BridgeError, TokenKind};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// Waits for a token to be exchanged, with a limit.
async fn until_exchanged(world: &World, token: &str) {
    let exchanged = async {
        while let Err(error) = world.exchanged(token, TokenKind::IdToken).await {
            assert!(matches!(error, BridgeError::Provider(_)), "{error}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), exchanged)
        .await
        .unwrap();
}

async fn reason(world: &World, token: &str) -> &'static str {
    let exchanged = world.exchanged(token, TokenKind::IdToken).await;
    exchanged.map_or_else(|error| error.reason(), |_| "exchanged")
}

#[tokio::test]
async fn a_rotated_key_is_found_at_once_and_a_withdrawn_one_stops_counting() {
    let [old, new] = ["old", "new"].map(|kid| Signer::generate("ES256", kid).unwrap());
    let world = World::start(&[&old]).await;
    assert_eq!(reason(&world, &world.id_token(&old)).await, "exchanged");
    world.provider.publish(&[&old, &new]);
    assert_eq!(reason(&world, &world.id_token(&new)).await, "exchanged");
    assert_eq!(reason(&world, &world.id_token(&old)).await, "exchanged");
    world.provider.publish(&[&new]);
    let third = Signer::generate("ES256", "third").unwrap();
    assert_eq!(reason(&world, &world.id_token(&third)).await, "unknown_kid");
    assert_eq!(reason(&world, &world.id_token(&old)).await, "unknown_kid");
    assert_eq!(reason(&world, &world.id_token(&new)).await, "exchanged");
}

#[tokio::test]
async fn a_key_of_another_algorithm_under_the_same_id_is_another_key() {
    let [ec, ed] = ["ES256", "EdDSA"].map(|alg| Signer::generate(alg, "same").unwrap());
    let world = World::start(&[&ec, &ed]).await;
    for signer in [&ec, &ed] {
        assert_eq!(reason(&world, &world.id_token(signer)).await, "exchanged");
    }
}

#[tokio::test]
async fn a_crowd_costs_one_fetch_and_strangers_keys_one_in_two_seconds() {
    let signer = Signer::generate("EdDSA", "k").unwrap();
    let world = World::start(&[&signer]).await;
    let token = world.id_token(&signer);
    let crowd = (0..50).map(|_| reason(&world, &token));
    let outcomes = futures_util::future::join_all(crowd).await;
    assert!(outcomes.iter().all(|outcome| *outcome == "exchanged"));
    assert_eq!(world.provider.asked(), 2, "its description and its keys");
    let strangers: Vec<_> = (0..20)
        .map(|number| {
            let stranger = Signer::generate("EdDSA", &format!("stranger{number}")).unwrap();
            world.id_token(&stranger)
        })
        .collect();
    let outcomes = strangers.iter().map(|token| reason(&world, token));
    let outcomes = futures_util::future::join_all(outcomes).await;
    assert!(outcomes.iter().all(|outcome| *outcome == "unknown_kid"));
    assert_eq!(world.provider.asked(), 4);
}

#[tokio::test]
async fn a_provider_that_is_down_at_the_start_is_told_and_heals() {
    let signer = Signer::generate("PS256", "k").unwrap();
    let provider = provider().await;
    provider.publish(&[&signer]);
    provider.answer_with(StatusCode::BAD_GATEWAY);
    let settings = settings(provider.issuer(), "PS256");
    let world = World::with(provider, &settings).await;
    let token = world.id_token(&signer);
    let crowd = (0..20).map(|_| world.exchanged(&token, TokenKind::IdToken));
    for refused in futures_util::future::join_all(crowd).await {
        let error = refused.unwrap_err();
        assert!(matches!(error, BridgeError::Provider(_)), "{error}");
        let told = error.to_string();
        let issuer = world.provider.issuer();
        assert!(
            told.contains(issuer) && told.contains("502 Bad Gateway"),
            "{told}"
        );
    }
    assert_eq!(
        world.provider.asked(),
        1,
        "it is not asked for each of them"
    );
    world.provider.answer_with(StatusCode::OK);
    until_exchanged(&world, &token).await;
}

#[tokio::test]
async fn a_provider_that_went_down_does_not_lock_its_users_out() {
    let [known, unknown] = ["known", "unknown"].map(|kid| Signer::generate("EdDSA", kid).unwrap());
    let world = World::start(&[&known]).await;
    world.provider.answer_with(StatusCode::OK);
    assert_eq!(reason(&world, &world.id_token(&known)).await, "exchanged");
    world
        .provider
        .answer_with(StatusCode::INTERNAL_SERVER_ERROR);
    let token = world.id_token(&unknown);
    assert_eq!(reason(&world, &token).await, "provider_unavailable");
    assert_eq!(reason(&world, &world.id_token(&known)).await, "exchanged");
    world.provider.publish(&[&known, &unknown]);
    world.provider.answer_with(StatusCode::OK);
    until_exchanged(&world, &token).await;
}

#[tokio::test]
async fn keys_are_kept_fresh_in_the_background_and_after_a_failure_soon() {
    let signer = Signer::generate("EdDSA", "k").unwrap();
    let world = World::start(&[&signer]).await;
    let fresh = tokio::spawn(Arc::clone(&world.bridge).keep_fresh());
    let asked = async {
        while world.provider.asked() < 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), asked)
        .await
        .unwrap();
    assert_eq!(reason(&world, &world.id_token(&signer)).await, "exchanged");
    assert_eq!(
        world.provider.asked(),
        2,
        "the token waited for no fetch of its own"
    );
    fresh.abort();
}

#[tokio::test]
async fn a_provider_that_says_what_it_should_not_is_not_believed() {
    let signer = Signer::generate("EdDSA", "k").unwrap();
    let issuer = "ISSUER";
    for (description, keys, told) in [
        (
            json!({"issuer": "https://other.example", "jwks_uri": "ISSUER/jwks"}).to_string(),
            None,
            "describes the issuer \"https://other.example\"",
        ),
        (
            json!({"issuer": "ISSUER/", "jwks_uri": "ISSUER/jwks"}).to_string(),
            None,
            "equal to the letter",
        ),
        (
            json!({"issuer": issuer, "jwks_uri": "http://keys.example/jwks"}).to_string(),
            None,
            "is not https",
        ),
        (
            json!({"issuer": issuer, "jwks_uri": "file:///etc/passwd"}).to_string(),
            None,
            "file:///etc/passwd",
        ),
        (
            json!({"issuer": issuer}).to_string(),
            None,
            "is no description",
        ),
        (
            r#"{"issuer":"ISSUER","jwks_uri":"ISSUER/jwks","issuer":"ISSUER"}"#.to_owned(),
            None,
            "is not strict JSON",
        ),
        ("<html>".to_owned(), None, "is not strict JSON"),
        (
            json!({"issuer": issuer, "jwks_uri": "ISSUER/nowhere"}).to_string(),
            None,
            "answered 404",
        ),
        (
            json!({"issuer": issuer, "jwks_uri": "ISSUER/jwks"}).to_string(),
            Some("<html>"),
            "the JWK Set is not strict JSON",
        ),
        (
            json!({"issuer": issuer, "jwks_uri": "ISSUER/jwks"}).to_string(),
            Some("[]"),
            "the JWK Set is no object",
        ),
    ] {
        let world = World::start(&[&signer]).await;
        world
            .provider
            .describe(&description.replace(issuer, world.provider.issuer()));
        if let Some(keys) = keys {
            world.provider.publish_text(keys);
        }
        let token = world.id_token(&signer);
        let error = world
            .exchanged(&token, TokenKind::IdToken)
            .await
            .unwrap_err();
        assert!(matches!(error, BridgeError::Provider(_)), "{error}");
        assert!(error.to_string().contains(told), "{error}, not {told}");
    }
}

#[tokio::test]
async fn redirects_lead_nowhere() {
    let signer = Signer::generate("EdDSA", "k").unwrap();
    for status in [301, 302, 303, 307, 308] {
        let world = World::start(&[&signer]).await;
        world
            .provider
            .answer_with(StatusCode::from_u16(status).unwrap());
        let token = world.id_token(&signer);
        let error = world
            .exchanged(&token, TokenKind::IdToken)
            .await
            .unwrap_err();
        assert!(
            error.to_string().contains("redirects are not followed"),
            "{error}"
        );
        assert_eq!(world.provider.asked(), 1);
    }
}

#[tokio::test]
async fn a_key_counts_only_for_the_provider_that_publishes_it() {
    let [first, second] = ["EdDSA", "EdDSA"].map(|alg| Signer::generate(alg, "same").unwrap());
    let (one, two) = (provider().await, provider().await);
    one.publish(&[&first]);
    two.publish(&[&second]);
    let (of_one, of_two) = (one.issuer().to_owned(), two.issuer().to_owned());
    let settings = format!(
        "providers:\n{}{}",
        provider_settings(&of_one, "EdDSA", "source: {constant: one}"),
        provider_settings(&of_two, "EdDSA", "source: {constant: two}"),
    );
    let world = World::with(one, &settings).await;
    for (issuer, signer, wanted) in [
        (&of_one, &first, Ok("one")),
        (&of_two, &second, Ok("two")),
        (&of_one, &second, Err("signature")),
        (&of_two, &first, Err("signature")),
    ] {
        let token = token_of(issuer, signer, TokenKind::IdToken, &json!({}));
        let found = world.exchanged(&token, TokenKind::IdToken).await;
        let found = found.map(|claims| claims["source"].clone());
        let wanted = wanted.map(|source| json!(source));
        assert_eq!(found.map_err(|error| error.reason()), wanted);
    }
}
