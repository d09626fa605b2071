//! Token exchange over HTTP, with the example's routes.

use crate::routes::token_exchange_route;
use crate::signer::Signer;
use crate::world::{World, now};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use microbus_idp_bridge::TokenKind;
use microbus_idp_bridge::token_exchange::{ACCESS_TOKEN, BEARER_TOKEN, ID_TOKEN, TOKEN_EXCHANGE};
use serde_json::{Value, json};
use std::sync::Arc;
use tower::ServiceExt as _;

fn ways_in(world: &World) -> Router {
    token_exchange_route(Arc::clone(&world.bridge))
}

async fn post(world: &World, form: &[(&str, &str)]) -> (StatusCode, HeaderMap, Value) {
    let body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish();
    let request = Request::post("/token")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(body))
        .unwrap();
    let response = ways_in(world).oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    assert_eq!(parts.headers["content-type"], "application/json");
    assert_eq!(parts.headers["cache-control"], "no-store");
    (
        parts.status,
        parts.headers,
        serde_json::from_slice(&body).unwrap(),
    )
}

fn claims_of(token: &Value) -> Value {
    use base64::Engine as _;
    let payload = token.as_str().unwrap().split('.').nth(1).unwrap();
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload);
    serde_json::from_slice(&payload.unwrap()).unwrap()
}

#[tokio::test]
async fn a_client_exchanges_its_token_for_the_type_it_wants() {
    let signer = Signer::generate("RS256", "k").unwrap();
    let world = World::start(&[&signer]).await;
    for (kind, subject_type) in [
        (TokenKind::IdToken, ID_TOKEN),
        (TokenKind::AccessToken, ACCESS_TOKEN),
    ] {
        let token = world.token(&signer, kind, &json!({}));
        for (wanted, token_type, issuer, least, most) in [
            (ACCESS_TOKEN, "N_A", "https://access.token.core", 55, 65),
            (
                BEARER_TOKEN,
                "Bearer",
                "https://bearer.token.core",
                2_000_000,
                3_000_000,
            ),
        ] {
            let (status, _, answer) = post(
                &world,
                &[
                    ("grant_type", TOKEN_EXCHANGE),
                    ("subject_token", &token),
                    ("subject_token_type", subject_type),
                    ("requested_token_type", wanted),
                ],
            )
            .await;
            assert_eq!(status, 200, "{answer}");
            assert_eq!(answer["issued_token_type"], wanted);
            assert_eq!(answer["token_type"], token_type);
            let left = answer["expires_in"].as_u64().unwrap();
            assert!((least..=most).contains(&left), "{left}");
            let claims = claims_of(&answer["access_token"]);
            assert_eq!(
                (&claims["iss"], &claims["sub"]),
                (&json!(issuer), &json!("one|harry"))
            );
        }
    }
}

#[tokio::test]
async fn a_refusal_tells_the_client_why_and_nothing_of_the_inside() {
    let signer = Signer::generate("ES256", "k").unwrap();
    let mut world = World::start(&[&signer]).await;
    let expired = world.token(&signer, TokenKind::IdToken, &json!({"exp": now() - 60}));
    let good = world.id_token(&signer);
    let form = |token: &str, subject_type: &'static str| {
        [
            ("grant_type", TOKEN_EXCHANGE.to_owned()),
            ("subject_token", token.to_owned()),
            ("subject_token_type", subject_type.to_owned()),
        ]
    };
    let borrowed = |form: &[(&'static str, String); 3]| {
        form.iter()
            .map(|(name, value)| (*name, value.clone()))
            .collect::<Vec<_>>()
    };
    for (token, subject_type, description) in [
        (&*expired, ID_TOKEN, "subject_token: the token has expired"),
        (
            &*good,
            ACCESS_TOKEN,
            "subject_token: the token is not an access token",
        ),
        (
            "rubbish",
            ID_TOKEN,
            "subject_token: the token has not exactly three parts",
        ),
    ] {
        let form = borrowed(&form(token, subject_type));
        let form: Vec<_> = form.iter().map(|(name, value)| (*name, &**value)).collect();
        let (status, _, answer) = post(&world, &form).await;
        assert_eq!(
            (status.as_u16(), answer),
            (
                400,
                json!({"error": "invalid_request", "error_description": description})
            )
        );
    }
    let [access, _bearer] = world.issuers.take().unwrap();
    access.leave(|_| true).await;
    let form = borrowed(&form(&good, ID_TOKEN));
    let form: Vec<_> = form.iter().map(|(name, value)| (*name, &**value)).collect();
    let (status, headers, answer) = post(&world, &form).await;
    assert_eq!(
        (status.as_u16(), &answer["error"]),
        (503, &json!("temporarily_unavailable"))
    );
    assert_eq!(headers["retry-after"], "5");
    assert!(!answer.to_string().contains("core"), "{answer}");
}

#[tokio::test]
async fn a_provider_that_is_down_is_503() {
    let signer = Signer::generate("ES256", "k").unwrap();
    let world = World::start(&[&signer]).await;
    world
        .provider
        .answer_with(StatusCode::INTERNAL_SERVER_ERROR);
    let (status, headers, answer) = post(
        &world,
        &[
            ("grant_type", TOKEN_EXCHANGE),
            ("subject_token", &world.id_token(&signer)),
            ("subject_token_type", ID_TOKEN),
        ],
    )
    .await;
    assert_eq!(
        (status.as_u16(), &answer["error"]),
        (503, &json!("temporarily_unavailable"))
    );
    assert_eq!(headers["retry-after"], "5");
    let described = answer["error_description"].as_str().unwrap();
    assert!(described.contains("identity provider"), "{described}");
    assert!(!described.contains(world.provider.issuer()), "{described}");
}

#[tokio::test]
async fn other_methods_and_large_requests_are_refused() {
    let world = World::start(&[&Signer::generate("EdDSA", "k").unwrap()]).await;
    let request = Request::get("/token").body(Body::empty()).unwrap();
    let response = ways_in(&world).oneshot(request).await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["allow"]),
        (405, &"POST".parse().unwrap())
    );
    let request = Request::post("/token").body(Body::from(vec![b'a'; 40_000]));
    let response = ways_in(&world).oneshot(request.unwrap()).await.unwrap();
    assert_eq!(response.status(), 413);
}
