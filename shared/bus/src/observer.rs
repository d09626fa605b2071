//! What passes over a connector, told to whoever measures it.
//!
//! Told inline, where handlers run: an observer takes well under a microsecond and never blocks.

use crate::handler::{Incoming, Route};
use crate::notes::Traced;
use microbus_wire::status::ErrorStatus;
use microbus_wire::subject::Method;
use microbus_wire::trace_context::TraceContext;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Measures what passes over a connector.
pub trait Observer: Send + Sync + 'static {
    /// A whole request came in, sent from the span `inbound`: returns the span that its handling is, if it is to be one.
    fn trace(&self, _route: &Route, _inbound: Option<TraceContext>) -> Option<Traced> {
        None
    }

    /// A request was answered.
    fn answered(&self, answered: &Answered<'_>);

    /// Somebody at `host` and `port` acked a request of ours so long after it was sent.
    fn acked(&self, host: &str, port: &str, after: Duration);

    /// A request of ours came to nothing: 404 when nobody acked it, 408 when nobody answered it.
    fn gave_up(&self, status: ErrorStatus);
}

/// A request that was answered.
#[derive(Clone, Copy)]
pub struct Answered<'a> {
    /// Where it came in.
    pub route: &'a Route,
    /// Method of the message.
    pub method: Method,
    /// Status of the answer.
    pub status: u16,
    /// Whether the answer is an error.
    pub failed: bool,
    /// Length of the answer's body, in bytes.
    pub body_length: usize,
    /// From the arrival of its last fragment to the answer.
    pub took: Duration,
    /// The request, if its handling is a span.
    pub traced: Option<(&'a Traced, &'a Incoming)>,
    /// Why it failed, as the log says it.
    pub error: Option<&'a str>,
}

/// The observer of one connector, once there is one.
pub(crate) type Observation = Arc<OnceLock<Arc<dyn Observer>>>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::{
        Acknowledge, Connection, Connector, Delivery, Failure, Failures, Handling, Identity,
        Incoming, Outgoing, Reply, Scope, Urgency, random_instance_id,
    };
    use microbus_wire::address::Address;
    use microbus_wire::host::Hostname;
    use microbus_wire::subject::Plane;
    use std::sync::Mutex;

    #[derive(Default)]
    struct Notes(Mutex<Vec<String>>);

    impl Notes {
        fn note(&self, text: String) {
            self.0.lock().unwrap().push(text);
        }
    }

    impl Observer for Notes {
        fn answered(&self, answered: &Answered<'_>) {
            let Answered {
                route,
                method,
                status,
                failed,
                body_length,
                ..
            } = answered;
            self.note(format!(
                "{} {method} {status} failed={failed} {body_length}",
                route.name
            ));
        }

        fn acked(&self, host: &str, port: &str, _: Duration) {
            self.note(format!("acked {host}:{port}"));
        }

        fn gave_up(&self, status: ErrorStatus) {
            self.note(format!("gave up {}", status.code()));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn answers_acks_and_silence_are_observed() {
        let identity = Identity {
            plane: Plane::default(),
            hostname: Hostname::parse("echo.example").unwrap(),
            version: 1,
            instance: random_instance_id(),
            locality: None,
        };
        let clock = Arc::new(SystemClock);
        let connection = Connection::in_process();
        let connector = Connector::open(connection, identity, Failures::Redacted, clock)
            .await
            .unwrap();
        let notes = Arc::new(Notes::default());
        connector.observe(Arc::<Notes>::clone(&notes));
        let handler = |request: Incoming| {
            Handling::Done(match request.body().len() {
                0 => Err(Failure::new(ErrorStatus::FORBIDDEN, "no")),
                _ => Ok(Reply::json("12345")),
            })
        };
        connector
            .subscribe(Route {
                name: "Echo",
                scope: Scope::Own,
                port: 443,
                method: None,
                path: "/echo",
                delivery: Delivery::One,
                urgency: Urgency::Sheddable,
                acknowledge: Acknowledge::AtOnce,
                handler: Arc::new(handler),
            })
            .await
            .unwrap();
        let ask = async |url: &str, body: &'static str| {
            let address = Address::parse(url).unwrap();
            let request = Outgoing::new(Method::Post, address).json(body);
            connector.request(request).await.is_ok()
        };
        assert!(ask("https://echo.example/echo", "{}").await);
        assert!(!ask("https://echo.example/echo", "").await);
        assert!(!ask("https://nobody.example/echo", "").await);
        let mut notes = std::mem::take(&mut *notes.0.lock().unwrap());
        notes.retain(|note| !note.starts_with("Echo POST 403"));
        assert_eq!(
            notes,
            [
                "Echo POST 200 failed=false 5",
                "acked echo.example:443",
                "acked echo.example:443",
                "gave up 404"
            ]
        );
    }
}
