//! A replica that is alone signs on the broker's word, and no two of them take that for themselves.

use e2e::{Answers, Bus, Caller, Issuer, PATIENCE, Product};
use microbus_token::{JwkSet, verify};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

const NOBODY: &str = "No other replica is there, says the broker";
const SOMEBODY: &str = "Another replica may be there, says the broker";
const UNKNOWN: &str = "The broker cannot say whether other replicas are there";

/// A replica of the access issuer, with its instance ID.
struct Replica {
    issuer: Issuer,
    instance: String,
}

impl Replica {
    /// Starts so many at once, and returns them while they start.
    async fn start(bus: &Bus, count: usize) -> Vec<Self> {
        let setup = || {
            let setup = bus.issuer(Product::ACCESS_TOKEN);
            setup.with_variable("MICROBUS_DEPLOYMENT", "LAB")
        };
        let issuers: Vec<_> = (0..count).map(|_| setup().start()).collect();
        let mut replicas = Vec::new();
        for issuer in issuers {
            let line = issuer.until_logged("\"Startup\"").await;
            let line: serde_json::Value = serde_json::from_str(&line).unwrap();
            let instance = line["id"].as_str().unwrap().to_owned();
            replicas.push(Self { issuer, instance });
        }
        replicas
    }

    fn has_logged(&self, text: &str) -> bool {
        self.issuer.log().text().contains(text)
    }

    /// Asks this very replica for its JWK Set, as a verifier does that knows no key yet; none before it publishes one.
    async fn published(&self, caller: &Caller) -> Option<JwkSet> {
        let host = Product::ACCESS_TOKEN.host;
        let url = format!("https://{}.{host}:888/jwks", self.instance);
        let subject = caller.subject(888, host, &self.instance, "GET", "jwks");
        let answers = ask(caller, &subject, "GET", &url).await;
        let set = |answers: Answers| JwkSet::from_json(&answers.body()).unwrap();
        answers.is_complete().then(|| set(answers))
    }
}

/// Asks whoever is there, if anybody is.
async fn ask(caller: &Caller, subject: &str, method: &str, url: &str) -> Answers {
    let id = caller.next_message_id();
    let headers = [
        ("Microbus-Time-Budget", "20s"),
        ("Content-Type", "application/json"),
    ];
    let request = caller.request(method, url, &id, &headers, b"{}");
    caller
        .exchange_until(subject, request, &id, Answers::is_complete, SILENCE)
        .await
}

/// Has any replica mint a token, if one does already.
async fn minted(caller: &Caller) -> Option<String> {
    let host = Product::ACCESS_TOKEN.host;
    let url = format!("https://{host}:666/mint");
    let subject = caller.subject(666, host, "_", "POST", "mint");
    let answers = ask(caller, &subject, "POST", &url).await;
    let token = |answers: Answers| answers.json()["token"].as_str().map(str::to_owned);
    answers.is_complete().then(|| token(answers)).flatten()
}

/// Keeps the machine busy until it is dropped.
struct Load {
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    fn start() -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let spin = |over: Arc<AtomicBool>| {
            move || {
                while !over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            }
        };
        let threads = (0..2).map(|_| std::thread::spawn(spin(Arc::clone(&over))));
        let threads = threads.collect();
        Self { over, threads }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
    }
}

#[tokio::test]
async fn alone_is_who_the_broker_says_so_to() {
    let bus = Bus::start().await;
    let _configurator = bus.configurator().await;
    for product in [Product::ACCESS_TOKEN, Product::BEARER_TOKEN] {
        let issuer = bus.issuer(product).start();
        issuer.until_logged("Serving").await;
        let log = issuer.log().text();
        assert!(log.contains(NOBODY), "{log}");
        // What stood for it before it subscribed itself is gone.
        let held = bus.server.subscriptions_of(product.host).await;
        let replies = held.iter().filter(|one| one.subject.contains(".reply."));
        assert_eq!(replies.count(), 1, "{held:?}");
    }
}

#[tokio::test]
async fn who_comes_second_is_told_of_the_first() {
    let bus = Bus::start().await;
    let _configurator = bus.configurator().await;
    for product in [Product::ACCESS_TOKEN, Product::BEARER_TOKEN] {
        let first = bus.issuer(product).start();
        first.until_logged("Serving").await;
        let second = bus.issuer(product).start();
        second.until_logged("Serving").await;
        let log = second.log().text();
        assert!(log.contains(SOMEBODY) && !log.contains(NOBODY), "{log}");
    }
}

#[tokio::test]
async fn where_somebody_listens_to_everything_answers_are_waited_for() {
    let bus = Bus::start().await;
    let _configurator = bus.configurator().await;
    let _tap = bus.tap().await;
    let issuer = bus.issuer(Product::ACCESS_TOKEN).start();
    issuer.until_logged("Serving").await;
    let log = issuer.log().text();
    assert!(log.contains(UNKNOWN) && !log.contains(NOBODY), "{log}");
}

#[tokio::test]
async fn the_word_of_one_broker_of_several_does_not_count() {
    let bus = Bus::on_cluster(2).await;
    let _configurator = bus.configurator().await;
    let issuer = bus.issuer(Product::ACCESS_TOKEN).start();
    issuer.until_logged("Serving").await;
    let log = issuer.log().text();
    assert!(log.contains(UNKNOWN) && !log.contains(NOBODY), "{log}");
}

#[tokio::test]
async fn of_replicas_that_start_at_once_under_load_each_publishes_what_any_signs_with() {
    let bus = Bus::start().await;
    let _configurator = bus.configurator().await;
    let caller = bus.caller("tester.client", "id-tester0000").await;
    let _load = Load::start();
    for round in 0..ROUNDS {
        let mut replicas = Replica::start(&bus, 2 + round % 2).await;
        let end = Instant::now() + PATIENCE;
        let mut tokens = 0;
        // Where all come to serve between two mints, the first token comes after that.
        while tokens == 0 || !replicas.iter().all(|one| one.has_logged("\"Serving\"")) {
            assert!(
                Instant::now() < end,
                "round {round}: not all serve, {tokens} tokens"
            );
            let Some(token) = minted(&caller).await else {
                continue;
            };
            tokens += 1;
            for replica in &replicas {
                if let Some(keys) = replica.published(&caller).await {
                    let verified = verify(&token, &keys, SystemTime::now());
                    let log = replica.issuer.log().text();
                    assert!(verified.is_ok(), "round {round}: {verified:?}\n{log}");
                }
            }
        }
        let alone = replicas.iter().filter(|one| one.has_logged(NOBODY)).count();
        assert!(
            alone <= 1,
            "round {round}: {alone} are told that they are alone"
        );
        replicas.iter_mut().for_each(|one| one.issuer.kill());
        // The broker forgets them when it finds their connections closed.
        let host = Product::ACCESS_TOKEN.host;
        while !bus.server.subscriptions_of(host).await.is_empty() {
            assert!(Instant::now() < end, "round {round}: the broker remembers");
        }
    }
}

const ROUNDS: usize = 24;
/// An answer that takes longer is that of somebody who is not there.
const SILENCE: Duration = Duration::from_millis(100);
