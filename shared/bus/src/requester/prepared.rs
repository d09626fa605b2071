//! Requests as they go over the wire.

use super::Requester;
use crate::identity::random_message_id;
use crate::outgoing::{Outgoing, RequestError};
use microbus_wire::address::Address;
use microbus_wire::budget::TimeBudget;
use microbus_wire::call::CallSetup;
use microbus_wire::fragment;
use microbus_wire::frame::Request;
use microbus_wire::header::{self, OpCode};
use microbus_wire::subject::{Method, SubjectError};
use std::time::Duration;

/// A request as it goes over the wire.
pub(super) struct Prepared {
    pub(super) message_id: String,
    pub(super) parts: Vec<Request>,
    pub(super) method: Method,
    pub(super) address: Address,
    pub(super) budget: TimeBudget,
}

impl Requester {
    /// Fills in what the bus demands (spec: microbus-wire 5.1).
    pub(super) fn prepare(
        &self,
        outgoing: &Outgoing,
        round_trip: Duration,
        fragment_size: usize,
    ) -> Result<Prepared, RequestError> {
        if outgoing.inbound_depth >= DEEPEST_CALL {
            return Err(RequestError::CallDepth);
        }
        let left = outgoing
            .deadline
            .map(|deadline| deadline.saturating_duration_since(self.clock.now()));
        if left.is_some_and(|left| left <= round_trip) {
            return Err(RequestError::NoTimeLeft);
        }
        let asked = [left, outgoing.budget]
            .into_iter()
            .flatten()
            .min()
            .and_then(TimeBudget::new);
        let budget = TimeBudget::effective(asked);
        let message_id = random_message_id().as_str().to_owned();
        let parts = fragment::split(&outgoing.body, fragment_size)
            .map(|(part, body)| {
                let body = outgoing.body.slice_ref(body);
                let mut request = Request::to(&outgoing.address, outgoing.method, body);
                request.headers = outgoing.headers.clone();
                let headers = &mut request.headers;
                if let Some(content_type) = outgoing.content_type {
                    headers.set(header::CONTENT_TYPE, content_type);
                }
                headers.set(
                    header::CALL_DEPTH,
                    &outgoing.inbound_depth.saturating_add(1).to_string(),
                );
                headers.set(header::FROM_HOST, self.identity.hostname.as_str());
                headers.set(header::FROM_ID, self.identity.instance.as_str());
                if self.identity.version > 0 {
                    headers.set(header::FROM_VERSION, &self.identity.version.to_string());
                }
                headers.set(header::MESSAGE_ID, &message_id);
                headers.set(header::OP_CODE, OpCode::Req.as_str());
                if outgoing.announces_budget {
                    headers.set(header::TIME_BUDGET, &budget.header_text());
                }
                if !part.is_whole() {
                    headers.set(header::FRAGMENT, &part.to_string());
                }
                request
            })
            .collect();
        Ok(Prepared {
            message_id,
            parts,
            method: outgoing.method,
            address: outgoing.address.clone(),
            budget,
        })
    }

    /// Returns where its first message goes.
    pub(super) fn subject_of(&self, prepared: &Prepared) -> Result<String, SubjectError> {
        prepared.address.subject(
            &self.identity.plane,
            &self.identity.hostname,
            prepared.method,
        )
    }
}

impl Prepared {
    /// Returns what the call begins with.
    pub(super) fn setup(&self, round_trip: Duration) -> CallSetup {
        CallSetup {
            url: self.address.url_without_query(),
            budget: self.budget,
            round_trip,
            fragments: self.parts.len(),
        }
    }
}

/// The peer refuses to call deeper (spec: microbus-wire 5.1).
const DEEPEST_CALL: u32 = 64;
