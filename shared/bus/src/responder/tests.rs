use super::*;
use crate::clock::{FakeClock, SystemClock};
use crate::failure::Failure;
use crate::handler::{Answer, Delivery, Incoming, Reply, Urgency};
use bytes::Bytes;
use microbus_wire::frame::Response;
use microbus_wire::host::Hostname;
use microbus_wire::id::InstanceId;
use microbus_wire::locality::Locality;
use microbus_wire::status::ErrorStatus;
use microbus_wire::subject::Plane;
use microbus_wire::trace::TracedError;
use std::sync::Condvar;
use std::time::SystemTime;

mod acks;
mod budgets;
mod fragments;
mod leaving;
mod stages;

const MINT: &str = "microbus.danger.666.tester_client.access_token_core._.POST.mint";
const REPLY: &str = "microbus.reply._.access_token_core.tester_client.id-abcdefghij";
const CALLER: [(&str, &str); 2] = [
    ("Microbus-From-Id", "id-abcdefghij"),
    ("Microbus-Msg-Id", "D05aNIKi"),
];
const ROUND_TRIP: Duration = Duration::from_millis(10);
/// Longer than anything in these tests takes; time is paused.
const LONG: Duration = Duration::from_secs(60 * 60);

/// A responder, a raw caller beside it, and a tap on everything that is sent.
struct Bench {
    connection: Connection,
    responder: Arc<Responder>,
    without_ack: Arc<AtomicBool>,
    tap: Subscription,
}

struct Setup {
    settings: ResponderSettings,
    locality: Option<Locality>,
    clock: Arc<dyn Clock>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            settings: ResponderSettings {
                round_trip: ROUND_TRIP,
                fragment_size: 1 << 20,
                reveal: false,
                limits: Limits::DEFAULT,
                relief_from: usize::MAX,
            },
            locality: None,
            clock: Arc::new(SystemClock),
        }
    }
}

impl Setup {
    async fn start(self) -> Bench {
        let connection = Connection::in_process();
        let identity = Identity {
            plane: Plane::default(),
            hostname: Hostname::parse("access.token.core").unwrap(),
            version: 4,
            instance: InstanceId::parse("id-gsw2gftqlx").unwrap(),
            locality: self.locality,
        };
        let tap = connection.subscribe(">".to_owned(), None).await.unwrap();
        let without_ack = Arc::default();
        let responder = Responder::start(
            connection.clone(),
            identity,
            self.settings,
            self.clock,
            Observation::default(),
            Arc::clone(&without_ack),
        );
        Bench {
            connection,
            responder,
            without_ack,
            tap,
        }
    }
}

impl Bench {
    async fn serve(
        self,
        path: &'static str,
        delivery: Delivery,
        urgency: Urgency,
        handler: impl Fn(Incoming) -> Handling + Send + Sync + 'static,
    ) -> Self {
        let route = Route {
            name: "Test",
            scope: Scope::Own,
            port: 666,
            method: None,
            path,
            delivery,
            urgency,
            acknowledge: Acknowledge::IfLate,
            handler: Arc::new(handler),
        };
        self.responder.subscribe(route).await.unwrap();
        self
    }

    async fn mint(self, handler: impl Fn(Incoming) -> Handling + Send + Sync + 'static) -> Self {
        self.serve("/mint", Delivery::One, Urgency::Sheddable, handler)
            .await
    }

    /// Returns a host that shares no lane of the queue with `tester.client`.
    fn another_caller(&self) -> &'static str {
        let queue = self.responder.queue();
        let hosts = ["http.ingress.core", "smtp.ingress.core", "mcp.ingress.core"];
        let lane_of = |host: &str| queue.lane_of(host, Urgency::Sheddable);
        let shares = |host: &&str| lane_of(host) == lane_of("tester.client");
        hosts.into_iter().find(|host| !shares(host)).unwrap()
    }

    fn answer_without_ack(&self, allowed: bool) {
        self.without_ack.store(allowed, Ordering::Relaxed);
    }

    async fn send(&self, subject: &str, payload: impl Into<Bytes>) {
        let payload = payload.into();
        self.connection
            .publish(subject.to_owned(), payload)
            .await
            .unwrap();
    }

    /// Returns all that was sent, requests left out, until nothing more happens.
    async fn heard(&mut self) -> Vec<(String, Response)> {
        let mut heard = Vec::new();
        while let Ok(Some(message)) = tokio::time::timeout(LONG, self.tap.next()).await {
            if let Ok(response) = Response::parse(&message.payload) {
                heard.push((message.subject.to_string(), response));
            }
        }
        heard
    }

    /// Returns the answers, acks left out.
    async fn answers(&mut self) -> Vec<Response> {
        let heard = self.heard().await.into_iter();
        heard
            .map(|(_, response)| response)
            .filter(|response| response.op_code() != Some(header::OpCode::Ack))
            .collect()
    }

    async fn statuses(&mut self) -> Vec<u16> {
        let answers = self.answers().await;
        answers.iter().map(|answer| answer.status).collect()
    }
}

fn request_to(path: &str, headers: &[(&str, &str)], body: &str) -> Bytes {
    let mut text = format!(
        "POST https://access.token.core:666{path} HTTP/1.1\r\nHost: access.token.core:666\r\nContent-Length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    format!("{text}\r\n{body}").into()
}

fn request(more: &[(&str, &str)]) -> Bytes {
    request_to("/mint", &[&CALLER, more].concat(), "{}")
}

fn request_number(number: usize) -> Bytes {
    let id = number.to_string();
    request_to("/mint", &[CALLER[0], ("Microbus-Msg-Id", &id)], "{}")
}

fn ok(body: impl Into<Bytes>) -> Handling {
    Handling::Done(Ok(Reply::json(body)))
}

fn error_text(answer: &Response) -> String {
    assert_eq!(answer.op_code(), Some(header::OpCode::Err));
    TracedError::decode(&answer.body).error
}

#[tokio::test(start_paused = true)]
async fn the_ack_comes_first_and_both_go_to_the_caller_with_the_same_queue() {
    for (delivery, queue) in [
        (Delivery::One, Some("access.token.core")),
        (Delivery::Every, None),
    ] {
        let mut bench = Setup::default()
            .start()
            .await
            .serve("/mint", delivery, Urgency::Sheddable, |_| ok("{}"))
            .await;
        bench.send(MINT, request(&[])).await;
        let heard = bench.heard().await;
        let seen: Vec<_> = heard
            .iter()
            .map(|(subject, response)| (subject.as_str(), response.status, response.op_code()))
            .collect();
        assert_eq!(
            seen,
            [
                (REPLY, 202, Some(header::OpCode::Ack)),
                (REPLY, 200, Some(header::OpCode::Res))
            ]
        );
        for (_, response) in &heard {
            assert_eq!(response.headers.get(header::QUEUE), queue);
            assert_eq!(response.headers.get(header::MESSAGE_ID), Some("D05aNIKi"));
            assert_eq!(response.headers.get(header::FROM_ID), Some("id-gsw2gftqlx"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_or_attributed_gets_neither_ack_nor_answer() {
    let mut bench = Setup::default().start().await.mint(|_| ok("{}")).await;
    let foo = String::from_utf8(request(&[]).to_vec())
        .unwrap()
        .replacen("POST", "FOO", 1);
    for payload in [
        Bytes::from("not HTTP"),
        Bytes::new(),
        foo.into(),
        request_to("/mint", &CALLER[..1], "{}"),
        request_to("/mint", &CALLER[1..], "{}"),
        request_to("/mint", &[CALLER[0], ("Microbus-Msg-Id", "")], "{}"),
    ] {
        bench.send(MINT, payload).await;
    }
    assert_eq!(bench.heard().await, []);
    assert_eq!(bench.responder.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_id_that_could_lead_an_answer_astray_gets_nothing() {
    let mut bench = Setup::default().start().await.mint(|_| ok("{}")).await;
    for id in ["id-a.b", "*", ">", "id-a b", "id-a\tb", "id%2e"] {
        let headers = [("Microbus-From-Id", id), CALLER[1]];
        bench.send(MINT, request_to("/mint", &headers, "{}")).await;
    }
    assert_eq!(bench.heard().await, []);
}

#[tokio::test(start_paused = true)]
async fn the_sender_is_whom_the_subject_names_and_not_whom_the_header_names() {
    let mut bench = Setup::default()
        .start()
        .await
        .mint(|request| ok(request.from_host().to_owned()))
        .await;
    bench
        .send(
            MINT,
            request(&[("Microbus-From-Host", "http.ingress.core")]),
        )
        .await;
    let heard = bench.heard().await;
    assert!(heard.iter().all(|(subject, _)| subject == REPLY));
    assert_eq!(heard[1].1.body, "tester.client");
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_one_500_and_the_next_request_is_answered() {
    let mut bench = Setup::default()
        .start()
        .await
        .mint(|request| match request.query() {
            "now" => panic!("planted {}", 1),
            "later" => Handling::Later(Box::pin(async { panic!("planted") })),
            _ => ok("{}"),
        })
        .await;
    for path in ["/mint?now", "/mint?later", "/mint"] {
        bench.send(MINT, request_to(path, &CALLER, "{}")).await;
    }
    let answers = bench.answers().await;
    let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 500, 500]);
    for failure in answers.iter().filter(|answer| answer.status == 500) {
        assert_eq!(error_text(failure), "internal error");
    }
    assert_eq!(bench.responder.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn details_of_a_failure_are_shown_only_where_they_may_be() {
    for (reveal, text, lines) in [(false, "public", 1), (true, "detail", 6)] {
        let mut setup = Setup::default();
        setup.settings.reveal = reveal;
        let failing = |_| {
            let failure = Failure::new(ErrorStatus::BAD_REQUEST, "public");
            Handling::Done(Answer::Err(failure.with_detail("detail")))
        };
        let mut bench = setup.start().await.mint(failing).await;
        bench.send(MINT, request(&[])).await;
        let answers = bench.answers().await;
        assert_eq!((answers.len(), answers[0].status), (1, 400));
        assert_eq!(error_text(&answers[0]), text);
        let body = std::str::from_utf8(&answers[0].body).unwrap();
        assert_eq!(body.lines().count(), lines, "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn beyond_the_bound_a_request_is_shed_at_once_unless_it_is_exempt() {
    for limits in [
        Limits {
            requests: 2,
            bytes: usize::MAX,
        },
        Limits {
            requests: usize::MAX,
            bytes: 2 * request(&[]).len(),
        },
    ] {
        let mut setup = Setup::default();
        setup.settings.limits = limits;
        let mut bench = setup
            .start()
            .await
            .mint(|_| Handling::Later(Box::pin(std::future::pending())))
            .await
            .serve("/jwks", Delivery::One, Urgency::Exempt, |_| ok("{}"))
            .await;
        for _ in 0..3 {
            bench.send(MINT, request(&[])).await;
        }
        let keys = MINT.replace("mint", "jwks");
        bench.send(&keys, request(&[])).await;
        let statuses = bench.statuses().await;
        assert_eq!(statuses, [503, 200, 408, 408]);
        assert_eq!(bench.responder.overload_refusals(), 1);
        bench.send(MINT, request(&[])).await;
        assert_eq!(bench.statuses().await, [408], "there is room again");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_exempt_takes_no_room_from_what_is_not() {
    let mut setup = Setup::default();
    setup.settings.limits = Limits {
        requests: 2,
        bytes: 2 * request(&[]).len(),
    };
    let mut bench = setup
        .start()
        .await
        .mint(|_| ok("{}"))
        .await
        .serve("/ping", Delivery::One, Urgency::Exempt, |_| {
            Handling::Later(Box::pin(std::future::pending()))
        })
        .await;
    for _ in 0..3 {
        bench
            .send(&MINT.replace("mint", "ping"), request(&[]))
            .await;
    }
    bench.send(MINT, request(&[])).await;
    assert_eq!(bench.statuses().await, [503, 200, 408, 408]);
}

#[tokio::test(start_paused = true)]
async fn headers_that_a_handler_set_are_sent() {
    let reply = || Reply {
        headers: vec![("Cache-Control", "no-store")],
        ..Reply::json("{}")
    };
    let mut bench = Setup::default()
        .start()
        .await
        .mint(move |_| Handling::Done(Ok(reply())))
        .await;
    bench.send(MINT, request(&[])).await;
    let answers = bench.answers().await;
    assert_eq!(answers[0].headers.get("Cache-Control"), Some("no-store"));
    assert_eq!(answers[0].headers.get(header::MESSAGE_ID), Some("D05aNIKi"));
    assert_eq!(answers[0].body, "{}");
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_is_heard_at_each_slot_of_its_instance_and_at_no_other() {
    let setup = Setup {
        locality: Some(Locality::parse("us-west-1").unwrap()),
        ..Setup::default()
    };
    let mut bench = setup.start().await.mint(|_| ok("{}")).await;
    for (slot, answered) in [
        ("_", true),
        ("id-gsw2gftqlx", true),
        ("loc-us", true),
        ("loc-us-west", true),
        ("loc-us-west-1", true),
        ("loc-us-east", false),
        ("id-abcdefghij", false),
    ] {
        let subject = MINT.replace("._.", &format!(".{slot}."));
        bench.send(&subject, request(&[])).await;
        let answers = bench.answers().await;
        assert_eq!(answers.len(), usize::from(answered), "{slot}");
        for answer in answers {
            assert_eq!(answer.headers.get(header::LOCALITY), Some("us-west-1"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn where_many_requests_wait_another_thread_helps() {
    const MANY: usize = 8;
    // Of the wall clock: threads do not know of paused time.
    const PATIENCE: Duration = Duration::from_secs(20);
    let mut setup = Setup::default();
    setup.settings.relief_from = MANY;
    let (threads, another) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Condvar::new()));
    let handler = {
        let threads = Arc::clone(&threads);
        move |_| {
            let mut threads = threads.lock().unwrap();
            threads.push(std::thread::current().id());
            another.notify_all();
            // Whoever comes first waits for somebody else.
            let alone = |seen: &mut Vec<_>| seen.iter().all(|id| *id == seen[0]);
            let waited = another
                .wait_timeout_while(threads, PATIENCE, alone)
                .unwrap();
            assert!(!waited.1.timed_out());
            ok("{}")
        }
    };
    let mut bench = setup.start().await.mint(handler).await;
    for _ in 0..MANY {
        bench.send(MINT, request(&[])).await;
    }
    assert_eq!(bench.statuses().await, [200; MANY]);
    assert_eq!(threads.lock().unwrap().len(), MANY);
    assert_eq!(bench.responder.in_flight(), 0);
}
