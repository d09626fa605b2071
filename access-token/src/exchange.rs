//! The exchange of public keys between replicas, and the warming of verifiers, over the bus.
//!
//! Source: design: keys. A key signs only after every replica that is alive has it and every verifier has met it; where
//! either cannot be confirmed, after the activation delay. What is known of keys is [`crate::replicas`], what signs is the
//! issuer's ring; here are only messages.

use crate::issuer::Issuer;
use microbus_bus::{Clock, Connector, Outgoing};
use microbus_service::Metrics;
use microbus_token::KeyId;
use microbus_wire::address::Address;
use microbus_wire::header::{ACTOR, FROM_ID};
use microbus_wire::subject::Method;
use microbus_wire::{Headers, OpCode, Response};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, watch};

use crate::replicas::Word;

/// Speaks with the other replicas and with verifiers on behalf of one issuer.
pub(crate) struct Exchange {
    issuer: Arc<Issuer>,
    connector: Arc<Connector>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    /// Told when something is to be said before the next regular exchange.
    news: Notify,
    newcomers: AtomicUsize,
}

/// A verifier that did not know a key yet.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Cold {
    host: String,
    instance: String,
}

impl Exchange {
    pub(crate) fn new(
        issuer: Arc<Issuer>,
        connector: Arc<Connector>,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Arc<Self> {
        Arc::new(Self {
            issuer,
            connector,
            clock,
            metrics,
            news: Notify::new(),
            newcomers: AtomicUsize::new(0),
        })
    }

    /// Meets the other replicas, and tells whether there are any.
    ///
    /// Alone is who hears nothing within five round trips; an answer that comes later is taken in all the same.
    pub(crate) async fn meet_replicas(self: &Arc<Self>) -> bool {
        let (answered, mut first) = watch::channel(false);
        let exchange = Arc::clone(self);
        let asking = tokio::spawn(async move { exchange.ask_telling(&answered).await });
        let patience = self
            .connector
            .measured_round_trip()
            .saturating_mul(5)
            .max(LEAST_PATIENCE);
        let first = async { first.wait_for(|answered| *answered).await.is_ok() };
        if tokio::time::timeout(patience, first).await != Ok(true) {
            return false;
        }
        // Somebody is there: hear the others out too.
        drop(asking.await);
        true
    }

    /// Exchanges keys regularly and whenever there are news, for ever.
    pub(crate) async fn keep_in_touch(self: Arc<Self>) {
        loop {
            // Which of the two it was does not matter.
            drop(tokio::time::timeout(INTERVAL, self.news.notified()).await);
            self.ask().await;
        }
    }

    /// Has the next regular exchange happen now.
    pub(crate) fn tell_news(&self) {
        self.news.notify_one();
    }

    /// Tells all replicas what we know and takes in what they know. Returns the instances that answered.
    pub(crate) async fn ask(&self) -> Vec<String> {
        self.ask_telling(&watch::Sender::new(false)).await
    }

    async fn ask_telling(&self, answered: &watch::Sender<bool>) -> Vec<String> {
        let own = self.connector.identity();
        let mut instances = Vec::new();
        let url = format!("https://{}:888/local-keys", own.hostname);
        let Ok(address) = Address::parse(&url) else {
            return instances;
        };
        let request = Outgoing::new(Method::Post, address)
            .json(self.issuer.word(self.clock.now()))
            .within(EXCHANGE_BUDGET);
        let observe = |host: &str, response: &Response| {
            let instance = text(&response.headers, FROM_ID);
            let of_replica = host == own.hostname.as_str() && instance != own.instance.as_str();
            if !of_replica || response.op_code() != Some(OpCode::Res) {
                return;
            }
            if let Some(word) = Word::parse(&response.body) {
                self.issuer.hear(instance, &word, self.clock.now());
                instances.push(instance.to_owned());
                answered.send_replace(true);
            }
        };
        let asked = self.connector.multicast_observed(&request, observe).await;
        let result = match &asked {
            Err(error) => {
                tracing::warn!(error = %error, "Exchanging keys with other replicas");
                "failed"
            }
            Ok(_) if instances.is_empty() => "alone",
            Ok(_) => "ok",
        };
        self.metrics.exchanges.with_label_values(&[result]).inc();
        instances
    }

    /// Publishes a waiting key everywhere and lets it sign once that is confirmed; else it signs after its delay.
    pub(crate) async fn introduce(&self, kid: KeyId, warm: bool) {
        let told = self.ask().await;
        let missing: Vec<_> = self
            .issuer
            .peers()
            .into_iter()
            .filter(|peer| !told.contains(peer))
            .collect();
        // Verifiers are warmed in any case: the key signs sooner or later.
        let warmed = warm && self.warm_all(&kid).await;
        if !missing.is_empty() {
            tracing::warn!(%kid, ?missing, "Replicas did not confirm a new key, it signs after the activation delay");
        } else if warmed {
            self.issuer.confirm(&kid, self.clock.now());
            self.tell_news();
        }
    }

    /// Shows the waiting key, or the one that signs, to every verifier on the bus. Tells whether all of them know it now.
    pub(crate) async fn warm_all(&self, kid: &KeyId) -> bool {
        let Some(request) = self.ping("https://all:888/ping") else {
            return false;
        };
        let (mut warm, mut cold) = (0_usize, Vec::new());
        let observe = |host: &str, response: &Response| match response.op_code() {
            Some(OpCode::Res) => warm = warm.saturating_add(1),
            Some(OpCode::Err) => cold.push(Cold {
                host: host.to_owned(),
                instance: text(&response.headers, FROM_ID).to_owned(),
            }),
            Some(OpCode::Req | OpCode::Ack) | None => {}
        };
        let results = self
            .connector
            .multicast_observed(&request, observe)
            .await
            .unwrap_or_default();
        let silent = results
            .len()
            .saturating_sub(warm.saturating_add(cold.len()));
        for _ in 0..WARMING_RETRIES {
            if cold.is_empty() {
                break;
            }
            // Their debounce was running, or their clock is ahead.
            tokio::time::sleep(DEBOUNCE).await;
            cold = self.still_cold(cold).await;
        }
        tracing::info!(%kid, warm, cold = cold.len(), silent, "Verifiers warmed");
        for (state, count) in [("warm", warm), ("cold", cold.len()), ("unknown", silent)] {
            let verifiers = self.metrics.verifiers.with_label_values(&[state]);
            verifiers.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        cold.is_empty() && silent == 0 && !results.is_empty()
    }

    /// Warms one verifier that has just started.
    pub(crate) async fn warm_newcomer(&self, host: &str, instance: &str) {
        if self.newcomers.fetch_add(1, Ordering::Relaxed) < MOST_NEWCOMERS {
            let newcomer = Cold {
                host: host.to_owned(),
                instance: instance.to_owned(),
            };
            self.still_cold(vec![newcomer]).await;
        }
        self.newcomers.fetch_sub(1, Ordering::Relaxed);
    }

    /// Tells whether this replica is the one to warm a newcomer: the one whose ID is nearest to it by hash.
    pub(crate) fn is_nearest_to(&self, newcomer: &str) -> bool {
        let own = self.connector.identity().instance.as_str();
        if newcomer == own {
            return false;
        }
        let distance = |instance: &str| {
            use std::hash::{DefaultHasher, Hash as _, Hasher as _};
            let mut hasher = DefaultHasher::new();
            (instance, newcomer).hash(&mut hasher);
            hasher.finish()
        };
        self.issuer
            .peers()
            .iter()
            .all(|peer| distance(own) <= distance(peer))
    }

    async fn still_cold(&self, verifiers: Vec<Cold>) -> Vec<Cold> {
        let mut cold = Vec::new();
        for verifier in verifiers {
            let url = format!("https://{}.{}:888/ping", verifier.instance, verifier.host);
            let Some(request) = self.ping(&url) else {
                continue;
            };
            if self.connector.request(request).await.is_err() {
                cold.push(verifier);
            }
        }
        cold
    }

    /// Makes a harmless request whose actor is signed with the key to show.
    fn ping(&self, url: &str) -> Option<Outgoing> {
        let address = Address::parse(url).ok()?;
        let token = self.issuer.warm_up_token()?;
        let request = Outgoing::new(Method::Get, address).header(ACTOR, token.as_str());
        Some(request.within(EXCHANGE_BUDGET))
    }
}

fn text<'a>(headers: &'a Headers, name: &str) -> &'a str {
    headers.get(name).unwrap_or_default()
}

/// A safety net: what matters is told at once.
const INTERVAL: Duration = Duration::from_secs(5);
const EXCHANGE_BUDGET: Duration = Duration::from_secs(2);
/// A replica on a busy machine needs longer than the broker.
const LEAST_PATIENCE: Duration = Duration::from_millis(25);
/// A verifier fetches keys at most once a second.
const DEBOUNCE: Duration = Duration::from_millis(1100);
const WARMING_RETRIES: usize = 2;
const MOST_NEWCOMERS: usize = 16;
