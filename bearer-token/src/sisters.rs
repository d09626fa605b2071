//! Looks for sister replicas on the bus, asks each for its keys, and introduces a new key before it signs.
//!
//! A sister is whoever answers a ping to our own host, which every replica hears; it is asked through its own slot. Asked by
//! a sister for its own keys, a replica of ours leaves out what it has from others, and says which key signs; a Go replica has
//! nothing from others. Source: design: keys, "Bearer". What is decided of it is pure: [`Sisters`](crate::union::Sisters), `Keys`.

use crate::issuer::Issuer;
use crate::union::Report;
use crate::word::Word;
use bytes::Bytes;
use futures_util::future::join_all;
use microbus_bus::{Claim, Clock, Connector, Others, Outgoing};
use microbus_service::{Metrics, Minting, Verifier, Warming};
use microbus_token::{CompactJwt, JwkSet, KeyId};
use microbus_wire::address::Address;
use microbus_wire::header::FROM_ID;
use microbus_wire::subject::Method;
use microbus_wire::{OpCode, Response};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Speaks with sister replicas and verifiers on behalf of one issuer.
pub(crate) struct Company {
    issuer: Arc<Issuer>,
    connector: Arc<Connector>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    minting: Arc<Minting>,
    warming: Warming,
    /// The key that verifiers were shown last.
    shown: Mutex<Option<KeyId>>,
}

impl Company {
    pub(crate) fn new(
        issuer: Arc<Issuer>,
        connector: Arc<Connector>,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
        minting: Arc<Minting>,
    ) -> Arc<Self> {
        Arc::new(Self {
            issuer,
            warming: Warming::new(Arc::clone(&connector), Arc::clone(&metrics)),
            connector,
            clock,
            metrics,
            minting,
            shown: Mutex::new(None),
        })
    }

    /// Looks for sisters and introduces new keys, for ever.
    pub(crate) async fn keep(self: Arc<Self>) {
        loop {
            tokio::time::sleep(INTERVAL).await;
            self.look().await;
            self.introduce().await;
        }
    }

    /// Finds out by `claim` whether there are sisters, before we hear their pings.
    pub(crate) async fn greet(&self, claim: &mut Claim) -> Others {
        let Some(ping) = self.ping() else {
            return Others::Unknown;
        };
        match self.connector.greet(claim, &ping).await {
            // Who answers is asked for its keys when we are heard ourselves.
            Ok((others, _)) => others,
            Err(error) => {
                tracing::warn!(error = %error, "Looking for sister replicas");
                Others::Unknown
            }
        }
    }

    /// Looks for sisters at the start, the more patiently the more the broker says for there being any.
    ///
    /// Who overlooks a sister, for a lost message or a busy machine, signs with a key that verifiers do not know. There is none
    /// to overlook where the broker says that nobody else is there (`microbus_bus::Claim`): whoever starts meanwhile is told
    /// that somebody is, and looks for us.
    pub(crate) async fn meet_sisters(&self, others: Others) {
        for _ in 0..others.questions() {
            if self.look().await {
                return;
            }
        }
    }

    /// Finds out which sisters there are and what they publish; tells whether there are any and each has spoken.
    pub(crate) async fn look(&self) -> bool {
        let sisters = self.find().await;
        let asked = sisters.iter().map(|instance| self.report(instance));
        let reports = join_all(asked).await;
        let heard_all = reports.iter().all(|report| report.word.is_some());
        self.issuer.hear_sisters(reports, self.clock.now());
        heard_all && !sisters.is_empty()
    }

    /// Has a process that has just started sign only with what its sisters sign with, if they sign with anything of it.
    pub(crate) async fn begin_to_sign(self: &Arc<Self>) {
        self.wait_with_new_key().await;
        self.issuer.begin();
        // Nobody is waited for, but verifiers hear of the key before they can meet a token of it.
        let company = Arc::clone(self);
        tokio::spawn(async move { company.introduce().await });
        tokio::task::yield_now().await;
    }

    /// Has a key that is new to the sisters introduced first. That all of them publish it is not enough: the replica that
    /// brought it may not have shown it to verifiers yet, and no ingress was warmed.
    async fn wait_with_new_key(&self) {
        let is_new = |kid: &KeyId| self.issuer.lack(kid) || self.issuer.sisters_sign_without(kid);
        let Some(kid) = self.issuer.primary().filter(is_new) else {
            return;
        };
        tracing::info!(
            %kid,
            "Sister replicas do not sign with the key yet: it is shown to them and to verifiers before it signs"
        );
        let now = self.clock.now();
        if self.issuer.stand_back(now) {
            return;
        }
        // There is no other key to sign with meanwhile.
        let delay = self.issuer.activation_delay();
        self.wait_for_sisters(&kid, now + delay + LONGEST_HOLD)
            .await;
        self.show(&kid).await;
        tokio::time::sleep_until((now + delay).into()).await;
    }

    /// Shows a new key to verifiers as soon as every sister publishes it, and lets it sign at its time then.
    pub(crate) async fn introduce(&self) {
        let Some(kid) = self.issuer.primary() else {
            return;
        };
        if self.issuer.lack(&kid) {
            return;
        }
        self.show(&kid).await;
        self.issuer.release(self.clock.now());
    }

    /// Remembers a verifier that has just started, and shows it the key that signs if that falls to this replica.
    pub(crate) async fn meet_verifier(&self, newcomer: Verifier) {
        self.warming.meet(newcomer.clone());
        let own = self.connector.identity().instance.as_str();
        if self.issuer.warms_verifiers()
            && Warming::falls_to(own, &self.issuer.sisters(), &newcomer)
        {
            let token = || self.token();
            self.warming.show_newcomer(newcomer, &token).await;
        }
    }

    async fn wait_for_sisters(&self, kid: &KeyId, until: Instant) {
        while self.clock.now() < until {
            self.look().await;
            if !self.issuer.lack(kid) {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
        tracing::warn!(%kid, "Sister replicas do not publish the key: it signs all the same");
    }

    /// Shows a key to all verifiers, once.
    async fn show(&self, kid: &KeyId) {
        let was_shown = self
            .shown
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .replace(kid.clone());
        if was_shown.as_ref() == Some(kid) || !self.issuer.warms_verifiers() {
            return;
        }
        let token = || self.token();
        let mut shown = self.warming.show_all(&token).await;
        for _ in 0..SHOWING_RETRIES {
            if shown.cold.is_empty() {
                break;
            }
            // Their debounce was running, or their clock is ahead.
            tokio::time::sleep(DEBOUNCE).await;
            let again = self.warming.show(shown.cold.clone(), &token).await;
            shown = shown.with(again);
        }
        self.warming.report(kid, &shown);
    }

    /// Returns the instances that answer a ping to our own host.
    async fn find(&self) -> Vec<String> {
        let own = self.connector.identity();
        let mut found = Vec::new();
        let Some(request) = self.ping() else {
            return found;
        };
        let observe = |host: &str, response: &Response| {
            let instance = response.headers.get(FROM_ID).unwrap_or_default();
            let is_sister = host == own.hostname.as_str() && instance != own.instance.as_str();
            if is_sister && response.op_code() == Some(OpCode::Res) {
                found.push(instance.to_owned());
            }
        };
        // Whoever was slow at the last ping is waited for as well.
        self.connector
            .forget_responders(&[own.hostname.as_str().to_owned()]);
        let asked = self.connector.multicast_observed(&request, observe).await;
        if let Err(error) = &asked {
            tracing::warn!(error = %error, "Looking for sister replicas");
        }
        let answers = asked.ok().map(|answers| answers.len());
        self.metrics.exchanged(answers, !found.is_empty());
        found
    }

    /// Returns what every replica hears, and answers with its instance.
    fn ping(&self) -> Option<Outgoing> {
        let url = format!("https://{}:888/ping", self.connector.identity().hostname);
        Some(Outgoing::new(Method::Get, Address::parse(&url).ok()?).within(BUDGET))
    }

    /// Asks one sister for its own keys, and for all that it publishes while a key of ours waits.
    async fn report(&self, instance: &str) -> Report {
        let word = self.ask(instance, OWN_KEYS).await;
        let word = word.and_then(|body| Word::parse(&body));
        let published = match (self.issuer.primary(), &word) {
            (Some(kid), Some(word)) if word.keys.get(&kid).is_none() => {
                let body = self.ask(instance, "").await;
                body.and_then(|body| JwkSet::from_json(&body).ok())
            }
            (Some(_) | None, _) => None,
        };
        Report {
            instance: instance.to_owned(),
            word,
            published,
        }
    }

    async fn ask(&self, instance: &str, query: &str) -> Option<Bytes> {
        let host = &self.connector.identity().hostname;
        let url = format!("https://{instance}.{host}:888/jwks{query}");
        let request = Outgoing::new(Method::Get, Address::parse(&url).ok()?).within(BUDGET);
        let answer = self.connector.request(request).await.ok()?;
        Some(answer.body)
    }

    /// Makes a harmless token of the key to show.
    fn token(&self) -> Option<CompactJwt> {
        self.minting.sign_own(&self.issuer.warm_up()?)
    }
}

/// Asks for the keys that a replica is configured with. A Go replica ignores it, and has no others.
const OWN_KEYS: &str = "?own=true";
const INTERVAL: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(500);
const BUDGET: Duration = Duration::from_secs(2);
/// A verifier fetches keys at most once a second.
const DEBOUNCE: Duration = Duration::from_millis(1100);
const SHOWING_RETRIES: usize = 2;
/// How long a key waits for sisters beyond the activation delay.
pub(crate) const LONGEST_HOLD: Duration = Duration::from_secs(60);
