//! A bus inside one process, with the delivery semantics of a NATS broker: wildcards, queue groups, per-publisher order, and
//! word of what nobody hears.

use crate::connection::Message;
use bytes::Bytes;
use microbus_wire::subject;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;

/// The subscriptions of everybody in this process.
#[derive(Debug, Default)]
struct InProcessBus {
    table: Mutex<Table>,
}

/// A cloneable handle of one party on the bus, as a connection is to a broker.
#[derive(Debug, Clone, Default)]
pub(crate) struct InProcessClient {
    bus: Arc<InProcessBus>,
    party: Party,
}

/// Who subscribes and publishes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Party {
    /// Whoever hears everything, what it publishes itself too.
    #[default]
    Ordinary,
    /// One that does not hear itself.
    Deaf(u64),
}

#[derive(Debug, Default)]
struct Table {
    entries: Vec<Entry>,
    last_id: u64,
    last_deaf: u64,
    /// Counts publications, so that a queue group's members take turns.
    turn: usize,
}

#[derive(Debug)]
struct Entry {
    id: u64,
    party: Party,
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

impl InProcessClient {
    /// Returns another party on the same bus, which does not hear what it publishes itself.
    pub(crate) fn deaf(&self) -> Self {
        let mut table = self.bus.lock();
        table.last_deaf = table.last_deaf.wrapping_add(1);
        Self {
            bus: Arc::clone(&self.bus),
            party: Party::Deaf(table.last_deaf),
        }
    }

    /// Delivers to every plain subscription that matches, and to one member of each queue group that does. Tells whether
    /// there was anybody to deliver to.
    pub(crate) fn publish(&self, subject: &str, payload: &Bytes) -> bool {
        let mut table = self.bus.lock();
        table.turn = table.turn.wrapping_add(1);
        let turn = table.turn;
        let matching: Vec<&Entry> = table
            .entries
            .iter()
            .filter(|entry| self.party == Party::Ordinary || entry.party != self.party)
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
        !matching.is_empty()
    }

    pub(crate) fn subscribe(
        &self,
        pattern: String,
        queue_group: Option<String>,
    ) -> InProcessSubscription {
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut table = self.bus.lock();
        table.last_id = table.last_id.wrapping_add(1);
        let id = table.last_id;
        table.entries.push(Entry {
            id,
            party: self.party,
            pattern,
            queue_group,
            sender,
        });
        InProcessSubscription {
            id,
            bus: Arc::clone(&self.bus),
            receiver,
        }
    }
}

impl InProcessBus {
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
        let bus = InProcessClient::default();
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
        let bus = InProcessClient::default();
        let mut subscription = bus.subscribe("a".into(), None);
        bus.publish("a", &Bytes::new());
        subscription.leave();
        bus.publish("a", &Bytes::new());
        assert_eq!(received(&mut subscription), 1);
    }

    #[test]
    fn the_bus_says_what_nobody_hears_and_who_is_deaf_is_nobody_to_itself() {
        let bus = InProcessClient::default();
        let (one, two) = (bus.deaf(), bus.deaf());
        assert!(!bus.publish("a", &Bytes::new()));
        let mut own = one.subscribe("a".into(), None);
        assert!(!one.publish("a", &Bytes::new()));
        assert!(two.publish("a", &Bytes::new()) && bus.publish("a", &Bytes::new()));
        assert_eq!(received(&mut own), 2);
        let ordinary = bus.subscribe("b".into(), None);
        assert!(bus.publish("b", &Bytes::new()), "it hears itself");
        drop(ordinary);
        assert!(!bus.publish("b", &Bytes::new()));
    }
}
