//! A guard of HTTP handlers behind the exchange, as a `tower` layer.

use crate::actor::Actor;
use crate::refusal::error_response;
use futures_util::future::{Either, Ready, ready};
use http::{Request, Response};
use microbus_bus::Failures;
use microbus_required_claims::RequiredClaims;
use microbus_wire::status::ErrorStatus;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;

/// Lets only actors through whose claims meet an expression: 401 without an actor, 403 where the claims do not suffice.
///
/// It believes the extension [`Actor`], so it must stand inside of [`ExchangeLayer`](crate::ExchangeLayer).
#[derive(Debug, Clone)]
pub struct RequireClaimsLayer {
    required: Arc<RequiredClaims>,
}

impl RequireClaimsLayer {
    /// Makes the layer of an expression.
    #[must_use]
    pub fn new(required: RequiredClaims) -> Self {
        Self {
            required: Arc::new(required),
        }
    }
}

impl<S> Layer<S> for RequireClaimsLayer {
    type Service = RequireClaimsService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RequireClaimsService {
            required: Arc::clone(&self.required),
            inner,
        }
    }
}

/// The service that [`RequireClaimsLayer`] makes.
#[derive(Debug, Clone)]
pub struct RequireClaimsService<S> {
    required: Arc<RequiredClaims>,
    inner: S,
}

impl<S, A, B> Service<Request<A>> for RequireClaimsService<S>
where
    S: Service<Request<A>, Response = Response<B>>,
    B: From<String>,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<Self::Response, Self::Error>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let (status, text) = match request.extensions().get::<Actor>() {
            Some(actor) if self.required.is_met_by(actor.claims()) => {
                return Either::Left(self.inner.call(request));
            }
            Some(_) => (ErrorStatus::FORBIDDEN, "forbidden"),
            None => (ErrorStatus::UNAUTHORIZED, "unauthorized"),
        };
        Either::Right(ready(Ok(error_response(status, text, Failures::Redacted))))
    }
}
