//! A broker that goes away and comes back changes nothing but the time it was away.

use e2e::{Bus, PATIENCE, Product};
use microbus_token::{JwkSet, verify};
use std::time::SystemTime;

const HOST: &str = "access.token.core";

#[tokio::test]
async fn after_a_broker_restart_the_same_keys_sign_and_old_tokens_verify() {
    let mut bus = Bus::start().await;
    let configurator = bus.configurator().await;
    let issuer = bus.issuer(Product::ACCESS_TOKEN).start();
    issuer.until_logged("Serving").await;
    drop(configurator);
    let caller = bus.caller("tester.client", "id-tester0000").await;
    let old = caller.post(HOST, 666, "/mint", "{}").await.json();

    bus.server.restart().await;
    issuer.until_logged("Reconnected to NATS").await;
    let caller = bus.caller("tester.client", "id-tester0000").await;
    caller.until_answering(HOST).await;
    let new = caller.post(HOST, 666, "/mint", "{}").await.json();
    let keys = JwkSet::from_json(&caller.get(HOST, 888, "/jwks").await.body()).unwrap();
    for token in [old, new] {
        verify(token["token"].as_str().unwrap(), &keys, SystemTime::now()).unwrap();
    }
}

#[tokio::test]
async fn credentials_replaced_on_disk_are_used_at_the_next_connection() {
    let mut bus = Bus::start().await;
    let configurator = bus.configurator().await;
    let issuer = bus.issuer(Product::ACCESS_TOKEN).start();
    issuer.until_logged("Serving").await;
    drop(configurator);
    bus.server.stop();
    issuer.write_file("access.token.core_nats.creds", "not credentials");
    bus.server.restart().await;
    issuer.until_logged("Reading NATS credentials").await;
    issuer.write_file("access.token.core_nats.creds", bus.credentials(HOST));
    let mut log = issuer.log();
    assert!(
        log.line("Reconnected to NATS", PATIENCE).await.is_some(),
        "{}",
        log.text()
    );
}
