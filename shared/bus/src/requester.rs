//! Asks others on the bus: one (unicast) or all who listen (multicast).
//!
//! Source: spec: microbus-wire 5. The state of a call is `microbus_wire::call`; here are its messages and timers.

mod greeting;
mod memory;
mod prepared;

use crate::clock::Clock;
use crate::connection::{Connection, ConnectionClosed, Message};
use crate::identity::Identity;
use crate::observer::Observation;
use crate::outgoing::{Outgoing, RequestError};
use crate::responder::SubscribeError;
pub use greeting::Answers;
use memory::Memory;
use microbus_wire::address::Address;
use microbus_wire::call::{CallError, Multicast, MulticastStep, Responders, Unicast, UnicastStep};
use microbus_wire::frame::Response;
use microbus_wire::header::{self, OpCode};
use microbus_wire::host::escape_host;
use microbus_wire::id::InstanceId;
use microbus_wire::status::ErrorStatus;
use microbus_wire::subject::{
    ReplySubject, RequestSubject, Slot, reply_subject, reply_subscription,
};
use prepared::Prepared;
use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

pub(crate) struct Requester {
    connection: Connection,
    identity: Identity,
    clock: Arc<dyn Clock>,
    pending: Mutex<Pending>,
    /// By request subject.
    known_responders: Mutex<Memory<Responders>>,
    /// By URL without its query.
    localities: Mutex<Memory<String>>,
    observation: Observation,
}

#[derive(Default)]
struct Pending {
    calls: HashMap<String, mpsc::UnboundedSender<Heard>>,
    barriers: HashMap<u64, oneshot::Sender<()>>,
    last_barrier: u64,
}

struct Heard {
    source_host: String,
    response: Response,
}

impl Requester {
    /// Subscribes to the answers of this instance's own requests.
    pub(crate) async fn start(
        connection: Connection,
        identity: Identity,
        clock: Arc<dyn Clock>,
        observation: Observation,
    ) -> Result<Arc<Self>, SubscribeError> {
        let id = identity.instance.as_str();
        let subject = reply_subscription(&identity.plane, identity.hostname.segment(), id)?;
        let mut subscription = connection.subscribe(subject, Some(id.to_owned())).await?;
        let requester = Arc::new(Self {
            connection,
            identity,
            clock,
            pending: Mutex::default(),
            known_responders: Mutex::default(),
            localities: Mutex::default(),
            observation,
        });
        let weak = Arc::downgrade(&requester);
        tokio::spawn(async move {
            while let Some(message) = subscription.next().await {
                let Some(requester) = weak.upgrade() else {
                    return;
                };
                requester.hear(&message);
            }
        });
        Ok(requester)
    }

    /// Returns after the broker has processed everything that was sent before, by way of a message to ourselves.
    ///
    /// The client tells nobody of a PONG; a message through our own reply subject is within every credential.
    pub(crate) async fn barrier(&self) -> Result<(), RequestError> {
        self.barrier_over(&self.connection).await
    }

    /// As [`Self::barrier`], for what was sent before over `connection`.
    pub(crate) async fn barrier_over(&self, connection: &Connection) -> Result<(), RequestError> {
        let own = self.identity.hostname.segment();
        let id = self.identity.instance.as_str();
        let subject = reply_subject(&self.identity.plane, own, own, id)?;
        let (number, passed) = {
            let mut pending = lock(&self.pending);
            pending.last_barrier = pending.last_barrier.wrapping_add(1);
            let number = pending.last_barrier;
            let (sender, receiver) = oneshot::channel();
            pending.barriers.insert(number, sender);
            (number, receiver)
        };
        connection
            .publish(subject, format!("{BARRIER}{number}").into())
            .await?;
        passed.await.map_err(|_| ConnectionClosed.into())
    }

    /// Asks one instance and waits for its answer. A responder near us is preferred where one is known.
    pub(crate) async fn unicast(
        &self,
        outgoing: Outgoing,
        round_trip: Duration,
        fragment_size: usize,
    ) -> Result<Response, RequestError> {
        let plain = outgoing.address.clone();
        let url = plain.url_without_query();
        let mut near = self.near(&plain, &url);
        let mut localised = outgoing.clone();
        if let Some(locality) = near.clone() {
            localised.address = plain.clone().with_slot(Slot::Locality(locality));
        }
        let mut answer = self
            .unicast_once(&localised, round_trip, fragment_size)
            .await;
        let gone = matches!(&answer, Err(error) if error.status() == ErrorStatus::NOT_FOUND);
        if near.is_some() && gone {
            lock(&self.localities).forget(&url);
            near = None;
            answer = self
                .unicast_once(&outgoing, round_trip, fragment_size)
                .await;
        }
        if let Ok(response) = &answer
            && *plain.slot() == Slot::Unpinned
        {
            self.learn_locality(url, near.as_deref(), response);
        }
        answer
    }

    async fn unicast_once(
        &self,
        outgoing: &Outgoing,
        round_trip: Duration,
        fragment_size: usize,
    ) -> Result<Response, RequestError> {
        let prepared = self.prepare(outgoing, round_trip, fragment_size)?;
        let mut heard = Listening::to(self, &prepared.message_id);
        let began = self.clock.now();
        let mut call = Unicast::new(prepared.setup(round_trip), began);
        self.send_first(&prepared).await?;
        loop {
            let wakeup = call.next_wakeup();
            let step = match wait(&mut heard.receiver, wakeup).await {
                Some(message) if message.source_host != prepared.address.host() => {
                    // Whoever has heard of the call may say so, but not answer for whom it went to.
                    tracing::warn!(
                        host = prepared.address.host(),
                        source = message.source_host,
                        "Another host answered a request"
                    );
                    UnicastStep::Wait
                }
                Some(message) => {
                    self.observe_ack(&prepared, &message.response, began);
                    call.on_message(message.response, self.clock.now())
                }
                None => call.on_timeout(self.clock.now()),
            };
            match step {
                UnicastStep::Wait => {}
                UnicastStep::SendRest { responder_id } => {
                    self.send_rest(&prepared, &responder_id).await?;
                }
                UnicastStep::Done(answer) => {
                    self.observe_end(&answer);
                    return Ok((*answer)?);
                }
            }
        }
    }

    /// Asks all who listen and collects their answers; nobody is an empty list. `observe` sees each message of the host of
    /// its first argument as it arrives, acks too.
    pub(crate) async fn multicast(
        &self,
        outgoing: &Outgoing,
        round_trip: Duration,
        fragment_size: usize,
        mut observe: impl FnMut(&str, &Response),
    ) -> Result<Vec<Result<Response, CallError>>, RequestError> {
        let prepared = self.prepare(outgoing, round_trip, fragment_size)?;
        let subject = self.subject_of(&prepared)?;
        let known = lock(&self.known_responders).recall(&subject, self.clock.now());
        let mut heard = Listening::to(self, &prepared.message_id);
        let began = self.clock.now();
        let mut call = Multicast::new(prepared.setup(round_trip), known, began);
        self.send_first(&prepared).await?;
        loop {
            let wakeup = call.next_wakeup();
            let step = match wait(&mut heard.receiver, wakeup).await {
                Some(Heard {
                    source_host,
                    response,
                }) => {
                    observe(&source_host, &response);
                    self.observe_ack(&prepared, &response, began);
                    call.on_message(&source_host, response, self.clock.now())
                }
                None => call.on_timeout(self.clock.now()),
            };
            match step {
                MulticastStep::Wait => {}
                MulticastStep::SendRest { responder_id } => {
                    self.send_rest(&prepared, &responder_id).await?;
                }
                MulticastStep::Done {
                    results,
                    responders,
                } => {
                    let mut known = lock(&self.known_responders);
                    match responders {
                        Some(responders) => {
                            known.remember(subject, responders, self.clock.now());
                        }
                        None => known.forget(&subject),
                    }
                    return Ok(results);
                }
            }
        }
    }

    /// Forgets who answers for these hosts, because somebody new does.
    pub(crate) fn forget_responders(&self, hosts: &[String]) {
        let segments: Vec<_> = hosts
            .iter()
            .map(|host| escape_host(host).into_owned())
            .collect();
        lock(&self.known_responders).forget_where(|subject| {
            let destination = RequestSubject::parse(subject).destination;
            segments.iter().any(|segment| segment == destination)
        });
    }

    async fn send_first(&self, prepared: &Prepared) -> Result<(), RequestError> {
        let subject = self.subject_of(prepared)?;
        if let Some(first) = prepared.parts.first() {
            self.connection
                .publish(subject, first.encode().into())
                .await?;
        }
        Ok(())
    }

    /// Sends all fragments but the first to the instance that acked that.
    async fn send_rest(&self, prepared: &Prepared, responder_id: &str) -> Result<(), RequestError> {
        let Ok(instance) = InstanceId::parse(responder_id) else {
            return Ok(());
        };
        let subject = prepared.address.subject_at(
            &Slot::Instance(instance),
            &self.identity.plane,
            &self.identity.hostname,
            prepared.method,
        )?;
        for part in prepared.parts.iter().skip(1) {
            self.connection
                .publish(subject.clone(), part.encode().into())
                .await?;
        }
        Ok(())
    }

    fn hear(&self, message: &Message) {
        let Some(subject) = ReplySubject::parse(&message.subject) else {
            return;
        };
        if subject.source == self.identity.hostname.segment()
            && let Some(number) = barrier_number(&message.payload)
        {
            if let Some(passed) = lock(&self.pending).barriers.remove(&number) {
                // Whoever waited may have given up.
                passed.send(()).unwrap_or_default();
            }
            return;
        }
        let mut response = match Response::parse(&message.payload) {
            Ok(response) => response,
            Err(error) => {
                tracing::error!(error = %error, "Parsing response");
                return;
            }
        };
        let id = response.headers.get(header::MESSAGE_ID).unwrap_or_default();
        let call = lock(&self.pending).calls.get(id).cloned();
        if let Some(call) = call {
            // Anybody may write the header; the broker vouches for the subject.
            let source_host = subject.source_host().into_owned();
            response.headers.set(header::FROM_HOST, &source_host);
            // The call may have ended meanwhile.
            drop(call.send(Heard {
                source_host,
                response,
            }));
        }
    }

    fn observe_ack(&self, prepared: &Prepared, response: &Response, began: Instant) {
        if let (Some(observer), Some(OpCode::Ack)) = (self.observation.get(), response.op_code()) {
            let after = self.clock.now().saturating_duration_since(began);
            observer.acked(prepared.address.host(), prepared.address.port(), after);
        }
    }

    fn observe_end(&self, answer: &Result<Response, CallError>) {
        if let (
            Some(observer),
            Err(error @ (CallError::AckTimeout { .. } | CallError::Timeout { .. })),
        ) = (self.observation.get(), answer)
        {
            observer.gave_up(error.status());
        }
    }

    fn near(&self, address: &Address, url: &str) -> Option<String> {
        if *address.slot() != Slot::Unpinned {
            return None;
        }
        self.identity.locality.as_ref()?;
        lock(&self.localities).recall(url, self.clock.now())
    }

    fn learn_locality(&self, url: String, known: Option<&str>, response: &Response) {
        let (Some(own), Some(theirs)) = (
            self.identity.locality.as_ref(),
            response.headers.get(header::LOCALITY),
        ) else {
            return;
        };
        let Some(common) = own.common_prefix(theirs) else {
            return;
        };
        if common.len() > known.map_or(0, str::len) {
            lock(&self.localities).remember(url, common, self.clock.now());
        }
    }
}

/// The answers to one call; stops listening when dropped.
struct Listening<R: Deref<Target = Requester>> {
    requester: R,
    message_id: String,
    receiver: mpsc::UnboundedReceiver<Heard>,
}

impl<R: Deref<Target = Requester>> Listening<R> {
    fn to(requester: R, message_id: &str) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        lock(&requester.pending)
            .calls
            .insert(message_id.to_owned(), sender);
        Self {
            requester,
            message_id: message_id.to_owned(),
            receiver,
        }
    }
}

impl<R: Deref<Target = Requester>> Drop for Listening<R> {
    fn drop(&mut self) {
        lock(&self.requester.pending).calls.remove(&self.message_id);
    }
}

/// Waits for a message, or until `wakeup`.
async fn wait(
    receiver: &mut mpsc::UnboundedReceiver<Heard>,
    wakeup: Option<Instant>,
) -> Option<Heard> {
    match wakeup {
        Some(at) => tokio::time::timeout_at(at.into(), receiver.recv())
            .await
            .ok()
            .flatten(),
        None => receiver.recv().await,
    }
}

fn barrier_number(payload: &[u8]) -> Option<u64> {
    std::str::from_utf8(payload)
        .ok()?
        .strip_prefix(BARRIER)?
        .parse()
        .ok()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a message to ourselves begins with: never the beginning of an HTTP message.
const BARRIER: &str = "barrier ";
#[cfg(test)]
mod tests;
