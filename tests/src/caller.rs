//! A client of the bus that speaks hand-written messages over a plain NATS connection.

use crate::PATIENCE;
use crate::message::Message;
use async_nats::{ConnectErrorKind, ConnectOptions, Event, ServerError};
use bytes::Bytes;
use futures_util::StreamExt as _;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::time::Instant;

/// One connection to the bus with the identity that its messages claim.
pub struct Caller {
    client: async_nats::Client,
    plane: String,
    host: String,
    instance: String,
    replies: Mutex<Listener>,
    echo: Mutex<async_nats::Subscriber>,
    violations: Mutex<mpsc::UnboundedReceiver<String>>,
    connections: watch::Receiver<usize>,
    losses: watch::Receiver<usize>,
    last_message: AtomicU32,
}

/// What came back for one request, in the order of arrival.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// Acks, responses and errors with the message id of the request.
    pub messages: Vec<Message>,
}

/// A subscription.
pub struct Listener {
    subscription: async_nats::Subscriber,
}

impl Caller {
    /// Connects as `host` with `credentials` (the text of a `.creds` file) and listens for replies to any instance
    /// of the host, which the credentials must allow, as they must allow it to reply.
    ///
    /// # Errors
    /// The reason that the server refused the connection for.
    pub async fn connect(
        url: &str,
        credentials: Option<&str>,
        plane: &str,
        host: &str,
        instance: &str,
    ) -> Result<Self, ConnectErrorKind> {
        let (sender, violations) = mpsc::unbounded_channel();
        let (connected, connections) = watch::channel(0);
        let (lost, losses) = watch::channel(0);
        let mut options = ConnectOptions::new()
            .reconnect_delay_callback(|_| Duration::from_millis(10))
            .subscription_capacity(SUBSCRIPTION_CAPACITY)
            .event_callback(move |event| {
                match event {
                    Event::Connected => connected.send_modify(|count: &mut usize| *count += 1),
                    // Nobody listens once the caller is gone.
                    Event::ServerError(ServerError::Other(text)) => drop(sender.send(text)),
                    Event::Disconnected => lost.send_modify(|count: &mut usize| *count += 1),
                    Event::LameDuckMode
                    | Event::Draining
                    | Event::Closed
                    | Event::SlowConsumer(_)
                    | Event::ServerError(_)
                    | Event::ClientError(_) => {}
                }
                std::future::ready(())
            });
        if let Some(text) = credentials {
            options = options
                .credentials(text)
                .expect("deploy writes credentials that can be read");
        }
        let client = options.connect(url).await.map_err(|error| error.kind())?;
        let segment = microbus_wire::host::escape_host(host);
        let subscribe = |last: &str| {
            let pattern = format!("{plane}.reply._.*.{segment}.{last}");
            client.subscribe(pattern)
        };
        let replies = subscribe("*").await.expect("the client runs");
        let echo = subscribe(ECHO).await.expect("the client runs");
        Ok(Self {
            client,
            plane: plane.to_owned(),
            host: host.to_owned(),
            instance: instance.to_owned(),
            replies: Mutex::new(Listener {
                subscription: replies,
            }),
            echo: Mutex::new(echo),
            violations: Mutex::new(violations),
            connections,
            losses,
            last_message: AtomicU32::new(0),
        })
    }

    /// Publishes bytes as they are, and returns when they are on their way.
    pub async fn publish(&self, subject: &str, payload: impl Into<Bytes>) {
        self.client
            .publish(subject.to_owned(), payload.into())
            .await
            .expect("the client runs");
        self.client.flush().await.expect("the client runs");
    }

    /// Publishes several messages on one subject in one write.
    pub async fn publish_all(&self, subject: &str, payloads: impl Iterator<Item = String>) {
        for payload in payloads {
            let published = self.client.publish(subject.to_owned(), payload.into());
            published.await.expect("the client runs");
        }
        self.client.flush().await.expect("the client runs");
    }

    /// Subscribes to a pattern, and returns when the server has taken or refused it.
    pub async fn listen(&self, pattern: &str) -> Listener {
        let subscription = self.client.subscribe(pattern.to_owned()).await;
        let subscription = subscription.expect("the client runs");
        self.until_read().await;
        Listener { subscription }
    }

    /// Subscribes to a pattern as one of a queue group, of which one hears each message; returns like [`Caller::listen`].
    pub async fn listen_in_group(&self, pattern: &str, group: &str) -> Listener {
        let subscription = self
            .client
            .queue_subscribe(pattern.to_owned(), group.to_owned())
            .await;
        let subscription = subscription.expect("the client runs");
        self.until_read().await;
        Listener { subscription }
    }

    /// Waits until the server has read everything that was sent before.
    async fn until_read(&self) {
        // A flush ends when the bytes have left. What comes back through the server proves that it has read them.
        let mut echo = self.echo.lock().await;
        let own = microbus_wire::host::escape_host(&self.host);
        self.publish(&format!("{}.reply._.{own}.{own}.{ECHO}", self.plane), "")
            .await;
        let returned = tokio::time::timeout(PATIENCE, echo.next()).await;
        assert!(
            matches!(returned, Ok(Some(_))),
            "{} gets no answer from the server",
            self.host
        );
    }

    /// Returns the bound of a message that the server announced, in bytes.
    #[must_use]
    pub fn max_payload(&self) -> usize {
        self.client.server_info().max_payload
    }

    /// Waits for the server to refuse something that this caller did, and returns its text.
    pub async fn violation(&self) -> String {
        let mut violations = self.violations.lock().await;
        match tokio::time::timeout(PATIENCE, violations.recv()).await {
            Ok(Some(text)) => text,
            Ok(None) | Err(_) => panic!("the server refused nothing"),
        }
    }

    /// Waits until this caller has connected `count` times in all, the first time included.
    ///
    /// What is published between the end of a server and the next connection may be lost.
    pub async fn until_connected(&self, count: usize) {
        let mut connections = self.connections.clone();
        let enough = connections.wait_for(|connections| *connections >= count);
        let arrived = tokio::time::timeout(PATIENCE, enough).await.is_ok();
        assert!(arrived, "{} did not connect {count} times", self.host);
    }

    /// Waits until this caller has lost its connection, for the first time.
    pub async fn until_disconnected(&self) {
        let mut losses = self.losses.clone();
        let lost = tokio::time::timeout(PATIENCE, losses.wait_for(|losses| *losses > 0));
        assert!(lost.await.is_ok(), "{} stays connected", self.host);
    }

    /// Returns a message id that this caller has not used.
    pub fn next_message_id(&self) -> String {
        format!("m{:07}", self.last_message.fetch_add(1, Ordering::Relaxed))
    }

    /// Returns the subject of a request of this caller: `path` in subject form, such as `mint` or `openapi%2ejson`.
    #[must_use]
    pub fn subject(&self, port: u16, host: &str, slot: &str, method: &str, path: &str) -> String {
        let trust = if port == 666 { "danger" } else { "safe" };
        let own = microbus_wire::host::escape_host(&self.host);
        let callee = microbus_wire::host::escape_host(host);
        format!(
            "{}.{trust}.{port}.{own}.{callee}.{slot}.{method}.{path}",
            self.plane
        )
    }

    /// Returns the bytes of a request of this caller as the peer writes them; `headers` are whole lines' names and
    /// values and come last.
    #[must_use]
    pub fn request(
        &self,
        method: &str,
        url: &str,
        message_id: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Vec<u8> {
        let authority = url
            .strip_prefix("https://")
            .and_then(|rest| rest.split('/').next());
        let authority = authority.expect("a request goes to https://host:port/path");
        let mut text = format!(
            "{method} {url} HTTP/1.1\r\nHost: {authority}\r\nContent-Length: {}\r\n\
             Microbus-Call-Depth: 1\r\nMicrobus-From-Host: {}\r\nMicrobus-From-Id: {}\r\n\
             Microbus-Msg-Id: {message_id}\r\nMicrobus-Op-Code: Req\r\n",
            body.len(),
            self.host,
            self.instance,
        );
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        [text.as_bytes(), body].concat()
    }

    /// Sends a JSON request to `https://host:port/path` with a budget of 20 s and waits for its answer.
    pub async fn post(&self, host: &str, port: u16, path: &str, body: &str) -> Answers {
        let headers = [
            ("Microbus-Time-Budget", "20s"),
            ("Content-Type", "application/json"),
        ];
        self.call("POST", host, port, path, &headers, body.as_bytes())
            .await
    }

    /// Sends a GET request with a budget of 20 s and waits for its answer.
    pub async fn get(&self, host: &str, port: u16, path: &str) -> Answers {
        self.call(
            "GET",
            host,
            port,
            path,
            &[("Microbus-Time-Budget", "20s")],
            b"",
        )
        .await
    }

    /// Sends a request with exactly these further headers and waits for its answer.
    pub async fn call(
        &self,
        method: &str,
        host: &str,
        port: u16,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answers {
        let id = self.next_message_id();
        let plain = path.split('?').next().unwrap_or_default();
        let segments = microbus_wire::subject::path_segments(plain);
        let subject = self.subject(port, host, "_", method, &segments);
        let url = format!("https://{host}:{port}{path}");
        self.exchange(
            &subject,
            self.request(method, &url, &id, headers, body),
            &id,
        )
        .await
    }

    /// Sends a JSON request to one path segment with a budget of 20 s, and returns its answer if that is complete within
    /// `limit`.
    ///
    /// A broker that is away does not even take the request: that is silence too.
    pub async fn ask(
        &self,
        method: &str,
        host: &str,
        port: u16,
        path: &str,
        body: &str,
        limit: Duration,
    ) -> Option<Answers> {
        let id = self.next_message_id();
        let headers = [
            ("Microbus-Time-Budget", "20s"),
            ("Content-Type", "application/json"),
        ];
        let url = format!("https://{host}:{port}/{path}");
        let request = self.request(method, &url, &id, &headers, body.as_bytes());
        let subject = self.subject(port, host, "_", method, path);
        let exchange = self.exchange_until(&subject, request, &id, Answers::is_complete, limit);
        let answers = tokio::time::timeout(limit, exchange).await.ok()?;
        answers.is_complete().then_some(answers)
    }

    /// Tells everybody that an instance of the own host is there, as every connector does when it starts.
    pub async fn announce(&self) {
        let id = self.next_message_id();
        let headers = [
            ("Microbus-Time-Budget", "20s"),
            ("Content-Type", "application/json"),
        ];
        let body = format!("{{\"hosts\":[\"{}\",\"all\"]}}", self.host);
        let url = "https://all:888/on-new-subs";
        let request = self.request("POST", url, &id, &headers, body.as_bytes());
        let subject = self.subject(888, "all", "_", "POST", "on-new-subs");
        self.publish(&subject, request).await;
    }

    /// Returns the subject on which whoever sent `request` hears the replies of the own host.
    #[must_use]
    pub fn reply_subject(&self, request: &Message) -> String {
        let own = microbus_wire::host::escape_host(&self.host);
        let source = request.subject.split('.').nth(3).unwrap_or_default();
        let instance = request.header("Microbus-From-Id").unwrap_or_default();
        let to = instance.to_lowercase();
        format!("{}.reply._.{own}.{source}.{to}", self.plane)
    }

    /// Publishes a request and collects what comes back under its id, until the answer is complete.
    ///
    /// Panics when it is not complete within [`PATIENCE`].
    pub async fn exchange(&self, subject: &str, payload: impl Into<Bytes>, id: &str) -> Answers {
        let mut replies = self.replies.lock().await;
        self.publish(subject, payload).await;
        let (answers, complete) = replies.collect(id, Answers::is_complete, PATIENCE).await;
        assert!(
            complete,
            "no complete answer to {id} on {subject}: {answers:#?}"
        );
        answers
    }

    /// Publishes a request and collects what comes back under its id until `enough` says so or `limit` is over.
    ///
    /// This is how multicasts are answered, and how silence is observed.
    pub async fn exchange_until(
        &self,
        subject: &str,
        payload: impl Into<Bytes>,
        id: &str,
        enough: impl Fn(&Answers) -> bool,
        limit: Duration,
    ) -> Answers {
        let mut replies = self.replies.lock().await;
        self.publish(subject, payload).await;
        replies.collect(id, enough, limit).await.0
    }

    /// Returns the next reply to this caller, whatever its message id, or `None` after `limit`.
    pub async fn next_reply(&self, limit: Duration) -> Option<Message> {
        self.replies.lock().await.next(limit).await
    }

    /// Asks `host` for a ping until somebody answers, and panics after [`PATIENCE`].
    ///
    /// A request that nobody hears vanishes, so it is asked again after each acknowledgement time of the bus.
    pub async fn until_answering(&self, host: &str) {
        let end = Instant::now() + PATIENCE;
        let subject = self.subject(888, host, "_", "GET", "ping");
        while Instant::now() < end {
            let id = self.next_message_id();
            let headers = [("Microbus-Time-Budget", "20s")];
            let url = format!("https://{host}:888/ping");
            let ping = self.request("GET", &url, &id, &headers, b"");
            let answers = self
                .exchange_until(&subject, ping, &id, Answers::is_complete, ACK_TIME)
                .await;
            if answers.is_complete() {
                return;
            }
        }
        panic!("{host} answers no ping");
    }
}

impl Answers {
    /// Returns the first ack; panics when there is none.
    #[must_use]
    pub fn ack(&self) -> &Message {
        self.acks().next().expect("the request is acknowledged")
    }

    /// Returns every ack.
    pub fn acks(&self) -> impl Iterator<Item = &Message> {
        self.messages
            .iter()
            .filter(|message| message.op_code() == "Ack")
    }

    /// Returns the first response or error; panics when there is none.
    #[must_use]
    pub fn response(&self) -> &Message {
        self.responses().next().expect("the request is answered")
    }

    /// Returns every response and error.
    pub fn responses(&self) -> impl Iterator<Item = &Message> {
        self.messages
            .iter()
            .filter(|message| matches!(message.op_code(), "Res" | "Err"))
    }

    /// Tells whether one answer is here, with all its fragments.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let count = self.responses().next().map(|message| message.fragment().1);
        count.is_some_and(|count| self.responses().count() >= count)
    }

    /// Returns the body of the answer, its fragments joined in their order.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        let mut parts: Vec<_> = self.responses().collect();
        parts.sort_by_key(|message| message.fragment().0);
        parts.iter().flat_map(|message| message.body()).collect()
    }

    /// Returns the body of the answer as JSON; panics when it is none.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body())
            .unwrap_or_else(|error| panic!("{error} in the body of {:#?}", self.messages))
    }
}

impl Listener {
    /// Returns the next message, or `None` after `limit`.
    pub async fn next(&mut self, limit: Duration) -> Option<Message> {
        let end = Instant::now() + limit;
        loop {
            let message = tokio::time::timeout_at(end, self.subscription.next())
                .await
                .ok()??;
            // What callers send themselves is no part of the test.
            if !message.subject.ends_with(ECHO) {
                let subject = message.subject.to_string();
                return Some(Message {
                    subject,
                    payload: message.payload,
                });
            }
        }
    }

    /// Waits until the broker has delivered `count` messages to a subject that ends so, whatever comes between them.
    ///
    /// # Panics
    /// Where one is not there within `limit` of the one before it.
    pub async fn until_delivered(&mut self, count: usize, ending: &str, limit: Duration) {
        let mut delivered = 0;
        while delivered < count {
            let message = self.next(limit).await;
            let message = message.unwrap_or_else(|| panic!("{delivered} of {count} {ending}"));
            delivered += usize::from(message.subject.ends_with(ending));
        }
    }

    async fn collect(
        &mut self,
        id: &str,
        enough: impl Fn(&Answers) -> bool,
        limit: Duration,
    ) -> (Answers, bool) {
        let end = Instant::now() + limit;
        let mut answers = Answers::default();
        while let Some(message) = self
            .next(end.saturating_duration_since(Instant::now()))
            .await
        {
            if message.message_id() == id {
                answers.messages.push(message);
            }
            if enough(&answers) {
                return (answers, true);
            }
        }
        (answers, false)
    }
}

/// The time within which the bus acknowledges a request, on one near server (spec: microbus-wire 1.4).
const ACK_TIME: Duration = Duration::from_millis(100);
/// Messages that wait unread; beyond it async-nats drops them, and a test would see silence instead of an answer.
const SUBSCRIPTION_CAPACITY: usize = 65_536;
/// The last segment of the reply that a caller sends itself; no instance id of the bus looks like it.
const ECHO: &str = "harness-echo";
