//! What is found out about a request while it is handled, for traces and for the log.

use microbus_wire::trace_context::{SpanId, TraceContext};

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

/// Returns the scope of log lines about a request: they name its actor, if there is one.
pub(crate) fn scope_of(actor: Option<&Actor>) -> tracing::Span {
    let Some(actor) = actor else {
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
