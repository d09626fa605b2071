//! Verifiers on a bus in memory; time is the runtime's, and stands still while nobody waits.

use super::*;
use crate::fixture;
use microbus_bus::{
    Acknowledge, Connection, Delivery, Failure, Handling, Incoming, Reply, Route, Scope, Urgency,
};
use microbus_token::{Claims, SigningKey, TokenId, mint_access};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use std::time::UNIX_EPOCH;
use tokio::time::Instant;

const HOST: &str = "verifier.example";

/// A process that warms, and verifiers that note when they are shown a key.
struct Bench {
    connection: Connection,
    warming: Warming,
    verifiers: Vec<Arc<Connector>>,
    /// When a ping came, and whether it was to everybody.
    heard: Arc<Mutex<Vec<(Instant, Scope)>>>,
}

impl Bench {
    async fn start() -> Self {
        let connection = Connection::in_process();
        let own = fixture::connector(&connection, "access.token.core").await;
        Self {
            connection,
            warming: Warming::new(own, fixture::metrics()),
            verifiers: Vec::new(),
            heard: Arc::default(),
        }
    }

    /// Starts a verifier that answers pings with `status` and has announced itself.
    async fn verifier(&mut self, status: u16) -> Verifier {
        let connector = fixture::connector(&self.connection, HOST).await;
        for scope in [Scope::Own, Scope::All] {
            let heard = Arc::clone(&self.heard);
            let ping = move |request: Incoming| {
                let mut headers = request.headers_as_text();
                assert!(headers.any(|(name, _)| name == ACTOR));
                heard.lock().unwrap().push((Instant::now(), scope));
                Handling::Done(match status {
                    200 => Ok(Reply::empty(200)),
                    _ => Err(Failure::new(ErrorStatus::UNAUTHORIZED, "unknown key")),
                })
            };
            let route = Route {
                name: "Ping",
                scope,
                port: 888,
                method: None,
                path: "/ping",
                delivery: Delivery::Every,
                urgency: Urgency::Exempt,
                acknowledge: Acknowledge::AtOnce,
                handler: Arc::new(ping),
            };
            connector.subscribe(route).await.unwrap();
        }
        let verifier = Verifier {
            host: HOST.to_owned(),
            instance: connector.identity().instance.as_str().to_owned(),
        };
        self.verifiers.push(connector);
        self.warming.meet(verifier.clone());
        verifier
    }

    /// Shows a key to all, and returns what came of it and how long it took.
    async fn show_all(&self) -> (Shown, Duration) {
        let mut rng = StdRng::seed_from_u64(1);
        let key = SigningKey::generate(&mut rng).unwrap();
        let jti = TokenId::random(&mut rng, TokenId::ACCESS_LENGTH);
        let lifetime = Duration::from_secs(1);
        let token = || mint_access(Claims::new(), lifetime, &jti, &key, UNIX_EPOCH).ok();
        let began = Instant::now();
        let shown = self.warming.show_all(&token).await;
        (shown, began.elapsed())
    }

    fn take_heard(&self) -> Vec<(Instant, Scope)> {
        std::mem::take(&mut *self.heard.lock().unwrap())
    }
}

#[tokio::test(start_paused = true)]
async fn few_verifiers_are_shown_a_key_by_one_ping_to_all() {
    let mut bench = Bench::start().await;
    for _ in 0..3 {
        bench.verifier(200).await;
    }
    let cold = bench.verifier(401).await;
    assert_eq!(bench.warming.spread(), Duration::ZERO);
    let (shown, _) = bench.show_all().await;
    assert_eq!((shown.warm, shown.cold, shown.silent), (3, vec![cold], 0));
    let heard = bench.take_heard();
    assert_eq!(heard.len(), 4);
    assert!(heard.iter().all(|(_, scope)| *scope == Scope::All));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_verifiers_are_shown_a_key_each_by_itself_over_seconds() {
    let mut bench = Bench::start().await;
    for _ in 0..148 {
        bench.verifier(200).await;
    }
    let cold = [bench.verifier(401).await, bench.verifier(401).await];
    // Most were there once; they come last.
    for number in 0..900 {
        bench.warming.meet(Verifier {
            host: HOST.to_owned(),
            instance: format!("id-zzzz{number:06}"),
        });
    }
    let spread = bench.warming.spread();
    assert_eq!(spread, 21 * PAUSE, "1050 verifiers in batches of 50");

    let (shown, took) = bench.show_all().await;
    assert_eq!((shown.warm, shown.silent), (148, 0));
    let mut expected = cold.to_vec();
    expected.sort();
    assert_eq!(shown.cold, expected);
    assert!(took >= spread && took < 2 * spread, "{took:?}");
    let mut heard = bench.take_heard();
    assert_eq!(heard.len(), 150, "each once, and nobody by a ping to all");
    assert!(heard.iter().all(|(_, scope)| *scope == Scope::Own));
    heard.sort_by_key(|(at, _)| *at);
    let crowded = heard.windows(AT_ONCE + 1).find(|crowd| {
        let [first, .., last] = crowd else {
            return false;
        };
        last.0 - first.0 < PAUSE
    });
    assert!(
        crowded.is_none(),
        "more than {AT_ONCE} at once: {crowded:?}"
    );

    // Those that are gone are remembered no more, and what is left can be asked by one ping.
    assert_eq!(bench.warming.spread(), Duration::ZERO);
    bench.show_all().await;
    let heard = bench.take_heard();
    assert_eq!(
        heard
            .iter()
            .filter(|(_, scope)| *scope == Scope::All)
            .count(),
        150
    );
}
