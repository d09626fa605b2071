//! A steady load of bearer tokens, and what verifiers like the Go ones make of them while keys rotate.

use super::{HOST, KEY_1, KEY_2, KEY_3, KEY_4, KID_1, KID_2, KID_3, KID_4, mint};
use e2e::normal::kid;
use e2e::{Bus, Caller, Ingress, PATIENCE, Reason, Verifier};
use futures_util::future::join_all;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

/// Callers that mint at once and show each token to verifiers like the Go ones: connectors that issuers can warm, an ingress
/// that its operator warms, and one of each that nobody warms, for comparison.
pub(super) struct Load<'a> {
    bus: &'a Bus,
    callers: Vec<Caller>,
    connectors: Vec<Arc<Verifier>>,
    ingress: Ingress,
    cold_connector: Verifier,
    cold_ingress: Ingress,
    /// How many tokens each key has signed.
    signed: watch::Sender<BTreeMap<String, usize>>,
    verdicts: Mutex<BTreeMap<Judge, Verdicts>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Judge {
    Connectors,
    Ingress,
    ColdConnector,
    ColdIngress,
}

/// How many tokens were verified, and how many refused for which reason.
#[derive(Clone, Debug, Default)]
struct Verdicts {
    verified: usize,
    refused: BTreeMap<Reason, usize>,
}

impl<'a> Load<'a> {
    /// Connects everybody, and returns when they know the key that signs.
    pub(super) async fn start(bus: &'a Bus) -> Self {
        let mut callers = Vec::new();
        for host in ["tester.client", "raw.tester", "echo.example"] {
            callers.push(bus.caller(host, "id-caller0000").await);
        }
        let mut connectors = Vec::new();
        for (index, host) in ["one.verifier", "two.verifier", "three.verifier"]
            .into_iter()
            .enumerate()
        {
            connectors.push(Verifier::start(bus, &bus.server, host, index).await);
        }
        let cold_connector = Verifier::unannounced(bus, &bus.server, "cold.verifier", 9).await;
        let load = Self {
            bus,
            connectors,
            ingress: Ingress::start(bus, "http.ingress.core").await,
            cold_connector,
            cold_ingress: Ingress::start(bus, "cold.ingress").await,
            signed: watch::Sender::default(),
            verdicts: Mutex::default(),
            callers,
        };
        let end = Instant::now() + PATIENCE;
        while load.connectors.iter().any(|one| one.keys() == 0) {
            assert!(Instant::now() < end, "newcomers are not warmed");
            load.callers[0].get(HOST, 888, "/ping").await;
        }
        load.ingress.warm(bus, KID_1).await;
        load
    }

    /// Puts the load on until `events` are over.
    async fn during(&self, events: impl Future<Output = ()>) {
        let over = watch::Sender::new(false);
        let events = async {
            events.await;
            over.send_replace(true);
        };
        let minting = self.callers.iter().map(|caller| self.mint(caller, &over));
        tokio::join!(join_all(minting), events);
    }

    /// Mints until the load is over; keys sign one after the other.
    async fn mint(&self, caller: &Caller, over: &watch::Sender<bool>) {
        let mut signers = Vec::new();
        let mut pace = tokio::time::interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !*over.borrow() {
            pace.tick().await;
            let token = mint(caller).await;
            let signer = kid(&token);
            self.show(&token).await;
            self.signed
                .send_modify(|signed| *signed.entry(signer.clone()).or_default() += 1);
            signers.push(signer);
        }
        signers.dedup();
        assert_eq!(signers, [KID_1, KID_2, KID_3, KID_4]);
    }

    /// Shows a token to everybody at once.
    async fn show(&self, token: &str) {
        let connectors = self.connectors.iter().map(|one| one.judge(token));
        let (warm, ingress, cold, cold_ingress) = tokio::join!(
            join_all(connectors),
            self.ingress.judge(token),
            self.cold_connector.judge(token),
            self.cold_ingress.judge(token)
        );
        let mut verdicts = self.verdicts.lock().unwrap();
        let warm = warm.into_iter().map(|verdict| (Judge::Connectors, verdict));
        for (judge, verdict) in warm.chain([
            (Judge::Ingress, ingress),
            (Judge::ColdConnector, cold),
            (Judge::ColdIngress, cold_ingress),
        ]) {
            let verdicts = verdicts.entry(judge).or_default();
            match verdict {
                Ok(()) => verdicts.verified += 1,
                Err(reason) => *verdicts.refused.entry(reason).or_default() += 1,
            }
        }
    }

    /// Waits until `enough` more tokens were signed by a key, so that those before it were many too.
    async fn until_signed_by(&self, kid: &str, enough: usize) {
        let count = |signed: &BTreeMap<_, _>| signed.get(kid).copied().unwrap_or(0);
        let wanted = count(&self.signed.borrow()) + enough;
        let mut signed = self.signed.subscribe();
        let signs = signed.wait_for(|signed| count(signed) >= wanted);
        let signs = tokio::time::timeout(PATIENCE * 2, signs).await;
        assert!(signs.is_ok(), "{kid} does not sign");
    }

    /// Rotates in one change, in two with the alternate first, and in two with the primary first; `put` makes a change.
    /// Whoever looks after the ingress warms it as soon as a new key is published.
    pub(super) async fn rotate_in_every_order(&self, put: impl AsyncFn(&str, &str)) {
        self.during(async {
            self.until_signed_by(KID_1, 100).await;
            put(KEY_2, KEY_1).await;
            self.ingress.warm(self.bus, KID_2).await;
            self.until_signed_by(KID_2, 100).await;
            put(KEY_2, KEY_2).await;
            self.until_signed_by(KID_2, 100).await;
            put(KEY_3, KEY_2).await;
            self.ingress.warm(self.bus, KID_3).await;
            self.until_signed_by(KID_3, 100).await;
            put(KEY_4, KEY_2).await;
            self.ingress.warm(self.bus, KID_4).await;
            self.until_signed_by(KID_3, 100).await;
            put(KEY_4, KEY_3).await;
            self.until_signed_by(KID_4, 100).await;
        })
        .await;
    }

    /// Nobody who was warmed refuses anything. Of the others each refuses at most what comes while its one fetch is running,
    /// since a key is published before it signs; how much that is depends on the machine, and may be nothing.
    pub(super) fn judge(&self) -> String {
        let verdicts = self.verdicts.lock().unwrap();
        let report: Vec<_> = verdicts
            .iter()
            .map(|(judge, Verdicts { verified, refused })| {
                format!("{judge:?}: {verified} verified, refused {refused:?}")
            })
            .collect();
        let report = report.join("; ");
        for judge in [Judge::Connectors, Judge::Ingress] {
            let of_warm = &verdicts[&judge];
            assert!(
                of_warm.refused.is_empty() && of_warm.verified > 500,
                "{report}"
            );
        }
        for judge in [Judge::ColdConnector, Judge::ColdIngress] {
            let of_cold = &verdicts[&judge];
            let reasons: Vec<_> = of_cold.refused.keys().collect();
            assert!(
                reasons.iter().all(|reason| **reason == Reason::Debounced),
                "{report}"
            );
            assert!(of_cold.verified > 500, "{report}");
        }
        report
    }
}

/// Between two mints of one caller.
const PACE: Duration = Duration::from_millis(15);
