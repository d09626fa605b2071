//! Minting over a real bus, as a caller with a raw connection sees it.

use e2e::{Answers, Bus, Product};
use microbus_token::{JwkSet, verify};
use std::time::SystemTime;

const HOST: &str = "access.token.core";

#[tokio::test]
async fn a_minted_token_verifies_by_the_published_set_and_has_the_right_claims() {
    let bus = Bus::start().await;
    let _configurator = bus.configurator().await;
    let issuer = bus.issuer(Product::ACCESS_TOKEN).start();
    let caller = bus.caller("tester.client", "id-tester0000").await;
    issuer.until_logged("Serving").await;

    let claims = r#"{"claims":{"sub":"harry","iss":"https://idp.example","big":9007199254740993}}"#;
    let minted = caller.post(HOST, 666, "/mint", claims).await;
    assert_eq!(minted.response().header("Microbus-Queue"), Some(HOST));
    assert_eq!(minted.response().header("Microbus-From-Version"), Some("4"));

    let published = caller.get(HOST, 888, "/jwks").await;
    let keys = JwkSet::from_json(&published.body()).unwrap();
    let token = minted.json()["token"].as_str().unwrap().to_owned();
    let verified = verify(&token, &keys, SystemTime::now()).unwrap();
    assert_eq!(verified.sub().as_deref(), Some("harry"));
    assert_eq!(
        verified.claims().get("idp"),
        Some("\"https://idp.example\"")
    );
    assert_eq!(verified.claims().get("big"), Some("9007199254740993"));
    let number = |name: &str| verified.claims().get(name).unwrap().parse::<i64>().unwrap();
    assert_eq!(
        number("exp") - number("iat"),
        30,
        "20 s of budget, 5 s of padding each way"
    );
}

#[tokio::test]
async fn replicas_sign_with_keys_of_their_own_and_share_the_work() {
    let bus = Bus::start().await;
    let _configurator = bus.configurator().await;
    let setup = bus.issuer(Product::ACCESS_TOKEN);
    let (first, second) = (setup.start(), setup.start());
    first.until_logged("Serving").await;
    second.until_logged("Serving").await;
    let caller = bus.caller("tester.client", "id-tester0000").await;
    let mut instances = std::collections::HashSet::new();
    let mut keys = std::collections::HashSet::new();
    for _ in 0..64 {
        let minted = caller.post(HOST, 666, "/mint", "{}").await;
        let instance = minted
            .response()
            .header("Microbus-From-Id")
            .unwrap()
            .to_owned();
        let token = minted.json()["token"].as_str().unwrap().to_owned();
        keys.insert((instance.clone(), e2e::normal::kid(&token)));
        instances.insert(instance);
    }
    assert_eq!(instances.len(), 2, "both replicas of the queue group mint");
    assert_eq!(keys.len(), 2, "each signs with one key: {keys:?}");
    let kids: std::collections::HashSet<_> = keys.iter().map(|(_, kid)| kid).collect();
    assert_eq!(kids.len(), 2, "no two processes draw the same key ID");
}

#[tokio::test]
async fn claims_that_no_header_could_carry_are_refused() {
    let bus = Bus::with_max_payload(4 << 20).await;
    let _configurator = bus.configurator().await;
    let issuer = bus.issuer(Product::ACCESS_TOKEN).start();
    issuer.until_logged("Serving").await;
    let caller = bus.caller("tester.client", "id-tester0000").await;
    let largest = 1 << 20;
    for (size, status) in [(largest, 200), (largest + 1, 413)] {
        let (before, after) = (r#"{"claims":{"a":""#, r#""}}"#);
        let text = "a".repeat(size - before.len() - after.len());
        let body = format!("{before}{text}{after}");
        let answers = caller.post(HOST, 666, "/mint", &body).await;
        assert_eq!(answers.response().status(), status, "{size}");
    }
}

#[tokio::test]
async fn malformed_messages_are_met_with_silence_and_harm_nobody() {
    let bus = Bus::start().await;
    let _configurator = bus.configurator().await;
    let issuer = bus.issuer(Product::ACCESS_TOKEN).start();
    issuer.until_logged("Serving").await;
    let caller = bus.caller("raw.tester", "id-rawtester0").await;
    let subject = caller.subject(666, HOST, "_", "POST", "mint");
    let huge_header = format!("POST / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(500_000));
    let wild_id = "POST / HTTP/1.1\r\nMicrobus-From-Id: >\r\nMicrobus-Msg-Id: m\r\n\r\n";
    for payload in [
        "",
        "\0\0\0\0",
        "POST",
        "POST / HTTP/1.1",
        "\r\n\r\n",
        wild_id,
        &huge_header,
    ] {
        caller.publish(&subject, payload.to_owned()).await;
    }
    let deep = format!(
        r#"{{"claims":{{"a":{}1{}}}}}"#,
        "[".repeat(5000),
        "]".repeat(5000)
    );
    let refused = caller.post(HOST, 666, "/mint", &deep).await;
    assert_eq!(refused.response().status(), 400);
    let minted = caller.post(HOST, 666, "/mint", "{}").await;
    assert_eq!(minted.response().status(), 200);
    assert!(
        caller
            .next_reply(std::time::Duration::from_millis(200))
            .await
            .is_none()
    );
}

#[tokio::test]
async fn mint_and_jwks_are_answered_without_an_ack_and_all_else_with_one_unless_acks_are_asked_for()
{
    let bus = Bus::start().await;
    let configurator = bus.configurator().await;
    for product in [Product::ACCESS_TOKEN, Product::BEARER_TOKEN] {
        let issuer = bus
            .issuer(product)
            .with_variable("MICROBUS_DEPLOYMENT", "LOCAL")
            .start();
        let caller = bus.caller("tester.client", "id-tester0000").await;
        issuer.until_logged("Serving").await;
        for (without_ack, expected) in [(true, vec!["Res"]), (false, vec!["Ack", "Res"])] {
            configurator.set(product.host, "AnswerWithoutAck", &without_ack.to_string());
            assert_eq!(
                configurator.refresh(product.host).await.response().status(),
                200
            );
            let claims = r#"{"claims":{"sub":"harry"}}"#;
            let minted = caller.post(product.host, 666, "/mint", claims).await;
            let keys = caller.get(product.host, 888, "/jwks").await;
            for answers in [minted, keys] {
                assert_eq!(codes(&answers), expected);
                assert_eq!(
                    answers.response().header("Microbus-Queue"),
                    Some(product.host)
                );
            }
            let pong = caller.get(product.host, 888, "/ping").await;
            assert_eq!(codes(&pong), ["Ack", "Res"]);
        }
    }
}

fn codes(answers: &Answers) -> Vec<String> {
    let codes = answers
        .messages
        .iter()
        .map(|message| message.op_code().to_owned());
    codes.collect()
}
