//! Tokens and JWK Sets that an attacker may send: each is a named case with the reason for which it must be refused.
//!
//! Every case is a good token with one thing wrong, so that nothing but that can be the reason; each family
//! says what its cases are made of. Both issuers are attacked in the same ways.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]

mod algorithms;
mod bridge;
mod claims;
mod encodings;
mod forger;
mod headers;
mod issuers;
mod json;
mod jwk_sets;
mod signatures;
mod times;
mod unsigned;

use forger::{Case, Forger};
use futures_util::future::{self, BoxFuture, FutureExt as _};
use microbus_bus::{Clock, SystemClock};
use microbus_token::{Issuer, Jwk, JwkSet};
use microbus_verify::{FetchError, KeySource, Settings, Verifier};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// The wall clock of the verifier, seconds since 1970.
const NOW: u64 = 1_800_000_000;

struct Frozen;

impl Clock for Frozen {
    fn now(&self) -> Instant {
        SystemClock.now()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(NOW)
    }
}

/// Each issuer publishes its own key.
struct Published {
    access: Jwk,
    bearer: Jwk,
}

impl KeySource for Published {
    fn fetch(&self, issuer: Issuer) -> BoxFuture<'static, Result<JwkSet, FetchError>> {
        let mut set = JwkSet::default();
        let jwk = match issuer {
            Issuer::Access => &self.access,
            Issuer::Bearer => &self.bearer,
        };
        set.push(jwk.clone()).unwrap();
        future::ready(Ok(set)).boxed()
    }
}

/// A verifier that has fetched the keys of both issuers.
fn verifier(settings: Settings) -> Verifier {
    let published = Published {
        access: Jwk::of(&Forger::of(Issuer::Access).key),
        bearer: Jwk::of(&Forger::of(Issuer::Bearer).key),
    };
    let verifier = Verifier::new(published, Arc::new(Frozen), settings);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    for issuer in [Issuer::Access, Issuer::Bearer] {
        runtime.block_on(verifier.refresh(issuer)).unwrap();
    }
    verifier
}

fn cases() -> Vec<Case> {
    let families = [
        algorithms::cases,
        claims::cases,
        encodings::cases,
        headers::cases,
        issuers::cases,
        json::cases,
        signatures::cases,
        times::cases,
        unsigned::cases,
    ];
    [Issuer::Access, Issuer::Bearer]
        .map(Forger::of)
        .iter()
        .flat_map(|forger| families.map(|family| family(forger)))
        .flatten()
        .collect()
}

/// Returns the cases that were not refused for their reason, and quickly.
fn survivors(cases: &[Case], verifier: &Verifier) -> Vec<String> {
    let judge = |case: &Case| {
        let began = SystemClock.now();
        let found = verifier
            .verify_now(&case.token)
            .map_or_else(|refusal| refusal.reason(), |_| "believed");
        let took = SystemClock.now() - began;
        let fine = found == case.reason && took < LONGEST_JUDGEMENT;
        (!fine).then(|| {
            format!(
                "{}: {found} instead of {} in {took:?}",
                case.name, case.reason
            )
        })
    };
    cases.iter().filter_map(judge).collect()
}

#[test]
fn every_attack_is_refused_for_its_reason() {
    let cases = cases();
    let mut names = HashSet::new();
    let twice = cases.iter().find(|case| !names.insert(&case.name));
    assert!(
        twice.is_none(),
        "{} is the name of two cases",
        twice.unwrap().name
    );
    assert!(cases.len() >= 1_000, "{} cases", cases.len());
    assert!(cases.iter().all(|case| case.reason != "believed"));
    let survivors = survivors(&cases, &verifier(Settings::default()));
    assert!(survivors.is_empty(), "{}", survivors.join("\n"));
    println!("{} cases refused", cases.len());
}

#[test]
fn a_memory_of_good_tokens_lets_no_attack_through() {
    let verifier = verifier(Settings {
        remembered_tokens: 1_024,
        ..Settings::default()
    });
    for issuer in [Issuer::Access, Issuer::Bearer] {
        let good = Forger::of(issuer).good();
        verifier.verify_now(&good).unwrap();
        verifier.verify_now(&good).unwrap();
    }
    let survivors = survivors(&cases(), &verifier);
    assert!(survivors.is_empty(), "{}", survivors.join("\n"));
}

#[test]
fn what_the_cases_are_made_of_is_believed() {
    let verifier = verifier(Settings::default());
    for issuer in [Issuer::Access, Issuer::Bearer] {
        let forger = Forger::of(issuer);
        let verified = verifier.verify_now(&forger.good()).unwrap();
        assert_eq!(verified.issuer(), issuer);
    }
}

/// What no token may cost, on a busy machine and in a debug build.
const LONGEST_JUDGEMENT: Duration = Duration::from_secs(2);
