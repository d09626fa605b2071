use super::*;

/// A fragment of a request whose parts are one letter each.
fn fragment(index: usize, count: usize, message_id: &str) -> Bytes {
    let part = format!("{index}/{count}");
    let letter = ["", "a", "b", "c"][index.min(3)];
    let headers = [
        CALLER[0],
        ("Microbus-Msg-Id", message_id),
        ("Microbus-Fragment", &part),
    ];
    request_to("/mint", &headers, letter)
}

async fn echo() -> Bench {
    let echo = |request: Incoming| ok(request.body().clone());
    Setup::default().start().await.mint(echo).await
}

#[tokio::test(start_paused = true)]
async fn fragments_are_acked_one_by_one_and_joined_in_any_order() {
    for order in [[1, 2, 3], [3, 1, 2], [2, 3, 1]] {
        let mut bench = echo().await;
        for index in order {
            bench.send(MINT, fragment(index, 3, "x")).await;
        }
        let heard = bench.heard().await;
        let statuses: Vec<_> = heard.iter().map(|(_, response)| response.status).collect();
        assert_eq!(statuses, [100, 100, 100, 200]);
        assert_eq!(heard[3].1.body, "abc", "{order:?}");
        assert_eq!(bench.responder.in_flight(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn fragments_of_different_senders_and_messages_are_not_mixed() {
    let mut bench = echo().await;
    let elsewhere = MINT.replace("tester_client", "other_client");
    bench.send(MINT, fragment(1, 2, "x")).await;
    bench.send(MINT, fragment(1, 2, "y")).await;
    bench.send(&elsewhere, fragment(2, 2, "x")).await;
    bench.send(MINT, fragment(2, 2, "y")).await;
    let answers = bench.answers().await;
    let whole: Vec<_> = answers
        .iter()
        .filter(|answer| answer.status == 200)
        .collect();
    assert_eq!(whole.len(), 1);
    assert_eq!(whole[0].headers.get(header::MESSAGE_ID), Some("y"));
}

#[tokio::test(start_paused = true)]
async fn incomplete_requests_of_one_caller_leave_room_for_another() {
    let mut bench = echo().await;
    for number in 0..300 {
        bench.send(MINT, fragment(1, 2, &number.to_string())).await;
    }
    let elsewhere = MINT.replace("tester_client", "other_client");
    for index in [1, 2] {
        bench.send(&elsewhere, fragment(index, 2, "x")).await;
        bench.send(MINT, fragment(index, 2, "0")).await;
    }
    let answers = bench.answers().await;
    let count = |status| answers.iter().filter(|one| one.status == status).count();
    // Of the 300, 256 may wait; the first is a duplicate then.
    assert_eq!([count(503), count(200), count(400)], [44, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_fragment_that_does_not_fit_is_answered_400() {
    for parts in [
        vec![(1, 3), (1, 3)],
        vec![(4, 3)],
        vec![(0, 3)],
        vec![(1, 3), (2, 2)],
        vec![(1, 1_000_000_000)],
    ] {
        let mut bench = echo().await;
        for (index, count) in &parts {
            bench.send(MINT, fragment(*index, *count, "x")).await;
        }
        let answers = bench.answers().await;
        assert_eq!(answers.len(), 1, "{parts:?}");
        assert_eq!(answers[0].status, 400);
        assert_eq!(error_text(&answers[0]), "the fragments do not fit together");
        assert_eq!(bench.responder.in_flight(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_fragment_with_more_headers_than_one_can_have_is_answered_400() {
    let mut bench = echo().await;
    let filler = "x".repeat(70_000);
    let headers = [
        CALLER[0],
        CALLER[1],
        ("Microbus-Fragment", "1/2"),
        ("X", &filler),
    ];
    bench.send(MINT, request_to("/mint", &headers, "a")).await;
    assert_eq!(bench.statuses().await, [400]);
}

#[tokio::test(start_paused = true)]
async fn each_incomplete_request_is_answered_408_after_eight_round_trips() {
    let mut bench = echo().await;
    let began = tokio::time::Instant::now();
    // At the same moment, so that one look finds all of them expired.
    for message_id in ["x", "y", "z"] {
        bench.send(MINT, fragment(1, 3, message_id)).await;
        bench.send(MINT, fragment(2, 3, message_id)).await;
    }
    tokio::task::yield_now().await;
    assert_eq!(bench.responder.in_flight(), 3);
    bench.responder.drained().await;
    let took = began.elapsed();
    assert!(took >= ROUND_TRIP * 8 && took < ROUND_TRIP * 9, "{took:?}");
    let answers = bench.answers().await;
    let mut ids: Vec<_> = answers
        .iter()
        .map(|answer| {
            (
                answer.status,
                answer.headers.get(header::MESSAGE_ID).unwrap(),
            )
        })
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, [(408, "x"), (408, "y"), (408, "z")]);
}

#[tokio::test(start_paused = true)]
async fn a_fragment_in_time_keeps_its_request_alive() {
    let mut bench = echo().await;
    for index in 1..=3 {
        bench.send(MINT, fragment(index, 3, "x")).await;
        tokio::time::advance(ROUND_TRIP * 7).await;
    }
    let answers = bench.answers().await;
    assert_eq!((answers.len(), answers[0].status), (1, 200));
}

#[tokio::test(start_paused = true)]
async fn the_last_fragment_decides_about_408_and_the_first_about_the_budget() {
    for (first, last, status) in [("7s", "1ms", 408), ("7s", "5s", 200)] {
        let mut bench = Setup::default()
            .start()
            .await
            .mint(|request| ok(request.budget().as_secs().to_string()))
            .await;
        for (part, budget) in [("1/2", first), ("2/2", last)] {
            let headers = [
                CALLER[0],
                CALLER[1],
                ("Microbus-Fragment", part),
                ("Microbus-Time-Budget", budget),
            ];
            bench.send(MINT, request_to("/mint", &headers, "a")).await;
        }
        let answers = bench.answers().await;
        assert_eq!((answers.len(), answers[0].status), (1, status));
        if status == 200 {
            assert_eq!(answers[0].body, "7");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_large_answer_is_sent_in_fragments() {
    let mut setup = Setup::default();
    setup.settings.fragment_size = 10;
    let mut bench = setup.start().await.mint(|_| ok("a".repeat(25))).await;
    bench.send(MINT, request(&[])).await;
    let answers = bench.answers().await;
    let parts: Vec<_> = answers
        .iter()
        .map(|answer| (answer.headers.get(header::FRAGMENT), answer.body.len()))
        .collect();
    assert_eq!(
        parts,
        [(Some("1/3"), 10), (Some("2/3"), 10), (Some("3/3"), 5)]
    );
}
