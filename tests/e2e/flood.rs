//! More comes at once than can be answered at once: nothing is lost, and other callers hardly notice.

use e2e::{Bus, Caller, PATIENCE, Product};
use futures_util::future::join_all;
use std::collections::HashMap;

const HOST: &str = Product::ACCESS_TOKEN.host;
const FLOOD: usize = 16_000;
/// Requests are written as fast as so many tasks can.
const WRITERS: usize = 16;

#[tokio::test]
async fn each_request_of_a_flood_is_answered_once_and_another_caller_gets_its_token_meanwhile() {
    let bus = Bus::start().await;
    let _configurator = bus.configurator().await;
    let issuer = bus.issuer(Product::ACCESS_TOKEN).start();
    issuer.until_logged("Serving").await;
    let flooder = bus.caller("raw.tester", "id-flooder000").await;
    let other = bus.caller("tester.client", "id-tester0000").await;
    let writing = join_all((0..WRITERS).map(|_| write(&flooder)));
    let reading = async {
        let mut statuses = HashMap::<String, Vec<u16>>::new();
        let mut answered = 0;
        while answered < FLOOD {
            let Some(reply) = flooder.next_reply(PATIENCE).await else {
                break;
            };
            if reply.op_code() != "Ack" {
                answered += 1;
                let id = reply.message_id().to_owned();
                statuses.entry(id).or_default().push(reply.status());
            }
        }
        statuses
    };
    let minting = async {
        for _ in 0..20 {
            let minted = other.post(HOST, 666, "/mint", "{}").await;
            assert_eq!(minted.response().status(), 200, "{minted:?}");
        }
    };
    let (_, statuses, ()) = tokio::join!(writing, reading, minting);

    assert_eq!(statuses.len(), FLOOD, "{}", issuer.log().text());
    let count = |wanted: u16| {
        statuses
            .values()
            .filter(|found| **found == [wanted])
            .count()
    };
    let (minted, refused) = (count(200), count(503));
    assert_eq!(minted + refused, FLOOD, "once each");
    assert!(minted > FLOOD / 2, "{minted}");
    assert!(!issuer.log().text().contains("Dropped a message"));
}

async fn write(flooder: &Caller) {
    let subject = flooder.subject(666, HOST, "_", "POST", "mint");
    let headers = [
        ("Microbus-Time-Budget", "20s"),
        ("Content-Type", "application/json"),
    ];
    for _ in 0..FLOOD / WRITERS {
        let id = flooder.next_message_id();
        let url = format!("https://{HOST}:666/mint");
        let request = flooder.request("POST", &url, &id, &headers, br#"{"claims":{"sub":"a"}}"#);
        flooder.publish(&subject, request).await;
    }
}
