//! Replicas of ours, and what is done to them.

use crate::load::Load;
use e2e::{Bus, Caller, Issuer, NatsServer, PATIENCE, Product};
use microbus_token::{Jwk, SigningKey};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use std::sync::Mutex;
use std::time::{Duration, Instant};

const HOST: &str = Product::ACCESS_TOKEN.host;

/// How many milliseconds each start took, as the processes say themselves.
pub(crate) static STARTS: Mutex<Vec<u64>> = Mutex::new(Vec::new());

/// Starts a replica, and returns when it mints.
pub(crate) async fn start(bus: &Bus) -> Issuer {
    let setup = bus
        .issuer(Product::ACCESS_TOKEN)
        .with_variable("MICROBUS_DEPLOYMENT", "LAB");
    let issuer = setup.start();
    let line = issuer.until_logged("\"Serving\"").await;
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    let took = line["milliseconds"].as_u64().unwrap();
    STARTS.lock().unwrap().push(took);
    issuer
}

/// Returns the medians of so many fetches of the JWK Set and of as many pings.
pub(crate) async fn medians(caller: &Caller) -> (Duration, Duration) {
    let mut medians = ["/jwks", "/ping"].map(|path| (path, Vec::new()));
    for _ in 0..200 {
        for (path, times) in &mut medians {
            let began = Instant::now();
            let answer = caller.get(HOST, 888, path).await;
            assert_eq!(answer.response().status(), 200);
            times.push(began.elapsed());
        }
    }
    let [jwks, ping] = medians.map(|(_, mut times)| {
        times.sort_unstable();
        times[times.len() / 2]
    });
    (jwks, ping)
}

pub(crate) async fn stop(issuer: &mut Issuer) {
    assert_eq!(issuer.stop().await.code(), Some(0));
}

/// Has one replica change its key, until the new one signs.
pub(crate) async fn rotate(issuer: &Issuer) {
    let mut log = issuer.log();
    let position = log.position();
    issuer.rotate();
    let signs = log.line_after(position, "Key signs", PATIENCE).await;
    assert!(signs.is_some(), "{}", log.text());
}

/// Waits until every verifier was shown so many keys.
pub(crate) async fn until_warm(load: &Load, keys: usize) {
    let end = Instant::now() + PATIENCE;
    while !load.verifiers.iter().all(|one| one.keys() >= keys) {
        assert!(Instant::now() < end, "newcomers are not warmed");
        load.callers[0].get(load.host, 888, "/ping").await;
    }
}

/// Restarts the broker, and waits until everybody is back.
pub(crate) async fn restart_broker(server: &mut NatsServer, fleet: &[Issuer], load: &Load) {
    server.restart().await;
    for issuer in fleet {
        issuer.until_logged("Reconnected to NATS").await;
    }
    let verifiers = load.verifiers.iter().map(|verifier| verifier.caller());
    for caller in load.callers.iter().chain(verifiers) {
        caller.until_connected(2).await;
    }
}

/// Sends keys as a replica would for two seconds, with the name of one in every header, and announces itself as one.
pub(crate) async fn flood(stranger: &Caller) {
    let mut rng = StdRng::from_rng(&mut rand::rng());
    let end = Instant::now() + Duration::from_secs(2);
    let mut pace = tokio::time::interval(Duration::from_millis(5));
    let mut planted = Vec::new();
    while Instant::now() < end {
        pace.tick().await;
        let key = SigningKey::generate(&mut rng).unwrap();
        let body = format!(
            "{{\"keys\":[{}],\"about\":[{{\"kid\":\"{}\",\"own\":true,\"life\":900,\"number\":1}}],\"showing\":10000}}",
            Jwk::of(&key).to_json(),
            key.id()
        );
        planted.push(key.id().as_str().to_owned());
        for (host, path, body) in [
            (HOST, "local-keys", body.as_str()),
            ("all", "on-new-subs", "{\"hosts\":[\"access.token.core\"]}"),
        ] {
            let id = stranger.next_message_id();
            let headers = [
                ("Microbus-Time-Budget", "20s"),
                ("Content-Type", "application/json"),
            ];
            let url = format!("https://{host}:888/{path}");
            let request = stranger.request("POST", &url, &id, &headers, body.as_bytes());
            let request = String::from_utf8(request).unwrap().replace(
                "Microbus-From-Host: raw.tester",
                "Microbus-From-Host: access.token.core",
            );
            let subject = stranger.subject(888, host, "_", "POST", path);
            stranger.publish(&subject, request).await;
        }
    }
    let published = stranger.get(HOST, 888, "/jwks").await.body();
    let published = String::from_utf8(published).unwrap();
    for kid in planted {
        assert!(!published.contains(&kid), "a stranger planted {kid}");
    }
}
