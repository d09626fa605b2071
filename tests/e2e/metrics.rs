//! Metrics of a live issuer, over the bus and at the admin listener.

use e2e::http::exchange;
use e2e::{Bus, Issuer, PATIENCE, Product};

const HOST: &str = "access.token.core";

/// Returns the address of the admin listener from the line that names it.
pub(crate) async fn admin_address(issuer: &Issuer) -> String {
    let line = issuer.until_logged("Admin listener open").await;
    let address = line.split("address=").nth(1).unwrap();
    address.split_whitespace().next().unwrap().to_owned()
}

/// Returns the value of the series of `name` that has all these labels; 0 where there is none.
pub(crate) fn value(text: &str, name: &str, labels: &[&str]) -> f64 {
    let line = text.lines().find(|line| {
        line.starts_with(&format!("{name}{{")) && labels.iter().all(|label| line.contains(label))
    });
    line.map_or(0.0, |line| {
        line.rsplit(' ').next().unwrap().parse().unwrap()
    })
}

/// Reads metrics until `enough` says so; panics when it never does.
pub(crate) async fn metrics_until(address: &str, enough: impl Fn(&str) -> bool) -> String {
    let end = std::time::Instant::now() + PATIENCE;
    loop {
        let text = exchange(address, "GET /metrics", &[], "").await.body;
        if enough(&text) {
            return text;
        }
        assert!(std::time::Instant::now() < end, "not enough in\n{text}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_same_metrics_are_read_over_the_bus_and_at_the_admin_listener() {
    let bus = Bus::start().await;
    let _configurator = bus.configurator().await;
    let setup = bus
        .issuer(Product::ACCESS_TOKEN)
        .with_variable("MICROBUS_ADMIN", "0")
        .with_variable("MICROBUS_PROMETHEUS_EXPORTER", "1");
    let issuer = setup.start();
    let admin = admin_address(&issuer).await;
    issuer.until_logged("Serving").await;
    let caller = bus.caller("tester.client", "id-tester0000").await;
    for _ in 0..3 {
        caller.post(HOST, 666, "/mint", r#"{"claims":{}}"#).await;
    }
    caller.post(HOST, 666, "/mint", "{").await;
    let over_http = exchange(&admin, "GET /metrics", &[], "").await;
    assert_eq!(over_http.status, 200);
    let over_bus = caller.get(HOST, 888, "/metrics").await;
    for text in [over_http.body, String::from_utf8(over_bus.body()).unwrap()] {
        let requests = |labels: &[&str]| {
            value(
                &text,
                "microbus_server_request_duration_seconds_count",
                labels,
            )
        };
        let mint = "canonical=\"access.token.core:666/mint\"";
        let ok = [mint, "code=\"200\"", "error=\"OK\"", "type=\"function\""];
        assert_eq!(requests(&ok), 3.0, "{text}");
        assert_eq!(requests(&[mint, "code=\"400\"", "error=\"ERROR\""]), 1.0);
        let caller = "caller=\"tester.client\"";
        assert_eq!(value(&text, "microbus_token_minted_total", &[caller]), 3.0);
        let refused = [caller, "reason=\"malformed\""];
        assert_eq!(
            value(&text, "microbus_token_mint_refused_total", &refused),
            1.0
        );
        assert_eq!(
            value(&text, "microbus_token_lifetime_seconds_sum", &[]),
            60.0
        );
        assert_eq!(value(&text, "microbus_token_ready", &[]), 1.0);
        assert_eq!(value(&text, "microbus_token_broker_connected", &[]), 1.0);
        assert_eq!(
            value(&text, "microbus_token_jwks_keys", &["state=\"own\""]),
            1.0
        );
        let started = ["name=\"OnStartup\"", "type=\"lifecycle\""];
        let callbacks = "microbus_callback_duration_seconds_count";
        assert_eq!(value(&text, callbacks, &started), 1.0);
        let lines = ["message=\"Serving\"", "severity=\"INFO\""];
        assert_eq!(value(&text, "microbus_log_messages_total", &lines), 1.0);
        let acks = "microbus_client_ack_roundtrip_latency_seconds_count";
        assert!(value(&text, acks, &["host=\"configurator.core\"", "port=\"888\""]) >= 1.0);
    }
}

#[tokio::test]
async fn tokens_of_further_connections_are_counted_too() {
    let bus = Bus::start().await;
    let setup = bus
        .issuer(Product::ACCESS_TOKEN)
        .with_variable("MICROBUS_CONFIGURATION", "files")
        .with_variable("MICROBUS_CONNECTIONS", "2")
        .with_variable("MICROBUS_ADMIN", "0");
    let issuer = setup.start();
    let admin = admin_address(&issuer).await;
    issuer.until_logged("Serving").await;
    let caller = bus.caller("tester.client", "id-tester0000").await;
    let (mut minters, mut minted) = (std::collections::BTreeSet::new(), 0.0);
    while minters.len() < 2 {
        let answer = caller.post(HOST, 666, "/mint", "{}").await;
        let id = answer.response().header("Microbus-From-Id").unwrap();
        minters.insert(id.to_owned());
        minted += 1.0;
    }
    let text = metrics_until(&admin, |_| true).await;
    assert_eq!(value(&text, "microbus_token_minted_total", &[]), minted);
    let answers = "microbus_server_request_duration_seconds_count";
    let mint = ["name=\"Mint\"", "code=\"200\""];
    assert_eq!(value(&text, answers, &mint), minted);
    assert_eq!(value(&text, "microbus_token_ready", &[]), 1.0);
}

#[tokio::test]
async fn a_forged_actor_and_a_lost_broker_are_counted() {
    let mut bus = Bus::start().await;
    let setup = bus
        .issuer(Product::BEARER_TOKEN)
        .with_variable("MICROBUS_CONFIGURATION", "files")
        .with_variable("MICROBUS_ADMIN", "0");
    let issuer = setup.start();
    let admin = admin_address(&issuer).await;
    issuer.until_logged("Serving").await;
    let caller = bus.caller("tester.client", "id-tester0000").await;
    let host = Product::BEARER_TOKEN.host;
    let minted = caller.post(host, 666, "/mint", "{}").await.json();
    let token = minted["token"].as_str().unwrap();
    let forged = format!("{}AAAA", &token[..token.len() - 4]);
    let actor = ("Microbus-Actor", forged.as_str());
    let refused = caller.call("GET", host, 888, "/ping", &[actor], b"").await;
    assert_eq!(refused.response().status(), 401);
    bus.server.stop();
    let text = metrics_until(&admin, |text| {
        value(text, "microbus_token_broker_connected", &[]) == 0.0
            && value(text, "microbus_token_connect_failures_total", &[]) > 0.0
    })
    .await;
    assert_eq!(value(&text, "microbus_token_broker_losses_total", &[]), 1.0);
    let failures = "microbus_token_verify_failures_total";
    assert_eq!(value(&text, failures, &["reason=\"signature\""]), 1.0);
    assert_eq!(value(&text, "microbus_token_ready", &[]), 0.0);
}

#[tokio::test]
async fn key_sets_exchanges_and_spent_budgets_are_counted() {
    let bus = Bus::start().await;
    let setup = bus
        .issuer(Product::ACCESS_TOKEN)
        .with_variable("MICROBUS_CONFIGURATION", "files")
        .with_variable("MICROBUS_ADMIN", "0");
    let (first, second) = (setup.start(), setup.start());
    let admin = admin_address(&first).await;
    first.until_logged("Serving").await;
    second.until_logged("Serving").await;
    second.ask_to_stop();
    second.until_logged("Shutdown").await;
    let caller = bus.caller("tester.client", "id-tester0000").await;
    // The replica that is gone was a verifier too, and may have asked.
    let jwk_sets = "microbus_token_jwks_served_total";
    let text = metrics_until(&admin, |_| true).await;
    let before = value(&text, jwk_sets, &[]);
    caller.get(HOST, 888, "/jwks").await;
    let no_time = [("Microbus-Time-Budget", "1ms")];
    let late = caller.call("POST", HOST, 666, "/mint", &no_time, b"").await;
    assert_eq!(late.response().status(), 408);
    metrics_until(&admin, |text| {
        let exchanges = "microbus_token_exchanges_total";
        value(text, jwk_sets, &[]) == before + 1.0
            && value(text, "microbus_token_budget_exhausted_total", &[]) == 1.0
            && value(text, exchanges, &["result=\"ok\""]) >= 1.0
            && value(text, exchanges, &["result=\"alone\""]) >= 1.0
            && value(text, "microbus_token_verifiers", &["state=\"warm\""]) >= 1.0
    })
    .await;
}

#[tokio::test]
async fn what_the_broker_refuses_an_issuer_is_counted_and_logged() {
    let bus = Bus::start().await;
    // Credentials of one plane open no other.
    let setup = bus
        .issuer(Product::BEARER_TOKEN)
        .with_variable("MICROBUS_CONFIGURATION", "files")
        .with_variable("MICROBUS_PLANE", "other")
        .with_variable("MICROBUS_ADMIN", "0");
    let issuer = setup.start();
    let admin = admin_address(&issuer).await;
    let line = issuer
        .until_logged("The broker refused us for lack of permission")
        .await;
    assert!(line.contains("ERROR"), "{line}");
    metrics_until(&admin, |text| {
        value(text, "microbus_token_permission_violations_total", &[]) > 0.0
    })
    .await;
}
