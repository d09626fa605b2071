//! How a process starts, and how it refuses to.

use e2e::goldens;
use e2e::{Bus, IssuerSetup, NatsServer, PATIENCE, Product};

const HOST: &str = "access.token.core";

/// A request without what differs from run to run: its subject, first line, body and the names of its headers.
fn outline(message: &e2e::Message) -> (String, String, serde_json::Value, Vec<String>) {
    let mut names: Vec<_> = message.headers().map(|(name, _)| name.to_owned()).collect();
    names.sort();
    let mut body = message.json();
    for list in ["names", "hosts"] {
        if let Some(values) = body.get_mut(list).and_then(|list| list.as_array_mut()) {
            // These properties are ours alone, and the order is random in the Go service.
            let ours_alone = [
                "AnswerWithoutAck",
                "MintPolicy",
                "MintRatePerCaller",
                "Minters",
                "RefuseLiteralClaimNames",
                "WarmVerifiers",
            ];
            values.retain(|value| !ours_alone.iter().any(|name| value == name));
            values.sort_by_key(ToString::to_string);
        }
    }
    (
        message.subject.clone(),
        message.first_line().to_owned(),
        body,
        names,
    )
}

#[tokio::test]
async fn what_it_says_while_starting_is_what_the_go_service_says() {
    let bus = Bus::start().await;
    let _configurator = bus.configurator().await;
    let mut tap = bus.tap().await;
    let issuer = bus.issuer(Product::ACCESS_TOKEN).start();
    issuer.until_logged("Serving").await;
    let mut said = Vec::new();
    while said.len() < 2 {
        let message = tap.next(PATIENCE).await.unwrap();
        // Ours also looks for other replicas and shows its key to verifiers.
        let ours_alone = message.subject.ends_with(".local-keys")
            || message.subject.ends_with(".all._.GET.ping");
        if message.op_code() == "Req" && !ours_alone {
            said.push(outline(&message));
        }
    }
    let recorded = goldens::case("local", "startup_access_token_local");
    let expected: Vec<_> = recorded
        .messages
        .iter()
        .filter(|message| message.op_code() == "Req")
        .map(outline)
        .collect();
    assert_eq!(said, expected);
}

#[tokio::test]
async fn in_local_files_and_defaults_serve_where_no_configurator_answers() {
    let bus = Bus::start().await;
    let issuer = bus.issuer(Product::ACCESS_TOKEN).start();
    let line = issuer.until_logged("No configurator").await;
    assert!(line.contains("WARN"), "{line}");
    issuer.until_logged("Serving").await;
}

#[tokio::test]
async fn in_prod_it_retries_and_then_exits_where_no_configurator_answers() {
    let bus = Bus::start().await;
    let setup = bus
        .issuer(Product::ACCESS_TOKEN)
        .with_variable("MICROBUS_DEPLOYMENT", "PROD")
        .with_variable("MICROBUS_STARTUP_TIME_BUDGET", "3s");
    let mut issuer = setup.start();
    assert_eq!(issuer.exit().await.code(), Some(78));
    let log = issuer.log().text();
    assert!(log.matches("Starting up").count() >= 1, "{log}");
    assert!(log.contains("MICROBUS_CONFIGURATION=files"), "{log}");
    assert!(!log.contains("Permissions Violation"), "{log}");
}

#[tokio::test]
async fn a_trust_root_can_start_from_its_own_files_alone() {
    let bus = Bus::start().await;
    let mut tap = bus.tap().await;
    let setup = bus
        .issuer(Product::ACCESS_TOKEN)
        .with_variable("MICROBUS_DEPLOYMENT", "PROD")
        .with_variable("MICROBUS_CONFIGURATION", "files")
        .with_file(
            "config.yaml",
            "access.token.core:\n  MaxTokenLifetime: 7s\n",
        );
    let issuer = setup.start();
    let startup = issuer.until_logged("Startup").await;
    assert!(startup.contains("own files alone"), "{startup}");
    issuer.until_logged("Serving").await;
    let first = tap.next(PATIENCE).await.unwrap();
    let second = tap.next(PATIENCE).await.unwrap();
    for message in [first, second] {
        assert!(
            !message.subject.contains("configurator_core"),
            "{}",
            message.subject
        );
    }
}

#[tokio::test]
async fn credentials_that_the_broker_refuses_end_it_with_69() {
    let (bus, stranger) = (Bus::start().await, Bus::start().await);
    let setup = bus
        .issuer(Product::ACCESS_TOKEN)
        .with_variable("MICROBUS_STARTUP_TIME_BUDGET", "2s")
        .with_file("access.token.core_nats.creds", stranger.credentials(HOST));
    let mut issuer = setup.start();
    assert_eq!(issuer.exit().await.code(), Some(69));
    let log = issuer.log().text();
    assert!(log.contains("check the credentials file"), "{log}");
}

#[tokio::test]
async fn a_broker_that_is_not_there_ends_it_with_69() {
    let mut server = NatsServer::open_to_all(1 << 20).await;
    let url = server.url();
    server.stop();
    let setup = IssuerSetup::new(Product::ACCESS_TOKEN)
        .with_variable("MICROBUS_NATS", &url)
        .with_variable("MICROBUS_STARTUP_TIME_BUDGET", "2s");
    let mut issuer = setup.start();
    assert_eq!(issuer.exit().await.code(), Some(69));
    assert!(
        issuer.log().text().contains("no broker at"),
        "{}",
        issuer.log().text()
    );
}

#[tokio::test]
async fn credentials_of_another_plane_are_named_in_the_log() {
    let bus = Bus::start().await;
    let setup = bus
        .issuer(Product::ACCESS_TOKEN)
        .with_variable("MICROBUS_PLANE", "staging")
        .with_variable("MICROBUS_STARTUP_TIME_BUDGET", "5s");
    let issuer = setup.start();
    let line = issuer.until_logged("lack of permission").await;
    assert!(line.contains("staging."), "{line}");
}

#[tokio::test]
async fn every_problem_of_the_configuration_is_listed_and_the_code_is_78() {
    let file =
        "access.token.core:\n  MaxTokenLifetime: 30m\n  KeyRotationInterval: soon\n  Tpyo: 1\n";
    let setup = IssuerSetup::new(Product::ACCESS_TOKEN)
        .with_variable("MICROBUS_PLANE", "not.a.plane")
        .with_variable("MICROBUS_NATS", "nats://127.0.0.1:1")
        .with_file("config.yaml", file);
    let mut issuer = setup.start();
    assert_eq!(issuer.exit().await.code(), Some(78));
    let log = issuer.log().text();
    for part in [
        "MaxTokenLifetime is 30m",
        "KeyRotationInterval is soon",
        "Tpyo",
        "MICROBUS_PLANE",
    ] {
        assert!(log.contains(part), "no {part} in\n{log}");
    }
}

#[tokio::test]
async fn it_never_fails_open_beside_credentials() {
    let setup = IssuerSetup::new(Product::ACCESS_TOKEN).with_file("nats.creds", "anything");
    let mut issuer = setup.start();
    assert_eq!(issuer.exit().await.code(), Some(78));
    assert!(
        issuer.log().text().contains("set MICROBUS_NATS"),
        "{}",
        issuer.log().text()
    );
}
