//! Bodies that are larger than a message of the broker, both ways, in order, out of order, doubled, absurd and incomplete.

use e2e::goldens::{self, Case};
use e2e::{Answers, Bus, Caller, Issuer, PATIENCE, Product};

const HOST: &str = "access.token.core";

async fn start() -> (Bus, Issuer, Caller) {
    let bus = Bus::with_max_payload(131_072).await;
    let configurator = bus.configurator().await;
    let issuer = bus.issuer(Product::ACCESS_TOKEN).start();
    issuer.until_logged("Serving").await;
    drop(configurator);
    let caller = bus.caller("tester.client", "id-tester0000").await;
    (bus, issuer, caller)
}

/// Sends the recorded requests of a case one after the other and collects everything that comes back.
async fn replay(bus: &Bus, case: &Case, enough: impl Fn(&Answers) -> bool) -> Answers {
    let requests: Vec<_> = case.requests_to(HOST).collect();
    let source = requests[0]
        .subject
        .split('.')
        .nth(3)
        .unwrap()
        .replace('_', ".");
    let caller = bus.caller(&source, "id-recorded00").await;
    let pong = caller.get(HOST, 888, "/ping").await;
    let instance = pong
        .response()
        .header("Microbus-From-Id")
        .unwrap()
        .to_owned();
    let (last, others) = requests.split_last().unwrap();
    for request in others {
        caller
            .publish(
                &addressed(&request.subject, &instance),
                request.payload.clone(),
            )
            .await;
    }
    let subject = addressed(&last.subject, &instance);
    let id = last.message_id().to_owned();
    caller
        .exchange_until(&subject, last.payload.clone(), &id, enough, PATIENCE)
        .await
}

/// The recorded slots name an instance or a locality that we are not.
fn addressed(subject: &str, instance: &str) -> String {
    let mut segments: Vec<_> = subject.split('.').collect();
    match segments[5] {
        slot if slot.starts_with("id-") => segments[5] = instance,
        _ => segments[5] = "_",
    }
    segments.join(".")
}

#[tokio::test]
async fn a_recorded_request_in_fragments_is_answered_in_fragments() {
    let (bus, _issuer, _) = start().await;
    let case = goldens::case("prod", "prod_fragmented_mint");
    let answers = replay(&bus, &case, Answers::is_complete).await;
    assert_eq!(answers.acks().filter(|ack| ack.status() == 100).count(), 3);
    assert!(
        answers
            .acks()
            .all(|ack| ack.header("Content-Length").is_none())
    );
    assert_eq!(answers.responses().count(), 4);
    let token = answers.json()["token"].as_str().unwrap().to_owned();
    let big = e2e::normal::claim(&token, "big");
    assert!(big.as_str().unwrap().starts_with("0123456789abcdef"));
}

#[tokio::test]
async fn fragments_may_come_in_any_order() {
    let (bus, _issuer, _) = start().await;
    let case = goldens::case("prod", "prod_fragments_out_of_order");
    let answers = replay(&bus, &case, Answers::is_complete).await;
    assert_eq!(answers.response().status(), 200);
}

#[tokio::test]
async fn a_doubled_or_absurd_fragment_is_refused_with_an_answer() {
    let (bus, _issuer, _) = start().await;
    for name in ["fragments_duplicate_index", "fragments_index_out_of_range"] {
        let case = goldens::case("extra", name);
        let answers = replay(&bus, &case, Answers::is_complete).await;
        assert_eq!(
            answers.response().status(),
            400,
            "{name}: the Go service falls silent"
        );
    }
}

#[tokio::test]
async fn a_request_whose_fragments_do_not_all_come_is_answered_408() {
    let (bus, _issuer, _) = start().await;
    let case = goldens::case("prod", "prod_fragments_incomplete");
    let answers = replay(&bus, &case, Answers::is_complete).await;
    assert_eq!(
        answers.response().status(),
        408,
        "the Go service falls silent"
    );
}
