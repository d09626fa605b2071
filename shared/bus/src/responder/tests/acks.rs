//! Answers instead of acks, and who waits for whom.

use super::*;
use microbus_wire::header::OpCode;

fn fake_clock() -> (Arc<FakeClock>, Setup) {
    let clock = Arc::new(FakeClock::at(SystemTime::UNIX_EPOCH));
    let setup = Setup {
        clock: Arc::<FakeClock>::clone(&clock),
        ..Setup::default()
    };
    (clock, setup)
}

/// What the caller was sent: op code and message ID.
async fn sent(bench: &mut Bench) -> Vec<(OpCode, String)> {
    let heard = bench.heard().await.into_iter();
    heard
        .map(|(_, response)| {
            let id = response.headers.get(header::MESSAGE_ID).unwrap().to_owned();
            (response.op_code().unwrap(), id)
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn what_is_answered_at_once_is_acked_only_if_that_is_asked_for() {
    let mut bench = Setup::default().start().await.mint(|_| ok("{}")).await;
    for (without_ack, expected) in [
        (false, vec![OpCode::Ack, OpCode::Res]),
        (true, vec![OpCode::Res]),
        (false, vec![OpCode::Ack, OpCode::Res]),
    ] {
        bench.answer_without_ack(without_ack);
        bench.send(MINT, request(&[])).await;
        let codes: Vec<_> = sent(&mut bench)
            .await
            .into_iter()
            .map(|(code, _)| code)
            .collect();
        assert_eq!(codes, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn what_takes_longer_is_acked_when_that_is_known() {
    let later = |_| {
        Handling::Later(Box::pin(async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            Ok(Reply::json("{}"))
        }))
    };
    let mut bench = Setup::default().start().await.mint(later).await;
    bench.answer_without_ack(true);
    bench.send(MINT, request(&[])).await;
    let began = tokio::time::Instant::now();
    // The first message on the tap is the request itself.
    bench.tap.next().await.unwrap();
    let ack = bench.tap.next().await.unwrap();
    assert_eq!(
        Response::parse(&ack.payload).unwrap().op_code(),
        Some(OpCode::Ack)
    );
    assert!(
        began.elapsed() < Duration::from_millis(20),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(bench.statuses().await, [200]);
}

#[tokio::test(start_paused = true)]
async fn what_waits_in_the_queue_is_acked_before_its_caller_gives_up() {
    let (clock, setup) = fake_clock();
    let slow = move |_| {
        clock.advance(Duration::from_millis(1));
        ok("{}")
    };
    let mut bench = setup.start().await.mint(slow).await;
    bench.answer_without_ack(true);
    let count = 2 * BATCH + BATCH / 2;
    for number in 0..count {
        bench.send(MINT, request_number(number)).await;
    }
    let sent = sent(&mut bench).await;
    let of = |wanted: OpCode| sent.iter().filter(move |(code, _)| *code == wanted);
    assert_eq!(of(OpCode::Res).count(), count);
    // Batches end after three such requests: what is handled at the first end after 20 ms is in time, whatever waits longer
    // is acked, once.
    let in_time = 21;
    let acked: Vec<_> = of(OpCode::Ack).map(|(_, id)| id.as_str()).collect();
    let waiting: Vec<_> = (in_time..count).map(|number| number.to_string()).collect();
    assert_eq!(acked, waiting);
    let first_ack = sent.iter().position(|(code, _)| *code == OpCode::Ack);
    assert_eq!(
        first_ack,
        Some(in_time),
        "acks go out between batches, not at the end"
    );
}

#[tokio::test(start_paused = true)]
async fn an_ack_that_is_owed_comes_with_the_answer_or_when_the_batch_before_ends() {
    let mut bench = Setup::default().start().await.mint(|_| ok("{}")).await;
    let count = BATCH + 5;
    for number in 0..count {
        bench.send(MINT, request_number(number)).await;
    }
    let sent = sent(&mut bench).await;
    let message = |code, number: usize| (code, number.to_string());
    let first =
        (0..BATCH).flat_map(|number| [OpCode::Ack, OpCode::Res].map(|code| message(code, number)));
    let acks = (BATCH..count).map(|number| message(OpCode::Ack, number));
    let answers = (BATCH..count).map(|number| message(OpCode::Res, number));
    let expected: Vec<_> = first.chain(acks).chain(answers).collect();
    assert_eq!(sent, expected);
}

#[tokio::test(start_paused = true)]
async fn a_fragment_is_acked_in_any_case() {
    let mut bench = Setup::default().start().await.mint(|_| ok("{}")).await;
    bench.answer_without_ack(true);
    for index in ["1/2", "2/2"] {
        bench
            .send(MINT, request(&[("Microbus-Fragment", index)]))
            .await;
    }
    let codes: Vec<_> = sent(&mut bench)
        .await
        .into_iter()
        .map(|(code, _)| code)
        .collect();
    assert_eq!(codes, [OpCode::Ack, OpCode::Ack, OpCode::Res]);
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_one_caller_neither_delays_nor_displaces_another() {
    let (clock, mut setup) = fake_clock();
    setup.settings.limits.requests = 100;
    let slow = move |_| {
        clock.advance(Duration::from_millis(1));
        ok("{}")
    };
    let mut bench = setup.start().await.mint(slow).await;
    let ingress = bench.another_caller().replace('.', "_");
    for number in 0..300 {
        bench.send(MINT, request_number(number)).await;
    }
    bench
        .send(&MINT.replace("tester_client", &ingress), request(&[]))
        .await;
    let heard = bench.heard().await;
    let answers: Vec<_> = heard
        .iter()
        .filter(|(_, response)| response.op_code() != Some(OpCode::Ack))
        .collect();
    let place = answers
        .iter()
        .position(|(subject, _)| subject.contains(&ingress))
        .unwrap();
    assert_eq!(answers[place].1.status, 200);
    let served_before = answers[..place]
        .iter()
        .filter(|(_, response)| response.status == 200)
        .count();
    // All of them had arrived before the first was handled.
    assert!(served_before <= 1, "{served_before}");
    let refused = answers
        .iter()
        .filter(|(_, response)| response.status == 503)
        .count();
    assert_eq!(answers.len(), 301);
    assert_eq!(refused, 201);
}

#[tokio::test(start_paused = true)]
async fn where_memory_is_short_a_large_request_does_not_displace_a_small_one() {
    let mut setup = Setup::default();
    setup.settings.limits.bytes = 4 * request_number(0).len();
    let mut bench = setup.start().await.mint(|_| ok("{}")).await;
    for number in 0..4 {
        bench.send(MINT, request_number(number)).await;
    }
    let ingress = bench.another_caller().replace('.', "_");
    let of_ingress = MINT.replace("tester_client", &ingress);
    let headers = [CALLER[0], ("Microbus-Msg-Id", "4")];
    let large = request_to("/mint", &headers, &"{}".repeat(100));
    bench.send(&of_ingress, large).await;
    bench.send(&of_ingress, request_number(5)).await;
    let heard = bench.heard().await;
    let refused = heard.iter().filter(|(_, response)| response.status == 503);
    let ids: Vec<_> = refused
        .map(|(_, response)| response.headers.get(header::MESSAGE_ID).unwrap())
        .collect();
    // The large one itself, and the newest of the other caller for the small one.
    assert_eq!(ids, ["4", "3"]);
}

#[tokio::test(start_paused = true)]
async fn a_flood_that_lasts_is_refused_where_a_burst_as_long_is_queued() {
    const BURST: usize = 1500;
    const MORE: usize = 1600;
    let mut setup = Setup::default();
    setup.settings.limits.requests = BURST;
    let bench = setup.start().await;
    let (connection, handled) = (bench.connection.clone(), Mutex::new(0));
    let slow = move |_| {
        let mut handled = handled.lock().unwrap();
        *handled += 1;
        if *handled <= MORE {
            // For each that is handled, another one comes.
            let another = connection.publish(MINT.to_owned(), request_number(BURST + *handled));
            futures_util::FutureExt::now_or_never(another)
                .unwrap()
                .unwrap();
        }
        ok("{}")
    };
    let mut bench = bench.mint(slow).await;
    for number in 0..BURST {
        bench.send(MINT, request_number(number)).await;
    }
    let statuses = bench.statuses().await;
    let count = |status| statuses.iter().filter(|found| **found == status).count();
    let (served, refused) = (count(200), count(503));
    assert_eq!(served + refused, BURST + served.min(MORE), "once each");
    assert_eq!(bench.responder.overload_refusals(), refused as u64);
    // Of the burst, what came first did not find the queue long.
    let first = statuses.iter().position(|status| *status == 503).unwrap();
    assert!(first >= 1024, "{first} were served before one was refused");
}

#[tokio::test(start_paused = true)]
async fn what_has_arrived_is_queued_before_the_next_request_is_handled() {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    theirs.set_nonblocking(true).unwrap();
    let order = Arc::<Mutex<Vec<String>>>::default();
    let handled = Arc::clone(&order);
    let handler = move |request: Incoming| {
        let mut handled = handled.lock().unwrap();
        handled.push(request.from_host().to_owned());
        if handled.len() == 1 {
            std::io::Write::write_all(&mut ours.try_clone().unwrap(), b"!").unwrap();
        }
        ok("{}")
    };
    let mut bench = Setup::default().start().await.mint(handler).await;
    // As the connection's own task does: what comes in from the network is delivered.
    let connection = bench.connection.clone();
    let ingress = bench.another_caller();
    let arriving = tokio::net::UnixStream::from_std(theirs).unwrap();
    tokio::spawn(async move {
        arriving.readable().await.unwrap();
        let subject = MINT.replace("tester_client", &ingress.replace('.', "_"));
        connection.publish(subject, request(&[])).await.unwrap();
    });
    for number in 0..64 {
        bench.send(MINT, request_number(number)).await;
    }
    assert_eq!(bench.answers().await.len(), 65);
    let order = order.lock().unwrap();
    let place = order.iter().position(|host| host == ingress);
    assert!(place.is_some_and(|place| place <= BATCH + 1), "{place:?}");
}
