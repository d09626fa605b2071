//! The exchange of public keys between replicas, and the introduction of new keys, over the bus.
//!
//! Source: design: keys. What is to be done is decided by [`Member`](crate::member::Member); here are only messages.

use crate::issuer::Issuer;
use crate::member::Step;
use crate::word::Word;
use microbus_bus::{Claim, Clock, Connector, Others, Outgoing};
use microbus_service::{Metrics, Minting, Shown, Verifier, Warming};
use microbus_token::{CompactJwt, KeyId};
use microbus_wire::address::Address;
use microbus_wire::header::FROM_ID;
use microbus_wire::subject::Method;
use microbus_wire::{OpCode, Response};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};

/// Speaks with the other replicas and with verifiers on behalf of one issuer.
pub(crate) struct Exchange {
    issuer: Arc<Issuer>,
    connector: Arc<Connector>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    minting: Arc<Minting>,
    warming: Warming,
    /// Told when something is to be said before the next regular exchange.
    news: Notify,
}

impl Exchange {
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
            news: Notify::new(),
        })
    }

    /// Tells other replicas of us before we can hear theirs, to find out by `claim` whether there are any. What they answer
    /// is taken in.
    pub(crate) async fn greet(self: &Arc<Self>, claim: &mut Claim) -> Others {
        let Some(announcement) = self.announcement() else {
            return Others::Unknown;
        };
        match self.connector.greet(claim, &announcement).await {
            Ok((others, answers)) => {
                let exchange = Arc::clone(self);
                let take_in = move |host: &str, response: &Response| {
                    exchange.take_in(host, response);
                };
                tokio::spawn(answers.observe(take_in));
                others
            }
            Err(error) => {
                tracing::warn!(error = %error, "Exchanging keys with other replicas");
                Others::Unknown
            }
        }
    }

    /// Meets the other replicas, and tells whether there are any.
    ///
    /// Who wrongly believes to be alone signs with a key that verifiers do not know. So only the broker's word that nobody
    /// else is there is believed at once (`microbus_bus::Claim`: whoever starts meanwhile is told that somebody is). Else
    /// alone is who hears nothing after asking several times, each time for as long as the bus gives anybody to say that it
    /// is there; five measured round trips would do on an idle machine only. An answer that comes later is taken in all
    /// the same.
    pub(crate) async fn meet_replicas(self: &Arc<Self>, others: Others) -> bool {
        let (answered, mut first) = watch::channel(false);
        let patience = self.connector.round_trip();
        for _ in 0..others.questions() {
            let (exchange, answered) = (Arc::clone(self), answered.clone());
            let asking = tokio::spawn(async move { exchange.ask_telling(&answered).await });
            let first = first.wait_for(|answered| *answered);
            if matches!(tokio::time::timeout(patience, first).await, Ok(Ok(_))) {
                // Somebody is there: hear the others out too.
                drop(asking.await);
                return true;
            }
            if self.issuer.has_peers() {
                // It answered the greeting, or has spoken by itself.
                return true;
            }
        }
        // Those who started meanwhile are told of us in any case.
        self.tell_news();
        false
    }

    /// Exchanges keys regularly, at each change of our own keys and whenever there are news, for ever.
    pub(crate) async fn keep_in_touch(self: Arc<Self>) {
        let mut changes = self.issuer.changes();
        loop {
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => {}
                () = self.news.notified() => {}
                // The issuer lives as long as we do.
                _ = changes.changed() => {}
            }
            self.ask().await;
        }
    }

    /// Has the next regular exchange happen now.
    pub(crate) fn tell_news(&self) {
        self.news.notify_one();
    }

    /// Tells all replicas what we know and takes in what they know. Returns how many answered that remember it.
    pub(crate) async fn ask(&self) -> usize {
        self.ask_telling(&watch::Sender::new(false)).await
    }

    /// Says a last word, and stays while nobody else could answer for tokens of ours that are alive, at the latest until
    /// `until`.
    pub(crate) async fn linger(&self, until: Instant) {
        let mut said = false;
        while self.ask().await == 0 {
            let now = self.clock.now();
            let Some(end) = self.issuer.last_end().map(|end| end.min(until)) else {
                return;
            };
            if end <= now {
                return;
            }
            if !said {
                let seconds = (end - now).as_secs();
                tracing::info!(
                    seconds,
                    "No other replica: serving keys while tokens are alive"
                );
                said = true;
            }
            tokio::time::sleep_until(end.min(now + LINGERING_INTERVAL).into()).await;
        }
    }

    /// Hears a replica out that has just announced itself. A Go replica may sign already.
    pub(crate) fn hear_out(self: &Arc<Self>, instance: &str) {
        if self.issuer.knows(instance) || instance == self.connector.identity().instance.as_str() {
            return self.tell_news();
        }
        self.issuer
            .expect(instance, self.clock.now() + LONGEST_EXPECTATION);
        let exchange = Arc::clone(self);
        tokio::spawn(async move { exchange.ask().await });
    }

    async fn ask_telling(&self, answered: &watch::Sender<bool>) -> usize {
        let own = self.connector.identity();
        let mut replicas = 0_usize;
        let Some(request) = self.announcement() else {
            return replicas;
        };
        // Whoever was slow at the last exchange is waited for as well.
        self.connector
            .forget_responders(&[own.hostname.as_str().to_owned()]);
        let observe = |host: &str, response: &Response| {
            if let Some(word) = self.take_in(host, response) {
                replicas = replicas.saturating_add(usize::from(!word.is_plain()));
                answered.send_replace(true);
            }
        };
        let asked = self.connector.multicast_observed(&request, observe).await;
        if let Err(error) = &asked {
            tracing::warn!(error = %error, "Exchanging keys with other replicas");
        }
        let answers = asked.ok().map(|answers| answers.len());
        self.metrics.exchanged(answers, *answered.borrow());
        replicas
    }

    /// Returns what all replicas are told: our word, to which they answer with theirs.
    fn announcement(&self) -> Option<Outgoing> {
        let url = format!(
            "https://{}:888/local-keys",
            self.connector.identity().hostname
        );
        let request = Outgoing::new(Method::Post, Address::parse(&url).ok()?);
        let word = self.issuer.word(self.clock.now());
        Some(request.json(word).within(BUDGET))
    }

    /// Takes in what another replica answers.
    fn take_in(&self, host: &str, response: &Response) -> Option<Word> {
        let own = self.connector.identity();
        let instance = response.headers.get(FROM_ID).unwrap_or_default();
        let of_replica = host == own.hostname.as_str() && instance != own.instance.as_str();
        if !of_replica || response.op_code() != Some(OpCode::Res) {
            return None;
        }
        let word = Word::parse(&response.body)?;
        self.issuer.hear(instance, &word, self.clock.now());
        Some(word)
    }

    /// Tells replicas of the key that waits and shows it to verifiers, as far as that can be done; then it signs, or does so
    /// after its delay.
    pub(crate) async fn introduce(&self, kid: &KeyId) {
        let mut shown: Option<Shown> = None;
        while self.issuer.introducing().as_ref() == Some(kid) {
            let now = self.clock.now();
            let (step, missing) = self.issuer.next_step(now);
            match step {
                Step::Tell => {
                    self.ask().await;
                    self.issuer.told(kid, self.clock.now());
                }
                Step::Wait(until) => tokio::time::sleep_until(until.into()).await,
                Step::ShowAll => {
                    self.issuer.showing(self.warming.spread(), now);
                    let first = self.warming.show_all(&|| self.token()).await;
                    let (cold, complete) = (first.cold.clone(), first.is_complete());
                    shown = Some(first);
                    self.issuer.shown(kid, cold, complete, self.clock.now());
                }
                Step::ShowAgain(cold) => {
                    self.issuer.showing(Duration::ZERO, now);
                    let again = self.warming.show(cold, &|| self.token()).await;
                    let (cold, complete) = (again.cold.clone(), again.silent == 0);
                    shown = shown.map(|shown| shown.with(again));
                    self.issuer.shown(kid, cold, complete, self.clock.now());
                }
                Step::Done => {
                    if let Some(shown) = shown {
                        self.warming.report(kid, &shown);
                    }
                    // Who was alone signs already, and who came since has the key by our answer.
                    if !missing.is_empty() && !self.issuer.signs_with(kid) {
                        tracing::warn!(%kid, ?missing, "Replicas did not confirm a new key, it signs after the activation delay");
                    }
                    return;
                }
            }
        }
    }

    /// Remembers a verifier that has just started, and shows it the key that signs if that falls to this replica.
    pub(crate) async fn meet_verifier(&self, newcomer: Verifier) {
        self.warming.meet(newcomer.clone());
        let own = self.connector.identity().instance.as_str();
        if Warming::falls_to(own, &self.issuer.peers_of_ours(), &newcomer) {
            let token = || self.token();
            self.warming.show_newcomer(newcomer, &token).await;
        }
    }

    /// Makes a harmless token of the key to show.
    fn token(&self) -> Option<CompactJwt> {
        self.minting.sign_own(&self.issuer.warm_up()?)
    }
}

/// A safety net: what matters is told at once.
const INTERVAL: Duration = Duration::from_secs(5);
const BUDGET: Duration = Duration::from_secs(2);
/// How often the last replica looks for another one.
const LINGERING_INTERVAL: Duration = Duration::from_secs(1);
/// How long a JWK Set waits for the keys of a replica that has just announced itself.
const LONGEST_EXPECTATION: Duration = Duration::from_millis(60);
