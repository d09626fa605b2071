//! More comes at once than can be answered at once: nothing is lost, and other callers are served in between.

use e2e::{Bus, Caller, Configurator, Issuer, PATIENCE, Product};
use futures_util::future::join_all;
use std::collections::HashMap;

const HOST: &str = Product::ACCESS_TOKEN.host;
/// Fewer than the issuer lets wait, so that it refuses none.
const FLOOD: usize = 16_000;
/// Requests are written as fast as so many tasks can.
const WRITERS: usize = 16;

/// An issuer that serves, and two who ask it.
struct Scene {
    bus: Bus,
    issuer: Issuer,
    flooder: Caller,
    other: Caller,
    _configurator: Configurator,
}

impl Scene {
    async fn set() -> Self {
        let bus = Bus::start().await;
        let configurator = bus.configurator().await;
        let issuer = bus.issuer(Product::ACCESS_TOKEN).start();
        issuer.until_logged("Serving").await;
        Self {
            flooder: bus.caller("raw.tester", "id-flooder000").await,
            other: bus.caller("tester.client", "id-tester0000").await,
            bus,
            issuer,
            _configurator: configurator,
        }
    }
}

#[tokio::test]
async fn each_request_of_a_flood_is_answered_once_and_another_caller_gets_its_token_meanwhile() {
    let scene = Scene::set().await;
    let Scene { flooder, other, .. } = &scene;
    let writing = join_all((0..WRITERS).map(|_| write(flooder, FLOOD / WRITERS)));
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

    let minted = statuses.values().filter(|found| **found == [200]).count();
    assert_eq!((statuses.len(), minted), (FLOOD, FLOOD), "once each");
    assert!(!scene.issuer.log().text().contains("Dropped a message"));
}

/// Requests of the flood that wait, and of the caller that comes after it.
const WAITING: usize = 4_000;
const LATECOMERS: usize = 20;

#[tokio::test]
async fn a_caller_that_comes_after_a_flood_is_served_before_it_is_worked_off() {
    let scene = Scene::set().await;
    let Scene { flooder, other, .. } = &scene;
    let mut tap = scene.bus.tap().await;
    // Everything is there before any of it is served: how fast it was written does not matter.
    scene.issuer.pause();
    write(flooder, WAITING).await;
    tap.until_delivered(WAITING, ".mint", PATIENCE).await;
    write(other, LATECOMERS).await;
    scene.issuer.resume();

    let mut served = Vec::new();
    while served.len() < WAITING + LATECOMERS {
        let message = tap.next(PATIENCE).await.unwrap();
        let is_answer = matches!(message.op_code(), "Res" | "Err");
        if is_answer && message.subject.contains(".reply._.access_token_core.") {
            assert_eq!(message.status(), 200, "{message:?}");
            served.push(message.subject.contains(".tester_client."));
        }
    }
    let of_flood = |served: &[bool]| served.iter().filter(|of_other| !**of_other).count();
    let last = served.iter().rposition(|of_other| *of_other).unwrap();
    let before = of_flood(&served[..last]);
    println!("{before} of {WAITING} were served before");
    // How much is served before the last is heard depends on the machine; without turns it would be all.
    assert!(before < WAITING * 3 / 4, "{before} were served before");
}

async fn write(caller: &Caller, count: usize) {
    let subject = caller.subject(666, HOST, "_", "POST", "mint");
    // However busy the machine is, none expires.
    let headers = [
        ("Microbus-Time-Budget", "5m"),
        ("Content-Type", "application/json"),
    ];
    for _ in 0..count {
        let id = caller.next_message_id();
        let url = format!("https://{HOST}:666/mint");
        let request = caller.request("POST", &url, &id, &headers, br#"{"claims":{"sub":"a"}}"#);
        caller.publish(&subject, request).await;
    }
}
