//! Answers requests: hears them, joins their fragments, queues them, acks them, runs their handlers, replies.
//!
//! Source: spec: microbus-wire 4, 6. Shape: one task per subscription moves what arrived into one queue, until nothing is
//! left of it; one task takes from that queue and runs handlers inline, and makes way after a batch. All of it, and the
//! connection's own task, runs on one thread: measured, that is half the CPU of a work-stealing runtime. So nothing arrives
//! between two handlers of a batch, and whatever has arrived before any of them is in our bounded queue: no subscription
//! fills up while we sign. The acks and answers of a batch leave in one write. (Making way after each one costs a write
//! each: measured, half of the rate. A batch as long as what usually waits leaves callers nothing to do meanwhile: measured,
//! a tenth of the rate.) The requests of a batch go through the stages of their handler together (see
//! [`Stage`](crate::Stage)): measured, that takes a twentieth less CPU. What is slow is spawned. What is queued or spawned is
//! in flight until it is answered, and that is bounded; where much waits, a second thread handles too (see `relief`), and a
//! queue that stays long is cut (see `queue`).
//!
//! A request is acked when its turn comes or when the batch before it ends, whichever is first: within a millisecond unless
//! claims are huge, where the shortest ack timeout is 100 ms. (An ack as soon as it is heard would be a write of its own:
//! measured, a twentieth of the rate.)
//!
//! Answer instead of ack: where it is allowed, a request that is answered at once is not acked, which saves a third of the
//! messages. One that will be answered late is acked after all: when its handler says so, or when it has waited for
//! [`LATE`] in the queue. No timer is needed for that, since whatever makes it wait is handled by the same task.

mod callers;
mod paper;
mod partial;
mod pending;
mod queue;
mod refusal;
mod relief;

use crate::clock::Clock;
use crate::connection::{Connection, ConnectionClosed, Message, Subscription};
use crate::handler::{Acknowledge, Handling, Route, Scope, Stage, Urgency};
use crate::identity::Identity;
use crate::in_flight::{InFlight, Limits};
use crate::observer::Observation;
pub(crate) use callers::Caller;
use callers::Callers;
use futures_util::FutureExt as _;
use microbus_wire::fragment::Fragment;
use microbus_wire::frame::{FrameError, Request};
use microbus_wire::header;
use microbus_wire::subject::{RequestSubject, SubjectError, subscription_subject};
use paper::Paper;
use partial::Partial;
use pending::{Endpoint, Pending, panicked};
use queue::Queue;
use refusal::{Refusal, Refusals};
use relief::Relief;
pub(crate) use relief::relief_from;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::task::coop::unconstrained;

/// What a responder takes for granted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ResponderSettings {
    pub(crate) round_trip: Duration,
    pub(crate) fragment_size: usize,
    /// Whether answers show details of failures, indented for people.
    pub(crate) reveal: bool,
    pub(crate) limits: Limits,
    /// How many requests wait when another thread begins to help.
    pub(crate) relief_from: usize,
}

pub(crate) struct Responder {
    connection: Connection,
    identity: Identity,
    settings: ResponderSettings,
    clock: Arc<dyn Clock>,
    callers: Mutex<Callers>,
    partial: Mutex<Partial>,
    paper: Paper,
    queue: Mutex<Queue<Pending>>,
    /// Told when the queue is not empty any more.
    arrived: Arc<Notify>,
    /// Whether requests are answered without an ack where their route allows it.
    without_ack: Arc<AtomicBool>,
    sheddable: InFlight,
    exempt: InFlight,
    overload_refusals: AtomicU64,
    refusals: Refusals,
    relief: Relief,
    subscribed: Mutex<Vec<Subscribed>>,
    observation: Observation,
}

/// A subscription's task and how to speak to it.
struct Subscribed {
    endpoint: Arc<Endpoint>,
    commands: mpsc::UnboundedSender<Command>,
    task: JoinHandle<()>,
}

/// A request that is being handled, and what is next.
type Staged = (Pending, Box<dyn Stage>);

enum Command {
    /// Have the broker deliver no more; say when that was asked for.
    Leave(oneshot::Sender<()>),
    /// End, after taking what was delivered.
    End,
}

impl Responder {
    /// Makes a responder and starts its one handling task, which ends with it.
    pub(crate) fn start(
        connection: Connection,
        identity: Identity,
        settings: ResponderSettings,
        clock: Arc<dyn Clock>,
        observation: Observation,
        without_ack: Arc<AtomicBool>,
    ) -> Arc<Self> {
        let arrived = Arc::new(Notify::new());
        let responder = Arc::new(Self {
            connection,
            identity,
            settings,
            clock,
            callers: Mutex::new(Callers::new()),
            partial: Mutex::new(Partial::new(settings.round_trip)),
            paper: Paper::new(),
            queue: Mutex::new(Queue::new(settings.limits.requests)),
            arrived: Arc::clone(&arrived),
            without_ack,
            sheddable: InFlight::new(settings.limits),
            exempt: InFlight::new(settings.limits),
            overload_refusals: AtomicU64::new(0),
            refusals: Refusals::new(settings.reveal),
            relief: Relief::new(settings.relief_from),
            subscribed: Mutex::new(Vec::new()),
            observation,
        });
        let worker = Arc::downgrade(&responder);
        tokio::spawn(async move {
            while let Some(responder) = worker.upgrade() {
                responder.work_off().await;
                drop(responder);
                arrived.notified().await;
            }
        });
        responder
    }

    /// Subscribes `route` at every slot of this instance.
    pub(crate) async fn subscribe(self: &Arc<Self>, route: Route) -> Result<(), SubscribeError> {
        let endpoint = Arc::new(Endpoint::new(route, &self.identity));
        let route = &endpoint.route;
        let destination = match route.scope {
            Scope::Own => self.identity.hostname.as_str(),
            Scope::All => "all",
        };
        let queue_group = endpoint.queue_group(&self.identity).map(str::to_owned);
        for slot in self.identity.slots() {
            let subject = subscription_subject(
                &self.identity.plane,
                &route.port.to_string(),
                destination,
                &slot,
                route.method,
                route.path,
            )?;
            let subscription = self
                .connection
                .subscribe(subject, queue_group.clone())
                .await?;
            let (commands, receiver) = mpsc::unbounded_channel();
            let responder = Arc::clone(self);
            let listening = responder.listen(Arc::clone(&endpoint), subscription, receiver);
            // Not to be stopped half way by the runtime's idea of fairness: what is left behind would wait for a batch.
            let task = tokio::spawn(unconstrained(listening));
            self.subscriptions().push(Subscribed {
                endpoint: Arc::clone(&endpoint),
                commands,
                task,
            });
        }
        Ok(())
    }

    /// Ends the subscriptions of the routes that `which` chooses, losing nothing that the broker delivered.
    ///
    /// `barrier` must return only after the broker has processed everything sent before it.
    pub(crate) async fn leave(
        &self,
        which: impl Fn(&Route) -> bool,
        barrier: impl Future<Output = ()>,
    ) {
        let leaving: Vec<_> = self
            .subscriptions()
            .extract_if(.., |one| which(&one.endpoint.route))
            .collect();
        for one in &leaving {
            let (asked, was_asked) = oneshot::channel();
            if one.commands.send(Command::Leave(asked)).is_ok() {
                // A task that ended meanwhile has left already.
                drop(was_asked.await);
            }
        }
        barrier.await;
        for one in leaving {
            drop(one.commands.send(Command::End));
            if let Err(error) = one.task.await {
                tracing::error!(error = %error, "A subscription ended badly");
            }
        }
    }

    /// Waits until every request that was heard is answered.
    pub(crate) async fn drained(&self) {
        while self.in_flight() > 0 {
            self.sheddable.none().await;
            self.exempt.none().await;
        }
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.sheddable.count().saturating_add(self.exempt.count())
    }

    /// Returns those among which a request of that urgency counts.
    fn in_flight_of(&self, urgency: Urgency) -> &InFlight {
        match urgency {
            Urgency::Sheddable => &self.sheddable,
            Urgency::Exempt => &self.exempt,
        }
    }

    pub(crate) fn overload_refusals(&self) -> u64 {
        self.overload_refusals.load(Ordering::Relaxed)
    }

    async fn listen(
        self: Arc<Self>,
        endpoint: Arc<Endpoint>,
        mut subscription: Subscription,
        mut commands: mpsc::UnboundedReceiver<Command>,
    ) {
        loop {
            tokio::select! {
                biased;
                command = commands.recv() => match command {
                    Some(Command::Leave(asked)) => {
                        subscription.leave().await;
                        // Nobody waits for the word only if the stop itself was given up.
                        asked.send(()).unwrap_or_default();
                    }
                    Some(Command::End) | None => break,
                },
                message = subscription.next() => match message {
                    Some(message) => {
                        let now = self.clock.now();
                        self.hear(&endpoint, &message, now).await;
                        // What arrived together is heard without a look at the commands in between.
                        self.hear_waiting(&endpoint, &mut subscription, now).await;
                    }
                    None => return,
                },
            }
        }
        self.hear_waiting(&endpoint, &mut subscription, self.clock.now())
            .await;
    }

    /// Hears what has arrived until `now`. What the connection delivers meanwhile, because what is sent waits for room, counts as
    /// older than it is, never as younger.
    async fn hear_waiting(
        self: &Arc<Self>,
        endpoint: &Arc<Endpoint>,
        waiting: &mut Subscription,
        now: Instant,
    ) {
        while let Some(Some(message)) = waiting.next().now_or_never() {
            self.hear(endpoint, &message, now).await;
        }
    }

    /// Takes one message in: acks it if it is a part of a request, and queues the request when it is whole.
    async fn hear(self: &Arc<Self>, endpoint: &Arc<Endpoint>, message: &Message, now: Instant) {
        let frame = match Request::parse(&message.payload) {
            Ok(frame) => frame,
            Err(error) => {
                let rejected = error == FrameError::Method;
                let event = if rejected {
                    "Rejecting request"
                } else {
                    "Parsing request"
                };
                tracing::error!(error = %error, "{event}");
                return;
            }
        };
        let subject = RequestSubject::parse(&message.subject);
        let part = Fragment::from_header(frame.headers.get(header::FRAGMENT));
        let mut pending = match self.receive(endpoint, frame, part, &subject, now) {
            Ok(pending) => pending,
            Err(error) => {
                tracing::error!(error = %error, "Acking request");
                return;
            }
        };
        let size = message.payload.len();
        if !part.is_whole() {
            if self.ack(&mut pending, part).await.is_err() {
                return;
            }
            match self.join(pending, size).await {
                Some(whole) => pending = whole,
                None => return,
            }
        }
        if pending.expires.saturating_duration_since(now) <= self.settings.round_trip {
            return self.refuse(pending, Refusal::TooLate).await;
        }
        pending.flight.hold(size.max(pending.request.body().len()));
        self.admit(pending).await;
    }

    /// Queues a whole request if there is room for it among its kind, or if another caller has more of it waiting.
    async fn admit(self: &Arc<Self>, mut pending: Pending) {
        let urgency = pending.urgency();
        let in_flight = self.in_flight_of(urgency);
        let standing = urgency == Urgency::Sheddable && self.queue().is_standing(pending.heard);
        let large = in_flight.are_large();
        if standing || large || in_flight.are_many() {
            self.overload_refusals.fetch_add(1, Ordering::Relaxed);
            let size = pending.flight.held();
            // Where memory is short, a large request does not take the place of a small one.
            let may_go = |other: &Pending| !large || other.flight.held() >= size;
            let caller = pending.request.from_host();
            let in_its_place = self.queue().make_room(caller, urgency, may_go);
            if let Some(other) = in_its_place {
                self.enqueue(std::mem::replace(&mut pending, other));
            }
            return self.refuse(pending, Refusal::Overloaded).await;
        }
        self.enqueue(pending);
    }

    fn enqueue(self: &Arc<Self>, pending: Pending) {
        let request = pending.request.clone();
        let urgency = pending.urgency();
        let waiting = self.queue().push(request.from_host(), urgency, pending);
        if waiting == 1 {
            self.arrived.notify_one();
        }
        self.relieve(waiting);
    }

    /// Handles what is queued, until nothing is.
    async fn work_off(self: &Arc<Self>) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let emptied = self.begin(&mut batch).await;
            while !batch.is_empty() {
                self.advance(&mut batch).await;
            }
            if emptied {
                return;
            }
            self.ack_late().await;
            // First the connection writes and reads, then what it delivered is queued.
            tokio::task::yield_now().await;
            behind_who_is_ready().await;
        }
    }

    /// Begins a batch: has each of its requests pass its first stage. Tells whether the queue is empty.
    async fn begin(self: &Arc<Self>, batch: &mut Vec<Staged>) -> bool {
        let began = self.clock.now();
        for _ in 0..BATCH {
            // A guard in the condition would live as long as the body.
            let pending = self.queue().pop();
            let Some(pending) = pending else { return true };
            let now = self.clock.now();
            batch.extend(self.start_handling(pending, now).await);
            if now.saturating_duration_since(began) >= LONG_BATCH {
                break;
            }
        }
        false
    }

    /// Has each request of a batch pass its next stage; those that are answered leave it.
    async fn advance(self: &Arc<Self>, batch: &mut Vec<Staged>) {
        let next = Vec::with_capacity(batch.len());
        for (pending, stage) in std::mem::replace(batch, next) {
            batch.extend(self.pass(pending, || stage.run()).await);
        }
    }

    /// Acks what waits and is not to wait longer for that.
    async fn ack_late(&self) {
        let now = self.clock.now();
        let mut acks = Vec::new();
        self.queue().visit(|pending| {
            let late = now.saturating_duration_since(pending.heard) >= LATE;
            if late && !pending.acked || self.owes_ack(pending) {
                pending.acked = true;
                acks.push(pending.encode_ack(Fragment::WHOLE, &self.paper));
            }
            pending.acked
        });
        for (reply_to, ack) in acks {
            if self.connection.publish(reply_to, ack).await.is_err() {
                return;
            }
        }
    }

    /// Handles a request at `now`, on its own.
    async fn run(self: &Arc<Self>, pending: Pending, now: Instant) {
        let mut staged = self.start_handling(pending, now).await;
        while let Some((pending, stage)) = staged {
            staged = self.pass(pending, || stage.run()).await;
        }
    }

    /// Hands a request to its handler at `now`, unless that is too late.
    async fn start_handling(
        self: &Arc<Self>,
        mut pending: Pending,
        now: Instant,
    ) -> Option<Staged> {
        if now >= pending.expires {
            self.refuse(pending, Refusal::TooLate).await;
            return None;
        }
        if self.owes_ack(&pending) && self.ack(&mut pending, Fragment::WHOLE).await.is_err() {
            return None;
        }
        let endpoint = Arc::clone(&pending.endpoint);
        let request = pending.request.clone();
        self.pass(pending, || endpoint.route.handler.handle(request))
            .await
    }

    /// Has a request pass a stage, and returns it with the next one if it is not answered by that; a panic stays inside it.
    async fn pass(
        self: &Arc<Self>,
        mut pending: Pending,
        stage: impl FnOnce() -> Handling,
    ) -> Option<Staged> {
        match catch_unwind(AssertUnwindSafe(stage)) {
            Ok(Handling::Done(answer)) => self.answer(pending, answer).await,
            Ok(Handling::Next(stage)) => return Some((pending, stage)),
            Ok(Handling::Later(future)) => {
                if !pending.acked && self.ack(&mut pending, Fragment::WHOLE).await.is_err() {
                    return None;
                }
                let responder = Arc::clone(self);
                tokio::spawn(async move {
                    let deadline = pending.request.deadline();
                    let guarded = AssertUnwindSafe(future).catch_unwind();
                    let answer = match tokio::time::timeout_at(deadline.into(), guarded).await {
                        Ok(Ok(answer)) => answer,
                        Ok(Err(panic)) => Err(panicked(panic.as_ref())),
                        Err(_) => Err(Refusal::TooLate.failure()),
                    };
                    responder.answer(pending, answer).await;
                });
            }
            Err(panic) => self.answer(pending, Err(panicked(panic.as_ref()))).await,
        }
        None
    }

    /// Tells whether a request that is not acked is to be acked whether or not its answer is late.
    fn owes_ack(&self, pending: &Pending) -> bool {
        let only_if_late = pending.endpoint.route.acknowledge == Acknowledge::IfLate
            && self.without_ack.load(Ordering::Relaxed);
        !pending.acked && !only_if_late
    }

    fn queue(&self) -> MutexGuard<'_, Queue<Pending>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn subscriptions(&self) -> MutexGuard<'_, Vec<Subscribed>> {
        self.subscribed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        // The handling task finds that nobody is left to work for.
        self.arrived.notify_one();
    }
}

/// Lets every task run that is ready, and no more: [`tokio::task::yield_now`] also waits for what these make ready and
/// then lets the connection read again.
async fn behind_who_is_ready() {
    let mut waited = false;
    poll_fn(|context| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Why an endpoint could not be subscribed.
#[derive(Debug, thiserror::Error)]
pub enum SubscribeError {
    /// The route does not make a subject.
    #[error(transparent)]
    Subject(#[from] SubjectError),
    /// The connection is closed.
    #[error(transparent)]
    Closed(#[from] ConnectionClosed),
}

/// How long a request may wait unacked. The shortest ack timeout of a caller is 100 ms (spec: microbus-wire 1.4, 5.2).
const LATE: Duration = Duration::from_millis(20);
/// Requests handled between two looks at what arrived: about 400 µs of signatures.
const BATCH: usize = 32;
/// No more requests join a batch whose first stages took so long, where requests are large.
const LONG_BATCH: Duration = Duration::from_millis(2);

#[cfg(test)]
mod tests;
