//! What the replicas of an issuer publish now, asked over the bus as any service may ask.

use crate::explain::metrics::{jwk_sets_served, keys_since};
use crate::explain::{Published, Replica};
use bytes::Bytes;
use microbus_bus::{Connector, Outgoing};
use microbus_token::{Issuer, JwkSet, KeyId};
use microbus_wire::header::FROM_ID;
use microbus_wire::{Address, Method};
use std::collections::BTreeSet;
use std::time::Duration;

/// Asks for the JWK Set of an issuer, as a verifier does.
///
/// # Errors
/// A sentence for the operator, when nobody answers.
pub async fn published(connector: &Connector, issuer: Issuer) -> Result<Published, String> {
    let host = issuer.host();
    let json = get(connector, host, "/jwks").await?;
    Ok(Published::read(format!("the JWK Set of {host}"), &json))
}

/// Returns how often the replicas of an issuer have served their JWK Set, all together; `None` if one does not tell.
///
/// # Errors
/// A sentence for the operator, when the bus cannot be asked.
pub async fn served(connector: &Connector, issuer: Issuer) -> Result<Option<u64>, String> {
    let host = issuer.host();
    let instances = instances(connector, host).await?;
    let mut total = (!instances.is_empty()).then_some(0_u64);
    for id in instances {
        let metrics = get(connector, &format!("{id}.{host}"), "/metrics").await;
        let metrics = metrics.unwrap_or_default();
        let served = jwk_sets_served(&String::from_utf8_lossy(&metrics));
        total = total
            .zip(served)
            .map(|(total, served)| total.saturating_add(served));
    }
    Ok(total)
}

/// Asks for the JWK Set of an issuer, and each of its replicas for its own.
///
/// # Errors
/// A sentence for the operator, when nobody answers.
pub async fn survey(connector: &Connector, issuer: Issuer) -> Result<Published, String> {
    let host = issuer.host();
    let published = published(connector, issuer).await?;
    let mut replicas = Vec::new();
    for id in instances(connector, host).await? {
        replicas.push(replica(connector, host, id).await);
    }
    Ok(published.with_replicas(replicas))
}

async fn replica(connector: &Connector, host: &str, id: String) -> Replica {
    let pinned = format!("{id}.{host}");
    let json = get(connector, &pinned, "/jwks").await.unwrap_or_default();
    // A replica whose metrics are off answers with an error.
    let metrics = get(connector, &pinned, "/metrics")
        .await
        .unwrap_or_default();
    let since = keys_since(&String::from_utf8_lossy(&metrics));
    let since_of = |kid: &KeyId| {
        let found = since.iter().find(|(known, _)| known == kid);
        found.map(|(_, seconds)| *seconds)
    };
    let keys = JwkSet::from_json(&json).unwrap_or_default();
    let keys = keys
        .iter()
        .map(|jwk| (jwk.id().clone(), since_of(jwk.id())));
    Replica {
        id,
        keys: keys.collect(),
    }
}

/// Returns the instances that answer a ping to the host, in their order.
async fn instances(connector: &Connector, host: &str) -> Result<BTreeSet<String>, String> {
    let outgoing = Outgoing::new(Method::Get, address(host, "/ping")?).within(BUDGET);
    let answers = connector.multicast(&outgoing).await;
    let answers = answers.map_err(|error| error.to_string())?;
    Ok(answers
        .into_iter()
        .flatten()
        .filter_map(|answer| answer.headers.get(FROM_ID).map(str::to_owned))
        .collect())
}

async fn get(connector: &Connector, host: &str, path: &str) -> Result<Bytes, String> {
    let outgoing = Outgoing::new(Method::Get, address(host, path)?).within(BUDGET);
    let answer = connector.request(outgoing).await;
    answer
        .map(|response| response.body)
        .map_err(|error| error.to_string())
}

fn address(host: &str, path: &str) -> Result<Address, String> {
    Address::parse(&format!("https://{host}:888{path}")).map_err(|error| error.to_string())
}

const BUDGET: Duration = Duration::from_secs(3);
