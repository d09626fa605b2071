//! Whatever happens to replicas and to the broker, no verifier refuses a token of ours, and a caller is left without a
//! token only by what dies without warning.

use e2e::normal::kid;
use e2e::{Answers, Bus, Caller, Issuer, Listener, Message, PATIENCE, Product};
use futures_util::future::join_all;
use microbus_token::{JwkSet, verify};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::watch;

const HOST: &str = Product::ACCESS_TOKEN.host;

/// A verifier that behaves as the Go ones do (spec: microbus-wire 12.2): it caches keys for ever, verifies the actor of
/// any request, and refuses a token with an unknown key at once if its last fetch began less than a second ago.
struct Verifier {
    host: &'static str,
    instance: String,
    caller: Caller,
    state: Mutex<Known>,
    verified: AtomicUsize,
    refused: AtomicUsize,
}

#[derive(Default)]
struct Known {
    sets: HashMap<String, JwkSet>,
    last_fetch: Option<Instant>,
}

impl Verifier {
    /// Starts to answer pings, and announces itself as every connector does.
    async fn start(bus: &Bus, host: &'static str, index: usize) -> Arc<Self> {
        let instance = format!("id-verifier{index:02}");
        let verifier = Arc::new(Self {
            host,
            caller: bus.caller(host, &instance).await,
            instance,
            state: Mutex::default(),
            verified: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
        });
        let own = format!("{}.{}", microbus_segment(host), verifier.instance);
        for slot in ["all._", &own] {
            let pattern = format!("microbus.safe.888.*.{slot}.*.ping");
            let pings = verifier.caller.listen(&pattern).await;
            tokio::spawn(Arc::clone(&verifier).serve(pings));
        }
        let body = format!("{{\"hosts\":[\"{host}\",\"all\"]}}");
        let announced = verifier.caller.post("all", 888, "/on-new-subs", &body);
        assert_eq!(announced.await.response().status(), 200);
        verifier
    }

    /// Answers pings, each by itself: one that waits for keys holds up no other.
    async fn serve(self: Arc<Self>, mut pings: Listener) {
        loop {
            if let Some(ping) = pings.next(PATIENCE).await {
                tokio::spawn(Arc::clone(&self).answer(ping));
            }
        }
    }

    async fn answer(self: Arc<Self>, ping: Message) {
        self.reply(&ping, "202 Accepted", "Ack", "").await;
        let permitted = match ping.header("Microbus-Actor") {
            Some(actor) => self.accepts(actor).await,
            None => true,
        };
        let (status, op_code, body) = match permitted {
            true => ("200 OK", "Res", "{\"pong\":0}\n"),
            false => ("401 Unauthorized", "Err", REFUSAL),
        };
        self.reply(&ping, status, op_code, body).await;
    }

    async fn reply(&self, request: &Message, status: &str, op_code: &str, body: &str) {
        let reply = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\nContent-Type: application/json\r\n\
             Microbus-From-Host: {}\r\nMicrobus-From-Id: {}\r\nMicrobus-Msg-Id: {}\r\n\
             Microbus-Op-Code: {op_code}\r\n\r\n{body}",
            body.len(),
            self.host,
            self.instance,
            request.message_id()
        );
        let source = request.subject.split('.').nth(3).unwrap();
        let to = request.header("Microbus-From-Id").unwrap().to_lowercase();
        let own = microbus_segment(self.host);
        let subject = format!("microbus.reply._.{own}.{source}.{to}");
        self.caller.publish(&subject, reply).await;
    }

    /// Judges a token that came with a request, and counts the verdict.
    async fn check(self: Arc<Self>, token: Arc<str>) {
        let count = match self.accepts(&token).await {
            true => &self.verified,
            false => &self.refused,
        };
        count.fetch_add(1, Relaxed);
    }

    async fn accepts(&self, token: &str) -> bool {
        let kid = kid(token);
        if self.must_fetch(&kid) {
            let fetched = self.fetch().await;
            let mut state = self.state.lock().unwrap();
            for jwk in fetched.iter() {
                let id = jwk.id().as_str().to_owned();
                state.sets.insert(id, fetched.clone());
            }
        }
        let state = self.state.lock().unwrap();
        let set = state.sets.get(&kid);
        set.is_some_and(|set| verify(token, set, SystemTime::now()).is_ok())
    }

    fn must_fetch(&self, kid: &str) -> bool {
        let mut state = self.state.lock().unwrap();
        let debounced = state
            .last_fetch
            .is_some_and(|began| began.elapsed() < Duration::from_secs(1));
        if state.sets.contains_key(kid) || debounced {
            return false;
        }
        state.last_fetch = Some(Instant::now());
        true
    }

    async fn fetch(&self) -> JwkSet {
        let answers = ask(&self.caller, "GET", 888, "jwks").await;
        let body = answers.map(|answers| answers.body()).unwrap_or_default();
        JwkSet::from_json(&body).unwrap_or_default()
    }

    /// Tells whether a key was ever shown to this verifier.
    fn is_warm(&self) -> bool {
        !self.state.lock().unwrap().sets.is_empty()
    }
}

/// Asks any replica, and gives up after [`SILENCE`].
async fn ask(caller: &Caller, method: &str, port: u16, path: &str) -> Option<Answers> {
    let id = caller.next_message_id();
    let headers = [
        ("Microbus-Time-Budget", "20s"),
        ("Content-Type", "application/json"),
    ];
    let url = format!("https://{HOST}:{port}/{path}");
    let request = caller.request(method, &url, &id, &headers, b"{}");
    let subject = caller.subject(port, HOST, "_", method, path);
    // A broker that is away does not even take the request.
    let exchange = caller.exchange_until(&subject, request, &id, Answers::is_complete, SILENCE);
    let answers = tokio::time::timeout(SILENCE, exchange).await.ok()?;
    answers.is_complete().then_some(answers)
}

fn microbus_segment(host: &str) -> String {
    host.replace('.', "_")
}

/// The load: callers that mint without a pause, and verifiers that see every token at once.
struct Load {
    callers: Vec<Caller>,
    verifiers: Vec<Arc<Verifier>>,
    mints: watch::Sender<usize>,
    errors: AtomicUsize,
}

/// What happened in one round.
#[derive(Clone, Copy)]
struct Round {
    name: &'static str,
    mints: usize,
    errors: usize,
    verified: usize,
    refused: usize,
    took: Duration,
}

impl Load {
    async fn start(bus: &Bus) -> Self {
        let mut callers = Vec::new();
        for host in ["first.caller", "second.caller"] {
            callers.push(bus.caller(host, "id-caller0000").await);
        }
        let mut verifiers = Vec::new();
        for (index, host) in VERIFIERS.into_iter().enumerate() {
            verifiers.push(Verifier::start(bus, host, index).await);
        }
        Self {
            callers,
            verifiers,
            mints: watch::Sender::new(0),
            errors: AtomicUsize::new(0),
        }
    }

    /// Puts the load on while `event` happens, some time before, and some time after.
    #[expect(clippy::print_stdout, reason = "the table is what the rounds are for")]
    async fn round(&self, name: &'static str, event: impl Future<Output = ()>) -> Round {
        let before = self.counts(name, Duration::ZERO);
        let began = Instant::now();
        let over = watch::Sender::new(false);
        let event = async {
            let mut mints = self.mints.subscribe();
            let enough = |mints: &usize| *mints >= before.mints + MARGIN;
            mints.wait_for(enough).await.unwrap();
            event.await;
            over.send_replace(true);
        };
        let load = self.callers.iter().map(|caller| self.mint(caller, &over));
        tokio::join!(join_all(load), event);
        let after = self.counts(name, began.elapsed());
        let round = Round {
            mints: after.mints - before.mints,
            errors: after.errors - before.errors,
            verified: after.verified - before.verified,
            refused: after.refused - before.refused,
            ..after
        };
        println!("{}", round.row());
        round
    }

    /// Mints until the event is over and a margin of tokens came after it; returns when every token is judged.
    async fn mint(&self, caller: &Caller, over: &watch::Sender<bool>) {
        let mut checks = Vec::new();
        let mut left = MARGIN;
        while left > 0 {
            if *over.borrow() {
                left -= 1;
            }
            let minted = ask(caller, "POST", 666, "mint").await;
            let Some(minted) = minted.filter(|minted| minted.response().status() == 200) else {
                self.errors.fetch_add(1, Relaxed);
                continue;
            };
            let token: Arc<str> = minted.json()["token"].as_str().unwrap().into();
            for verifier in &self.verifiers {
                let check = Arc::clone(verifier).check(Arc::clone(&token));
                checks.push(tokio::spawn(check));
            }
            self.mints.send_modify(|mints| *mints += 1);
        }
        for check in checks {
            check.await.unwrap();
        }
    }

    fn counts(&self, name: &'static str, took: Duration) -> Round {
        let sum = |count: fn(&Verifier) -> &AtomicUsize| {
            let counts = self.verifiers.iter().map(|one| count(one).load(Relaxed));
            counts.sum()
        };
        Round {
            name,
            mints: *self.mints.borrow(),
            errors: self.errors.load(Relaxed),
            verified: sum(|one| &one.verified),
            refused: sum(|one| &one.refused),
            took,
        }
    }
}

impl Round {
    fn row(&self) -> String {
        format!(
            "| {:<16} | {:>5} | {:>6} | {:>8} | {:>7} | {:>4.1} s |",
            self.name,
            self.mints,
            self.errors,
            self.verified,
            self.refused,
            self.took.as_secs_f32()
        )
    }
}

fn setup(bus: &Bus) -> e2e::IssuerSetup {
    bus.issuer(Product::ACCESS_TOKEN)
        .with_variable("MICROBUS_DEPLOYMENT", "LAB")
}

async fn start(bus: &Bus) -> Issuer {
    let issuer = setup(bus).start();
    issuer.until_logged("\"Serving\"").await;
    issuer
}

async fn stop(issuer: &mut Issuer) {
    assert_eq!(issuer.stop().await.code(), Some(0));
}

/// Has one replica change its key, until the new one signs.
async fn rotate(issuer: &Issuer) {
    let mut log = issuer.log();
    let position = log.position();
    issuer.rotate();
    let signs = log.line_after(position, "Key signs", PATIENCE).await;
    assert!(signs.is_some(), "{}", log.text());
}

#[tokio::test]
async fn in_every_round_no_verifier_refuses_a_token_and_only_sudden_deaths_lose_a_mint() {
    let mut bus = Bus::start().await;
    let _configurator = bus.configurator().await;
    let mut fleet = vec![start(&bus).await, start(&bus).await, start(&bus).await];
    let load = Load::start(&bus).await;
    let end = Instant::now() + PATIENCE;
    while !load.verifiers.iter().all(|verifier| verifier.is_warm()) {
        assert!(Instant::now() < end, "newcomers are not warmed");
        load.callers[0].get(HOST, 888, "/ping").await;
    }

    let mut rounds = vec![
        load.round("steady", async {}).await,
        load.round("rotation", rotate(&fleet[0])).await,
        load.round("graceful stop", stop(&mut fleet[0])).await,
        load.round("start", async { fleet[0] = start(&bus).await })
            .await,
    ];
    let killed = load.round("kill -9", async { fleet[1].kill() }).await;
    rounds.push(
        load.round("start again", async { fleet[1] = start(&bus).await })
            .await,
    );
    let rolling = async {
        for issuer in &mut fleet {
            stop(issuer).await;
            *issuer = start(&bus).await;
        }
    };
    rounds.push(load.round("rolling restart", rolling).await);
    let mut away = Duration::ZERO;
    let restart = async {
        let began = Instant::now();
        bus.server.restart().await;
        for issuer in &fleet {
            issuer.until_logged("Reconnected to NATS").await;
        }
        let verifiers = load.verifiers.iter().map(|verifier| &verifier.caller);
        for caller in load.callers.iter().chain(verifiers) {
            caller.until_connected(2).await;
        }
        away = began.elapsed();
    };
    let restarted = load.round("broker restart", restart).await;
    rounds.push(load.round("steady again", async {}).await);

    let mut table = String::new();
    for round in rounds.iter().chain([&killed, &restarted]) {
        writeln!(table, "{}", round.row()).unwrap();
    }
    for round in &rounds {
        assert_eq!((round.errors, round.refused), (0, 0), "{table}");
    }
    // What was in flight at the dead replica, at most one call of each caller.
    assert_eq!(killed.refused, 0, "{table}");
    assert!(killed.errors <= load.callers.len(), "{table}");
    // What was asked while the broker was away: each caller gives up once in each silence.
    assert_eq!(restarted.refused, 0, "{table}");
    let silences = away.div_duration_f32(SILENCE).ceil();
    let most = load.callers.len() as f32 * (silences + 1.0);
    assert!(restarted.errors as f32 <= most, "{away:?}\n{table}");
}

/// After this long without an answer a call counts as failed.
const SILENCE: Duration = Duration::from_millis(500);
/// Mints before an event, and of each caller after it.
const MARGIN: usize = 20;
const VERIFIERS: [&str; 5] = [
    "one.verifier",
    "two.verifier",
    "three.verifier",
    "four.verifier",
    "five.verifier",
];
const REFUSAL: &str = "{\"err\":{\"error\":\"unauthorized\",\"statusCode\":401}}\n";
