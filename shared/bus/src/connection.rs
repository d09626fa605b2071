//! One connection to a bus: a NATS broker, or the process itself.

use crate::in_process::{InProcessClient, InProcessSubscription};
use crate::nats::{self, ConnectError, NatsSettings};
use async_nats::{StatusCode, Subject};
use bytes::Bytes;
use std::time::Duration;
use tokio::sync::watch;

/// A cloneable handle of one connection.
#[derive(Debug, Clone)]
pub struct Connection {
    transport: Transport,
    link: watch::Receiver<Link>,
}

#[derive(Debug, Clone)]
enum Transport {
    Nats(async_nats::Client),
    InProcess(InProcessClient),
}

/// What the broker's side of a connection went through so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Link {
    /// Whether the connection is up now.
    pub connected: bool,
    /// How often it was lost.
    pub losses: u64,
    /// Publications and subscriptions that the broker refused for lack of permission.
    pub permission_violations: u64,
    /// Attempts to connect again that failed.
    pub failed_connects: u64,
    /// Messages dropped because a subscription's buffer was full.
    pub dropped_messages: u64,
}

impl Link {
    /// Returns what two links of one process went through together: connected are they only if both are.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self {
            connected: self.connected && other.connected,
            losses: self.losses.saturating_add(other.losses),
            permission_violations: self
                .permission_violations
                .saturating_add(other.permission_violations),
            failed_connects: self.failed_connects.saturating_add(other.failed_connects),
            dropped_messages: self.dropped_messages.saturating_add(other.dropped_messages),
        }
    }
}

/// A message as it was delivered.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) subject: Subject,
    pub(crate) payload: Bytes,
}

/// A broker as its client knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broker {
    /// Drawn at each start of the broker.
    pub(crate) id: String,
    /// Empty where the broker is on its own: neither in a cluster nor behind a gateway nor a leaf of another.
    pub(crate) cluster: String,
    /// How often the connection to it was lost.
    pub(crate) losses: u64,
}

/// Whether anybody hears one publication.
#[derive(Debug)]
pub(crate) struct Question {
    subject: String,
    words: Subscription,
    /// What is known already; a broker says it later.
    unheard: bool,
}

/// A publication or subscription was not accepted: the connection was closed for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection to the bus is closed")]
pub struct ConnectionClosed;

/// One subscription; unsubscribes when dropped.
#[derive(Debug)]
pub(crate) enum Subscription {
    Nats(async_nats::Subscriber),
    InProcess(InProcessSubscription),
}

impl Connection {
    /// Connects to a NATS broker. Once connected it reconnects for ever, reading all artifacts anew each time.
    ///
    /// # Errors
    /// [`ConnectError`] when the first connection fails.
    pub async fn to_broker(settings: &NatsSettings) -> Result<Self, ConnectError> {
        let (sender, link) = watch::channel(Link::default());
        let client = nats::connect(settings, sender).await?;
        Ok(Self {
            transport: Transport::Nats(client),
            link,
        })
    }

    /// Connects to a NATS broker as somebody who does not hear what it publishes itself.
    pub(crate) async fn deaf_to_broker(settings: &NatsSettings) -> Result<Self, ConnectError> {
        let (sender, link) = watch::channel(Link::default());
        let client = nats::connect_deaf(settings, sender).await?;
        Ok(Self {
            transport: Transport::Nats(client),
            link,
        })
    }

    /// Makes another party on an in-process bus that does not hear what it publishes itself; none with a broker.
    pub(crate) fn deaf_in_process(&self) -> Option<Self> {
        match &self.transport {
            Transport::Nats(_) => None,
            Transport::InProcess(client) => Some(Self {
                transport: Transport::InProcess(client.deaf()),
                link: self.link.clone(),
            }),
        }
    }

    /// Makes a bus of this process alone; its clones share it.
    #[must_use]
    pub fn in_process() -> Self {
        let (_, link) = watch::channel(Link {
            connected: true,
            ..Link::default()
        });
        Self {
            transport: Transport::InProcess(InProcessClient::default()),
            link,
        }
    }

    /// Returns what the link to the broker went through so far.
    #[must_use]
    pub fn link(&self) -> Link {
        *self.link.borrow()
    }

    /// Returns a receiver that is told of every change of the [`Link`].
    #[must_use]
    pub fn link_changes(&self) -> watch::Receiver<Link> {
        self.link.clone()
    }

    /// Returns the largest payload of a message, in bytes.
    #[must_use]
    pub fn max_payload(&self) -> usize {
        match &self.transport {
            Transport::Nats(client) => client.max_payload(),
            Transport::InProcess(_) => 1 << 20,
        }
    }

    /// Tells whether this is the in-process bus.
    #[must_use]
    pub fn is_in_process(&self) -> bool {
        matches!(self.transport, Transport::InProcess(_))
    }

    /// Returns the broker that this leads to; none in process.
    pub(crate) fn broker(&self) -> Option<Broker> {
        match &self.transport {
            Transport::Nats(client) => {
                let info = client.server_info();
                Some(Broker {
                    id: info.server_id,
                    cluster: info.cluster.unwrap_or_default(),
                    losses: self.link().losses,
                })
            }
            Transport::InProcess(_) => None,
        }
    }

    /// Returns how many servers the client knows, given or discovered; 0 in process.
    pub(crate) async fn known_servers(&self) -> usize {
        match &self.transport {
            Transport::Nats(client) => client.server_pool().await.map_or(1, |pool| pool.len()),
            Transport::InProcess(_) => 0,
        }
    }

    /// Hands a message to the connection; waits while its buffer is full.
    pub(crate) async fn publish(
        &self,
        subject: impl Into<Subject>,
        payload: Bytes,
    ) -> Result<(), ConnectionClosed> {
        let subject = subject.into();
        match &self.transport {
            Transport::Nats(client) => client
                .publish(subject, payload)
                .await
                .map_err(|_| ConnectionClosed),
            Transport::InProcess(client) => {
                client.publish(&subject, &payload);
                Ok(())
            }
        }
    }

    /// Publishes, and has the broker say whether nobody hears it.
    pub(crate) async fn publish_asking(
        &self,
        subject: &str,
        payload: Bytes,
        question: &mut Question,
    ) -> Result<(), ConnectionClosed> {
        match &self.transport {
            Transport::Nats(client) => {
                let reply = question.subject.clone();
                let asked = client.publish_with_reply(subject.to_owned(), reply, payload);
                asked.await.map_err(|_| ConnectionClosed)
            }
            Transport::InProcess(client) => {
                question.unheard |= !client.publish(subject, &payload);
                Ok(())
            }
        }
    }

    /// Prepares for the broker's word on one publication, which comes to `subject`.
    pub(crate) async fn question(&self, subject: String) -> Result<Question, ConnectionClosed> {
        let words = self.subscribe(subject.clone(), None).await?;
        Ok(Question {
            subject,
            words,
            unheard: false,
        })
    }

    pub(crate) async fn subscribe(
        &self,
        subject: String,
        queue_group: Option<String>,
    ) -> Result<Subscription, ConnectionClosed> {
        match &self.transport {
            Transport::Nats(client) => match queue_group {
                Some(group) => client.queue_subscribe(subject, group).await,
                None => client.subscribe(subject).await,
            }
            .map(Subscription::Nats)
            .map_err(|_| ConnectionClosed),
            Transport::InProcess(client) => Ok(Subscription::InProcess(
                client.subscribe(subject, queue_group),
            )),
        }
    }

    /// Closes the connection after writing what was handed to it, for which a broker that is away is not awaited long.
    pub async fn close(&self) {
        if let Transport::Nats(client) = &self.transport {
            let farewell = async {
                // A connection that is closed already has nothing left to write.
                drop(client.flush().await);
                drop(client.drain().await);
            };
            if tokio::time::timeout(LONGEST_FAREWELL, farewell)
                .await
                .is_err()
            {
                tracing::warn!("The broker did not take what was left to write");
            }
        }
    }
}

impl Question {
    /// Returns when the broker has said that nobody hears it, never if somebody does.
    pub(crate) async fn unheard(&mut self) {
        if self.unheard {
            return;
        }
        if let Subscription::Nats(words) = &mut self.words {
            while let Some(word) = futures_util::StreamExt::next(words).await {
                if word.status == Some(StatusCode::NO_RESPONDERS) {
                    return;
                }
            }
        }
        std::future::pending::<()>().await;
    }
}

impl Subscription {
    pub(crate) async fn next(&mut self) -> Option<Message> {
        match self {
            Self::Nats(subscriber) => {
                let message = futures_util::StreamExt::next(subscriber).await?;
                Some(Message {
                    subject: message.subject,
                    payload: message.payload,
                })
            }
            Self::InProcess(subscription) => subscription.next().await,
        }
    }

    /// Asks the broker to deliver no more, while what is on its way is still received.
    ///
    /// The client's own `unsubscribe` and `drain` forget the subscription before the broker has heard of it, and
    /// drop what it delivers meanwhile. An UNSUB with a maximum beyond the nine digits that a broker reads ends the
    /// subscription at the broker at once but leaves it open at the client: this is the only way to lose nothing.
    pub(crate) async fn leave(&mut self) {
        match self {
            Self::Nats(subscriber) => {
                // A closed connection delivers nothing anyway.
                drop(subscriber.unsubscribe_after(UNSUBSCRIBE_NOW).await);
            }
            Self::InProcess(subscription) => subscription.leave(),
        }
    }
}

/// While the client reconnects it flushes nothing, and it does so for ever.
const LONGEST_FAREWELL: Duration = Duration::from_secs(2);
const UNSUBSCRIBE_NOW: u64 = 10_000_000_000;
