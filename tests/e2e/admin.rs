//! The admin listener: what probes see while a process starts, serves and has lost its broker.

use crate::metrics::admin_address;
use e2e::http::exchange;
use e2e::{Bus, IssuerSetup, Product};

#[tokio::test]
async fn probes_see_a_process_that_starts_and_one_that_serves() {
    let bus = Bus::start().await;
    // In PROD a process waits for its configurator.
    let setup = bus
        .issuer(Product::ACCESS_TOKEN)
        .with_variable("MICROBUS_DEPLOYMENT", "PROD")
        .with_variable("MICROBUS_ADMIN", "0");
    let issuer = setup.start();
    let line = issuer.until_logged("Admin listener open").await;
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    let admin = line["address"].as_str().unwrap().to_owned();
    let get = async |path: &str| {
        let answer = exchange(&admin, &format!("GET {path}"), &[], "").await;
        (answer.status, answer.body)
    };
    assert_eq!(get("/healthz").await.0, 200);
    let (status, body) = get("/readyz").await;
    assert!(status == 503 && body.contains("starting"), "{body}");

    let _configurator = bus.configurator().await;
    issuer.until_logged("Serving").await;
    assert_eq!(get("/readyz").await.0, 200);
    let caller = bus.caller("tester.client", "id-tester0000").await;
    let over_bus = caller.get("access.token.core", 888, "/jwks").await;
    let (status, body) = get("/jwks").await;
    assert_eq!((status, body.into_bytes()), (200, over_bus.body()));
    assert_eq!(get("/mint").await.0, 404, "nothing is minted here");
    let answer = exchange(&admin, "GET /metrics", &[("Host", "evil.example")], "").await;
    assert_eq!(answer.status, 403);
}

#[tokio::test]
async fn an_address_that_others_can_reach_needs_their_trust() {
    let setup = IssuerSetup::new(Product::ACCESS_TOKEN)
        .with_argument("--door=127.0.0.1:0")
        .with_variable("MICROBUS_ADMIN", "0.0.0.0:0");
    let mut issuer = setup.start();
    assert_eq!(issuer.exit().await.code(), Some(78));
    let text = issuer.log().text();
    for remedy in [
        "MICROBUS_ADMIN_PLAINTEXT=1",
        "MICROBUS_ADMIN_CERTIFICATE_FILE",
    ] {
        assert!(text.contains(remedy), "{text}");
    }

    let trusted = setup.with_variable("MICROBUS_ADMIN_PLAINTEXT", "1").start();
    let address = admin_address(&trusted).await;
    let port = address.rsplit(':').next().unwrap();
    let by_name = [("Host", "issuer.example")];
    let healthy = exchange(&format!("127.0.0.1:{port}"), "GET /healthz", &by_name, "").await;
    assert_eq!(healthy.status, 200);
}

#[tokio::test]
async fn an_address_that_is_taken_ends_the_process_with_the_remedy() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut issuer = IssuerSetup::new(Product::ACCESS_TOKEN)
        .with_argument("--door=127.0.0.1:0")
        .with_variable("MICROBUS_ADMIN", &address)
        .start();
    assert_eq!(issuer.exit().await.code(), Some(78));
    let text = issuer.log().text();
    assert!(
        text.contains(&address) && text.contains("choose another address with MICROBUS_ADMIN"),
        "{text}"
    );
}
