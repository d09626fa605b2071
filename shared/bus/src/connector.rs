//! One instance of a service on one connection: it asks, and it answers.

use crate::claim::{Claim, Others};
use crate::clock::Clock;
use crate::connection::Connection;
use crate::handler::Route;
use crate::identity::{Identity, random_instance_id};
use crate::in_flight::Limits;
use crate::observer::{Observation, Observer};
use crate::outgoing::{Outgoing, RequestError};
use crate::requester::{Answers, Requester};
use crate::responder::{Responder, ResponderSettings, SubscribeError, relief_from};
use microbus_wire::budget::{IN_PROCESS_ROUND_TRIP, network_round_trip};
use microbus_wire::call::CallError;
use microbus_wire::fragment::{FragmentSizeError, fragment_size};
use microbus_wire::frame::Response;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// An instance on the bus.
pub struct Connector {
    connection: Connection,
    identity: Identity,
    requester: Arc<Requester>,
    responder: Arc<Responder>,
    round_trip: Duration,
    measured: Duration,
    fragment_size: usize,
    manner: Manner,
}

/// How an instance answers; those of one process do so alike.
#[derive(Clone)]
struct Manner {
    failures: Failures,
    clock: Arc<dyn Clock>,
    observation: Observation,
    without_ack: Arc<AtomicBool>,
}

/// Why a connector could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The broker takes only very small messages.
    #[error(transparent)]
    FragmentSize(#[from] FragmentSizeError),
    /// The subscription to our own answers failed.
    #[error(transparent)]
    Subscribe(#[from] SubscribeError),
}

/// How answers that report a failure look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failures {
    /// With details, indented: for a developer's machine.
    Revealed,
    /// With a fixed text per cause, on one line: 4xx texts reach browsers.
    Redacted,
}

impl Connector {
    /// Measures the round trip, subscribes to our own answers and starts handling.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(
        connection: Connection,
        identity: Identity,
        failures: Failures,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, OpenError> {
        let manner = Manner {
            failures,
            clock,
            observation: Observation::default(),
            without_ack: Arc::default(),
        };
        Self::assemble(connection, identity, manner).await
    }

    /// Opens one more instance of the same service, on a connection of its own: it has the same observer, and acks alike.
    ///
    /// Its tasks run on the runtime that this is called on.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open_beside(&self, connection: Connection) -> Result<Arc<Self>, OpenError> {
        let identity = Identity {
            instance: random_instance_id(),
            ..self.identity.clone()
        };
        Self::assemble(connection, identity, self.manner.clone()).await
    }

    async fn assemble(
        connection: Connection,
        identity: Identity,
        manner: Manner,
    ) -> Result<Arc<Self>, OpenError> {
        let fragment_size = fragment_size(connection.max_payload())?;
        let clock = &manner.clock;
        let requester = Requester::start(
            connection.clone(),
            identity.clone(),
            Arc::clone(clock),
            Arc::clone(&manner.observation),
        )
        .await?;
        let (round_trip, measured) = if connection.is_in_process() {
            (IN_PROCESS_ROUND_TRIP, Duration::ZERO)
        } else {
            let began = clock.now();
            let passed = tokio::time::timeout(MEASURING, requester.barrier()).await;
            let measured = matches!(passed, Ok(Ok(()))).then(|| clock.now() - began);
            let round_trip = network_round_trip(measured, connection.known_servers().await);
            (round_trip, measured.unwrap_or(round_trip))
        };
        let settings = ResponderSettings {
            round_trip,
            fragment_size,
            reveal: manner.failures == Failures::Revealed,
            limits: Limits::DEFAULT,
            relief_from: relief_from(),
        };
        let responder = Responder::start(
            connection.clone(),
            identity.clone(),
            settings,
            Arc::clone(clock),
            Arc::clone(&manner.observation),
            Arc::clone(&manner.without_ack),
        );
        Ok(Arc::new(Self {
            connection,
            identity,
            requester,
            responder,
            round_trip,
            measured,
            fragment_size,
            manner,
        }))
    }

    /// Has `observer` measure what passes from now on; the first one stays.
    pub fn observe(&self, observer: Arc<dyn Observer>) {
        // A second observer is refused, as documented.
        drop(self.manner.observation.set(observer));
    }

    /// Returns who this is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Returns the connection.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Returns the estimate of a round trip, measured once when this was opened (spec: microbus-wire 1.4).
    #[must_use]
    pub fn round_trip(&self) -> Duration {
        self.round_trip
    }

    /// Returns the round trip that was measured when this was opened, not rounded up to what callers wait; zero in process.
    #[must_use]
    pub fn measured_round_trip(&self) -> Duration {
        self.measured
    }

    /// Asks one instance and waits for its answer.
    ///
    /// # Errors
    /// [`RequestError`]; an error that was the answer is [`CallError::Remote`].
    pub async fn request(&self, outgoing: Outgoing) -> Result<Response, RequestError> {
        self.requester
            .unicast(outgoing, self.round_trip, self.fragment_size)
            .await
    }

    /// Asks all who listen and collects their answers; nobody is an empty list.
    ///
    /// # Errors
    /// [`RequestError`] when the call could not be made.
    pub async fn multicast(
        &self,
        outgoing: &Outgoing,
    ) -> Result<Vec<Result<Response, CallError>>, RequestError> {
        self.multicast_observed(outgoing, |_, _| {}).await
    }

    /// Asks all who listen like [`Connector::multicast`]; `observe` sees each message as it arrives, acks too, with the host
    /// that the broker vouches for.
    ///
    /// # Errors
    /// [`RequestError`] when the call could not be made.
    pub async fn multicast_observed(
        &self,
        outgoing: &Outgoing,
        observe: impl FnMut(&str, &Response) + Send,
    ) -> Result<Vec<Result<Response, CallError>>, RequestError> {
        self.multicast_patiently(outgoing, Duration::ZERO, observe)
            .await
    }

    /// Asks all who listen like [`Connector::multicast_observed`], and waits at least for `patience` for those who are not
    /// known to be there: whoever must not be missed may be slow.
    ///
    /// # Errors
    /// [`RequestError`] when the call could not be made.
    pub async fn multicast_patiently(
        &self,
        outgoing: &Outgoing,
        patience: Duration,
        observe: impl FnMut(&str, &Response) + Send,
    ) -> Result<Vec<Result<Response, CallError>>, RequestError> {
        let patience = self.round_trip.max(patience);
        self.requester
            .multicast(outgoing, patience, self.fragment_size, observe)
            .await
    }

    /// Forgets who answers multicasts to these hosts: somebody new subscribed there.
    pub fn forget_responders(&self, hosts: &[String]) {
        self.requester.forget_responders(hosts);
    }

    /// Has the broker say whether anybody else hears `greeting`, and holds our place from then on with `claim`. Whatever
    /// hears it here must be subscribed afterwards.
    ///
    /// # Errors
    /// [`RequestError`] when it could not be sent: it is unknown who is there.
    pub async fn greet(
        &self,
        claim: &mut Claim,
        greeting: &Outgoing,
    ) -> Result<(Others, Answers), RequestError> {
        self.requester
            .greet(claim, greeting, self.round_trip, self.fragment_size)
            .await
    }

    /// Gives a claim up, once what it stood for is subscribed here; returns when the broker has nothing of it any more.
    pub async fn release(&self, claim: Claim) {
        let connection = claim.give_up().await;
        let forgotten = self.requester.barrier_over(&connection);
        // A broker that is away has nothing of it.
        drop(tokio::time::timeout(self.patience(), forgotten).await);
    }

    /// Subscribes an endpoint at every slot of this instance.
    ///
    /// # Errors
    /// [`SubscribeError`].
    pub async fn subscribe(&self, route: Route) -> Result<(), SubscribeError> {
        self.responder.subscribe(route).await
    }

    /// Returns after the broker has processed everything that was sent before, or after two round trips at the least
    /// half a second, whichever comes first: a broker that is away processes nothing.
    pub async fn settle(&self) {
        // Nothing depends on which of the two it was.
        drop(tokio::time::timeout(self.patience(), self.requester.barrier()).await);
    }

    fn patience(&self) -> Duration {
        self.round_trip.saturating_mul(2).max(LEAST_PATIENCE)
    }

    /// Decides whether requests of routes that are acknowledged [`IfLate`](crate::Acknowledge::IfLate) are answered without an
    /// ack; at first they are not. Their callers then have fewer samples of how fast they are acked.
    pub fn answer_without_ack(&self, allowed: bool) {
        self.manner.without_ack.store(allowed, Ordering::Relaxed);
    }

    /// Ends the endpoints that `which` chooses; requests that the broker delivered before are still answered.
    pub async fn leave(&self, which: impl Fn(&Route) -> bool) {
        self.responder.leave(which, self.settle()).await;
    }

    /// Waits until every request that was heard is answered.
    pub async fn drained(&self) {
        self.responder.drained().await;
    }

    /// Returns how many requests were heard and not answered yet.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.responder.in_flight()
    }

    /// Returns how many requests were answered 503 because too much was in flight.
    #[must_use]
    pub fn overload_refusals(&self) -> u64 {
        self.responder.overload_refusals()
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Connector")
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

const MEASURING: Duration = Duration::from_secs(2);
const LEAST_PATIENCE: Duration = Duration::from_millis(500);
