//! What was recorded while the keys of the bearer issuer changed, with the keys of then.

use super::*;

/// PKCS#8 of the seeds 32×01 and 32×02, as base64 of the DER.
const KEY_1: &str = "MC4CAQAwBQYDK2VwBCIEIAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB";
const KEY_2: &str = "MC4CAQAwBQYDK2VwBCIEIAICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIC";
const BEARER: &str = Product::BEARER_TOKEN.host;

#[tokio::test]
async fn a_bad_key_and_no_key_are_met_as_recorded() {
    let bus = Bus::start().await;
    let configurator = acking(&bus).await;
    configurator.set(BEARER, "PrivateKey", KEY_1);
    let setup = bus
        .issuer(Product::BEARER_TOKEN)
        .with_variable("MICROBUS_DEPLOYMENT", "LOCAL");
    let mut replay = Replay::start(&bus, Product::BEARER_TOKEN, setup.start()).await;
    configurator.set(BEARER, "PrivateKey", "garbage");
    configurator.set(BEARER, "AltPrivateKey", KEY_2);
    replay
        .case("extra", "bearer_bad_primary_with_new_alt")
        .await;
    replay
        .case("extra", "bearer_second_refresh_same_values")
        .await;
    replay
        .case("extra", "bearer_jwks_after_bad_primary_with_new_alt")
        .await;
    configurator.unset(BEARER, "AltPrivateKey");
    replay.case("local", "config_change_bad_private_key").await;
    replay.case("local", "mint_bearer_after_bad_key").await;
    configurator.unset(BEARER, "PrivateKey");
    replay
        .case("local", "config_change_empty_private_key")
        .await;
    replay.case("local", "mint_bearer_after_key_removed").await;
    replay.case("local", "jwks_bearer_after_key_removed").await;
    replay.finish();
}

#[tokio::test]
async fn a_rotation_goes_as_recorded() {
    let bus = Bus::with_max_payload(131_072).await;
    let configurator = acking(&bus).await;
    configurator.set(BEARER, "PrivateKey", KEY_1);
    let setup = bus
        .issuer(Product::BEARER_TOKEN)
        .with_variable("MICROBUS_DEPLOYMENT", "PROD")
        .with_variable("MICROBUS_LOCALITY", "1.west.us");
    let mut replay = Replay::start(&bus, Product::BEARER_TOKEN, setup.start()).await;
    replay.case("prod", "prod_mint_bearer_key1").await;
    replay.case("prod", "prod_ingress_exchange_cold").await;
    configurator.set(BEARER, "PrivateKey", KEY_2);
    configurator.set(BEARER, "AltPrivateKey", KEY_1);
    let position = replay.issuer.log().position();
    assert_eq!(configurator.refresh(BEARER).await.response().status(), 200);
    replay
        .case("prod", "prod_mint_bearer_during_activation_delay")
        .await;
    replay.case("prod", "prod_jwks_bearer_rotated").await;
    let mut log = replay.issuer.log();
    let signs = log.line_after(position, "Key signs", PATIENCE).await;
    assert!(signs.is_some(), "{}", log.text());
    replay
        .case("prod", "prod_mint_bearer_after_activation_delay")
        .await;
    replay.finish();
}
