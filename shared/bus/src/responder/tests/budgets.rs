use super::*;

#[tokio::test(start_paused = true)]
async fn budgets_are_tamed_and_one_of_a_round_trip_is_too_short() {
    for (header, status, seconds) in [
        (None, 200, "20"),
        (Some("-5s"), 200, "20"),
        (Some("0"), 200, "20"),
        (Some("soon"), 200, "20"),
        (Some("99999999999999999999"), 200, "20"),
        (Some("100h"), 200, "900"),
        (Some("5000"), 200, "5"),
        (Some("11ms"), 200, "0"),
        (Some("10ms"), 408, ""),
        (Some("1ms"), 408, ""),
    ] {
        let mut bench = Setup::default()
            .start()
            .await
            .mint(|request| ok(request.budget().as_secs().to_string()))
            .await;
        let headers: Vec<_> = header
            .map(|budget| ("Microbus-Time-Budget", budget))
            .into_iter()
            .collect();
        bench.send(MINT, request(&headers)).await;
        let answers = bench.answers().await;
        assert_eq!(answers.len(), 1, "{header:?}");
        assert_eq!(answers[0].status, status, "{header:?}");
        if status == 200 {
            assert_eq!(answers[0].body, seconds, "{header:?}");
        } else {
            assert_eq!(error_text(&answers[0]), "timeout");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_waited_past_its_budget_is_not_handled() {
    let clock = Arc::new(FakeClock::at(SystemTime::UNIX_EPOCH));
    let setup = Setup {
        clock: Arc::<FakeClock>::clone(&clock),
        ..Setup::default()
    };
    let runs = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&runs);
    let slow = move |_| {
        counter.fetch_add(1, Ordering::Relaxed);
        clock.advance(Duration::from_secs(30));
        ok("{}")
    };
    let mut bench = setup.start().await.mint(slow).await;
    bench.send(MINT, request(&[])).await;
    bench.send(MINT, request(&[])).await;
    assert_eq!(bench.statuses().await, [200, 408]);
    assert_eq!(runs.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_slow_answer_is_cut_off_one_round_trip_before_its_caller_gives_up() {
    let mut bench = Setup::default()
        .start()
        .await
        .mint(|_| Handling::Later(Box::pin(std::future::pending())))
        .await;
    let began = tokio::time::Instant::now();
    bench
        .send(MINT, request(&[("Microbus-Time-Budget", "5s")]))
        .await;
    let mut answer = bench.tap.next().await.unwrap();
    while Response::parse(&answer.payload).map_or(202, |response| response.status) == 202 {
        answer = bench.tap.next().await.unwrap();
    }
    assert_eq!(Response::parse(&answer.payload).unwrap().status, 408);
    let took = began.elapsed();
    assert!(
        took >= Duration::from_millis(4990) && took < Duration::from_secs(5),
        "{took:?}"
    );
}
