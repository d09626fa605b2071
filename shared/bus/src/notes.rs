//! What is found out about a request while it is handled, for traces and for the log.

use microbus_wire::trace_context::{SpanId, TraceContext};
use std::sync::{Arc, OnceLock};

/// The span that the handling of a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traced {
    /// The span itself, as calls within it name it.
    pub context: TraceContext,
    /// The span that the request was sent from.
    pub parent: Option<SpanId>,
}

/// Whom a request speaks for, once that is verified.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Actor {
    /// Who says so.
    pub iss: String,
    /// Whom it is about.
    pub sub: Option<String>,
    /// Whose tenant it is.
    pub tenant: Option<i64>,
    /// Its roles, as a JSON array.
    pub roles: Option<String>,
}

/// Shared by everybody who handles one request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notes(Arc<Noted>);

#[derive(Debug, Default)]
struct Noted {
    traced: Option<Traced>,
    actor: OnceLock<Actor>,
}

impl Notes {
    pub(crate) fn new(traced: Option<Traced>) -> Self {
        Self(Arc::new(Noted {
            traced,
            actor: OnceLock::new(),
        }))
    }

    pub(crate) fn traced(&self) -> Option<&Traced> {
        self.0.traced.as_ref()
    }

    pub(crate) fn actor(&self) -> Option<&Actor> {
        self.0.actor.get()
    }

    /// Notes the actor; the first one stays.
    pub(crate) fn note_actor(&self, actor: Actor) {
        drop(self.0.actor.set(actor));
    }

    /// Returns the scope of log lines about the request: they name its actor.
    pub(crate) fn log_scope(&self) -> tracing::Span {
        let Some(actor) = self.actor() else {
            return tracing::Span::none();
        };
        tracing::info_span!(
            "actor",
            iss = actor.iss.as_str(),
            sub = actor.sub.as_deref(),
            tenant = actor.tenant,
            roles = actor.roles.as_deref(),
        )
    }
}
