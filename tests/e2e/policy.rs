//! Who may mint: a second line behind the broker's permissions.

use e2e::{Bus, Caller, Product};

const CONFIG: &str = r#"
access.token.core:
  Minters: tester.client, idp.bridge, broken.client
  MintPolicy: |
    idp.bridge: "!roles.admin"
    broken.client: "a=b"
bearer.token.core:
  Minters: tester.client
  MintRatePerCaller: 2
"#;

async fn mint(caller: &Caller, host: &str, claims: &str) -> u16 {
    let body = format!("{{\"claims\":{claims}}}");
    let minted = caller.post(host, 666, "/mint", &body).await;
    minted.response().status()
}

#[tokio::test]
async fn only_minters_mint_and_each_only_what_its_policy_allows() {
    let bus = Bus::start().await;
    let setup = bus
        .issuer(Product::ACCESS_TOKEN)
        .with_variable("MICROBUS_CONFIGURATION", "files")
        .with_file("config.yaml", CONFIG);
    let issuer = setup.start();
    issuer.until_logged("Serving").await;
    let unreadable = issuer.until_logged("A mint policy cannot be read").await;
    assert!(
        unreadable.contains("ERROR") && unreadable.contains("broken.client"),
        "{unreadable}"
    );
    let host = Product::ACCESS_TOKEN.host;
    let admin = r#"{"roles":["admin"]}"#;
    for (name, claims, status) in [
        ("tester.client", admin, 200),
        ("idp.bridge", admin, 403),
        ("idp.bridge", r#"{"roles":["user"]}"#, 200),
        ("broken.client", "{}", 403),
        ("stranger.client", "{}", 403),
    ] {
        let caller = bus.caller(name, "id-tester0000").await;
        assert_eq!(mint(&caller, host, claims).await, status, "{name} {claims}");
    }
    let refused = issuer.until_logged("reason=not_a_minter").await;
    assert!(
        refused.contains("WARN") && refused.contains("stranger.client"),
        "{refused}"
    );
    let log = issuer.log().text();
    assert!(!log.contains("callers may share"), "{log}");
}

#[tokio::test]
async fn the_configurator_can_narrow_and_never_widen() {
    let bus = Bus::start().await;
    let configurator = bus.configurator().await;
    let host = Product::ACCESS_TOKEN.host;
    configurator.set(host, "Minters", "idp.bridge, stranger.client");
    configurator.set(host, "MintPolicy", "idp.bridge: \"sub\"");
    let setup = bus
        .issuer(Product::ACCESS_TOKEN)
        .with_file("config.yaml", CONFIG);
    let issuer = setup.start();
    issuer.until_logged("Serving").await;
    let admin = r#"{"sub":"harry","roles":["admin"]}"#;
    for (name, claims, status) in [
        ("idp.bridge", r#"{"sub":"harry"}"#, 200),
        ("idp.bridge", "{}", 403),
        ("idp.bridge", admin, 403),
        ("stranger.client", "{}", 403),
        ("tester.client", "{}", 403),
    ] {
        let caller = bus.caller(name, "id-tester0000").await;
        assert_eq!(mint(&caller, host, claims).await, status, "{name} {claims}");
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_read_at_a_refresh_lets_nobody_through() {
    let bus = Bus::start().await;
    let setup = bus
        .issuer(Product::ACCESS_TOKEN)
        .with_variable("MICROBUS_DEPLOYMENT", "LAB")
        .with_variable("MICROBUS_CONFIGURATION", "files")
        .with_variable("MICROBUS_PROMETHEUS_EXPORTER", "1")
        .with_file("config.yaml", CONFIG);
    let issuer = setup.start();
    issuer.until_logged("\"Serving\"").await;
    let host = Product::ACCESS_TOKEN.host;
    let stranger = bus.caller("stranger.client", "id-tester0000").await;
    let minter = bus.caller("tester.client", "id-tester0001").await;
    let refresh = async || {
        let refreshed = minter.post(host, 888, "/config-refresh", "{}").await;
        refreshed.response().status()
    };
    let reload = async || {
        let metrics = minter.get(host, 888, "/metrics").await.body();
        let metrics = String::from_utf8(metrics).unwrap();
        let value = |name: &str| {
            let line = metrics.lines().find(|line| line.starts_with(name)).unwrap();
            line.rsplit(' ').next().unwrap().to_owned()
        };
        (
            value("microbus_token_config_last_reload_successful"),
            value("microbus_token_invalid_configuration_total"),
        )
    };
    assert_eq!(reload().await, ("1".to_owned(), "0".to_owned()));

    issuer.write_file("config.yaml", "access.token.core:\n  Minters: [\n");
    assert_eq!(refresh().await, 500);
    let kept = issuer.until_logged("keeping the values read before").await;
    assert!(kept.contains("/config.yaml cannot be used"), "{kept}");
    let (successful, invalid) = reload().await;
    assert_eq!(successful, "0");
    assert_ne!(invalid, "0");
    assert_eq!(mint(&stranger, host, "{}").await, 403);
    assert_eq!(mint(&minter, host, "{}").await, 200);

    issuer.write_file(
        "config.yaml",
        "access.token.core:\n  Minters: stranger.client\n",
    );
    assert_eq!(refresh().await, 200);
    assert_eq!(reload().await.0, "1");
    assert_eq!(mint(&stranger, host, "{}").await, 200);
    assert_eq!(mint(&minter, host, "{}").await, 403);

    std::fs::create_dir(issuer.folder().join("config.local.yaml")).unwrap();
    issuer.write_file("config.yaml", CONFIG);
    assert_eq!(refresh().await, 500, "a file that was not there before");
    assert_eq!(mint(&minter, host, "{}").await, 403);
}

#[tokio::test]
async fn a_file_that_was_skipped_at_the_start_holds_no_refresh_up() {
    let bus = Bus::start().await;
    let setup = bus
        .issuer(Product::ACCESS_TOKEN)
        .with_variable("MICROBUS_CONFIGURATION", "files")
        .with_file("config.yaml", CONFIG)
        .with_file("config.local.yaml", "[");
    let issuer = setup.start();
    issuer.until_logged("Parsing config file").await;
    issuer.until_logged("Serving").await;
    let host = Product::ACCESS_TOKEN.host;
    let stranger = bus.caller("stranger.client", "id-tester0000").await;
    issuer.write_file(
        "config.yaml",
        "access.token.core:\n  Minters: stranger.client\n",
    );
    let refreshed = stranger.post(host, 888, "/config-refresh", "{}").await;
    assert_eq!(refreshed.response().status(), 200);
    assert_eq!(mint(&stranger, host, "{}").await, 200);
}

#[tokio::test]
async fn a_caller_that_asks_too_often_is_refused_and_others_are_not() {
    let bus = Bus::start().await;
    let setup = bus
        .issuer(Product::BEARER_TOKEN)
        .with_variable("MICROBUS_CONFIGURATION", "files")
        .with_file(
            "config.yaml",
            CONFIG.replace("Minters: tester.client\n", "Minters: \"\"\n"),
        );
    let issuer = setup.start();
    issuer.until_logged("Serving").await;
    let host = Product::BEARER_TOKEN.host;
    let eager = bus.caller("tester.client", "id-tester0000").await;
    let mut statuses = Vec::new();
    // However slow the machine is, it mints more than two in a second at some time.
    while statuses.last() != Some(&429) {
        statuses.push(mint(&eager, host, "{}").await);
        assert!(statuses.len() < 10_000, "never refused");
    }
    assert!(statuses.iter().filter(|status| **status == 200).count() >= 2);
    let other = bus.caller("other.client", "id-tester0001").await;
    assert_eq!(mint(&other, host, "{}").await, 200);
}

#[tokio::test]
async fn without_credentials_of_ones_own_the_log_says_what_minters_are_worth() {
    let server = e2e::NatsServer::open_to_all(1 << 20).await;
    let setup = e2e::IssuerSetup::new(Product::ACCESS_TOKEN)
        .with_variable("MICROBUS_NATS", &server.url())
        .with_variable("MICROBUS_CONFIGURATION", "files")
        .with_file("config.yaml", CONFIG);
    let issuer = setup.start();
    let line = issuer
        .until_logged("callers may share their credentials")
        .await;
    assert!(line.contains("WARN"), "{line}");
}
