//! Shows a key to the verifiers on the bus, so that they have it before they meet it in a request.
//!
//! A ping whose actor is a harmless token of the key: whoever does not know the key fetches the JWK Set, and says by its
//! answer whether it knows the key now. One ping goes to all where they are few; where they are thousands, each is asked by
//! its own slot, spread over seconds. Source: design: keys, "Warming", "Newcomers".

use crate::metrics::Metrics;
use futures_util::future::join_all;
use microbus_bus::{Connector, Outgoing};
use microbus_token::{CompactJwt, KeyId};
use microbus_wire::address::Address;
use microbus_wire::header::{ACTOR, FROM_ID};
use microbus_wire::status::ErrorStatus;
use microbus_wire::subject::Method;
use microbus_wire::{OpCode, Response};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Shows keys over one connector.
pub struct Warming {
    connector: Arc<Connector>,
    metrics: Arc<Metrics>,
    /// Whoever answered a ping, or has started since we have, until it is found gone.
    audience: Mutex<BTreeSet<Verifier>>,
    newcomers: Semaphore,
    waiting: AtomicUsize,
}

/// An instance of a service, which verifies actors.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Verifier {
    /// Its host name.
    pub host: String,
    /// Its instance ID.
    pub instance: String,
}

/// What came of showing a key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shown {
    /// How many know the key.
    pub warm: usize,
    /// Who does not know the key.
    pub cold: Vec<Verifier>,
    /// How many heard the ping and did not answer.
    pub silent: usize,
}

impl Shown {
    /// Tells whether everybody who heard the ping answered, and somebody did.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.silent == 0 && (self.warm > 0 || !self.cold.is_empty())
    }

    /// Returns what is known after those who did not know the key were shown it again.
    #[must_use]
    pub fn with(self, again: Self) -> Self {
        Self {
            warm: self.warm.saturating_add(again.warm),
            cold: again.cold,
            silent: self.silent.saturating_add(again.silent),
        }
    }
}

impl Warming {
    /// Shows keys over `connector`.
    #[must_use]
    pub fn new(connector: Arc<Connector>, metrics: Arc<Metrics>) -> Self {
        Self {
            connector,
            metrics,
            audience: Mutex::default(),
            newcomers: Semaphore::new(NEWCOMERS_AT_ONCE),
            waiting: AtomicUsize::new(0),
        }
    }

    /// Returns for how long [`Warming::show_all`] spreads its pings.
    #[must_use]
    pub fn spread(&self) -> Duration {
        let verifiers = self.audience().len();
        if verifiers < MANY {
            return Duration::ZERO;
        }
        let pauses = u32::try_from(verifiers / AT_ONCE).unwrap_or(u32::MAX);
        PAUSE.saturating_mul(pauses)
    }

    /// Shows a key to every verifier; `token` makes a token of it for each ping that needs one.
    pub async fn show_all(&self, token: &(dyn Fn() -> Option<CompactJwt> + Sync)) -> Shown {
        let known: Vec<_> = {
            let audience = self.audience();
            let many = audience.len() >= MANY;
            audience.iter().filter(|_| many).cloned().collect()
        };
        if !known.is_empty() {
            return self.show(known, token).await;
        }
        let Some(request) = ping("https://all:888/ping", token) else {
            return Shown::default();
        };
        // Whoever was slow at the last ping is waited for as well.
        self.connector.forget_responders(&["all".to_owned()]);
        let (mut shown, mut answered) = (Shown::default(), BTreeSet::new());
        let observe = |host: &str, response: &Response| {
            let verifier = Verifier {
                host: host.to_owned(),
                instance: text(response, FROM_ID).to_owned(),
            };
            match response.op_code() {
                Some(OpCode::Res) => shown.warm = shown.warm.saturating_add(1),
                Some(OpCode::Err) => shown.cold.push(verifier.clone()),
                Some(OpCode::Req | OpCode::Ack) | None => return,
            }
            answered.insert(verifier);
        };
        let results = self
            .connector
            .multicast_patiently(&request, PATIENCE, observe)
            .await
            .unwrap_or_default();
        shown.silent = results.len().saturating_sub(answered.len());
        let missed: Vec<_> = self.audience().difference(&answered).cloned().collect();
        answered.into_iter().for_each(|one| self.remember(one));
        // Those who were there before and did not answer in time are gone, or slow.
        let asked = self.show(missed, token).await;
        shown.cold.extend(asked.cold.iter().cloned());
        let cold = shown.cold.clone();
        Shown {
            cold,
            ..shown.with(asked)
        }
    }

    /// Shows a key to these verifiers, each at its own slot; those that are gone are left out.
    pub async fn show(
        &self,
        verifiers: Vec<Verifier>,
        token: &(dyn Fn() -> Option<CompactJwt> + Sync),
    ) -> Shown {
        let mut shown = Shown::default();
        for (batch, some) in verifiers.chunks(AT_ONCE).enumerate() {
            if batch > 0 {
                tokio::time::sleep(PAUSE).await;
            }
            let pings = some.iter().map(|verifier| self.show_one(verifier, token));
            for (verifier, status) in some.iter().zip(join_all(pings).await) {
                match status {
                    Ok(()) => shown.warm = shown.warm.saturating_add(1),
                    Err(ErrorStatus::NOT_FOUND) => {
                        self.audience().remove(verifier);
                    }
                    Err(ErrorStatus::REQUEST_TIMEOUT) => {
                        shown.silent = shown.silent.saturating_add(1);
                    }
                    Err(_) => shown.cold.push(verifier.clone()),
                }
            }
        }
        shown
    }

    /// Remembers a verifier that has just started: it is missed when it does not answer the next ping to all.
    pub fn meet(&self, verifier: Verifier) {
        self.remember(verifier);
    }

    /// Shows a key to one verifier that has just started, when its turn comes.
    pub async fn show_newcomer(
        &self,
        verifier: Verifier,
        token: &(dyn Fn() -> Option<CompactJwt> + Sync),
    ) {
        if self.waiting.fetch_add(1, Ordering::Relaxed) < MOST_REMEMBERED
            && let Ok(_turn) = self.newcomers.acquire().await
        {
            let shown = self.show(vec![verifier], token).await;
            if !shown.cold.is_empty() {
                // It may have asked for other keys just now.
                tokio::time::sleep(DEBOUNCE).await;
                self.show(shown.cold, token).await;
            }
        }
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    /// Tells whether it falls to the replica `own` to show its key to a newcomer, and not to one of `others`: to the one whose
    /// ID is nearest by hash.
    #[must_use]
    pub fn falls_to(own: &str, others: &[String], newcomer: &Verifier) -> bool {
        let instance = newcomer.instance.as_str();
        let distance = |replica: &str| {
            use std::hash::{DefaultHasher, Hash as _, Hasher as _};
            let mut hasher = DefaultHasher::new();
            (replica, instance).hash(&mut hasher);
            hasher.finish()
        };
        let mut others = others.iter();
        instance != own && others.all(|other| distance(own) <= distance(other))
    }

    /// Says in the log and in the metrics who knows a key.
    pub fn report(&self, kid: &KeyId, shown: &Shown) {
        let (warm, cold, silent) = (shown.warm, shown.cold.len(), shown.silent);
        tracing::info!(%kid, warm, cold, silent, "Verifiers warmed");
        for (state, count) in [("warm", warm), ("cold", cold), ("unknown", silent)] {
            let verifiers = self.metrics.verifiers.with_label_values(&[state]);
            verifiers.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    async fn show_one(
        &self,
        verifier: &Verifier,
        token: &(dyn Fn() -> Option<CompactJwt> + Sync),
    ) -> Result<(), ErrorStatus> {
        let Verifier { host, instance } = verifier;
        let url = format!("https://{instance}.{host}:888/ping");
        let request = ping(&url, token).ok_or(ErrorStatus::NOT_FOUND)?;
        let answer = self.connector.request(request).await;
        answer.map(drop).map_err(|error| error.status())
    }

    fn remember(&self, verifier: Verifier) {
        let mut audience = self.audience();
        if audience.len() < MOST_REMEMBERED {
            audience.insert(verifier);
        }
    }

    /// A panic elsewhere must not end warming: the set is whole at any time.
    fn audience(&self) -> MutexGuard<'_, BTreeSet<Verifier>> {
        self.audience.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Warming {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Warming").finish_non_exhaustive()
    }
}

/// Makes a harmless request whose actor is signed with the key to show.
fn ping(url: &str, token: &(dyn Fn() -> Option<CompactJwt> + Sync)) -> Option<Outgoing> {
    let address = Address::parse(url).ok()?;
    let request = Outgoing::new(Method::Get, address).header(ACTOR, token()?.as_str());
    Some(request.within(BUDGET))
}

fn text<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers.get(name).unwrap_or_default()
}

/// How long a verifier may take to say that it heard a ping. The bus allows a tenth of a second; on a busy machine that is
/// little, and a verifier that is overlooked refuses tokens.
const PATIENCE: Duration = Duration::from_millis(600);
/// An instance that has not answered a ping by then hangs.
const BUDGET: Duration = Duration::from_secs(2);
/// A verifier fetches keys at most once a second.
const DEBOUNCE: Duration = Duration::from_millis(1100);
/// From so many on, verifiers are asked one by one: their answers and fetches would all come at once.
const MANY: usize = 1000;
const AT_ONCE: usize = 50;
const PAUSE: Duration = Duration::from_millis(100);
const NEWCOMERS_AT_ONCE: usize = 16;
const MOST_REMEMBERED: usize = 65_536;

#[cfg(test)]
mod tests;
