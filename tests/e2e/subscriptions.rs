//! What an issuer subscribes is what the Go service subscribes, no more and no less.

use e2e::goldens;
use e2e::{Bus, Product};

const HOST: &str = "access.token.core";

async fn assert_subscriptions(recording: &str, variables: &[(&str, &str)]) {
    let bus = Bus::start().await;
    let _configurator = bus.configurator().await;
    let mut setup = bus.issuer(Product::ACCESS_TOKEN);
    for (name, value) in variables {
        setup = setup.with_variable(name, value);
    }
    let issuer = setup.start();
    issuer.until_logged("Serving").await;
    let ours = goldens::without_instance(bus.server.subscriptions_of(HOST).await);
    assert_eq!(ours, goldens::subscriptions(recording, HOST));
    let log = issuer.log().text();
    assert!(!log.contains("Permissions Violation"), "{log}");
}

#[tokio::test]
async fn in_local_they_are_the_recorded_ones() {
    assert_subscriptions("local", &[("MICROBUS_DEPLOYMENT", "LOCAL")]).await;
}

#[tokio::test]
async fn in_prod_with_production_permissions_they_are_the_recorded_ones() {
    assert_subscriptions("prod-acl", &[("MICROBUS_DEPLOYMENT", "PROD")]).await;
}

#[tokio::test]
async fn a_locality_adds_a_slot_for_each_of_its_prefixes() {
    let variables = [
        ("MICROBUS_DEPLOYMENT", "PROD"),
        ("MICROBUS_LOCALITY", "us-west-1"),
    ];
    assert_subscriptions("prod-us-west-1", &variables).await;
}
