//! No verifier misses a key: replicas know each other's keys, keep them when their owner is gone, and show them to
//! verifiers before they sign.

use e2e::normal::kid;
use e2e::{Answers, Bus, Caller, Issuer, Message, PATIENCE, Product};
use microbus_token::{Jwk, JwkSet, Secret, SigningKey, verify};
use std::time::SystemTime;

const HOST: &str = Product::ACCESS_TOKEN.host;

/// A running replica with its instance ID.
struct Replica {
    issuer: Issuer,
    instance: String,
}

async fn start(bus: &Bus) -> Replica {
    let setup = bus
        .issuer(Product::ACCESS_TOKEN)
        .with_variable("MICROBUS_DEPLOYMENT", "LAB");
    let issuer = setup.start();
    let line = issuer.until_logged("\"Serving\"").await;
    let instance = line
        .split("\"id\":\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .to_owned();
    Replica { issuer, instance }
}

impl Replica {
    /// Asks this very replica, by its own slot.
    async fn ask(&self, caller: &Caller, port: u16, method: &str, path: &str) -> Answers {
        let id = caller.next_message_id();
        let headers = [
            ("Microbus-Time-Budget", "20s"),
            ("Content-Type", "application/json"),
        ];
        let url = format!("https://{}.{HOST}:{port}/{path}", self.instance);
        let request = caller.request(method, &url, &id, &headers, b"{}");
        let subject = caller.subject(port, HOST, &self.instance, method, path);
        caller.exchange(&subject, request, &id).await
    }

    async fn mint(&self, caller: &Caller) -> String {
        let minted = self.ask(caller, 666, "POST", "mint").await;
        minted.json()["token"].as_str().unwrap().to_owned()
    }

    async fn published(&self, caller: &Caller) -> JwkSet {
        JwkSet::from_json(&self.ask(caller, 888, "GET", "jwks").await.body()).unwrap()
    }

    async fn assert_verifies(&self, caller: &Caller, token: &str) {
        let keys = self.published(caller).await;
        verify(token, &keys, SystemTime::now()).unwrap();
    }
}

#[tokio::test]
async fn a_token_of_any_replica_verifies_by_the_set_of_every_other() {
    let bus = Bus::start().await;
    let _configurator = bus.configurator().await;
    let caller = bus.caller("tester.client", "id-tester0000").await;
    let (first, second) = (start(&bus).await, start(&bus).await);
    let (of_first, of_second) = (first.mint(&caller).await, second.mint(&caller).await);
    assert_ne!(kid(&of_first), kid(&of_second));
    for replica in [&first, &second] {
        replica.assert_verifies(&caller, &of_first).await;
        replica.assert_verifies(&caller, &of_second).await;
    }
}

#[tokio::test]
async fn tokens_outlive_the_replica_that_signed_them_however_it_ended() {
    let bus = Bus::start().await;
    let _configurator = bus.configurator().await;
    let caller = bus.caller("tester.client", "id-tester0000").await;
    let (mut stopped, mut killed, staying) =
        (start(&bus).await, start(&bus).await, start(&bus).await);
    let tokens = [stopped.mint(&caller).await, killed.mint(&caller).await];
    assert_eq!(stopped.issuer.stop().await.code(), Some(0));
    killed.issuer.kill();
    for token in &tokens {
        staying.assert_verifies(&caller, token).await;
    }
    // Nor does a replica that starts now miss them: it hears of them from the one that stayed.
    let newcomer = start(&bus).await;
    for token in &tokens {
        newcomer.assert_verifies(&caller, token).await;
    }
}

#[tokio::test]
async fn a_key_of_a_replica_that_has_just_started_is_known_before_it_signs() {
    let bus = Bus::start().await;
    let _configurator = bus.configurator().await;
    let caller = bus.caller("tester.client", "id-tester0000").await;
    let first = start(&bus).await;
    let second = start(&bus).await;
    let token = second.mint(&caller).await;
    first.assert_verifies(&caller, &token).await;
}

#[tokio::test]
async fn what_a_go_replica_answers_is_served_too() {
    let bus = Bus::start().await;
    let _configurator = bus.configurator().await;
    let caller = bus.caller("tester.client", "id-tester0000").await;
    let go = bus.caller(HOST, "id-goreplica0").await;
    let key = SigningKey::from_seed(&Secret::new(vec![7; 32])).unwrap();
    let body = format!("{{\"keys\":[{}]}}\n", Jwk::of(&key).to_json());
    let mut asked = go
        .listen("microbus.safe.888.*.access_token_core._.*.local-keys")
        .await;
    let replica = tokio::join!(start(&bus), async {
        let request = asked.next(PATIENCE).await.unwrap();
        answer(&go, &request, &body).await;
    })
    .0;
    let keys = replica.published(&caller).await;
    assert!(keys.get(key.id()).is_some(), "{}", keys.to_json());
}

#[tokio::test]
async fn a_jwk_set_waits_for_the_key_of_a_go_replica_that_has_just_announced_itself() {
    let bus = Bus::start().await;
    let _configurator = bus.configurator().await;
    let caller = bus.caller("tester.client", "id-tester0000").await;
    let replica = start(&bus).await;
    let go = bus.caller(HOST, "id-goreplica0").await;
    let key = SigningKey::from_seed(&Secret::new(vec![7; 32])).unwrap();
    let body = format!("{{\"keys\":[{}]}}\n", Jwk::of(&key).to_json());
    let mut asked = go
        .listen("microbus.safe.888.*.access_token_core._.*.local-keys")
        .await;
    go.publish(
        &go.subject(888, "all", "_", "POST", "on-new-subs"),
        go.request(
            "POST",
            "https://all:888/on-new-subs",
            &go.next_message_id(),
            &[("Content-Type", "application/json")],
            br#"{"hosts":["access.token.core","all"]}"#,
        ),
    )
    .await;
    // Our replica asks it because it has announced itself; the JWK Set is asked for before it answers.
    let request = asked.next(PATIENCE).await.unwrap();
    let (keys, ()) = tokio::join!(replica.published(&caller), answer(&go, &request, &body));
    assert!(keys.get(key.id()).is_some(), "{}", keys.to_json());
}

#[tokio::test]
async fn the_last_replica_serves_keys_until_its_tokens_are_dead_or_another_one_is_there() {
    let bus = Bus::start().await;
    let _configurator = bus.configurator().await;
    let caller = bus.caller("tester.client", "id-tester0000").await;
    let last = start(&bus).await;
    let token = last.mint(&caller).await;
    last.issuer.ask_to_stop();
    last.issuer.until_logged("No other replica").await;
    last.assert_verifies(&caller, &token).await;
    let next = start(&bus).await;
    let mut last = last;
    assert_eq!(last.issuer.exit().await.code(), Some(0));
    next.assert_verifies(&caller, &token).await;
    let log = last.issuer.log().text();
    assert!(!log.contains("Unable to drain"), "{log}");
}

#[tokio::test]
async fn lingering_ends_with_the_budget_of_the_stop() {
    let bus = Bus::start().await;
    let _configurator = bus.configurator().await;
    let caller = bus.caller("tester.client", "id-tester0000").await;
    let setup = bus
        .issuer(Product::ACCESS_TOKEN)
        .with_variable("MICROBUS_DEPLOYMENT", "LAB")
        .with_variable("MICROBUS_SHUTDOWN_TIME_BUDGET", "4s");
    let mut issuer = setup.start();
    issuer.until_logged("\"Serving\"").await;
    let minted = caller.post(HOST, 666, "/mint", "{}").await;
    assert_eq!(minted.response().status(), 200);
    assert_eq!(issuer.stop().await.code(), Some(0));
    let log = issuer.log().text();
    assert!(log.contains("No other replica"), "{log}");
    assert!(!log.contains("Unable to drain"), "{log}");
}

/// Answers a request as a Go replica would, without the ack that a quick answer needs not.
async fn answer(go: &Caller, request: &Message, body: &str) {
    let to = request.header("Microbus-From-Id").unwrap();
    let response = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nContent-Type: application/json\r\n\
         Microbus-From-Host: {HOST}\r\nMicrobus-From-Id: id-goreplica0\r\nMicrobus-From-Version: 4\r\n\
         Microbus-Msg-Id: {}\r\nMicrobus-Op-Code: Res\r\n\r\n{body}",
        body.len(),
        request.message_id()
    );
    let subject = format!("microbus.reply._.access_token_core.access_token_core.{to}");
    go.publish(&subject, response).await;
}

#[tokio::test]
async fn strangers_cannot_plant_keys() {
    let bus = Bus::start().await;
    let _configurator = bus.configurator().await;
    let replica = start(&bus).await;
    let stranger = bus.caller("raw.tester", "id-rawtester0").await;
    let key = SigningKey::from_seed(&Secret::new(vec![8; 32])).unwrap();
    let body = format!(
        "{{\"keys\":[{}],\"about\":[{{\"kid\":\"{}\",\"own\":true,\"life\":900}}]}}",
        Jwk::of(&key).to_json(),
        key.id()
    );
    let answered = stranger.post(HOST, 888, "/local-keys", &body).await;
    assert_eq!(answered.response().status(), 200);
    let keys = replica.published(&stranger).await;
    assert!(keys.get(key.id()).is_none(), "{}", keys.to_json());
}

#[tokio::test]
async fn verifiers_are_shown_a_new_key_before_it_signs() {
    let bus = Bus::start().await;
    let _configurator = bus.configurator().await;
    let caller = bus.caller("tester.client", "id-tester0000").await;
    let replica = start(&bus).await;
    let verifier = bus.caller("echo.example", "id-verifier00").await;
    let mut pings = verifier.listen("microbus.safe.888.*.all._.*.ping").await;
    let before = replica.mint(&caller).await;
    replica.issuer.rotate();

    let ping = pings.next(PATIENCE).await.unwrap();
    let shown = ping.header("Microbus-Actor").unwrap().to_owned();
    assert_ne!(kid(&shown), kid(&before));
    let keys = replica.published(&caller).await;
    let verified = verify(&shown, &keys, SystemTime::now()).unwrap();
    assert_eq!(verified.sub().as_deref(), Some("warm-up@access.token.core"));
    let number = |name: &str| verified.claims().get(name).unwrap().parse::<i64>().unwrap();
    assert!(
        number("exp") - number("iat") <= 11,
        "five seconds back, six ahead"
    );
    let silence = replica.issuer.until_logged("Verifiers warmed").await;
    assert!(silence.contains("\"cold\":0"), "{silence}");
    let end = std::time::Instant::now() + PATIENCE;
    while kid(&replica.mint(&caller).await) != kid(&shown) {
        assert!(std::time::Instant::now() < end, "the new key never signs");
    }
}

#[tokio::test]
async fn a_verifier_that_starts_is_warmed_by_its_own_slot() {
    let bus = Bus::start().await;
    let _configurator = bus.configurator().await;
    let replica = start(&bus).await;
    let verifier = bus.caller("echo.example", "id-verifier00").await;
    let mut pings = verifier
        .listen("microbus.safe.888.*.echo_example.id-verifier00.*.ping")
        .await;
    let body = r#"{"hosts":["echo.example","all"]}"#;
    let announced = verifier.post("all", 888, "/on-new-subs", body).await;
    assert_eq!(announced.response().status(), 200);
    let ping = pings.next(PATIENCE).await.unwrap();
    let token = replica.mint(&verifier).await;
    assert_eq!(kid(ping.header("Microbus-Actor").unwrap()), kid(&token));
}
