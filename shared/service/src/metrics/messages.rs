//! How often each log line was written.

use super::declare::Declare;
use prometheus::{Error, IntCounter, IntCounterVec};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Counts log lines by message and level; clones share their counts.
#[derive(Debug, Clone)]
pub(crate) struct Messages {
    counters: IntCounterVec,
    bound: Arc<Mutex<HashMap<(String, Level), IntCounter>>>,
}

impl Messages {
    pub(super) fn declare(declare: &Declare<'_>) -> Result<Self, Error> {
        Ok(Self {
            counters: declare.counters(
                "microbus_log_messages_total",
                "Log lines written",
                &["message", "severity"],
            )?,
            bound: Arc::default(),
        })
    }

    fn count(&self, message: String, level: Level) {
        let mut bound = self.bound.lock().unwrap_or_else(PoisonError::into_inner);
        let key = if bound.len() < MOST_MESSAGES || bound.contains_key(&(message.clone(), level)) {
            (message, level)
        } else {
            ("other".to_owned(), level)
        };
        bound
            .entry(key)
            .or_insert_with_key(|(message, level)| {
                self.counters
                    .with_label_values(&[message.as_str(), level.as_str()])
            })
            .inc();
    }
}

impl<S: Subscriber> Layer<S> for Messages {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut message = Message::default();
        event.record(&mut message);
        self.count(message.0, *event.metadata().level());
    }
}

#[derive(Default)]
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

/// Few messages have variable parts; beyond this they are counted as `other`.
const MOST_MESSAGES: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use tracing_subscriber::layer::SubscriberExt as _;

    #[test]
    fn lines_are_counted_by_message_and_level_and_too_many_messages_are_other() {
        let metrics = fixture::metrics();
        let subscriber = tracing_subscriber::registry().with(metrics.messages.clone());
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(name = "a", "Config");
            tracing::info!(name = "b", "Config");
            tracing::error!("Config");
            (0..MOST_MESSAGES).for_each(|number| tracing::info!("Line {number}"));
        });
        let count = |message, severity| {
            let counters = &metrics.messages.counters;
            counters.with_label_values(&[message, severity]).get()
        };
        assert_eq!((count("Config", "INFO"), count("Config", "ERROR")), (2, 1));
        assert_eq!((count("Line 0", "INFO"), count("other", "INFO")), (1, 2));
    }
}
