//! Where we differ from the Go issuer on purpose, as a real process on a real bus shows it. Differences with tests of their
//! own elsewhere are not here: lifetimes, integers and acks in `mint`, fragments in `fragments`, refused files in
//! `configuration`, stops in `shutdown`.

use crate::metrics::value;
use e2e::{Bus, Caller, Product};
use std::time::Duration;

const HOST: &str = Product::ACCESS_TOKEN.host;

#[tokio::test]
async fn a_jwk_set_is_answered_without_asking_anybody() {
    let bus = Bus::start().await;
    let _configurator = bus.configurator().await;
    let setup = bus.issuer(Product::ACCESS_TOKEN);
    let (first, second) = (setup.start(), setup.start());
    first.until_logged("Serving").await;
    second.until_logged("Serving").await;
    let caller = bus.caller("tester.client", "id-tester0000").await;
    let mut tap = bus.tap().await;
    let asked = 200;
    for _ in 0..asked {
        assert_eq!(
            caller.get(HOST, 888, "/jwks").await.response().status(),
            200
        );
    }
    let end = caller.subject(888, "nobody.example", "_", "GET", "end");
    caller.publish(&end, "").await;
    let mut exchanges = 0;
    loop {
        let message = tap.next(Duration::from_secs(5)).await.unwrap();
        if message.subject == end {
            break;
        }
        let asks_replicas = message.op_code() == "Req" && message.subject.ends_with(".local-keys");
        exchanges += usize::from(asks_replicas);
    }
    // Two replicas also talk by themselves, every few seconds and on news.
    assert!(exchanges < asked / 10, "{exchanges} for {asked} JWK Sets");
}

#[tokio::test]
async fn what_the_operator_should_look_at_is_counted() {
    let bus = Bus::start().await;
    let configurator = bus.configurator().await;
    configurator.set(HOST, "MaxTokenLifetime", "99h");
    let issuer = bus
        .issuer(Product::ACCESS_TOKEN)
        .with_variable("MICROBUS_PROMETHEUS_EXPORTER", "1")
        .start();
    issuer.until_logged("Serving").await;
    let caller = bus.caller("tester.client", "id-tester0000").await;
    let invalid = "microbus_token_invalid_configuration_total";
    let literal = "microbus_token_literal_claim_names_total";
    let text = scrape(&caller).await;
    assert_eq!(
        (value(&text, invalid, &[]), value(&text, literal, &[])),
        (1.0, 0.0)
    );
    configurator.set(HOST, "DefaultTokenLifetime", "soon");
    configurator.refresh(HOST).await;
    let claims = r#"{"claims":{"5":1,"nested":{"true":1},"level":3}}"#;
    let minted = caller.post(HOST, 666, "/mint", claims).await;
    assert_eq!(minted.response().status(), 200);
    let text = scrape(&caller).await;
    assert_eq!(
        (value(&text, invalid, &[]), value(&text, literal, &[])),
        (3.0, 2.0)
    );
}

async fn scrape(caller: &Caller) -> String {
    String::from_utf8(caller.get(HOST, 888, "/metrics").await.body()).unwrap()
}

#[tokio::test]
async fn an_error_answer_has_a_fixed_text_outside_local_and_never_a_stack() {
    let bus = Bus::start().await;
    let _configurator = bus.configurator().await;
    for (deployment, reveals) in [("LOCAL", true), ("LAB", false), ("PROD", false)] {
        let mut issuer = bus
            .issuer(Product::ACCESS_TOKEN)
            .with_variable("MICROBUS_DEPLOYMENT", deployment)
            .start();
        issuer.until_logged("Serving").await;
        let caller = bus.caller("tester.client", "id-tester0000").await;
        let refused = caller
            .post(HOST, 666, "/mint", r#"{"claims":"planted}"#)
            .await;
        assert_eq!(refused.response().status(), 400);
        let error = refused.json()["err"].clone();
        let members: Vec<_> = error.as_object().unwrap().keys().cloned().collect();
        assert!(!members.contains(&"stack".to_owned()), "{error}");
        let text = error["error"].as_str().unwrap();
        assert_eq!(
            text == "malformed arguments",
            !reveals,
            "{deployment}: {text}"
        );
        assert!(!text.contains("planted"), "{text}");
        issuer.stop().await;
    }
}

#[tokio::test]
async fn in_testing_a_process_serves_with_defaults_alone() {
    let bus = Bus::start().await;
    let configurator = bus.configurator().await;
    configurator.set(HOST, "MaxTokenLifetime", "2s");
    let issuer = bus
        .issuer(Product::ACCESS_TOKEN)
        .with_variable("MICROBUS_DEPLOYMENT", "TESTING")
        .with_file(
            "config.yaml",
            "access.token.core:\n  MaxTokenLifetime: 3s\n",
        )
        .start();
    issuer.until_logged("Serving").await;
    let caller = bus.caller("tester.client", "id-tester0000").await;
    let minted = caller
        .post(HOST, 666, "/mint", r#"{"claims":{"sub":"harry"}}"#)
        .await;
    let token = minted.json()["token"].as_str().unwrap().to_owned();
    let number = |name: &str| e2e::normal::claim(&token, name).as_i64().unwrap();
    assert_eq!(number("exp") - number("iat"), 30, "20 s of budget, padded");
    assert_eq!(configurator.answered(), 0, "nobody was asked");
}

#[tokio::test]
async fn an_unsigned_actor_passes_in_testing_only() {
    let bus = Bus::start().await;
    let _configurator = bus.configurator().await;
    // {"alg":"none","typ":"JWT"} and {"sub":"harry"}
    let actor = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJzdWIiOiJoYXJyeSJ9.";
    let headers = [
        ("Microbus-Time-Budget", "20s"),
        ("Content-Type", "application/json"),
        ("Microbus-Actor", actor),
    ];
    for (deployment, expected) in [("TESTING", 200), ("LOCAL", 401), ("PROD", 401)] {
        let mut issuer = bus
            .issuer(Product::ACCESS_TOKEN)
            .with_variable("MICROBUS_DEPLOYMENT", deployment)
            .start();
        issuer.until_logged("Serving").await;
        let caller = bus.caller("tester.client", "id-tester0000").await;
        let minted = caller.call("POST", HOST, 666, "/mint", &headers, b"{}");
        assert_eq!(minted.await.response().status(), expected, "{deployment}");
        issuer.stop().await;
    }
}
