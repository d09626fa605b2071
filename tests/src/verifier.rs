//! A verifier that behaves as the connectors of the Go services do (spec: microbus-wire 12.2).
//!
//! It caches keys for ever, verifies the actor of any request, pings included, and refuses a token with an unknown key at
//! once if its last fetch from that issuer began less than a second ago, also while that is still running.

use crate::PATIENCE;
use crate::caller::{Caller, Listener};
use crate::message::Message;
use crate::nats::NatsServer;
use crate::normal::{claim, header, kid};
use crate::operator::Bus;
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use microbus_wire::host::escape_host;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// A verifier with a connection of its own.
pub struct Verifier {
    host: String,
    instance: String,
    caller: Caller,
    /// How it asks for keys.
    method: &'static str,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By key ID, whichever issuer it is of: `x` of each JWK. Nothing else of a JWK is read.
    keys: HashMap<String, String>,
    /// When the last fetch from each issuer began.
    fetches: HashMap<String, Instant>,
}

/// Why a token was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The last fetch began less than a second ago, and did not bring the key yet.
    Debounced,
    /// No replica answered the fetch.
    NoJwkSet,
    /// The replica that answered does not publish the key.
    UnknownToReplica,
    /// It names no issuer, its signature does not hold, or it is not in its time.
    Invalid,
}

impl Verifier {
    /// Starts to answer pings, and announces itself as every connector does when it starts.
    pub async fn start(bus: &Bus, server: &NatsServer, host: &str, index: usize) -> Arc<Self> {
        let verifier = Arc::new(Self::unannounced(bus, server, host, index).await);
        let own = format!("{}.{}", escape_host(host), verifier.instance);
        for slot in ["all._", &own] {
            let pattern = format!("{}.safe.888.*.{slot}.*.ping", bus.plane().as_str());
            let pings = verifier.caller.listen(&pattern).await;
            tokio::spawn(Arc::clone(&verifier).serve(pings));
        }
        verifier.caller.announce().await;
        verifier
    }

    /// Makes a verifier that hears no ping: nobody warms it, and it knows what its own fetches bring.
    pub async fn unannounced(bus: &Bus, server: &NatsServer, host: &str, index: usize) -> Self {
        let instance = format!("id-verifier{index:02}");
        Self {
            host: host.to_owned(),
            caller: bus.caller_at(server, host, &instance).await,
            instance,
            method: "GET",
            state: Mutex::default(),
        }
    }

    /// Makes one that asks for keys with POST, as an ingress does.
    pub(crate) async fn that_posts(bus: &Bus, host: &str, index: usize) -> Self {
        Self {
            method: "POST",
            ..Self::unannounced(bus, &bus.server, host, index).await
        }
    }

    /// Returns its connection.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Returns how many keys it knows.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.state().keys.len()
    }

    /// Judges a token that came with a request.
    ///
    /// # Errors
    /// Why the token is refused.
    pub async fn judge(&self, token: &str) -> Result<(), Reason> {
        let kid = kid(token);
        let issuer = issuer(token).ok_or(Reason::Invalid)?;
        let missing = match self.must_fetch(&kid, &issuer) {
            None => Reason::Invalid,
            Some(false) => Reason::Debounced,
            Some(true) => self.fetch(&issuer).await,
        };
        let x = self.state().keys.get(&kid).cloned();
        match holds(token, &x.ok_or(missing)?) {
            true => Ok(()),
            false => Err(Reason::Invalid),
        }
    }

    /// Tells whether keys must be fetched, or may not be; none if the key is known.
    fn must_fetch(&self, kid: &str, issuer: &str) -> Option<bool> {
        let mut state = self.state();
        if state.keys.contains_key(kid) {
            return None;
        }
        let last = state.fetches.get(issuer);
        let debounced = last.is_some_and(|began| began.elapsed() < DEBOUNCE);
        if !debounced {
            state.fetches.insert(issuer.to_owned(), Instant::now());
        }
        Some(!debounced)
    }

    /// Asks an issuer for its keys, and returns what it means if one is not among them.
    async fn fetch(&self, issuer: &str) -> Reason {
        let asked = self
            .caller
            .ask(self.method, issuer, 888, "jwks", "{}", SILENCE);
        let Some(answer) = asked
            .await
            .filter(|answer| answer.response().status() == 200)
        else {
            return Reason::NoJwkSet;
        };
        let set: Value = serde_json::from_slice(&answer.body()).unwrap_or_default();
        let mut state = self.state();
        for jwk in set["keys"].as_array().into_iter().flatten() {
            if let (Some(kid), Some(x)) = (jwk["kid"].as_str(), jwk["x"].as_str()) {
                state.keys.insert(kid.to_owned(), x.to_owned());
            }
        }
        Reason::UnknownToReplica
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
        self.caller
            .publish(&self.caller.reply_subject(request), reply)
            .await;
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the host that a token says it is of, if that is one of the two issuers.
fn issuer(token: &str) -> Option<String> {
    let issuer = claim(token, "iss");
    let host = issuer.as_str()?;
    let host = host.split_once("://").map_or(host, |(_, host)| host);
    ISSUERS.contains(&host).then(|| host.to_owned())
}

/// Tells whether a token verifies by a public key now. What one verifier has found holds for the others: ten times the
/// arithmetic would take from the replicas what they are measured with.
fn holds(token: &str, x: &str) -> bool {
    static FOUND: Mutex<BTreeMap<(String, String), bool>> = Mutex::new(BTreeMap::new());
    let question = (token.to_owned(), x.to_owned());
    let known = |found: &BTreeMap<_, _>| found.get(&question).copied();
    if let Some(known) = known(&FOUND.lock().unwrap_or_else(PoisonError::into_inner)) {
        return known;
    }
    let holds = is_signed_by(token, x) && is_in_its_time(token);
    let mut found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
    if found.len() >= MOST_FOUND {
        found.clear();
    }
    found.insert(question, holds);
    holds
}

fn is_signed_by(token: &str, x: &str) -> bool {
    let Some((signed, signature)) = token.rsplit_once('.') else {
        return false;
    };
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap_or_default();
    let key = UnparsedPublicKey::new(&ED25519, decode(x));
    header(token, "alg") == "EdDSA" && key.verify(signed.as_bytes(), &decode(signature)).is_ok()
}

/// Without leeway, and only as far as the token says when it is valid.
fn is_in_its_time(token: &str) -> bool {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.unwrap_or_default().as_secs_f64();
    let is = |name: &str, holds: &dyn Fn(f64) -> bool| {
        let claim = claim(token, name);
        claim.is_null() || claim.as_f64().is_some_and(holds)
    };
    is("exp", &|end| now < end) && is("nbf", &|begin| now >= begin)
}

const ISSUERS: [&str; 2] = ["access.token.core", "bearer.token.core"];
/// How long a fetch keeps others away, from its start on.
const DEBOUNCE: Duration = Duration::from_secs(1);
/// After this long without an answer a fetch counts as lost. The bus itself gives up after 100 ms without an ack; what is
/// lost is lost however long one waits, and what is late on a busy machine is not.
const SILENCE: Duration = Duration::from_secs(3);
const MOST_FOUND: usize = 10_000;
const REFUSAL: &str = "{\"err\":{\"error\":\"unauthorized\",\"statusCode\":401}}\n";

#[cfg(test)]
mod tests {
    use super::*;

    /// A token and the public key that signed it.
    fn token(issuer: &str, seconds_left: f64) -> (String, String) {
        use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
        let key = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let exp = now.unwrap().as_secs_f64() + seconds_left;
        let encode = |text: String| URL_SAFE_NO_PAD.encode(text);
        let header = encode(r#"{"alg":"EdDSA","kid":"k","typ":"JWT"}"#.to_owned());
        let claims = encode(format!(r#"{{"iss":"{issuer}","exp":{exp}}}"#));
        let signed = format!("{header}.{claims}");
        let signature = URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes()));
        let x = URL_SAFE_NO_PAD.encode(key.public_key());
        (format!("{signed}.{signature}"), x)
    }

    #[test]
    fn a_token_holds_by_its_own_key_and_in_its_time() {
        let (alive, x) = token("https://access.token.core", 60.0);
        let (dead, _) = token("https://access.token.core", -1.0);
        let strange = URL_SAFE_NO_PAD.encode([1; 32]);
        let changed = alive.replacen("eyJpc3MiOi", "eyJpc3NiOi", 1);
        assert_ne!(changed, alive);
        for (token, x, expected) in [
            (&alive, &x, true),
            (&alive, &x, true),
            (&alive, &strange, false),
            (&changed, &x, false),
            (&dead, &x, false),
            (&"a.b.c".to_owned(), &x, false),
        ] {
            assert_eq!(holds(token, x), expected, "{token}");
        }
    }

    #[test]
    fn the_issuer_is_exactly_one_of_the_two_hosts_whatever_the_scheme() {
        let named = |text: &str| issuer(&token(text, 60.0).0);
        assert_eq!(
            named("https://access.token.core").as_deref(),
            Some(ISSUERS[0])
        );
        assert_eq!(named("bearer.token.core").as_deref(), Some(ISSUERS[1]));
        for other in [
            "https://access.token.core/",
            "https://access.token.core:888",
            "https://idp.example",
        ] {
            assert_eq!(named(other), None);
        }
    }
}
