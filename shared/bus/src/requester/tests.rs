use super::*;
use crate::clock::SystemClock;
use crate::connection::Subscription;
use crate::handler::{Incoming, Received};
use crate::responder::Caller;
use bytes::Bytes;
use microbus_wire::frame::Request;
use microbus_wire::header::OpCode;
use microbus_wire::host::Hostname;
use microbus_wire::locality::Locality;
use microbus_wire::subject::{Method, Plane};
use microbus_wire::trace::{Layout, TracedError};

mod multicast;

const ROUND_TRIP: Duration = Duration::from_millis(100);
const FRAGMENT_SIZE: usize = 10;
const ECHO: &str = "https://echo.example:443/x";

/// A requester, and a raw responder of `echo.example` beside it.
struct Bench {
    connection: Connection,
    requester: Arc<Requester>,
    requests: Subscription,
}

impl Bench {
    async fn start(locality: Option<&str>) -> Self {
        let connection = Connection::in_process();
        let identity = Identity {
            plane: Plane::default(),
            hostname: Hostname::parse("tester.client").unwrap(),
            version: 7,
            instance: InstanceId::parse("id-abcdefghij").unwrap(),
            locality: locality.map(|text| Locality::parse(text).unwrap()),
        };
        let requests = connection
            .subscribe("microbus.safe.>".to_owned(), None)
            .await
            .unwrap();
        let requester = Requester::start(
            connection.clone(),
            identity,
            Arc::new(SystemClock),
            Observation::default(),
        )
        .await
        .unwrap();
        Self {
            connection,
            requester,
            requests,
        }
    }

    /// Starts a call beside the test.
    fn ask(&self, outgoing: Outgoing) -> tokio::task::JoinHandle<Result<Response, RequestError>> {
        let requester = Arc::clone(&self.requester);
        tokio::spawn(async move { requester.unicast(outgoing, ROUND_TRIP, FRAGMENT_SIZE).await })
    }

    /// Returns the next request and its subject.
    async fn hear(&mut self) -> (String, Request) {
        let message = self.requests.next().await.unwrap();
        let request = Request::parse(&message.payload).unwrap();
        (message.subject.to_string(), request)
    }

    /// Tells whether nothing more is asked for a minute.
    async fn is_silent(&mut self) -> bool {
        let minute = Duration::from_secs(60);
        tokio::time::timeout(minute, self.requests.next())
            .await
            .is_err()
    }

    async fn reply(&self, to: &Request, reply: Reply<'_>) {
        self.reply_as("echo_example", to, reply).await;
    }

    async fn reply_as(&self, source: &str, to: &Request, reply: Reply<'_>) {
        let mut response = Response::new(reply.status, Bytes::from(reply.body.to_owned()));
        let id = to.headers.get(header::MESSAGE_ID).unwrap();
        for (name, value) in [
            (header::MESSAGE_ID, Some(id)),
            (header::FROM_ID, Some(reply.from_id)),
            (header::FROM_HOST, Some("spoofed.example")),
            (header::OP_CODE, Some(reply.op_code.as_str())),
            (header::QUEUE, reply.queue),
            (header::LOCALITY, reply.locality),
        ] {
            if let Some(value) = value {
                response.headers.set(name, value);
            }
        }
        let subject = format!("microbus.reply._.{source}.tester_client.id-abcdefghij");
        self.connection
            .publish(subject, response.encode().into())
            .await
            .unwrap();
    }
}

/// What a raw responder sends.
#[derive(Clone, Copy)]
struct Reply<'a> {
    status: u16,
    op_code: OpCode,
    from_id: &'a str,
    queue: Option<&'a str>,
    locality: Option<&'a str>,
    body: &'a str,
}

const ACK: Reply<'_> = Reply {
    status: 202,
    op_code: OpCode::Ack,
    from_id: "id-gsw2gftqlx",
    queue: None,
    locality: None,
    body: "",
};
const ANSWER: Reply<'_> = Reply {
    status: 200,
    op_code: OpCode::Res,
    body: "pong",
    ..ACK
};

fn outgoing() -> Outgoing {
    Outgoing::new(Method::Post, Address::parse(ECHO).unwrap())
}

fn call_error(answer: Result<Response, RequestError>) -> CallError {
    match answer {
        Err(RequestError::Call(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_another_host_than_was_asked_is_none() {
    let mut bench = Bench::start(None).await;
    let call = bench.ask(outgoing());
    let (_, request) = bench.hear().await;
    for reply in [
        ACK,
        Reply {
            body: "planted",
            ..ANSWER
        },
    ] {
        bench.reply_as("evil_example", &request, reply).await;
    }
    bench.reply(&request, ANSWER).await;
    assert_eq!(call.await.unwrap().unwrap().body, "pong");

    let call = bench.ask(outgoing());
    let (_, request) = bench.hear().await;
    bench.reply_as("evil_example", &request, ANSWER).await;
    let error = call_error(call.await.unwrap());
    assert!(matches!(error, CallError::AckTimeout { .. }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_request_says_who_asks_and_its_answer_is_returned() {
    let mut bench = Bench::start(None).await;
    let call = bench.ask(outgoing().json("{}").within(Duration::from_secs(3)));
    let (subject, request) = bench.hear().await;
    assert_eq!(
        subject,
        "microbus.safe.443.tester_client.echo_example._.POST.x"
    );
    for (name, value) in [
        (header::FROM_HOST, "tester.client"),
        (header::FROM_ID, "id-abcdefghij"),
        (header::FROM_VERSION, "7"),
        (header::CALL_DEPTH, "1"),
        (header::TIME_BUDGET, "3s"),
        (header::OP_CODE, "Req"),
        (header::CONTENT_TYPE, "application/json"),
    ] {
        assert_eq!(request.headers.get(name), Some(value), "{name}");
    }
    bench.reply(&request, ACK).await;
    bench.reply(&request, ANSWER).await;
    let response = call.await.unwrap().unwrap();
    assert_eq!(response.body, "pong");
    assert_eq!(
        response.headers.get(header::FROM_HOST),
        Some("echo.example"),
        "as the subject says, not the header"
    );
    assert!(lock(&bench.requester.pending).calls.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_nobody_acks_is_a_404_after_a_round_trip() {
    let bench = Bench::start(None).await;
    let began = tokio::time::Instant::now();
    let error = call_error(bench.ask(outgoing()).await.unwrap());
    assert_eq!(error.to_string(), format!("ack timeout: {ECHO}"));
    assert_eq!(error.status(), ErrorStatus::NOT_FOUND);
    assert!(began.elapsed() >= ROUND_TRIP && began.elapsed() < ROUND_TRIP * 2);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_acked_and_not_answered_is_a_408_after_its_budget() {
    let mut bench = Bench::start(None).await;
    let began = tokio::time::Instant::now();
    let call = bench.ask(outgoing().within(Duration::from_secs(3)));
    let (_, request) = bench.hear().await;
    bench.reply(&request, ACK).await;
    let error = call_error(call.await.unwrap());
    assert_eq!(error.to_string(), format!("timeout: {ECHO}"));
    assert_eq!(error.status(), ErrorStatus::REQUEST_TIMEOUT);
    assert_eq!(began.elapsed().as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_error_that_was_the_answer_is_returned_with_its_status() {
    let mut bench = Bench::start(None).await;
    let call = bench.ask(outgoing());
    let (_, request) = bench.hear().await;
    let body = TracedError::new(ErrorStatus::FORBIDDEN, "no").encode(Layout::Compact);
    let error = Reply {
        status: 403,
        op_code: OpCode::Err,
        body: std::str::from_utf8(&body).unwrap(),
        ..ANSWER
    };
    bench.reply(&request, error).await;
    let error = call_error(call.await.unwrap());
    assert_eq!(
        (error.status(), error.to_string().as_str()),
        (ErrorStatus::FORBIDDEN, "no")
    );
}

#[tokio::test(start_paused = true)]
async fn the_rest_of_a_large_request_goes_to_the_instance_that_acked_its_beginning() {
    let mut bench = Bench::start(None).await;
    let call = bench.ask(
        outgoing()
            .json("0123456789abcdefghijABC")
            .within(2 * ROUND_TRIP),
    );
    let (subject, first) = bench.hear().await;
    assert!(subject.ends_with(".echo_example._.POST.x"));
    assert_eq!(first.headers.get(header::FRAGMENT), Some("1/3"));
    assert_eq!(first.body, "0123456789");
    let more = tokio::time::timeout(ROUND_TRIP / 2, bench.requests.next()).await;
    assert!(more.is_err(), "nothing more before an ack");
    bench.reply(&first, ACK).await;
    for (fragment, body) in [("2/3", "abcdefghij"), ("3/3", "ABC")] {
        let (subject, part) = bench.hear().await;
        assert!(subject.ends_with(".echo_example.id-gsw2gftqlx.POST.x"));
        assert_eq!(part.headers.get(header::FRAGMENT), Some(fragment));
        assert_eq!(part.target(), first.target());
        assert_eq!(part.body, body);
        bench.reply(&part, ACK).await;
    }
    bench.reply(&first, ANSWER).await;
    assert_eq!(call.await.unwrap().unwrap().body, "pong");
    assert!(bench.is_silent().await, "the rest is sent once");
}

#[tokio::test(start_paused = true)]
async fn a_responder_nearby_is_preferred_and_when_it_is_gone_the_request_is_sent_again_whole() {
    let mut bench = Bench::start(Some("us-west-1")).await;
    let from = |locality| Reply {
        locality: Some(locality),
        ..ANSWER
    };
    for (locality, slot) in [
        ("eu-west-1", "_"),
        ("us-east-1", "_"),
        ("us-west-2", "loc-us"),
        ("us-east-1", "loc-us-west"),
    ] {
        let call = bench.ask(outgoing().json("{}"));
        let (subject, request) = bench.hear().await;
        assert!(subject.contains(&format!(".{slot}.POST.")), "{subject}");
        bench.reply(&request, from(locality)).await;
        call.await.unwrap().unwrap();
    }
    let call = bench.ask(outgoing().json("{}"));
    let (near, _) = bench.hear().await;
    assert!(near.contains(".loc-us-west."), "the nearest one is kept");
    let (plain, request) = bench.hear().await;
    assert!(plain.contains("._.POST."), "{plain}");
    assert_eq!(request.body, "{}");
    bench.reply(&request, from("us-east-1")).await;
    call.await.unwrap().unwrap();
    drop(bench.ask(outgoing()));
    let (subject, _) = bench.hear().await;
    assert!(
        subject.contains(".loc-us.POST."),
        "what answers now is learnt at once: {subject}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_call_within_a_request_takes_over_its_deadline_depth_and_baggage_but_not_its_actor() {
    let mut bench = Bench::start(None).await;
    let mut frame = Request::to(&Address::parse(ECHO).unwrap(), Method::Post, Bytes::new());
    for (name, value) in [
        (header::CALL_DEPTH, "5"),
        (header::ACTOR, "actor"),
        ("Microbus-Baggage-A", "1"),
        ("X-Forwarded-For", "2"),
        (header::TRACEPARENT, "3"),
        ("Cookie", "4"),
    ] {
        frame.headers.set(name, value);
    }
    let inbound = |frame: &Request, left| {
        Incoming::from(Received {
            frame: frame.clone(),
            caller: Arc::new(Caller::new("a_example", "id-a", "a.example", String::new())),
            budget: Duration::from_secs(5),
            budget_given: true,
            deadline: SystemClock.now() + left,
            traced: None,
            actor: std::sync::OnceLock::new(),
        })
    };
    let left = Duration::from_secs(4);
    drop(bench.ask(outgoing().on_behalf_of(&inbound(&frame, left))));
    let (_, request) = bench.hear().await;
    for (name, value) in [
        (header::CALL_DEPTH, Some("6")),
        (header::TIME_BUDGET, Some("4s")),
        (header::ACTOR, None),
        ("Microbus-Baggage-A", Some("1")),
        ("X-Forwarded-For", Some("2")),
        (header::TRACEPARENT, Some("3")),
        ("Cookie", None),
    ] {
        assert_eq!(request.headers.get(name), value, "{name}");
    }
    frame.headers.set(header::CALL_DEPTH, "64");
    let too_deep = outgoing().on_behalf_of(&inbound(&frame, left));
    let too_deep = bench.ask(too_deep).await.unwrap();
    assert_eq!(too_deep.unwrap_err().status(), ErrorStatus::LOOP_DETECTED);
    frame.headers.set(header::CALL_DEPTH, "63");
    let too_late = outgoing().on_behalf_of(&inbound(&frame, ROUND_TRIP));
    let too_late = bench.ask(too_late).await.unwrap();
    assert_eq!(too_late.unwrap_err().status(), ErrorStatus::REQUEST_TIMEOUT);
    assert!(bench.is_silent().await);
}

#[tokio::test(start_paused = true)]
async fn a_barrier_is_passed_by_our_own_message_and_by_nobody_elses() {
    let bench = Bench::start(None).await;
    bench.requester.barrier().await.unwrap();
    let subject = "microbus.reply._.evil_example.tester_client.id-abcdefghij";
    let (sender, mut passed) = oneshot::channel();
    lock(&bench.requester.pending).barriers.insert(99, sender);
    bench
        .connection
        .publish(subject.to_owned(), "barrier 99".into())
        .await
        .unwrap();
    bench.requester.barrier().await.unwrap();
    assert!(passed.try_recv().is_err());
}
