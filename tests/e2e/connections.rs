//! Several connections of one process: more cores mint, and nobody takes them for more replicas than there are.

use e2e::{Answers, Bus, Caller, Product};
use microbus_token::{JwkSet, verify};
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

const HOST: &str = "access.token.core";

#[tokio::test]
async fn further_connections_mint_and_publish_with_instance_ids_of_their_own_and_do_nothing_else() {
    let bus = Bus::start().await;
    let _configurator = bus.configurator().await;
    let mut issuer = bus
        .issuer(Product::ACCESS_TOKEN)
        .with_variable("MICROBUS_CONNECTIONS", "3")
        .start();
    issuer.until_logged("Serving").await;
    let caller = bus.caller("tester.client", "id-tester0000").await;
    let keys = JwkSet::from_json(&caller.get(HOST, 888, "/jwks").await.body()).unwrap();

    let mut minters = BTreeSet::new();
    while minters.len() < 3 {
        let minted = caller
            .post(HOST, 666, "/mint", r#"{"claims":{"sub":"harry"}}"#)
            .await;
        let token = minted.json()["token"].as_str().unwrap().to_owned();
        verify(&token, &keys, SystemTime::now()).unwrap();
        let id = minted.response().header("Microbus-From-Id").unwrap();
        minters.insert(id.to_owned());
    }
    let mut publishers = BTreeSet::new();
    while publishers.len() < 3 {
        let published = caller.get(HOST, 888, "/jwks").await;
        let id = published.response().header("Microbus-From-Id").unwrap();
        publishers.insert(id.to_owned());
    }
    assert_eq!(minters, publishers);
    // Each is reached at its own slot too.
    for id in &minters {
        let answers = ask(&caller, id, "jwks", Answers::is_complete).await;
        let from = answers.response().header("Microbus-From-Id");
        assert_eq!(from, Some(id.as_str()));
    }

    // What every instance hears is answered once: by the process.
    for path in ["local-keys", "ping"] {
        let answers = ask(&caller, "_", path, |_| false).await;
        assert_eq!(answers.responses().count(), 1, "{path}");
    }
    assert_eq!(issuer.stop().await.code(), Some(0));
    assert!(!issuer.log().text().contains("Permissions Violation"));
}

/// Asks at a slot until `enough` was answered, or for as long as anybody takes to answer.
async fn ask(
    caller: &Caller,
    slot: &str,
    path: &str,
    enough: impl Fn(&Answers) -> bool,
) -> Answers {
    let id = caller.next_message_id();
    let subject = caller.subject(888, HOST, slot, "GET", path);
    let url = format!("https://{HOST}:888/{path}");
    let headers = [("Microbus-Time-Budget", "20s")];
    let request = caller.request("GET", &url, &id, &headers, b"");
    caller
        .exchange_until(&subject, request, &id, enough, Duration::from_millis(500))
        .await
}

#[tokio::test]
async fn a_number_of_connections_that_is_none_is_refused_with_what_to_write() {
    let bus = Bus::start().await;
    for text in ["0", "17", "two"] {
        let mut issuer = bus
            .issuer(Product::ACCESS_TOKEN)
            .with_variable("MICROBUS_CONNECTIONS", text)
            .start();
        assert_eq!(issuer.exit().await.code(), Some(78), "{text}");
        let log = issuer.log().text();
        assert!(
            log.contains("MICROBUS_CONNECTIONS must be a number from 1 to 16"),
            "{log}"
        );
    }
}
