//! Handlers that do their work in stages.

use super::*;

/// What a handler did, and the message that it did it for.
type Done = Arc<Mutex<Vec<(&'static str, String)>>>;

/// A handler of three stages that notes each.
fn in_three_stages(done: &Done) -> impl Fn(Incoming) -> Handling + Send + Sync + 'static {
    let done = Arc::clone(done);
    move |request| {
        let id = request.message_id().to_owned();
        let done = Arc::clone(&done);
        let note = move |what| done.lock().unwrap().push((what, id.clone()));
        note("first");
        Handling::Next(Box::new(move || {
            note("second");
            Handling::Next(Box::new(move || {
                note("third");
                ok("{}")
            }))
        }))
    }
}

async fn send_numbered(bench: &Bench, numbers: std::ops::Range<usize>) {
    for number in numbers {
        bench.send(MINT, request_number(number)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn all_of_a_batch_pass_one_stage_before_any_passes_the_next() {
    let done = Done::default();
    let mut bench = Setup::default()
        .start()
        .await
        .mint(in_three_stages(&done))
        .await;
    bench.answer_without_ack(true);
    send_numbered(&bench, 0..BATCH + 2).await;
    assert_eq!(bench.statuses().await, [200; BATCH + 2]);
    let batches = [0..BATCH, BATCH..BATCH + 2];
    let expected: Vec<_> = batches
        .into_iter()
        .flat_map(|batch| {
            ["first", "second", "third"]
                .into_iter()
                .flat_map(move |what| batch.clone().map(move |number| (what, number.to_string())))
        })
        .collect();
    assert_eq!(*done.lock().unwrap(), expected);
    assert_eq!(bench.responder.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn every_request_passes_all_its_stages_whichever_thread_handles_it() {
    let done = Done::default();
    let mut setup = Setup::default();
    setup.settings.relief_from = 1;
    let mut bench = setup.start().await.mint(in_three_stages(&done)).await;
    send_numbered(&bench, 0..8).await;
    assert_eq!(bench.statuses().await, [200; 8]);
    for number in 0..8 {
        let of_number = |(_, id): &&(&str, String)| *id == number.to_string();
        let done = done.lock().unwrap();
        let stages: Vec<_> = done
            .iter()
            .filter(of_number)
            .map(|(what, _)| *what)
            .collect();
        assert_eq!(stages, ["first", "second", "third"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_late_stage_is_one_500() {
    let handler = |request: Incoming| {
        Handling::Next(Box::new(move || match request.query() {
            "bad" => panic!("planted"),
            _ => ok("{}"),
        }))
    };
    let mut bench = Setup::default().start().await.mint(handler).await;
    for path in ["/mint", "/mint?bad", "/mint"] {
        bench.send(MINT, request_to(path, &CALLER, "{}")).await;
    }
    let mut statuses = bench.statuses().await;
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 500]);
    assert_eq!(bench.responder.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_stage_may_find_that_the_answer_takes_long() {
    let handler = |_| {
        Handling::Next(Box::new(|| {
            Handling::Later(Box::pin(async {
                tokio::time::sleep(Duration::from_millis(200)).await;
                Ok(Reply::json("{}"))
            }))
        }))
    };
    let mut bench = Setup::default().start().await.mint(handler).await;
    bench.answer_without_ack(true);
    bench.send(MINT, request(&[])).await;
    let heard = bench.heard().await;
    let codes: Vec<_> = heard.iter().map(|(_, response)| response.status).collect();
    assert_eq!(codes, [202, 200]);
}
