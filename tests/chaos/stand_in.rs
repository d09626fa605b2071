//! A replica that behaves as the Go ones do (spec: microbus-wire 11.1, 11.2, 13.1 to 13.3): it announces nothing before it
//! signs, signs at once, lists its current key and the one before, and gathers the JWK Set when it is asked.

use e2e::{Answers, Bus, Caller, Listener, Message, PATIENCE, Product};
use microbus_token::{Claims, Jwk, JwkSet, SigningKey, TokenId, mint_access};
use microbus_wire::host::escape_host;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

const HOST: &str = Product::ACCESS_TOKEN.host;

pub(crate) struct StandIn {
    instance: String,
    caller: Caller,
    /// Asks the others: answers of two calls at once would be mixed up.
    asking: Caller,
    asking_instance: String,
    state: Mutex<State>,
}

struct State {
    rng: StdRng,
    current: SigningKey,
    since: Instant,
    previous: Option<SigningKey>,
}

impl StandIn {
    /// Subscribes everything, `Mint` too, and announces itself then.
    pub(crate) async fn start(bus: &Bus, index: u8) -> Arc<Self> {
        let instance = format!("id-gostandin{index:01}");
        let mut rng = StdRng::from_rng(&mut rand::rng());
        let current = SigningKey::generate(&mut rng).unwrap();
        let asking_instance = format!("id-goasking0{index}");
        let caller = bus.caller(HOST, &instance).await;
        let stand_in = Arc::new(Self {
            asking: bus.caller(HOST, &asking_instance).await,
            asking_instance,
            instance,
            state: Mutex::new(State {
                rng,
                current,
                since: Instant::now(),
                previous: None,
            }),
            caller,
        });
        let own = escape_host(HOST);
        let local_keys = format!("microbus.safe.888.*.{own}._.*.local-keys");
        let requests = stand_in.caller.listen(&local_keys).await;
        tokio::spawn(Arc::clone(&stand_in).serve(requests));
        for endpoint in ["safe.888.*.{own}._.*.jwks", "danger.666.*.{own}._.*.mint"] {
            let pattern = format!("microbus.{}", endpoint.replace("{own}", &own));
            let requests = stand_in.caller.listen_in_group(&pattern, HOST).await;
            tokio::spawn(Arc::clone(&stand_in).serve(requests));
        }
        stand_in.caller.announce().await;
        stand_in
    }

    /// Makes another key, which signs ten seconds later.
    pub(crate) fn rotate(&self) {
        let mut state = self.state.lock().unwrap();
        let key = SigningKey::generate(&mut state.rng).unwrap();
        state.previous = Some(std::mem::replace(&mut state.current, key));
        state.since = Instant::now();
    }

    /// Returns the ID of its current key.
    pub(crate) fn kid(&self) -> String {
        self.state.lock().unwrap().current.id().as_str().to_owned()
    }

    async fn serve(self: Arc<Self>, mut requests: Listener) {
        loop {
            if let Some(request) = requests.next(PATIENCE).await {
                // What it asks itself is answered in memory.
                if request.header("Microbus-From-Id") != Some(self.asking_instance.as_str()) {
                    tokio::spawn(Arc::clone(&self).answer(request));
                }
            }
        }
    }

    async fn answer(self: Arc<Self>, request: Message) {
        self.reply(&request, "202 Accepted", "Ack", "").await;
        let body = match request.subject.rsplit('.').next() {
            Some("mint") => format!("{{\"token\":\"{}\"}}\n", self.mint()),
            Some("local-keys") => format!("{}\n", self.keys().to_json()),
            _ => format!("{}\n", self.gather().await),
        };
        self.reply(&request, "200 OK", "Res", &body).await;
    }

    fn mint(&self) -> String {
        let mut state = self.state.lock().unwrap();
        let jti = TokenId::random(&mut state.rng, TokenId::ACCESS_LENGTH);
        let waits = state.since.elapsed() < Duration::from_secs(10);
        let previous = state.previous.as_ref().filter(|_| waits);
        let key = previous.unwrap_or(&state.current);
        let life = Duration::from_secs(20);
        let token =
            mint_access(Claims::new(), life, &jti, key, SystemTime::now()).expect("a token");
        token.as_str().to_owned()
    }

    fn keys(&self) -> JwkSet {
        let state = self.state.lock().unwrap();
        let mut keys = JwkSet::default();
        for key in [&state.current].into_iter().chain(&state.previous) {
            keys.push(Jwk::of(key)).unwrap();
        }
        keys
    }

    /// Asks every replica for its keys, for as long as the bus waits for acks.
    async fn gather(&self) -> String {
        let id = self.asking.next_message_id();
        let headers = [("Microbus-Time-Budget", "20s"), ("Content-Type", JSON)];
        let url = format!("https://{HOST}:888/local-keys");
        let request = self.asking.request("POST", &url, &id, &headers, b"{}");
        let subject = self.asking.subject(888, HOST, "_", "POST", "local-keys");
        let never = |_: &Answers| false;
        let asked = self
            .asking
            .exchange_until(&subject, request, &id, never, ROUND_TRIP);
        let mut keys = self.keys();
        for answer in asked.await.responses() {
            let set = JwkSet::from_json(&answer.body()).unwrap_or_default();
            for jwk in set.iter() {
                keys.push(jwk.clone()).unwrap();
            }
        }
        keys.to_json()
    }

    async fn reply(&self, request: &Message, status: &str, op_code: &str, body: &str) {
        let reply = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\nContent-Type: application/json\r\n\
             Microbus-From-Host: {HOST}\r\nMicrobus-From-Id: {}\r\nMicrobus-From-Version: 4\r\n\
             Microbus-Msg-Id: {}\r\nMicrobus-Op-Code: {op_code}\r\n\r\n{body}",
            body.len(),
            self.instance,
            request.message_id()
        );
        self.caller
            .publish(&self.caller.reply_subject(request), reply)
            .await;
    }
}

const JSON: &str = "application/json";
/// How long the Go service waits for replicas that it does not know of.
const ROUND_TRIP: Duration = Duration::from_millis(100);
