//! The exchange as a `tower` layer.

use crate::exchange::Exchange;
use crate::headers::{remove_platform_headers, take_bearer};
use crate::refusal::error_response;
use futures_util::future::BoxFuture;
use http::{HeaderValue, Request, Response};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;
use tower_layer::Layer;
use tower_service::Service;

/// When the answer to a request comes too late, as an extension of the request: calls on its behalf get what is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline(pub Instant);

/// Gives requests of clients with a good bearer token their [`Actor`](crate::Actor), as extension and as `Microbus-Actor`.
///
/// The answer of a request that fails has the platform's form. `B` of the inner service's answers can be made of text.
#[derive(Debug, Clone)]
pub struct ExchangeLayer {
    exchange: Arc<Exchange>,
}

impl ExchangeLayer {
    /// Makes the layer of an exchange.
    #[must_use]
    pub fn new(exchange: Arc<Exchange>) -> Self {
        Self { exchange }
    }
}

impl<S> Layer<S> for ExchangeLayer {
    type Service = ExchangeService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ExchangeService {
            exchange: Arc::clone(&self.exchange),
            inner,
        }
    }
}

/// The service that [`ExchangeLayer`] makes.
#[derive(Debug, Clone)]
pub struct ExchangeService<S> {
    exchange: Arc<Exchange>,
    inner: S,
}

impl<S, A, B> Service<Request<A>> for ExchangeService<S>
where
    S: Service<Request<A>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    A: Send + 'static,
    B: From<String>,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<A>) -> Self::Future {
        // The one that is ready goes along; a clone need not be.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let exchange = Arc::clone(&self.exchange);
        Box::pin(async move {
            remove_platform_headers(request.headers_mut());
            let deadline = exchange.clock().now() + exchange.settings().time_budget;
            request.extensions_mut().insert(Deadline(deadline));
            if let Some(bearer) = take_bearer(request.headers_mut()) {
                match exchange.actor(&bearer).await {
                    Ok(None) => {}
                    Ok(Some(actor)) => {
                        // A compact JWT is always a header's value.
                        if let Ok(mut value) = HeaderValue::from_str(actor.token().as_str()) {
                            value.set_sensitive(true);
                            request.headers_mut().insert("microbus-actor", value);
                        }
                        request.extensions_mut().insert(actor);
                    }
                    Err(error) => {
                        tracing::warn!(error = %error, "A client's token cannot be exchanged");
                        let failures = exchange.settings().failures;
                        return Ok(error_response(error.status(), &error.to_string(), failures));
                    }
                }
            }
            let mut response = inner.call(request).await?;
            remove_platform_headers(response.headers_mut());
            Ok(response)
        })
    }
}
