//! The load: callers that mint without a pause, and verifiers that see every token at once.

use e2e::normal::kid;
use e2e::{Bus, Caller, Ingress, NatsServer, Reason, Verifier};
use futures_util::future::join_all;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::watch;

pub(crate) struct Load {
    /// The issuer that mints.
    pub(crate) host: &'static str,
    pub(crate) callers: Vec<Caller>,
    pub(crate) verifiers: Vec<Arc<Verifier>>,
    /// Sees every token too, where bearer tokens are minted.
    pub(crate) ingress: Option<Arc<Ingress>>,
    counts: Mutex<Counts>,
    mints: watch::Sender<usize>,
    /// How long tokens are minted before an event, and again after it.
    span: Duration,
}

/// What was counted in a round.
#[derive(Clone, Default)]
struct Counts {
    errors: Vec<String>,
    verified: usize,
    /// By key ID.
    refused: BTreeMap<String, Vec<Refusal>>,
    /// A token of each key.
    samples: BTreeMap<String, Arc<str>>,
    /// Keys of stand-ins, which are not ours.
    foreign: BTreeSet<String>,
}

#[derive(Clone, Debug)]
struct Refusal {
    reason: Reason,
    after: Duration,
}

/// What came of one round.
pub(crate) struct Round {
    name: &'static str,
    mints: usize,
    counts: Counts,
}

impl Load {
    /// Connects callers that mint at `host`, and starts verifiers, in turns on all servers of the bus.
    pub(crate) async fn start(bus: &Bus, host: &'static str, span: Duration) -> Self {
        let servers: Vec<&NatsServer> = bus.others.iter().chain([&bus.server]).collect();
        let server = |index: usize| servers[index % servers.len()];
        let mut callers = Vec::new();
        for (index, own) in CALLERS.into_iter().enumerate() {
            callers.push(bus.caller_at(server(index), own, "id-caller0000").await);
        }
        let mut verifiers = Vec::new();
        for (index, own) in VERIFIERS.into_iter().enumerate() {
            verifiers.push(Verifier::start(bus, server(index), own, index).await);
        }
        Self {
            host,
            callers,
            verifiers,
            ingress: None,
            counts: Mutex::default(),
            mints: watch::Sender::new(0),
            span,
        }
    }

    /// Counts a key as that of a stand-in from now on.
    pub(crate) fn note_foreign(&self, kid: &str) {
        self.counts.lock().unwrap().foreign.insert(kid.to_owned());
    }

    /// Puts the load on for some time, lets `event` happen, and goes on for some time after it. In the end the verifier
    /// `cold`, which nobody has shown anything, judges a token of each key that signed.
    pub(crate) async fn round(
        &self,
        cold: &Verifier,
        name: &'static str,
        event: impl Future<Output = ()>,
    ) -> Round {
        {
            let mut counts = self.counts.lock().unwrap();
            let foreign = std::mem::take(&mut counts.foreign);
            *counts = Counts {
                foreign,
                ..Counts::default()
            };
        }
        let (before, began) = (*self.mints.borrow(), Instant::now());
        let over = watch::Sender::new(false);
        let event = async {
            tokio::time::sleep(self.span).await;
            event.await;
            tokio::time::sleep(self.span).await;
            over.send_replace(true);
        };
        let load = self
            .callers
            .iter()
            .map(|caller| self.mint(caller, began, &over));
        tokio::join!(join_all(load), event);
        self.judge_cold(cold, began).await;
        let round = Round {
            name,
            mints: *self.mints.borrow() - before,
            counts: self.counts.lock().unwrap().clone(),
        };
        round.print();
        round
    }

    /// Mints until the round is over, and returns when every token is judged.
    async fn mint(&self, caller: &Caller, began: Instant, over: &watch::Sender<bool>) {
        let mut checks = Vec::new();
        let mut pace = tokio::time::interval(PACE);
        pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !*over.borrow() {
            pace.tick().await;
            let asked = began.elapsed();
            let minted = caller.ask("POST", self.host, 666, "mint", "{}", SILENCE);
            let Some(minted) = minted.await else {
                self.note_error(format!("silence at {asked:.1?}"));
                continue;
            };
            let status = minted.response().status();
            if status != 200 {
                self.note_error(format!("{status} at {asked:.1?}"));
                continue;
            }
            let token: Arc<str> = minted.json()["token"].as_str().unwrap().into();
            self.mints.send_modify(|mints| *mints += 1);
            let judged = self.judge(&token);
            checks.push((token, began.elapsed(), judged));
            if checks.len() > IN_FLIGHT {
                self.settle(&mut checks).await;
            }
        }
        self.settle(&mut checks).await;
    }

    /// Shows a token to all at once.
    fn judge(&self, token: &Arc<str>) -> Vec<Judging> {
        let by_verifiers = self.verifiers.iter().map(|verifier| {
            let (verifier, token) = (Arc::clone(verifier), Arc::clone(token));
            tokio::spawn(async move { verifier.judge(&token).await })
        });
        let by_ingress = self.ingress.iter().map(|ingress| {
            let (ingress, token) = (Arc::clone(ingress), Arc::clone(token));
            tokio::spawn(async move { ingress.judge(&token).await })
        });
        by_verifiers.chain(by_ingress).collect()
    }

    async fn settle(&self, checks: &mut Vec<(Arc<str>, Duration, Vec<Judging>)>) {
        for (token, after, judged) in std::mem::take(checks) {
            for verdict in judged {
                self.note(&token, after, verdict.await.unwrap());
            }
        }
    }

    /// Has a verifier that knows nothing judge a token of each key.
    async fn judge_cold(&self, cold: &Verifier, began: Instant) {
        let samples = self.counts.lock().unwrap().samples.clone();
        for token in samples.values() {
            let verdict = cold.judge(token).await;
            self.note(token, began.elapsed(), verdict);
        }
    }

    fn note(&self, token: &Arc<str>, after: Duration, verdict: Result<(), Reason>) {
        let mut counts = self.counts.lock().unwrap();
        let kid = kid(token);
        match verdict {
            Ok(()) => counts.verified += 1,
            Err(reason) => {
                let refused = counts.refused.entry(kid.clone()).or_default();
                refused.push(Refusal { reason, after });
            }
        }
        counts.samples.insert(kid, Arc::clone(token));
    }

    fn note_error(&self, error: String) {
        self.counts.lock().unwrap().errors.push(error);
    }
}

type Judging = tokio::task::JoinHandle<Result<(), Reason>>;

impl Round {
    /// Returns how many tokens of ours were refused.
    pub(crate) fn refused_ours(&self) -> usize {
        self.refused(|kid| !self.counts.foreign.contains(kid))
    }

    /// Returns how many tokens of stand-ins were refused.
    pub(crate) fn refused_foreign(&self) -> usize {
        self.refused(|kid| self.counts.foreign.contains(kid))
    }

    fn refused(&self, which: impl Fn(&str) -> bool) -> usize {
        let refused = self.counts.refused.iter().filter(|(kid, _)| which(kid));
        refused.map(|(_, refused)| refused.len()).sum()
    }

    /// Returns how many calls of `Mint` failed.
    pub(crate) fn errors(&self) -> usize {
        self.counts.errors.len()
    }

    #[expect(clippy::print_stdout, reason = "the table is what the rounds are for")]
    fn print(&self) {
        println!("{self}");
        let mut reasons = BTreeMap::new();
        for (kid, refused) in &self.counts.refused {
            for refusal in refused {
                let (count, first) = reasons
                    .entry((kid, refusal.reason))
                    .or_insert((0_usize, refusal.after));
                (*count, *first) = (*count + 1, refusal.after.min(*first));
            }
        }
        for ((kid, reason), (count, first)) in reasons {
            println!("    {count} of key {kid}: {reason:?}, first at {first:.1?}");
        }
        if !self.counts.errors.is_empty() {
            println!("    failed mints: {}", self.counts.errors.join(", "));
        }
    }
}

impl fmt::Display for Round {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let refused = match self.refused_foreign() {
            0 => self.refused_ours().to_string(),
            foreign => format!("{} + {foreign}", self.refused_ours()),
        };
        write!(
            formatter,
            "| {:<27} | {:>6} | {:>6} | {:>8} | {:>7} |",
            self.name,
            self.mints,
            self.errors(),
            self.counts.verified,
            refused,
        )
    }
}

/// After this long without an answer a call counts as lost. The bus itself gives up after 100 ms without an ack; what is
/// lost is lost however long one waits, and what is late on a busy machine is not.
const SILENCE: Duration = Duration::from_secs(3);
/// Each hears whatever is answered to its host, so no two share one.
const CALLERS: [&str; 4] = [
    "first.caller",
    "second.caller",
    "third.caller",
    "fourth.caller",
];
/// Between two mints of one caller.
const PACE: Duration = Duration::from_millis(15);
/// Tokens of one caller that are judged at once.
const IN_FLIGHT: usize = 100;
const VERIFIERS: [&str; 10] = [
    "one.verifier",
    "two.verifier",
    "three.verifier",
    "four.verifier",
    "five.verifier",
    "six.verifier",
    "seven.verifier",
    "eight.verifier",
    "nine.verifier",
    "ten.verifier",
];
