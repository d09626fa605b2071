use super::*;

#[tokio::test(start_paused = true)]
async fn leaving_loses_no_request_that_was_delivered_and_takes_no_other() {
    let mut bench = Setup::default().start().await.mint(|_| ok("{}")).await;
    for _ in 0..10 {
        bench.send(MINT, request(&[])).await;
    }
    bench
        .responder
        .leave(|_| true, std::future::ready(()))
        .await;
    bench.responder.drained().await;
    bench.send(MINT, request(&[])).await;
    assert_eq!(bench.statuses().await, [200; 10]);
}

#[tokio::test(start_paused = true)]
async fn what_arrives_while_the_broker_is_told_to_stop_is_still_answered() {
    let mut bench = Setup::default().start().await.mint(|_| ok("{}")).await;
    let late = {
        let connection = bench.connection.clone();
        async move {
            // What a broker delivers until it has processed the UNSUB comes through the same subscription.
            connection
                .publish(MINT.to_owned(), request(&[]))
                .await
                .unwrap();
        }
    };
    bench.send(MINT, request(&[])).await;
    let leaving = bench.responder.leave(|_| true, std::future::ready(()));
    tokio::join!(late, leaving);
    bench.responder.drained().await;
    assert_eq!(bench.statuses().await, [200; 2]);
}

#[tokio::test(start_paused = true)]
async fn only_the_chosen_endpoints_are_left() {
    let mut bench = Setup::default()
        .start()
        .await
        .mint(|_| ok("{}"))
        .await
        .serve("/jwks", Delivery::One, Urgency::Exempt, |_| ok("{}"))
        .await;
    bench
        .responder
        .leave(|route| route.path == "/mint", std::future::ready(()))
        .await;
    bench.send(MINT, request(&[])).await;
    assert_eq!(bench.heard().await, []);
    bench
        .send(&MINT.replace("mint", "jwks"), request(&[]))
        .await;
    assert_eq!(bench.statuses().await, [200]);
}

#[tokio::test(start_paused = true)]
async fn draining_waits_for_answers_that_come_later() {
    let slow = |_| {
        Handling::Later(Box::pin(async {
            tokio::time::sleep(Duration::from_secs(3)).await;
            Ok(Reply::json("{}"))
        }))
    };
    let bench = Setup::default().start().await.mint(slow).await;
    bench.send(MINT, request(&[])).await;
    let began = tokio::time::Instant::now();
    bench
        .responder
        .leave(|_| true, std::future::ready(()))
        .await;
    assert_eq!(bench.responder.in_flight(), 1);
    bench.responder.drained().await;
    assert_eq!(began.elapsed().as_secs(), 3);
}
