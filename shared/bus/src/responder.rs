//! Answers requests: hears them, acks them, joins their fragments, queues them, runs their handlers, replies.
//!
//! Source: spec: microbus-wire 4, 6. Shape: one task per subscription acks what arrived and
//! moves it into one queue; one task takes from that queue and runs handlers inline, yielding after a batch so that
//! everything that arrived meanwhile is queued and the answers of the batch leave in one write. (Yielding after each one
//! costs a write each: measured, half of the rate.) All of it runs on the connection's own thread: measured, that is half
//! the CPU of a work-stealing runtime. What is slow is spawned. What is queued or spawned is in
//! flight until it is answered, and that is bounded.

mod context;
mod partial;

use crate::clock::Clock;
use crate::connection::{Connection, ConnectionClosed, Message, Subscription};
use crate::failure::Failure;
use crate::handler::{Handling, Incoming, Route, Scope, Urgency};
use crate::identity::Identity;
use crate::in_flight::{InFlight, Limits};
use crate::observer::Observation;
use context::{Context, panicked, too_late};
use futures_util::FutureExt as _;
use microbus_wire::budget::TimeBudget;
use microbus_wire::fragment::Fragment;
use microbus_wire::frame::{FrameError, Request};
use microbus_wire::header;
use microbus_wire::status::ErrorStatus;
use microbus_wire::subject::{RequestSubject, SubjectError, subscription_subject};
use partial::Partial;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// What a responder takes for granted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ResponderSettings {
    pub(crate) round_trip: Duration,
    pub(crate) fragment_size: usize,
    /// Whether answers show details of failures, indented for people.
    pub(crate) reveal: bool,
    pub(crate) limits: Limits,
}

pub(crate) struct Responder {
    connection: Connection,
    identity: Identity,
    settings: ResponderSettings,
    clock: Arc<dyn Clock>,
    partial: Mutex<Partial>,
    jobs: mpsc::UnboundedSender<Job>,
    in_flight: InFlight,
    overload_refusals: AtomicU64,
    subscribed: Mutex<Vec<Subscribed>>,
    observation: Observation,
}

/// A subscription's task and how to speak to it.
struct Subscribed {
    route: Arc<Route>,
    commands: mpsc::UnboundedSender<Command>,
    task: JoinHandle<()>,
}

enum Command {
    /// Have the broker deliver no more; say when that was asked for.
    Leave(oneshot::Sender<()>),
    /// End, after taking what was delivered.
    End,
}

/// A request that waits to be handled.
struct Job {
    request: Incoming,
    context: Context,
    /// When nobody waits for the answer any more.
    expires: Instant,
}

impl Responder {
    /// Makes a responder and starts its one handling task, which ends with it.
    pub(crate) fn start(
        connection: Connection,
        identity: Identity,
        settings: ResponderSettings,
        clock: Arc<dyn Clock>,
        observation: Observation,
    ) -> Arc<Self> {
        // Bounded by what may be in flight.
        let (jobs, mut queue) = mpsc::unbounded_channel();
        let responder = Arc::new(Self {
            connection,
            identity,
            settings,
            clock,
            partial: Mutex::new(Partial::new(settings.round_trip)),
            jobs,
            in_flight: InFlight::new(settings.limits),
            overload_refusals: AtomicU64::new(0),
            subscribed: Mutex::new(Vec::new()),
            observation,
        });
        let worker = Arc::downgrade(&responder);
        tokio::spawn(async move {
            let mut handled = 0_usize;
            while let Some(job) = queue.recv().await {
                let Some(responder) = worker.upgrade() else {
                    return;
                };
                responder.run(job).await;
                handled = handled.wrapping_add(1);
                if handled.is_multiple_of(BATCH) {
                    tokio::task::yield_now().await;
                }
            }
        });
        responder
    }

    /// Subscribes `route` at every slot of this instance.
    pub(crate) async fn subscribe(self: &Arc<Self>, route: Route) -> Result<(), SubscribeError> {
        let route = Arc::new(route);
        let destination = match route.scope {
            Scope::Own => self.identity.hostname.as_str(),
            Scope::All => "all",
        };
        let queue_group = self.queue_group(&route).map(str::to_owned);
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
            let task = tokio::spawn(responder.listen(Arc::clone(&route), subscription, receiver));
            self.subscriptions().push(Subscribed {
                route: Arc::clone(&route),
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
            .extract_if(.., |one| which(&one.route))
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
        self.in_flight.none().await;
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.count()
    }

    pub(crate) fn overload_refusals(&self) -> u64 {
        self.overload_refusals.load(Ordering::Relaxed)
    }

    async fn listen(
        self: Arc<Self>,
        route: Arc<Route>,
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
                    Some(message) => self.hear(&route, &message).await,
                    None => return,
                },
            }
        }
        while let Some(Some(message)) = subscription.next().now_or_never() {
            self.hear(&route, &message).await;
        }
    }

    /// Takes one message in: acks it at once, and queues it when it is whole.
    async fn hear(self: &Arc<Self>, route: &Arc<Route>, message: &Message) {
        let now = self.clock.now();
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
        let from_host = subject.source_host();
        let context = match self.context(route, &frame, &from_host, now) {
            Ok(context) => context,
            Err(error) => {
                tracing::error!(error = %error, "Acking request");
                return;
            }
        };
        let part = Fragment::from_header(frame.headers.get(header::FRAGMENT));
        if self.ack(&context, part).await.is_err() {
            return;
        }
        // Of a fragmented request the last part decides how long its sender still waits, the first how long it asked for.
        let budget = budget_of(&frame).0;
        let size = message.payload.len();
        let (frame, mut context) = if part.is_whole() {
            (frame, context)
        } else {
            match self.join(frame, size, &from_host, context).await {
                Some(whole) => whole,
                None => return,
            }
        };
        let size = size.max(frame.body.len());
        let (asked, budget_given) = budget_of(&frame);
        let request = Incoming {
            from_host: from_host.into_owned(),
            budget: asked,
            budget_given,
            deadline: now + budget.saturating_sub(self.settings.round_trip),
            frame,
        };
        context.trace = request.trace_id().map(str::to_owned);
        if budget <= self.settings.round_trip {
            self.answer(context, Err(too_late())).await;
            return;
        }
        context.flight.hold(size);
        self.admit(request, context, now + budget).await;
    }

    /// Queues a whole request if there is room for it.
    async fn admit(&self, request: Incoming, context: Context, expires: Instant) {
        let exempt = context.route.urgency == Urgency::Exempt;
        if self.in_flight.is_overloaded(exempt) {
            self.overload_refusals.fetch_add(1, Ordering::Relaxed);
            let failure = Failure::new(ErrorStatus::UNAVAILABLE, "too many requests are waiting");
            self.answer(context, Err(failure)).await;
            return;
        }
        let job = Job {
            request,
            context,
            expires,
        };
        // The handling task lives as long as self.
        self.jobs.send(job).unwrap_or_default();
    }

    /// Runs a handler; a panic stays inside its request.
    async fn run(self: &Arc<Self>, job: Job) {
        let Job {
            request,
            context,
            expires,
        } = job;
        if self.clock.now() >= expires {
            self.answer(context, Err(too_late())).await;
            return;
        }
        let deadline = request.deadline();
        let handler = Arc::clone(&context.route.handler);
        match catch_unwind(AssertUnwindSafe(|| handler.handle(request))) {
            Ok(Handling::Done(answer)) => self.answer(context, answer).await,
            Ok(Handling::Later(future)) => {
                let responder = Arc::clone(self);
                tokio::spawn(async move {
                    let guarded = AssertUnwindSafe(future).catch_unwind();
                    let answer = match tokio::time::timeout_at(deadline.into(), guarded).await {
                        Ok(Ok(answer)) => answer,
                        Ok(Err(panic)) => Err(panicked(panic.as_ref())),
                        Err(_) => Err(too_late()),
                    };
                    responder.answer(context, answer).await;
                });
            }
            Err(panic) => self.answer(context, Err(panicked(panic.as_ref()))).await,
        }
    }

    fn subscriptions(&self) -> MutexGuard<'_, Vec<Subscribed>> {
        self.subscribed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
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

/// Returns the budget in force, and whether the request gave it.
fn budget_of(frame: &Request) -> (Duration, bool) {
    let given = TimeBudget::from_header(frame.headers.get(header::TIME_BUDGET));
    let budget = TimeBudget::effective(given).as_duration();
    (budget, given.is_some())
}

/// Requests handled between two looks at what arrived: about 200 µs of signatures.
const BATCH: usize = 16;

#[cfg(test)]
mod tests;
