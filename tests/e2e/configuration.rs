//! Properties from the configurator: at start, at a refresh, and when they are wrong.

use e2e::{Bus, Caller, Product};

const HOST: &str = "access.token.core";

/// The lifetime of a token minted with this time budget; `exp` − `iat` is ten seconds more.
async fn lifetime(caller: &Caller, budget: Option<&str>) -> i64 {
    let mut headers = vec![("Content-Type", "application/json")];
    headers.extend(budget.map(|budget| ("Microbus-Time-Budget", budget)));
    let minted = caller
        .call("POST", HOST, 666, "/mint", &headers, b"{}")
        .await;
    let token = minted.json()["token"].as_str().unwrap().to_owned();
    let number = |name: &str| e2e::normal::claim(&token, name).as_i64().unwrap();
    number("exp") - number("iat") - 10
}

#[tokio::test]
async fn values_of_the_configurator_are_in_force_from_the_start_and_after_a_refresh() {
    let bus = Bus::start().await;
    let configurator = bus.configurator().await;
    configurator.set(HOST, "MaxTokenLifetime", "5s");
    let issuer = bus.issuer(Product::ACCESS_TOKEN).start();
    issuer.until_logged("Serving").await;
    let caller = bus.caller("tester.client", "id-tester0000").await;
    assert_eq!(lifetime(&caller, Some("20s")).await, 5);

    configurator.set(HOST, "MaxTokenLifetime", "10m");
    configurator.set(HOST, "DefaultTokenLifetime", "3s");
    let refreshed = configurator.refresh("all").await;
    assert_eq!(refreshed.response().status(), 200);
    assert_eq!(lifetime(&caller, Some("20s")).await, 20);
    assert_eq!(lifetime(&caller, Some("100h")).await, 600);
    assert_eq!(
        lifetime(&caller, None).await,
        3,
        "DefaultTokenLifetime is honoured"
    );
    assert_eq!(
        lifetime(&caller, Some("garbage")).await,
        3,
        "a budget that is none is none"
    );
}

#[tokio::test]
async fn a_bad_value_from_the_configurator_is_the_default_at_start_and_the_old_value_later() {
    let bus = Bus::start().await;
    let configurator = bus.configurator().await;
    configurator.set(HOST, "MaxTokenLifetime", "30m");
    let setup = bus
        .issuer(Product::ACCESS_TOKEN)
        .with_variable("MICROBUS_DEPLOYMENT", "PROD");
    let issuer = setup.start();
    let line = issuer.until_logged("Invalid config value").await;
    assert!(
        line.contains("ERROR") && line.contains("the most allowed is 15m0s"),
        "{line}"
    );
    issuer.until_logged("Serving").await;
    let caller = bus.caller("tester.client", "id-tester0000").await;
    assert_eq!(lifetime(&caller, Some("100h")).await, 900);

    configurator.set(HOST, "MaxTokenLifetime", "5s");
    configurator.refresh(HOST).await;
    configurator.set(HOST, "MaxTokenLifetime", "nonsense");
    let refreshed = configurator.refresh(HOST).await;
    assert_eq!(refreshed.response().status(), 200);
    assert_eq!(lifetime(&caller, Some("20s")).await, 5);
}

#[tokio::test]
async fn a_refresh_that_fails_says_so_and_is_made_up_for_by_itself() {
    let bus = Bus::start().await;
    let configurator = bus.configurator().await;
    let issuer = bus.issuer(Product::ACCESS_TOKEN).start();
    issuer.until_logged("Serving").await;
    drop(configurator);
    let caller = bus.caller("tester.client", "id-tester0000").await;
    let refused = caller.post(HOST, 888, "/config-refresh", "{}").await;
    assert_eq!(refused.response().status(), 404);
    let back = bus.configurator().await;
    back.set(HOST, "MaxTokenLifetime", "5s");
    issuer.until_logged("Config updated").await;
    assert_eq!(lifetime(&caller, Some("20s")).await, 5);
}
