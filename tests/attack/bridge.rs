//! The same for the bridge: tokens of identity providers, of every algorithm and kind that it believes.

mod algorithms;
mod claims;
mod encodings;
mod forger;
mod headers;
mod json;
mod signatures;
#[expect(dead_code, reason = "a forger writes its tokens itself")]
#[path = "../../shared/idp-bridge/examples/bridge/signer.rs"]
mod signer;
#[expect(
    dead_code,
    reason = "the provider is well behaved here; its tokens are not"
)]
#[path = "../../shared/idp-bridge/examples/bridge/stand_in.rs"]
mod stand_in;
mod times;

use crate::Frozen;
use axum::Router;
use forger::{Case, Forger};
use microbus_bus::{
    Clock as _, Connection, Connector, Failures, Identity, SystemClock, random_instance_id,
};
use microbus_idp_bridge::{Bridge, ForeignToken, Settings, TokenKind};
use microbus_wire::{Hostname, Plane};
use signer::Signer;
use stand_in::StandIn;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

const ALGORITHMS: [&str; 4] = ["RS256", "PS256", "ES256", "EdDSA"];

/// A bridge that believes a provider with all algorithms, and another one that has the same keys with `ES256` alone.
struct Target {
    bridge: Arc<Bridge>,
    provider: StandIn,
    narrow: StandIn,
    signers: [Signer; 4],
    /// Of another owner, with the same identifiers.
    strangers: [Signer; 4],
}

impl Target {
    async fn start() -> Self {
        let make = |alg| Signer::generate(alg, &format!("key-{alg}")).unwrap();
        let (signers, strangers) = (ALGORITHMS.map(make), ALGORITHMS.map(make));
        let [provider, narrow] = [stand_in().await, stand_in().await];
        for provider in [&provider, &narrow] {
            provider.publish(&signers.each_ref());
        }
        let settings = format!(
            "providers:
  - issuer: {}
    algorithms: [RS256, PS256, ES256, EdDSA]
    id_tokens: {{audiences: [web-app, other-app]}}
    access_tokens: {{audiences: [api], authorized_parties: [batch]}}
    claims: {{sub: }}
  - issuer: {}
    algorithms: [ES256]
    id_tokens: {{audiences: [web-app]}}
    claims: {{sub: }}
",
            provider.issuer(),
            narrow.issuer()
        );
        let identity = Identity {
            plane: Plane::default(),
            hostname: Hostname::parse("idp.bridge").unwrap(),
            version: 1,
            instance: random_instance_id(),
            locality: None,
        };
        let connection = Connection::in_process();
        let clock = Arc::new(SystemClock);
        let connector = Connector::open(connection, identity, Failures::Redacted, clock).await;
        let settings = Settings::parse(&settings).unwrap();
        let bridge = Bridge::new(settings, &connector.unwrap(), Arc::new(Frozen)).unwrap();
        Self {
            bridge,
            provider,
            narrow,
            signers,
            strangers,
        }
    }

    fn forgers(&self) -> Vec<Forger<'_>> {
        let of_kind = |kind| {
            let pairs = self.signers.iter().zip(&self.strangers);
            pairs.map(move |(signer, stranger)| Forger {
                target: self,
                signer,
                stranger,
                kind,
            })
        };
        of_kind(TokenKind::IdToken)
            .chain(of_kind(TokenKind::AccessToken))
            .collect()
    }

    async fn outcome(&self, case: &Case) -> &'static str {
        let token = ForeignToken {
            text: &case.token,
            kind: case.kind,
            nonce: case.nonce,
        };
        let identified = self.bridge.identify(token).await;
        identified.map_or_else(|error| error.reason(), |_| "believed")
    }
}

async fn stand_in() -> StandIn {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    StandIn::start(listener, Router::new()).unwrap()
}

fn cases(target: &Target) -> Vec<Case> {
    let families = [
        algorithms::cases,
        claims::cases,
        encodings::cases,
        headers::cases,
        json::cases,
        signatures::cases,
        times::cases,
    ];
    let forgers = target.forgers();
    let of_one = forgers
        .iter()
        .flat_map(|forger| families.map(|family| family(forger)));
    of_one.flatten().collect()
}

#[tokio::test]
async fn every_attack_on_the_bridge_is_refused_for_its_reason() {
    let target = Target::start().await;
    let cases = cases(&target);
    let mut names = HashSet::new();
    let twice = cases.iter().find(|case| !names.insert(&case.name));
    assert!(
        twice.is_none(),
        "{} is the name of two cases",
        twice.unwrap().name
    );
    assert!(cases.len() >= 1_000, "{} cases", cases.len());
    assert!(cases.iter().all(|case| case.reason != "believed"));
    let mut survivors = Vec::new();
    // A key that is not known is asked for, at most every two seconds: all these wait together.
    let (asking, at_once): (Vec<_>, Vec<_>) =
        cases.iter().partition(|case| case.reason == "unknown_kid");
    let outcomes = asking.iter().map(|case| target.outcome(case));
    let outcomes = futures_util::future::join_all(outcomes).await;
    for (case, found) in asking.iter().zip(outcomes) {
        if found != case.reason {
            survivors.push(format!("{}: {found} instead of {}", case.name, case.reason));
        }
    }
    for case in at_once {
        let began = SystemClock.now();
        let found = target.outcome(case).await;
        let took = SystemClock.now() - began;
        if found != case.reason || took > LONGEST_JUDGEMENT {
            survivors.push(format!(
                "{}: {found} instead of {} in {took:?}",
                case.name, case.reason
            ));
        }
    }
    assert!(survivors.is_empty(), "{}", survivors.join("\n"));
    println!("{} cases refused", cases.len());
}

#[tokio::test]
async fn what_the_cases_on_the_bridge_are_made_of_is_believed() {
    let target = Target::start().await;
    for forger in target.forgers() {
        let good = forger.case("good", "good", forger.good(), "believed");
        assert_eq!(target.outcome(&good).await, "believed", "{}", good.name);
    }
}

/// RFC 7518 section 3.4 allows both forms, and providers send both: it is no attack. Nothing takes a signature for the
/// identity of a token.
#[tokio::test]
async fn the_other_form_of_an_es256_signature_is_as_good() {
    let target = Target::start().await;
    let forgers = target.forgers();
    let forger = forgers.iter().find(|forger| forger.signer.alg == "ES256");
    let forger = forger.unwrap();
    let token = signatures::other_form(forger);
    let case = forger.case("good", "the other form", token, "believed");
    assert_eq!(target.outcome(&case).await, "believed");
}

/// What no token may cost, on a busy machine and in a debug build.
const LONGEST_JUDGEMENT: Duration = Duration::from_secs(2);
