use super::*;

type Answers = Result<Vec<Result<Response, CallError>>, RequestError>;

fn ask_all(bench: &Bench) -> tokio::task::JoinHandle<(Answers, Duration)> {
    let requester = Arc::clone(&bench.requester);
    tokio::spawn(async move {
        let began = tokio::time::Instant::now();
        let outgoing = outgoing().within(Duration::from_secs(3));
        let answers = requester
            .multicast(&outgoing, ROUND_TRIP, FRAGMENT_SIZE, |_, _| {})
            .await;
        (answers, began.elapsed())
    })
}

/// Has these instances answer one multicast; returns their bodies and how long it took.
async fn answered_by(bench: &mut Bench, instances: &[&str]) -> (Vec<String>, Duration) {
    let call = ask_all(bench);
    let (_, request) = bench.hear().await;
    for from_id in instances {
        bench.reply(&request, Reply { from_id, ..ACK }).await;
    }
    for from_id in instances {
        let body = from_id;
        bench
            .reply(
                &request,
                Reply {
                    from_id,
                    body,
                    ..ANSWER
                },
            )
            .await;
    }
    let (answers, took) = call.await.unwrap();
    let text = |answer: Result<Response, CallError>| {
        String::from_utf8(answer.unwrap().body.to_vec()).unwrap()
    };
    (answers.unwrap().into_iter().map(text).collect(), took)
}

const ONE: &str = "id-aaaaaaaaaa";
const TWO: &str = "id-bbbbbbbbbb";

#[tokio::test(start_paused = true)]
async fn nobody_is_an_empty_list_after_a_round_trip() {
    let mut bench = Bench::start(None).await;
    let (answers, took) = answered_by(&mut bench, &[]).await;
    assert_eq!(answers, Vec::<String>::new());
    assert!(took >= ROUND_TRIP && took < 2 * ROUND_TRIP, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn all_answers_are_collected() {
    for instances in [&[ONE][..], &[ONE, TWO]] {
        let mut bench = Bench::start(None).await;
        let (answers, took) = answered_by(&mut bench, instances).await;
        assert_eq!(answers, instances);
        assert!(took >= ROUND_TRIP, "others may still ack: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn known_responders_are_not_waited_for_again_until_they_are_forgotten() {
    let mut bench = Bench::start(None).await;
    answered_by(&mut bench, &[ONE, TWO]).await;
    let (answers, took) = answered_by(&mut bench, &[ONE, TWO]).await;
    assert_eq!((answers.len(), took), (2, Duration::ZERO));
    bench
        .requester
        .forget_responders(&["other.example".to_owned()]);
    let (_, took) = answered_by(&mut bench, &[ONE, TWO]).await;
    assert_eq!(took, Duration::ZERO, "another host's are not concerned");
    bench
        .requester
        .forget_responders(&["all".to_owned(), "echo.example".to_owned()]);
    let (_, took) = answered_by(&mut bench, &[ONE, TWO]).await;
    assert!(took >= ROUND_TRIP, "{took:?}");
    let (answers, took) = answered_by(&mut bench, &[ONE]).await;
    assert!(took >= ROUND_TRIP, "one of them is gone: {took:?}");
    assert_eq!(answers, [ONE]);
}

#[tokio::test(start_paused = true)]
async fn who_acks_and_does_not_answer_is_a_408_beside_the_answers_of_others() {
    let mut bench = Bench::start(None).await;
    let call = ask_all(&bench);
    let (_, request) = bench.hear().await;
    for from_id in [ONE, TWO] {
        bench.reply(&request, Reply { from_id, ..ACK }).await;
    }
    let from_id = ONE;
    bench.reply(&request, Reply { from_id, ..ANSWER }).await;
    let (answers, took) = call.await.unwrap();
    let answers = answers.unwrap();
    assert_eq!((answers.len(), took.as_secs()), (2, 3));
    assert_eq!(answers[0].as_ref().unwrap().body, "pong");
    let status = answers[1].as_ref().unwrap_err().status();
    assert_eq!(status, ErrorStatus::REQUEST_TIMEOUT);
}
