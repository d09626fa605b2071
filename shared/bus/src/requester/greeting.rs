//! The request by which an instance finds out whether it is the first: see [`crate::claim`].

use super::{Heard, Listening, Requester, wait};
use crate::claim::{Claim, Others, Place};
use crate::identity::random_instance_id;
use crate::outgoing::{Outgoing, RequestError};
use microbus_wire::frame::{Request, Response};
use microbus_wire::subject::{reply_subject, subscription_subject};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What comes in answer to a greeting.
pub struct Answers {
    listening: Listening<Arc<Requester>>,
    until: Instant,
}

impl Answers {
    /// Has `observe` see each answer, acks too, with the host that the broker vouches for, until the time of the greeting is
    /// over.
    pub async fn observe(mut self, mut observe: impl FnMut(&str, &Response) + Send) {
        while let Some(Heard {
            source_host,
            response,
        }) = wait(&mut self.listening.receiver, Some(self.until)).await
        {
            observe(&source_host, &response);
        }
    }
}

impl fmt::Debug for Answers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Answers").finish_non_exhaustive()
    }
}

impl Requester {
    /// Says `greeting` over `claim`, after holding the place of whoever hears it.
    pub(crate) async fn greet(
        self: &Arc<Self>,
        claim: &mut Claim,
        greeting: &Outgoing,
        round_trip: Duration,
        fragment_size: usize,
    ) -> Result<(Others, Answers), RequestError> {
        let prepared = self.prepare(greeting, round_trip, fragment_size)?;
        let address = &prepared.address;
        let pattern = subscription_subject(
            &self.identity.plane,
            address.port(),
            address.host(),
            address.slot(),
            None,
            address.path(),
        )?;
        let own = self.identity.hostname.segment();
        let reply = || {
            let id = random_instance_id();
            reply_subject(&self.identity.plane, own, own, id.as_str())
        };
        let place = Place {
            pattern,
            subject: self.subject_of(&prepared)?,
            payload: prepared
                .parts
                .first()
                .map(Request::encode)
                .unwrap_or_default()
                .into(),
            replies: [reply()?, reply()?],
        };
        let answers = Answers {
            listening: Listening::to(Arc::clone(self), &prepared.message_id),
            until: self.clock.now() + greeting.budget.unwrap_or(round_trip),
        };
        let others = claim.stake(place, &self.connection).await?;
        Ok((others, answers))
    }
}
