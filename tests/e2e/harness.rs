//! The harness itself: what the other tests rest on.

use async_nats::ConnectErrorKind;
use e2e::goldens::{self, Subscription};
use e2e::{Bus, Caller, GoCaller, NatsServer, Outcome, PATIENCE, Reason, Verifier};
use microbus_deploy::Permissions;
use microbus_token::{Claims, Jwk, JwkSet, SigningKey, TokenId, mint_access};
use microbus_wire::{Hostname, Plane};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use std::time::{Duration, SystemTime};

const INSTANCE: &str = "id-tester0000";

#[tokio::test]
async fn a_connection_without_credentials_is_refused() {
    let bus = Bus::start().await;
    let refused =
        Caller::connect(&bus.server.url(), None, "microbus", "raw.tester", INSTANCE).await;
    assert_eq!(
        refused.err(),
        Some(ConnectErrorKind::AuthorizationViolation)
    );
}

#[tokio::test]
async fn credentials_of_another_operator_are_refused() {
    let (bus, stranger) = (Bus::start().await, Bus::start().await);
    let credentials = stranger.credentials("raw.tester");
    let url = bus.server.url();
    let refused =
        Caller::connect(&url, Some(&credentials), "microbus", "raw.tester", INSTANCE).await;
    assert_eq!(
        refused.err(),
        Some(ConnectErrorKind::AuthorizationViolation)
    );
}

#[tokio::test]
async fn a_publish_outside_the_list_is_a_violation_and_inside_it_arrives() {
    let bus = Bus::start().await;
    let mut tap = bus.tap().await;
    let access = bus.caller("access.token.core", INSTANCE).await;

    let foreign = "microbus.danger.666.access_token_core.bearer_token_core._.POST.mint";
    access.publish(foreign, "x").await;
    let violation = access.violation().await;
    assert!(
        violation.contains("Permissions Violation for Publish"),
        "{violation}"
    );
    assert!(violation.contains(foreign), "{violation}");

    let allowed = "microbus.safe.888.access_token_core.configurator_core._.POST.values";
    access.publish(allowed, "y").await;
    assert_eq!(tap.next(PATIENCE).await.unwrap().subject, allowed);
}

#[tokio::test]
async fn a_subscription_outside_the_list_is_a_violation() {
    let bus = Bus::start().await;
    let tester = bus.caller("raw.tester", INSTANCE).await;
    tester
        .listen("microbus.danger.666.*.access_token_core._.*.mint")
        .await;
    let violation = tester.violation().await;
    assert!(
        violation.contains("Permissions Violation for Subscription"),
        "{violation}"
    );
}

#[tokio::test]
async fn credentials_of_one_plane_open_no_other() {
    let bus = Bus::start().await;
    let tester = bus.caller("raw.tester", INSTANCE).await;
    tester
        .publish("other.safe.888.raw_tester.access_token_core._.GET.ping", "")
        .await;
    assert!(tester.violation().await.contains("other.safe.888"));
}

#[tokio::test]
async fn a_restarted_server_has_the_same_address_and_clients_come_back() {
    let mut bus = Bus::start().await;
    let url = bus.server.url();
    let tester = bus.caller("raw.tester", INSTANCE).await;
    bus.server.restart().await;
    assert_eq!(bus.server.url(), url);
    tester.until_connected(2).await;

    let mut tap = bus.tap().await;
    let subject = tester.subject(888, "nobody.example", "_", "GET", "ping");
    tester.publish(&subject, "after").await;
    assert_eq!(tap.next(PATIENCE).await.unwrap().payload, "after");
}

#[tokio::test]
async fn the_configurator_answers_with_the_values_of_the_host_that_asks() {
    let bus = Bus::start().await;
    let configurator = bus.configurator().await;
    configurator.set("access.token.core", "MaxTokenLifetime", "5m");
    configurator.set("bearer.token.core", "AuthTokenTTL", "1h");
    let access = bus.caller("access.token.core", INSTANCE).await;
    let names = r#"{"names":["MaxTokenLifetime","AuthTokenTTL"]}"#;

    let answers = access
        .post("configurator.core", 888, "/values", names)
        .await;
    assert_eq!(answers.ack().status(), 202);
    assert_eq!(answers.response().status(), 200);
    assert_eq!(
        answers.json(),
        serde_json::json!({"values": {"MaxTokenLifetime": "5m"}})
    );

    configurator.unset("access.token.core", "MaxTokenLifetime");
    let answers = access
        .post("configurator.core", 888, "/values", names)
        .await;
    assert_eq!(answers.json(), serde_json::json!({"values": {}}));
    configurator.until_answered(2).await;
}

#[tokio::test]
async fn the_server_tells_the_subscriptions_of_one_user() {
    let bus = Bus::start().await;
    let access = bus.caller("access.token.core", INSTANCE).await;
    let mint = "microbus.danger.666.*.access_token_core._.*.mint";
    let _listener = access.listen(mint).await;
    let held = bus.server.subscriptions_of("access.token.core").await;
    let replies = "microbus.reply._.*.access_token_core.*";
    let echo = "microbus.reply._.*.access_token_core.harness-echo";
    let expected = [mint, replies, echo].map(|subject| Subscription {
        subject: subject.to_owned(),
        queue: String::new(),
    });
    assert_eq!(goldens::without_instance(held), expected);
}

#[tokio::test]
async fn an_open_server_lets_everybody_in_and_bounds_messages() {
    let server = NatsServer::open_to_all(131_072).await;
    let tester = Caller::connect(&server.url(), None, "microbus", "raw.tester", INSTANCE)
        .await
        .unwrap();
    let mut listener = tester.listen("anything").await;
    tester.publish("anything", "x").await;
    assert_eq!(listener.next(PATIENCE).await.unwrap().payload, "x");
    assert_eq!(tester.max_payload(), 131_072);
}

#[tokio::test]
async fn every_line_of_an_issuers_list_is_accepted_by_the_server() {
    let bus = Bus::start().await;
    let host = Hostname::parse("bearer.token.core").unwrap();
    let permissions = Permissions::of_issuer(&Plane::default(), &host);
    let bearer = bus.caller("bearer.token.core", INSTANCE).await;
    for pattern in permissions.subscribe() {
        bearer.listen(pattern).await;
    }
    // A refusal would come before what is refused for sure.
    bearer.publish("outside.the.list", "").await;
    assert!(bearer.violation().await.contains("outside.the.list"));
}

#[tokio::test]
async fn a_verifier_fetches_once_a_second_and_refuses_an_unknown_key_meanwhile() {
    let bus = Bus::start().await;
    let issuer = bus.caller("access.token.core", INSTANCE).await;
    let asked = "microbus.safe.888.*.access_token_core._.*.jwks";
    let mut requests = issuer.listen(asked).await;
    let verifier = Verifier::unannounced(&bus, &bus.server, "one.verifier", 0).await;
    let mut rng = StdRng::from_rng(&mut rand::rng());
    let key = SigningKey::generate(&mut rng).unwrap();
    let jti = TokenId::random(&mut rng, TokenId::ACCESS_LENGTH);
    let life = Duration::from_secs(20);
    let token = mint_access(Claims::new(), life, &jti, &key, SystemTime::now()).unwrap();
    let token = token.as_str();

    let publishing = async {
        let request = requests.next(PATIENCE).await.unwrap();
        // While the first fetch is running.
        assert_eq!(verifier.judge(token).await, Err(Reason::Debounced));
        let mut set = JwkSet::default();
        set.push(Jwk::of(&key)).unwrap();
        let id = request.message_id();
        let answer = format!(
            "HTTP/1.1 200 OK\r\nMicrobus-Msg-Id: {id}\r\nMicrobus-Op-Code: Res\r\n\r\n{}",
            set.to_json()
        );
        issuer
            .publish(&issuer.reply_subject(&request), answer)
            .await;
    };
    let (first, ()) = tokio::join!(verifier.judge(token), publishing);
    assert_eq!(first, Ok(()));
    assert_eq!((verifier.judge(token).await, verifier.keys()), (Ok(()), 1));
}

#[tokio::test]
async fn a_go_caller_gives_up_where_nothing_is_heard_in_time() {
    let bus = Bus::start().await;
    let recorded = goldens::case("local", "mint_access_unicast");
    let recorded = recorded.requests_to("access.token.core").next().unwrap();
    let caller = GoCaller::new(bus.caller("tester.client", INSTANCE).await);
    let outcomes = caller.call(recorded, 2).await;
    assert_eq!(outcomes.len(), 2);
    for outcome in outcomes {
        assert!(
            matches!(outcome, Outcome::AckTimeout { late: None }),
            "{outcome:?}"
        );
    }
}
