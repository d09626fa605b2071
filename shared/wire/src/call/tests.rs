use bytes::Bytes;

use super::*;

const ROUND_TRIP: Duration = Duration::from_millis(100);

#[expect(
    clippy::disallowed_methods,
    reason = "any instant does; the tests only add to it"
)]
fn start() -> Instant {
    Instant::now()
}

fn setup(fragments: usize) -> CallSetup {
    CallSetup {
        url: "https://nobody.example:443/x".to_owned(),
        budget: TimeBudget::DEFAULT,
        round_trip: ROUND_TRIP,
        fragments,
    }
}

fn message(op: OpCode, from_id: &str, queue: Option<&str>) -> Response {
    let mut response = Response::new(200, Bytes::new());
    response.headers.set(header::OP_CODE, op.as_str());
    response.headers.set(header::FROM_ID, from_id);
    if let Some(queue) = queue {
        response.headers.set(header::QUEUE, queue);
    }
    response
}

fn error_of(step: UnicastStep) -> (u16, String) {
    match step {
        UnicastStep::Done(answer) => {
            let error = answer.unwrap_err();
            (error.status().code(), error.to_string())
        }
        UnicastStep::Wait | UnicastStep::SendRest { .. } => panic!("not done"),
    }
}

#[test]
fn a_call_that_nobody_hears_ends_after_a_round_trip_with_404() {
    let now = start();
    let mut call = Unicast::new(setup(1), now);
    assert_eq!(call.next_wakeup(), Some(now + ROUND_TRIP));
    assert_eq!(call.on_timeout(now + ROUND_TRIP / 2), UnicastStep::Wait);
    let error = error_of(call.on_timeout(now + ROUND_TRIP));
    assert_eq!(
        error,
        (404, "ack timeout: https://nobody.example:443/x".to_owned())
    );
}

#[test]
fn a_call_that_is_acked_but_not_answered_ends_after_its_budget_with_408() {
    let now = start();
    let mut call = Unicast::new(setup(1), now);
    assert_eq!(
        call.on_message(message(OpCode::Ack, "a", None), now),
        UnicastStep::Wait
    );
    assert_eq!(call.on_timeout(now + ROUND_TRIP), UnicastStep::Wait);
    let deadline = now + Duration::from_secs(20);
    assert_eq!(call.next_wakeup(), Some(deadline));
    assert_eq!(
        error_of(call.on_timeout(deadline)),
        (408, "timeout: https://nobody.example:443/x".to_owned())
    );
}

#[test]
fn the_first_response_ends_a_unicast_even_without_an_ack() {
    let now = start();
    let answer = message(OpCode::Res, "a", None);
    let step = Unicast::new(setup(1), now).on_message(answer.clone(), now);
    assert_eq!(step, UnicastStep::Done(Box::new(Ok(answer))));
}

#[test]
fn an_error_takes_its_status_from_its_body() {
    let now = start();
    let mut answer = message(OpCode::Err, "a", None);
    answer.body = Bytes::from_static(br#"{"err":{"error":"no key","statusCode":503}}"#);
    let step = Unicast::new(setup(1), now).on_message(answer, now);
    assert_eq!(error_of(step), (503, "no key".to_owned()));
}

#[test]
fn the_rest_of_a_fragmented_request_goes_to_each_responder_once() {
    let now = start();
    let mut call = Unicast::new(setup(3), now);
    let rest = UnicastStep::SendRest {
        responder_id: "a".to_owned(),
    };
    assert_eq!(call.on_message(message(OpCode::Ack, "a", None), now), rest);
    assert_eq!(
        call.on_message(message(OpCode::Ack, "a", None), now),
        UnicastStep::Wait
    );
}

#[test]
fn a_fragmented_response_is_joined() {
    let now = start();
    let mut call = Unicast::new(setup(1), now);
    let part = |fragment: &str, body: &'static [u8]| {
        let mut part = message(OpCode::Res, "a", None);
        part.headers.set(header::FRAGMENT, fragment);
        part.body = Bytes::from_static(body);
        part
    };
    assert_eq!(call.on_message(part("2/2", b"b"), now), UnicastStep::Wait);
    let UnicastStep::Done(answer) = call.on_message(part("1/2", b"a"), now) else {
        panic!()
    };
    assert_eq!(answer.unwrap().body, "ab");
    let mut call = Unicast::new(setup(1), now);
    assert_eq!(error_of(call.on_message(part("3/2", b"b"), now)).0, 502);
}

fn count(step: MulticastStep) -> (usize, Option<Vec<String>>) {
    match step {
        MulticastStep::Done {
            results,
            responders,
        } => (
            results.len(),
            responders.map(|keys| keys.into_iter().collect()),
        ),
        MulticastStep::Wait | MulticastStep::SendRest { .. } => panic!("not done"),
    }
}

#[test]
fn a_multicast_that_nobody_hears_is_empty_and_no_error() {
    let now = start();
    let mut call = Multicast::new(setup(1), Some(Responders::from(["gone".to_owned()])), now);
    assert_eq!(call.next_wakeup(), Some(now + ROUND_TRIP));
    assert_eq!(count(call.on_timeout(now + ROUND_TRIP)), (0, None));
}

#[test]
fn a_first_multicast_waits_a_round_trip_for_more_responders() {
    let now = start();
    let mut call = Multicast::new(setup(1), None, now);
    for id in ["a", "b"] {
        assert_eq!(
            call.on_message("h", message(OpCode::Ack, id, None), now),
            MulticastStep::Wait
        );
        assert_eq!(
            call.on_message("h", message(OpCode::Res, id, None), now),
            MulticastStep::Wait
        );
    }
    let keys = vec!["a.h".to_owned(), "b.h".to_owned()];
    assert_eq!(count(call.on_timeout(now + ROUND_TRIP)), (2, Some(keys)));
}

#[test]
fn a_multicast_to_known_responders_ends_with_the_last_of_their_answers() {
    let now = start();
    let known = Responders::from(["a.h".to_owned(), "q".to_owned()]);
    let mut call = Multicast::new(setup(1), Some(known.clone()), now);
    assert_eq!(
        call.on_message("h", message(OpCode::Res, "a", None), now),
        MulticastStep::Wait
    );
    assert_eq!(
        call.on_message("h", message(OpCode::Ack, "b", Some("q")), now),
        MulticastStep::Wait
    );
    assert_eq!(call.next_wakeup(), Some(now + Duration::from_secs(20)));
    let done = call.on_message("h", message(OpCode::Res, "b", Some("q")), now);
    assert_eq!(count(done), (2, Some(known.into_iter().collect())));
}

#[test]
fn a_multicast_waits_for_an_answer_of_everybody_who_acked() {
    let now = start();
    let mut call = Multicast::new(setup(1), None, now);
    call.on_message("h", message(OpCode::Ack, "a", None), now);
    call.on_message("h", message(OpCode::Ack, "b", None), now);
    assert_eq!(call.on_timeout(now + ROUND_TRIP), MulticastStep::Wait);
    assert_eq!(
        call.on_message("h", message(OpCode::Res, "a", None), now),
        MulticastStep::Wait
    );
    // A second answer of the same instance does not stand for the missing one.
    assert_eq!(
        call.on_message("h", message(OpCode::Res, "a", None), now),
        MulticastStep::Wait
    );
    let MulticastStep::Done {
        results,
        responders,
    } = call.on_timeout(now + Duration::from_secs(20))
    else {
        panic!()
    };
    assert_eq!((results.len(), responders), (2, None));
    assert_eq!(
        results[1].as_ref().unwrap_err().status(),
        ErrorStatus::REQUEST_TIMEOUT
    );
}

#[test]
fn a_fragmented_multicast_sends_the_rest_to_everybody_who_acks() {
    let now = start();
    let mut call = Multicast::new(setup(2), None, now);
    for id in ["a", "b"] {
        let rest = MulticastStep::SendRest {
            responder_id: id.to_owned(),
        };
        assert_eq!(
            call.on_message("h", message(OpCode::Ack, id, None), now),
            rest
        );
    }
}
