//! A browser that logs in, with the example's routes and the ingress behind them.

use crate::app;
use crate::routes::{BrowserLogin, login_routes};
use crate::signer::Signer;
use crate::world::{World, provider_settings};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use axum::response::Response;
use microbus_idp_bridge::{ForeignToken, TokenKind};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use tower::ServiceExt as _;

async fn ways_in(world: &World) -> Router {
    let login = BrowserLogin {
        issuer: world.provider.issuer().to_owned(),
        client_id: "web-app".to_owned(),
        redirect_uri: "https://app.example/login/callback".to_owned(),
    };
    let ingress = app::connector(&world.connection, "http.ingress.core").await;
    let own = login_routes(Arc::clone(&world.bridge), login);
    app::behind_exchange(ingress.unwrap(), own, app::AT_HOME)
}

async fn get(ways_in: &Router, path: &str, cookie: &str) -> Response {
    let request = Request::get(path).header("cookie", cookie);
    let request = request.body(Body::empty()).unwrap();
    ways_in.clone().oneshot(request).await.unwrap()
}

async fn call_back(ways_in: &Router, cookie: &str, form: &str) -> Response {
    let request = Request::post("/login/callback")
        .header("cookie", cookie)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(form.to_owned()));
    ways_in.clone().oneshot(request.unwrap()).await.unwrap()
}

fn cookies(response: &Response) -> Vec<String> {
    let cookies = response.headers().get_all("set-cookie").iter();
    cookies
        .map(|cookie| cookie.to_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_browser_logs_in_and_is_an_actor_from_then_on() {
    let signer = Signer::generate("RS256", "k").unwrap();
    let world = World::start(&[&signer]).await;
    world
        .bridge
        .identify(ForeignToken {
            text: &world.id_token(&signer),
            kind: TokenKind::IdToken,
            nonce: None,
        })
        .await
        .unwrap();
    let _hello = app::start_hello(&world.connection).await.unwrap();
    let ways_in = ways_in(&world).await;

    let begun = get(&ways_in, "/login", "").await;
    assert_eq!(begun.status(), StatusCode::SEE_OTHER);
    let location = begun.headers()["location"].to_str().unwrap();
    let (page, query) = location.split_once('?').unwrap();
    assert_eq!(page, format!("{}/authorize", world.provider.issuer()));
    let query: HashMap<_, _> = form_urlencoded::parse(query.as_bytes()).collect();
    for (name, value) in [
        ("response_type", "id_token"),
        ("response_mode", "form_post"),
        ("scope", "openid"),
        ("client_id", "web-app"),
        ("redirect_uri", "https://app.example/login/callback"),
    ] {
        assert_eq!(query[name], value);
    }
    let nonce = &*query["nonce"];
    assert_eq!(nonce.len(), 43, "256 bits");
    assert_eq!(
        cookies(&begun),
        [format!(
            "__Host-login-nonce={nonce}; Path=/; Max-Age=600; HttpOnly; Secure; SameSite=None"
        )]
    );

    let token = world.token(&signer, TokenKind::IdToken, &json!({"nonce": nonce}));
    let kept = format!("__Host-login-nonce={nonce}");
    let finished = call_back(&ways_in, &kept, &format!("id_token={token}&state=x")).await;
    assert_eq!(finished.status(), StatusCode::SEE_OTHER);
    let [session, forgotten] = &*cookies(&finished) else {
        panic!("{finished:?}");
    };
    assert!(forgotten.starts_with("__Host-login-nonce=; ") && forgotten.contains("Max-Age=0"));
    let (session, attributes) = session.split_once("; ").unwrap();
    assert!(session.starts_with("Authorization=ey"), "{session}");
    let (age, attributes) = attributes
        .strip_prefix("Path=/; Max-Age=")
        .unwrap()
        .split_once("; ")
        .unwrap();
    assert_eq!(attributes, "HttpOnly; Secure; SameSite=Lax");
    let month = 30 * 24 * 3600;
    assert!(
        (month - 400..=month + 400).contains(&age.parse().unwrap()),
        "{age}"
    );

    let me = get(&ways_in, "/hello.example/me", session).await;
    assert_eq!(me.status(), 200);
    let me: Value =
        serde_json::from_slice(&to_bytes(me.into_body(), 1 << 20).await.unwrap()).unwrap();
    assert_eq!(
        (&me["sub"], &me["source"]),
        (&json!("one|harry"), &json!("one"))
    );
    assert_eq!(
        me["idp"], "https://bearer.token.core",
        "the provider is in `source`"
    );
    assert_eq!(get(&ways_in, "/hello.example/me", "").await.status(), 401);
    assert_eq!(
        get(&ways_in, "/hello.example/admin", session)
            .await
            .status(),
        403
    );
}

#[tokio::test]
async fn a_login_that_this_browser_did_not_begin_is_refused() {
    let signer = Signer::generate("EdDSA", "k").unwrap();
    let world = World::start(&[&signer]).await;
    let ways_in = ways_in(&world).await;
    let token = |nonce: &str| {
        let claims = json!({ "nonce": nonce });
        format!(
            "id_token={}",
            world.token(&signer, TokenKind::IdToken, &claims)
        )
    };
    let without = format!("id_token={}", world.id_token(&signer));
    let access = json!({"nonce": "n"});
    let access = world.token(&signer, TokenKind::AccessToken, &access);
    for (what, cookie, form, status) in [
        ("no cookie", "", token("n"), 400),
        ("an empty nonce", "__Host-login-nonce=", token(""), 400),
        (
            "two nonces",
            "__Host-login-nonce=n; __Host-login-nonce=m",
            token("n"),
            400,
        ),
        ("another nonce", "__Host-login-nonce=m", token("n"), 401),
        (
            "a token without nonce",
            "__Host-login-nonce=n",
            without,
            401,
        ),
        (
            "no token",
            "__Host-login-nonce=n",
            "error=access_denied".to_owned(),
            400,
        ),
        (
            "an access token",
            "__Host-login-nonce=n",
            format!("id_token={access}"),
            401,
        ),
    ] {
        let response = call_back(&ways_in, cookie, &form).await;
        assert_eq!(response.status(), status, "{what}");
        assert!(cookies(&response).is_empty(), "{what}");
    }
}

#[tokio::test]
async fn a_login_wants_a_long_nonce_that_fits_a_cookie_and_a_token_that_fits_one_too() {
    let signer = Signer::generate("EdDSA", "k").unwrap();
    let world = World::start(&[&signer]).await;
    let issuer = world.provider.issuer();
    let begin = |nonce: &str| {
        world
            .bridge
            .begin_login(issuer, "web-app", "https://x", nonce)
    };
    assert!(
        begin(&"n".repeat(22)).is_none(),
        "the provider has told nothing yet"
    );
    let roles = json!({"groups": ["Readers"]});
    let token = world.token(&signer, TokenKind::IdToken, &roles);
    let token = ForeignToken {
        text: &token,
        kind: TokenKind::IdToken,
        nonce: None,
    };
    let minted = world.bridge.bearer_token(token).await.unwrap();
    assert!(world.bridge.session_cookie(&minted).is_some());
    assert!(begin(&"n".repeat(22)).is_some());
    for nonce in [
        "n".repeat(21),
        "n; Path=/evil; Secure; HttpOnly".into(),
        format!("{}é", "n".repeat(22)),
    ] {
        assert!(begin(&nonce).is_none(), "{nonce}");
    }
    assert!(
        world
            .bridge
            .begin_login("https://other.example", "a", "b", &"n".repeat(22))
            .is_none()
    );

    let long = json!({"sub": "x".repeat(200), "groups": ["Readers"], "note": "y".repeat(3_500)});
    let provider = crate::world::provider().await;
    provider.publish(&[&signer]);
    let settings = provider_settings(provider.issuer(), "EdDSA", "note:");
    let world = World::with(provider, &format!("providers:\n{settings}")).await;
    let token = world.token(&signer, TokenKind::IdToken, &long);
    let token = ForeignToken {
        text: &token,
        kind: TokenKind::IdToken,
        nonce: None,
    };
    let minted = world.bridge.bearer_token(token).await.unwrap();
    assert!(minted.as_str().len() > 4096);
    assert!(world.bridge.session_cookie(&minted).is_none());
}

#[tokio::test]
async fn while_the_provider_is_down_nobody_can_begin_a_login() {
    let world = World::start(&[&Signer::generate("EdDSA", "k").unwrap()]).await;
    let response = get(&ways_in(&world).await, "/login", "").await;
    assert_eq!(response.status(), 503);
}
