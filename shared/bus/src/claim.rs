//! Whether other instances of a service are there: asked of the broker, which knows, where waiting could only guess.
//!
//! A broker tells whoever publishes with a reply subject at once when nobody hears it (status 503, "no responders"). It can be
//! asked that of what one hears oneself only over a connection of its own, which does not hear itself. There an instance
//! first subscribes, and then asks. One broker does one thing after the other: of any two that do this, the one whose
//! subscription came second asks when the other's is in force. So at most one of several is told that nobody else is there,
//! and whoever comes later is told that somebody is, however slow any of them may be: no time is assumed for anything. The
//! claim is held until the instance has subscribed on its own connection, so that there is no moment without it.
//!
//! That somebody is there has no word of its own. Hence a second question, about what surely nobody hears: once that is
//! answered, the first will not be. Whoever listens to everything, such as a wiretap, suppresses both.
//!
//! The word counts where one broker knows of every subscription. In a cluster, behind a gateway and at a leaf node it hears of
//! those elsewhere when it may be too late; a broker says in its INFO that it is such a one.

use crate::connection::{Broker, Connection, ConnectionClosed, Subscription};
use crate::nats::{ConnectError, NatsSettings};
use bytes::Bytes;
use std::time::Duration;

/// Holds the place of an instance that is not subscribed yet.
#[derive(Debug)]
pub struct Claim {
    connection: Connection,
    held: Option<Subscription>,
}

/// Whether other instances are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Others {
    /// There are none, says the broker, and whoever comes next will be told of us.
    Nobody,
    /// Somebody hears what they would: one of them, or who listens to all of it.
    Somebody,
    /// It cannot be told.
    Unknown,
}

impl Others {
    /// Returns how often others are asked over the bus before they are taken for absent.
    #[must_use]
    pub fn questions(self) -> usize {
        match self {
            Self::Nobody => 0,
            Self::Unknown => 2,
            // Somebody who is slow, or a wiretap.
            Self::Somebody => 5,
        }
    }
}

/// Where an instance is heard, and what to say there.
pub(crate) struct Place {
    /// What instances subscribe.
    pub(crate) pattern: String,
    /// What they hear.
    pub(crate) subject: String,
    /// What is said.
    pub(crate) payload: Bytes,
    /// Where the broker answers the two questions.
    pub(crate) replies: [String; 2],
}

/// What a broker said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Unheard,
    Heard,
    Silence,
}

impl Claim {
    /// Prepares one beside a connection to the same broker, of which the word must count.
    ///
    /// # Errors
    /// [`ConnectError`] when there is no second connection.
    pub async fn open(
        first: &Connection,
        settings: &NatsSettings,
    ) -> Result<Option<Self>, ConnectError> {
        if first.broker().is_none_or(|broker| !is_lone(&broker)) {
            return Ok(None);
        }
        let connection = Connection::deaf_to_broker(settings).await?;
        Ok(Some(Self {
            connection,
            held: None,
        }))
    }

    /// Prepares one on the bus of this process; none where `first` leads to a broker.
    #[must_use]
    pub fn in_process(first: &Connection) -> Option<Self> {
        Some(Self {
            connection: first.deaf_in_process()?,
            held: None,
        })
    }

    /// Takes the place and asks who else is there. `first` is the connection of the instance.
    pub(crate) async fn stake(
        &mut self,
        place: Place,
        first: &Connection,
    ) -> Result<Others, ConnectionClosed> {
        let [first_reply, second_reply] = place.replies;
        // Longer than what anybody subscribes who hears answers.
        let nowhere = format!("{first_reply}.nobody");
        let connection = &self.connection;
        let flag = connection.subscribe(place.pattern, None).await?;
        let mut asked = connection.question(first_reply).await?;
        let mut surely = connection.question(second_reply).await?;
        connection
            .publish_asking(&place.subject, place.payload, &mut asked)
            .await?;
        connection
            .publish_asking(&nowhere, Bytes::new(), &mut surely)
            .await?;
        let word = tokio::select! {
            biased;
            () = asked.unheard() => Word::Unheard,
            () = surely.unheard() => Word::Heard,
            () = tokio::time::sleep(PATIENCE) => Word::Silence,
        };
        self.held = Some(flag);
        let counts = match (first.broker(), connection.broker()) {
            (Some(first), Some(second)) => counts(&first, &second),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        Ok(judge(word, counts))
    }

    /// Gives the place up, and returns the connection over which that was said.
    pub(crate) async fn give_up(mut self) -> Connection {
        if let Some(held) = &mut self.held {
            // Dropping it would say so later than what is published next.
            held.leave().await;
        }
        self.connection
    }
}

fn is_lone(broker: &Broker) -> bool {
    broker.cluster.is_empty()
}

/// Tells whether the word of the broker at the end of `second` is good for those at the end of `first`: it is one process,
/// and has not forgotten anybody meanwhile.
fn counts(first: &Broker, second: &Broker) -> bool {
    first == second && is_lone(first) && first.losses == 0
}

fn judge(word: Word, counts: bool) -> Others {
    match (word, counts) {
        (Word::Unheard, true) => Others::Nobody,
        (Word::Heard, true) => Others::Somebody,
        (Word::Unheard | Word::Heard, false) | (Word::Silence, _) => Others::Unknown,
    }
}

/// A broker answers one of the questions within a round trip; who waits longer waits for a wiretap.
const PATIENCE: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::*;

    fn broker(id: &str, cluster: &str, losses: u64) -> Broker {
        Broker {
            id: id.to_owned(),
            cluster: cluster.to_owned(),
            losses,
        }
    }

    #[test]
    fn a_word_counts_from_one_broker_on_its_own_that_was_there_all_the_time() {
        for (name, first, second, expected) in [
            ("one broker", broker("A", "", 0), broker("A", "", 0), true),
            ("two brokers", broker("A", "", 0), broker("B", "", 0), false),
            ("a cluster", broker("A", "c", 0), broker("A", "c", 0), false),
            (
                "a broker that was lost",
                broker("A", "", 1),
                broker("A", "", 0),
                false,
            ),
            (
                "a claim that was lost",
                broker("A", "", 0),
                broker("A", "", 1),
                false,
            ),
            ("both lost", broker("A", "", 1), broker("A", "", 1), false),
        ] {
            assert_eq!(counts(&first, &second), expected, "{name}");
        }
    }

    #[test]
    fn only_a_word_that_counts_says_that_nobody_is_there() {
        for (word, counts, expected) in [
            (Word::Unheard, true, Others::Nobody),
            (Word::Unheard, false, Others::Unknown),
            (Word::Heard, true, Others::Somebody),
            (Word::Heard, false, Others::Unknown),
            (Word::Silence, true, Others::Unknown),
            (Word::Silence, false, Others::Unknown),
        ] {
            assert_eq!(judge(word, counts), expected, "{word:?} {counts}");
        }
    }

    fn place(caller: &str) -> Place {
        Place {
            pattern: "place.*".to_owned(),
            subject: "place.here".to_owned(),
            payload: "who is there?".into(),
            replies: ["one", "two"].map(|reply| format!("reply.{caller}.{reply}")),
        }
    }

    #[tokio::test]
    async fn of_several_that_claim_a_place_only_the_first_is_told_that_nobody_is_there() {
        let bus = Connection::in_process();
        let mut first = Claim::in_process(&bus).unwrap();
        let mut second = Claim::in_process(&bus).unwrap();
        assert_eq!(first.stake(place("a"), &bus).await, Ok(Others::Nobody));
        assert_eq!(second.stake(place("b"), &bus).await, Ok(Others::Somebody));
        drop(first.give_up().await);
        let mut third = Claim::in_process(&bus).unwrap();
        assert_eq!(third.stake(place("c"), &bus).await, Ok(Others::Somebody));
        drop((second.give_up().await, third.give_up().await));
        let mut fourth = Claim::in_process(&bus).unwrap();
        assert_eq!(fourth.stake(place("d"), &bus).await, Ok(Others::Nobody));
    }

    #[tokio::test]
    async fn a_place_that_is_taken_without_a_claim_is_taken_and_a_wiretap_makes_it_unknown() {
        let bus = Connection::in_process();
        for (pattern, expected) in [
            ("place.here", Others::Somebody),
            ("elsewhere", Others::Nobody),
            (">", Others::Unknown),
        ] {
            let listener = bus.subscribe(pattern.to_owned(), None).await.unwrap();
            let mut claim = Claim::in_process(&bus).unwrap();
            let others = claim.stake(place("a"), &bus).await;
            assert_eq!(others, Ok(expected), "{pattern}");
            drop((claim, listener));
        }
    }
}
