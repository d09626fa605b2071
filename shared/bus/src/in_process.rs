//! A bus inside one process, with the delivery semantics of a NATS broker: wildcards, queue groups, per-publisher order.

use crate::connection::Message;
use bytes::Bytes;
use microbus_wire::subject;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;

/// The subscriptions of everybody in this process.
#[derive(Debug, Default)]
pub(crate) struct InProcessBus {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    entries: Vec<Entry>,
    last_id: u64,
    /// Counts publications, so that a queue group's members take turns.
    turn: usize,
}

#[derive(Debug)]
struct Entry {
    id: u64,
    pattern: String,
    queue_group: Option<String>,
    sender: mpsc::UnboundedSender<Message>,
}

/// One subscription; ends when dropped.
#[derive(Debug)]
pub(crate) struct InProcessSubscription {
    id: u64,
    bus: Arc<InProcessBus>,
    receiver: mpsc::UnboundedReceiver<Message>,
}

impl InProcessBus {
    /// Delivers to every plain subscription that matches, and to one member of each queue group that does.
    pub(crate) fn publish(&self, subject: &str, payload: &Bytes) {
        let mut table = self.lock();
        table.turn = table.turn.wrapping_add(1);
        let turn = table.turn;
        let matching: Vec<&Entry> = table
            .entries
            .iter()
            .filter(|entry| subject::matches(&entry.pattern, subject))
            .collect();
        let mut served: Vec<&str> = Vec::new();
        for entry in &matching {
            let chosen = match entry.queue_group.as_deref() {
                None => entry,
                Some(group) if served.contains(&group) => continue,
                Some(group) => {
                    served.push(group);
                    let members = || {
                        matching
                            .iter()
                            .filter(|member| member.queue_group.as_deref() == Some(group))
                    };
                    members()
                        .nth(turn.checked_rem(members().count()).unwrap_or(0))
                        .unwrap_or(entry)
                }
            };
            let message = Message {
                subject: subject.into(),
                payload: payload.clone(),
            };
            // A receiver that is gone has left the bus: its message is nobody's.
            drop(chosen.sender.send(message));
        }
    }

    pub(crate) fn subscribe(
        self: &Arc<Self>,
        pattern: String,
        queue_group: Option<String>,
    ) -> InProcessSubscription {
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut table = self.lock();
        table.last_id = table.last_id.wrapping_add(1);
        let id = table.last_id;
        table.entries.push(Entry {
            id,
            pattern,
            queue_group,
            sender,
        });
        InProcessSubscription {
            id,
            bus: Arc::clone(self),
            receiver,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InProcessSubscription {
    pub(crate) async fn next(&mut self) -> Option<Message> {
        self.receiver.recv().await
    }

    /// Stops deliveries; what was delivered before can still be read.
    pub(crate) fn leave(&self) {
        self.bus.lock().entries.retain(|entry| entry.id != self.id);
    }
}

impl Drop for InProcessSubscription {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(subscription: &mut InProcessSubscription) -> usize {
        std::iter::from_fn(|| subscription.receiver.try_recv().ok()).count()
    }

    #[test]
    fn plain_subscriptions_all_hear_and_a_queue_group_shares() {
        let bus = Arc::new(InProcessBus::default());
        let mut plain = bus.subscribe("a.*".into(), None);
        let mut members: Vec<_> = (0..2)
            .map(|_| bus.subscribe("a.>".into(), Some("group".into())))
            .collect();
        let mut elsewhere = bus.subscribe("b.*".into(), None);
        for _ in 0..10 {
            bus.publish("a.x", &Bytes::new());
        }
        assert_eq!(received(&mut plain), 10);
        assert_eq!(received(&mut elsewhere), 0);
        let shares: Vec<_> = members.iter_mut().map(received).collect();
        assert_eq!(shares, [5, 5]);
    }

    #[test]
    fn after_leaving_only_what_was_delivered_can_be_read() {
        let bus = Arc::new(InProcessBus::default());
        let mut subscription = bus.subscribe("a".into(), None);
        bus.publish("a", &Bytes::new());
        subscription.leave();
        bus.publish("a", &Bytes::new());
        assert_eq!(received(&mut subscription), 1);
    }
}
