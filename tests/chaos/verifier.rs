//! A verifier that behaves as the Go ones do (spec: microbus-wire 12.2): it caches keys for ever, verifies the actor of any
//! request, and refuses a token with an unknown key at once if its last fetch began less than a second ago.

use crate::load::{Answer, ask};
use e2e::normal::kid;
use e2e::{Bus, Caller, Listener, Message, NatsServer, PATIENCE};
use microbus_token::{JwkSet, verify};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

pub(crate) struct Verifier {
    host: &'static str,
    instance: String,
    caller: Caller,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// JWKs by key ID, as they came: a Go verifier reads nothing of them but `kid` and `x`.
    keys: HashMap<String, Value>,
    last_fetch: Option<Instant>,
}

/// Why a token was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reason {
    /// The last fetch began less than a second ago, and did not bring the key yet.
    Debounced,
    /// No replica answered the fetch.
    NoJwkSet,
    /// The replica that answered does not know the key.
    UnknownToReplica,
    /// The signature does not hold, or the token is not in its time.
    Invalid,
}

impl Verifier {
    /// Starts to answer pings, and announces itself as every connector does.
    pub(crate) async fn start(
        bus: &Bus,
        server: &NatsServer,
        host: &'static str,
        index: usize,
    ) -> Arc<Self> {
        let verifier = Self::unannounced(bus, server, host, index).await;
        let own = format!("{}.{}", segment(host), verifier.instance);
        for slot in ["all._", &own] {
            let pattern = format!("microbus.safe.888.*.{slot}.*.ping");
            let pings = verifier.caller.listen(&pattern).await;
            tokio::spawn(Arc::clone(&verifier).serve(pings));
        }
        announce(&verifier.caller, host).await;
        verifier
    }

    /// Makes a verifier that nobody has heard of, and that knows nothing.
    pub(crate) async fn cold(bus: &Bus) -> Arc<Self> {
        Self::unannounced(bus, &bus.server, "cold.verifier", 99).await
    }

    async fn unannounced(
        bus: &Bus,
        server: &NatsServer,
        host: &'static str,
        index: usize,
    ) -> Arc<Self> {
        let instance = format!("id-verifier{index:02}");
        Arc::new(Self {
            host,
            caller: bus.caller_at(server, host, &instance).await,
            instance,
            state: Mutex::default(),
        })
    }

    pub(crate) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Returns how many keys it was shown.
    pub(crate) fn keys(&self) -> usize {
        self.state.lock().unwrap().keys.len()
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
            Some(actor) => self.judge(actor).await.is_ok(),
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
        let own = segment(self.host);
        let subject = format!("microbus.reply._.{own}.{source}.{to}");
        self.caller.publish(&subject, reply).await;
    }

    /// Judges a token that came with a request.
    pub(crate) async fn judge(&self, token: &str) -> Result<(), Reason> {
        let kid = kid(token);
        let missing = match self.must_fetch(&kid) {
            Some(true) => match ask(&self.caller, "GET", 888, "jwks").await {
                Answer::Whole(body) => {
                    self.learn(&body);
                    Reason::UnknownToReplica
                }
                Answer::Refused(_) | Answer::Silence => Reason::NoJwkSet,
            },
            Some(false) => Reason::Debounced,
            None => Reason::Invalid,
        };
        let jwk = self.state.lock().unwrap().keys.get(&kid).cloned();
        match holds(token, &jwk.ok_or(missing)?) {
            true => Ok(()),
            false => Err(Reason::Invalid),
        }
    }

    /// Tells whether keys must be fetched, or may not be; none if the key is known.
    fn must_fetch(&self, kid: &str) -> Option<bool> {
        let mut state = self.state.lock().unwrap();
        if state.keys.contains_key(kid) {
            return None;
        }
        let debounced = state
            .last_fetch
            .is_some_and(|began| began.elapsed() < Duration::from_secs(1));
        if !debounced {
            state.last_fetch = Some(Instant::now());
        }
        Some(!debounced)
    }

    fn learn(&self, body: &[u8]) {
        let set: Value = serde_json::from_slice(body).unwrap_or_default();
        let mut state = self.state.lock().unwrap();
        for jwk in set["keys"].as_array().into_iter().flatten() {
            let kid = jwk["kid"].as_str().unwrap_or_default().to_owned();
            state.keys.insert(kid, jwk.clone());
        }
    }
}

/// Tells whether a token verifies by a key. What one verifier has found holds for the others: ten times the arithmetic would
/// take from the replicas what they are measured with.
fn holds(token: &str, jwk: &Value) -> bool {
    static FOUND: Mutex<BTreeMap<(String, String), bool>> = Mutex::new(BTreeMap::new());
    let question = (token.to_owned(), jwk["x"].to_string());
    if let Some(known) = FOUND.lock().unwrap().get(&question) {
        return *known;
    }
    let set = serde_json::json!({ "keys": [jwk] }).to_string();
    let set = JwkSet::from_json(set.as_bytes()).unwrap_or_default();
    let holds = verify(token, &set, SystemTime::now()).is_ok();
    let mut found = FOUND.lock().unwrap();
    if found.len() >= MOST_FOUND {
        found.clear();
    }
    found.insert(question, holds);
    holds
}

/// Tells everybody that an instance of a host is there.
pub(crate) async fn announce(caller: &Caller, host: &str) {
    let id = caller.next_message_id();
    let headers = [
        ("Microbus-Time-Budget", "20s"),
        ("Content-Type", "application/json"),
    ];
    let url = "https://all:888/on-new-subs";
    let body = format!("{{\"hosts\":[\"{host}\",\"all\"]}}");
    let request = caller.request("POST", url, &id, &headers, body.as_bytes());
    let subject = caller.subject(888, "all", "_", "POST", "on-new-subs");
    caller.publish(&subject, request).await;
}

pub(crate) fn segment(host: &str) -> String {
    host.replace('.', "_")
}

const MOST_FOUND: usize = 10_000;
const REFUSAL: &str = "{\"err\":{\"error\":\"unauthorized\",\"statusCode\":401}}\n";
