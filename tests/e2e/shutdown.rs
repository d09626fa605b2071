//! A stop loses nothing that was delivered.

use e2e::{Answers, Bus, Caller, PATIENCE, Product};
use std::time::Duration;

const HOST: &str = "access.token.core";

/// Returns a request of a token, and where it goes.
fn mint(caller: &Caller, id: &str) -> (String, Vec<u8>) {
    let headers = [
        ("Content-Type", "application/json"),
        ("Microbus-Time-Budget", "20s"),
    ];
    let url = format!("https://{HOST}:666/mint");
    let request = caller.request("POST", &url, id, &headers, b"{}");
    (caller.subject(666, HOST, "_", "POST", "mint"), request)
}

/// Keeps `count` mints in flight and returns how many were neither answered by anybody nor refused.
async fn unanswered(caller: &Caller, count: usize) -> (usize, usize) {
    let mut acked_without_answer = 0;
    let mut answered = 0;
    for _ in 0..count {
        let id = caller.next_message_id();
        let (subject, request) = mint(caller, &id);
        let silence = Duration::from_millis(500);
        let answers = caller
            .exchange_until(&subject, request, &id, Answers::is_complete, silence)
            .await;
        match (answers.is_complete(), answers.acks().next()) {
            (true, _) => answered += 1,
            (false, Some(_)) => acked_without_answer += 1,
            // Nobody listened any more: a caller of the bus is told within an ack timeout.
            (false, None) => break,
        }
    }
    (answered, acked_without_answer)
}

#[tokio::test]
async fn under_load_a_graceful_stop_answers_every_request_that_it_acked() {
    let bus = Bus::start().await;
    let _configurator = bus.configurator().await;
    let setup = bus
        .issuer(Product::ACCESS_TOKEN)
        .with_variable("MICROBUS_CONNECTIONS", "2");
    let (mut stopping, _staying) = (setup.start(), setup.start());
    stopping.until_logged("Serving").await;
    _staying.until_logged("Serving").await;
    let callers = [
        bus.caller("tester.client", "id-tester0000").await,
        bus.caller("raw.tester", "id-rawtester0").await,
    ];
    let [first, second] = &callers;
    let load = async { tokio::join!(unanswered(first, 2000), unanswered(second, 2000)) };
    let stop = async {
        first.get(HOST, 888, "/ping").await;
        stopping.stop().await
    };
    let (((answered, lost), (answered_too, lost_too)), status) = tokio::join!(load, stop);
    assert_eq!(status.code(), Some(0));
    assert_eq!((lost, lost_too), (0, 0));
    assert_eq!(
        (answered, answered_too),
        (2000, 2000),
        "the other replica went on serving"
    );
    assert!(stopping.log().text().contains("Shutdown"));
}

#[tokio::test]
async fn a_stop_amid_a_flood_answers_all_that_was_delivered() {
    const FLOOD: usize = 2000;
    let bus = Bus::start().await;
    let _configurator = bus.configurator().await;
    let mut issuer = bus.issuer(Product::ACCESS_TOKEN).start();
    issuer.until_logged("Serving").await;
    let caller = bus.caller("tester.client", "id-tester0000").await;
    let mut tap = bus.tap().await;
    // The flood and the signal are there before either is seen.
    issuer.pause();
    for _ in 0..FLOOD {
        let (subject, request) = mint(&caller, &caller.next_message_id());
        caller.publish(&subject, request).await;
    }
    tap.until_delivered(FLOOD, ".mint", PATIENCE).await;
    issuer.ask_to_stop();
    issuer.resume();
    let mut minted = 0;
    while minted < FLOOD {
        let message = tap.next(PATIENCE).await.unwrap();
        let is_reply = message
            .subject
            .contains(".access_token_core.tester_client.");
        if is_reply && message.op_code() != "Ack" {
            assert_eq!(message.status(), 200, "{message:?}");
            minted += 1;
        }
    }
    assert_eq!(issuer.exit().await.code(), Some(0));
    assert!(issuer.log().text().contains("Shutdown"));
}

#[tokio::test]
async fn a_stop_says_nothing_on_the_wire_but_to_its_replicas() {
    let bus = Bus::start().await;
    let configurator = bus.configurator().await;
    // Verifiers are shown a key after it signs, which may be while the issuer stops.
    configurator.set(HOST, "WarmVerifiers", "false");
    let mut issuer = bus.issuer(Product::ACCESS_TOKEN).start();
    issuer.until_logged("Serving").await;
    let caller = bus.caller("tester.client", "id-tester0000").await;
    caller.get(HOST, 888, "/ping").await;
    let mut tap = bus.tap().await;
    assert_eq!(issuer.stop().await.code(), Some(0));
    caller
        .publish(
            &caller.subject(888, "nobody.example", "_", "GET", "end"),
            "",
        )
        .await;
    loop {
        let message = tap.next(PATIENCE).await.unwrap();
        if message.subject.contains("nobody_example") {
            break;
        }
        let among_replicas = message
            .subject
            .contains(".access_token_core.access_token_core.");
        assert!(
            among_replicas,
            "{} {}",
            message.subject,
            message.first_line()
        );
    }
}
