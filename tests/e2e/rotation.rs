//! A new key is published before it signs, and the old one after it stopped.

use e2e::{Bus, Caller, PATIENCE, Product};
use microbus_token::{JwkSet, verify};
use std::time::SystemTime;

const HOST: &str = "access.token.core";

async fn mint(caller: &Caller) -> String {
    let minted = caller.post(HOST, 666, "/mint", "{}").await;
    minted.json()["token"].as_str().unwrap().to_owned()
}

async fn published(caller: &Caller) -> JwkSet {
    JwkSet::from_json(&caller.get(HOST, 888, "/jwks").await.body()).unwrap()
}

#[tokio::test]
async fn a_token_minted_before_a_rotation_verifies_after_it() {
    let bus = Bus::start().await;
    let _configurator = bus.configurator().await;
    // Without warming nothing confirms the key, and it signs after the activation delay.
    let setup = bus.issuer(Product::ACCESS_TOKEN).with_file(
        "config.yaml",
        "access.token.core:\n  WarmVerifiers: false\n",
    );
    let issuer = setup.start();
    issuer.until_logged("Serving").await;
    let caller = bus.caller("tester.client", "id-tester0000").await;
    let old = mint(&caller).await;
    let position = issuer.log().position();

    issuer.rotate();
    let mut log = issuer.log();
    assert!(
        log.line_after(position, "Key published", PATIENCE)
            .await
            .is_some(),
        "{}",
        log.text()
    );
    let keys = published(&caller).await;
    assert_eq!(keys.len(), 2);
    let newest = keys.iter().next().unwrap().id().clone();
    let meanwhile = mint(&caller).await;
    assert_ne!(
        e2e::normal::kid(&meanwhile),
        newest.as_str(),
        "published, and does not sign yet"
    );

    assert!(
        log.line_after(position, "Key signs", PATIENCE)
            .await
            .is_some(),
        "{}",
        log.text()
    );
    let new = mint(&caller).await;
    assert_eq!(e2e::normal::kid(&new), newest.as_str());
    let keys = published(&caller).await;
    for token in [old, meanwhile, new] {
        verify(&token, &keys, SystemTime::now()).unwrap();
    }
}
