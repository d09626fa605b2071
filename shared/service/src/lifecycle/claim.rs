//! Whether we are the first replica, as the bus says it before we subscribe anything.
//!
//! A replica that is alone signs at once; one that wrongly believes so signs with a key that others do not publish, and its
//! tokens are refused. Waiting for an answer is no proof of being alone, on a busy machine least of all: hence a claim
//! ([`microbus_bus::Claim`]), which takes one round trip and is wrong for nobody.

use super::Process;
use crate::deployment::BusChoice;
use microbus_bus::{Claim, Connection, Connector, Others};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// How we found the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    /// It was there when we came.
    Found,
    /// We had to wait for it, and others may be on their way back to it: it does not know of them yet.
    Awaited,
}

impl Process {
    /// Begins to prepare a claim to be the first replica, where the bus can grant one.
    pub(super) fn prepare_claim(
        &self,
        first: Connection,
        arrival: Arrival,
    ) -> JoinHandle<Option<Claim>> {
        let bus = self.surroundings.bus.clone();
        tokio::spawn(async move {
            match bus {
                BusChoice::Embedded => Claim::in_process(&first),
                BusChoice::Nats(_) if arrival == Arrival::Awaited => None,
                BusChoice::Nats(settings) => {
                    let opened = Claim::open(&first, &settings).await;
                    opened.unwrap_or_else(|error| {
                        tracing::warn!(error = %error, "No connection to ask the broker for other replicas by");
                        None
                    })
                }
            }
        })
    }

    /// Has the service ask whether there are other replicas, before anything that they hear is subscribed.
    pub(super) async fn stake(
        &self,
        claim: JoinHandle<Option<Claim>>,
        connector: &Arc<Connector>,
    ) -> (Option<Claim>, Others) {
        let prepared = tokio::time::timeout(LONGEST_PREPARATION, claim).await;
        let mut claim = prepared.ok().and_then(Result::ok).flatten();
        let others = match &mut claim {
            Some(claim) => self.service.greet(claim, connector).await,
            None => Others::Unknown,
        };
        match others {
            Others::Nobody => tracing::info!("No other replica is there, says the broker"),
            Others::Somebody => tracing::info!("Another replica may be there, says the broker"),
            Others::Unknown => {
                tracing::info!("The broker cannot say whether other replicas are there");
            }
        }
        (claim, others)
    }
}

/// A second connection that takes longer costs more time than it saves.
const LONGEST_PREPARATION: Duration = Duration::from_millis(500);
