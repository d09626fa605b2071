//! Whether both issuers answer, and how fast: without their keys every verification fails closed.

use super::{Check, Finding};
use microbus_bus::{Clock as _, Connector, Outgoing, SystemClock};
use microbus_token::{Issuer, JwkSet};
use microbus_wire::header::FROM_ID;
use microbus_wire::{Address, Method};
use std::collections::BTreeSet;
use std::time::Duration;

pub(super) const CHECK: Check = Check {
    id: "issuers-up",
    what: "the JWK Sets of access.token.core and bearer.token.core",
    expected: "answered by both, each with a key",
};

/// The keys of an issuer that answered.
pub(super) type Published = Vec<(Issuer, JwkSet)>;

pub(super) async fn check(connector: &Connector) -> (Vec<Finding>, Published) {
    let mut findings = Vec::new();
    let mut published = Vec::new();
    for issuer in [Issuer::Access, Issuer::Bearer] {
        let (finding, keys) = ask(connector, issuer).await;
        findings.push(finding);
        published.extend(keys.map(|keys| (issuer, keys)));
    }
    (findings, published)
}

async fn ask(connector: &Connector, issuer: Issuer) -> (Finding, Option<JwkSet>) {
    let host = issuer.host();
    let began = SystemClock.now();
    let answer = request(connector, host, "/jwks").await;
    let took = SystemClock
        .now()
        .saturating_duration_since(began)
        .as_secs_f64()
        * 1000.0;
    let body = match answer {
        Ok(body) => body,
        Err(error) => {
            let remedy = format!(
                "start {host}; microbus-deploy doctor beside it says why it does not start"
            );
            return (CHECK.fail(format!("{host}: {error}"), remedy), None);
        }
    };
    let keys = match JwkSet::from_json(&body) {
        Ok(keys) => keys,
        Err(error) => {
            let found = format!("{host} answers with no JWK Set: {error}");
            return (CHECK.fail(found, "look at what runs under its name"), None);
        }
    };
    if keys.is_empty() {
        let found = format!(
            "{host} answers without a key: it cannot mint, and its tokens cannot be verified"
        );
        let remedy =
            "give the bearer issuer PrivateKey or PrivateKeyFile; restart the access issuer";
        return (CHECK.fail(found, remedy), Some(keys));
    }
    let replicas = replicas(connector, host).await;
    let found = format!(
        "{host}: {} keys in {took:.0} ms, {replicas} replicas",
        keys.len()
    );
    (CHECK.pass(found), Some(keys))
}

async fn request(connector: &Connector, host: &str, path: &str) -> Result<bytes::Bytes, String> {
    let address =
        Address::parse(&format!("https://{host}:888{path}")).map_err(|error| error.to_string())?;
    let outgoing = Outgoing::new(Method::Get, address).within(BUDGET);
    let response = connector
        .request(outgoing)
        .await
        .map_err(|error| error.to_string())?;
    Ok(response.body)
}

/// Counts the instances that answer a ping.
async fn replicas(connector: &Connector, host: &str) -> usize {
    let Ok(address) = Address::parse(&format!("https://{host}:888/ping")) else {
        return 0;
    };
    let outgoing = Outgoing::new(Method::Get, address).within(BUDGET);
    let answers = connector.multicast(&outgoing).await.unwrap_or_default();
    let answers = answers.into_iter().flatten();
    let instances: BTreeSet<_> = answers
        .filter_map(|response| response.headers.get(FROM_ID).map(str::to_owned))
        .collect();
    instances.len()
}

const BUDGET: Duration = Duration::from_secs(5);
