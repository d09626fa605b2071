//! Without a broker: an HTTP door on loopback, for a developer and nobody else.

use e2e::http::exchange;
use e2e::{Issuer, IssuerSetup, Product};
use microbus_token::{JwkSet, verify};
use std::time::SystemTime;

const JSON: (&str, &str) = ("Content-Type", "application/json");

/// Starts an issuer with its door at a free port, and returns the door's address from the line that says how to mint.
async fn start() -> (Issuer, String) {
    let setup = IssuerSetup::new(Product::ACCESS_TOKEN).with_argument("--door=127.0.0.1:0");
    let issuer = setup.start();
    let line = issuer.until_logged("curl").await;
    let address = line
        .split("http://")
        .nth(1)
        .unwrap()
        .split("/mint")
        .next()
        .unwrap()
        .to_owned();
    issuer.until_logged("Serving").await;
    (issuer, address)
}

#[tokio::test]
async fn the_door_mints_a_token_that_verifies_by_its_own_set() {
    let (_issuer, address) = start().await;
    let body = r#"{"claims":{"sub":"harry","roles":["admin"]}}"#;
    let budget = ("Microbus-Time-Budget", "5s");
    let minted = exchange(&address, "POST /mint", &[JSON, budget], body).await;
    assert_eq!(minted.status, 200, "{minted:?}");
    let keys = exchange(&address, "GET /jwks", &[], "").await;
    let keys = JwkSet::from_json(keys.body.as_bytes()).unwrap();
    let token = minted.json()["token"].as_str().unwrap().to_owned();
    let verified = verify(&token, &keys, SystemTime::now()).unwrap();
    assert_eq!(verified.sub().as_deref(), Some("harry"));
    let number = |name: &str| verified.claims().get(name).unwrap().parse::<i64>().unwrap();
    assert_eq!(number("exp") - number("iat"), 15);
}

#[tokio::test]
async fn the_door_is_not_for_pages_in_a_browser() {
    let (_issuer, address) = start().await;
    let body = r#"{"claims":{}}"#;
    for (headers, status) in [
        (vec![JSON, ("Host", "evil.example")], 403),
        (vec![JSON, ("Origin", "http://127.0.0.1")], 403),
        (vec![("Content-Type", "text/plain")], 415),
        (
            vec![("Content-Type", "application/x-www-form-urlencoded")],
            415,
        ),
        (vec![], 415),
        (vec![JSON], 200),
    ] {
        let answer = exchange(&address, "POST /mint", &headers, body).await;
        assert_eq!(answer.status, status, "{headers:?}: {answer:?}");
    }
}

#[tokio::test]
async fn the_door_tells_health_and_readiness() {
    let (_issuer, address) = start().await;
    assert_eq!(
        exchange(&address, "GET /healthz", &[], "").await.status,
        200
    );
    let ready = exchange(&address, "GET /readyz", &[], "").await;
    assert_eq!(
        (ready.status, ready.json()["ready"].as_bool()),
        (200, Some(true))
    );
    let malformed = exchange(&address, "POST /mint", &[JSON], "{").await;
    assert_eq!(malformed.status, 400);
}

#[tokio::test]
async fn a_door_beyond_loopback_is_refused() {
    let setup = IssuerSetup::new(Product::ACCESS_TOKEN).with_argument("--door=0.0.0.0:0");
    let mut issuer = setup.start();
    assert_eq!(issuer.exit().await.code(), Some(78));
    assert!(issuer.log().text().contains("must be a loopback address"));
}
