//! A client for what a broker says about itself: requests with an inbox, outside the protocol of the bus.
//!
//! For credentials of the system account only: those of a service allow no inbox (spec: microbus-wire 1.3).

use crate::connection::{ConnectionClosed, Link};
use crate::nats::{self, ConnectError, NatsSettings};
use async_nats::StatusCode;
use bytes::Bytes;
use futures_util::StreamExt as _;
use std::time::Duration;
use tokio::sync::watch;

/// A connection that asks brokers and collects what they answer.
#[derive(Debug, Clone)]
pub struct PlainClient {
    client: async_nats::Client,
}

/// How long answers are waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// For the first answer.
    pub first: Duration,
    /// For each further one: after so long a silence nobody else is expected.
    pub further: Duration,
}

impl PlainClient {
    /// Connects with the credentials that `settings` name.
    ///
    /// # Errors
    /// [`ConnectError`] when the broker is not there or refuses us.
    pub async fn connect(settings: &NatsSettings) -> Result<Self, ConnectError> {
        let (link, _) = watch::channel(Link::default());
        let client = nats::connect(settings, link).await?;
        Ok(Self { client })
    }

    /// Publishes `payload` to `subject` and returns all answers in the order of their arrival; none when nobody listens
    /// there.
    ///
    /// # Errors
    /// [`ConnectionClosed`] when the connection is gone for good.
    pub async fn collect(
        &self,
        subject: &str,
        payload: impl Into<Bytes>,
        patience: Patience,
    ) -> Result<Vec<Bytes>, ConnectionClosed> {
        let inbox = self.client.new_inbox();
        let subscribed = self.client.subscribe(inbox.clone()).await;
        let mut answers = subscribed.map_err(|_| ConnectionClosed)?;
        let asked = self
            .client
            .publish_with_reply(subject.to_owned(), inbox, payload.into());
        asked.await.map_err(|_| ConnectionClosed)?;
        let mut collected = Vec::new();
        let mut limit = patience.first;
        while let Ok(Some(answer)) = tokio::time::timeout(limit, answers.next()).await {
            if answer.status == Some(StatusCode::NO_RESPONDERS) {
                break;
            }
            collected.push(answer.payload);
            limit = patience.further;
        }
        Ok(collected)
    }
}
