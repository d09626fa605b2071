use super::*;
use crate::fixture::{self, answered, connector, outgoing};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use microbus_bus::{
    Acknowledge, Clock as _, Connection, Connector, Delivery, Reply, RequestError, Scope,
    SystemClock, Urgency,
};
use microbus_token::{Claims, Issuer, Jwk, JwkSet, KeyId, SigningKey, TokenId, mint_access};
use microbus_verify::{FetchError, KeySource, Settings};
use microbus_wire::frame::Response;
use microbus_wire::subject::Method;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Publishes one key, after a while.
struct Published {
    key: Jwk,
    fetches: Arc<AtomicUsize>,
}

impl KeySource for Published {
    fn fetch(&self, _: Issuer) -> BoxFuture<'static, Result<JwkSet, FetchError>> {
        self.fetches.fetch_add(1, Ordering::Relaxed);
        let mut set = JwkSet::default();
        set.push(self.key.clone()).unwrap();
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(50)).await;
            Ok(set)
        })
    }
}

/// A guarded endpoint whose process knows the key `own`, and whose issuer publishes `published`.
struct Bench {
    connector: Arc<Connector>,
    own: SigningKey,
    published: SigningKey,
    fetches: Arc<AtomicUsize>,
    runs: Arc<AtomicUsize>,
}

fn guard(verifier: Verifier, unsigned: Unsigned) -> Guard {
    Guard {
        verifier,
        metrics: fixture::metrics(),
        unsigned,
    }
}

impl Bench {
    async fn start() -> Self {
        Self::with(Unsigned::Refused).await
    }

    async fn with(unsigned: Unsigned) -> Self {
        let (own, published) = (key(1), key(2));
        let (fetches, runs) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let source = Published {
            key: Jwk::of(&published),
            fetches: Arc::clone(&fetches),
        };
        let known = Jwk::of(&own);
        let known = move |_, id: &KeyId| (id == known.id()).then(|| known.key().clone());
        let verifier =
            Verifier::with_known_keys(source, known, Arc::new(SystemClock), Settings::default());
        let counter = Arc::clone(&runs);
        let handler = move |_: Incoming| {
            counter.fetch_add(1, Ordering::Relaxed);
            Handling::Done(Ok(Reply::json("{}")))
        };
        let route = Route {
            name: "Ping",
            scope: Scope::Own,
            port: 888,
            method: None,
            path: "/ping",
            delivery: Delivery::Every,
            urgency: Urgency::Exempt,
            acknowledge: Acknowledge::AtOnce,
            handler: Arc::new(handler),
        };
        let connector = connector(&Connection::in_process(), "access.token.core").await;
        connector
            .subscribe(guard(verifier, unsigned).before(route))
            .await
            .unwrap();
        Self {
            connector,
            own,
            published,
            fetches,
            runs,
        }
    }

    async fn ask(&self, actor: Option<&str>) -> Result<Response, RequestError> {
        let mut request = outgoing(Method::Get, "https://access.token.core:888/ping");
        if let Some(actor) = actor {
            request = request.header(header::ACTOR, actor);
        }
        self.connector.request(request).await
    }

    fn counts(&self) -> (usize, usize) {
        let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
        (count(&self.fetches), count(&self.runs))
    }
}

fn key(seed: u64) -> SigningKey {
    SigningKey::generate(&mut StdRng::seed_from_u64(seed)).unwrap()
}

fn token(key: &SigningKey) -> String {
    let jti = TokenId::random(&mut StdRng::seed_from_u64(9), TokenId::ACCESS_LENGTH);
    let now = SystemClock.wall();
    mint_access(Claims::new(), Duration::from_secs(60), &jti, key, now)
        .unwrap()
        .into_string()
}

#[tokio::test(start_paused = true)]
async fn without_an_actor_or_with_what_is_no_jwt_a_request_passes() {
    let bench = Bench::start().await;
    for actor in [
        None,
        Some(""),
        Some("harry"),
        Some("eyJ.e30."),
        Some("a.b.c"),
    ] {
        assert_eq!(bench.ask(actor).await.unwrap().status, 200, "{actor:?}");
    }
    assert_eq!(bench.counts(), (0, 5));
}

#[tokio::test(start_paused = true)]
async fn a_token_of_this_process_passes_without_a_fetch() {
    let bench = Bench::start().await;
    let actor = token(&bench.own);
    assert_eq!(bench.ask(Some(&actor)).await.unwrap().status, 200);
    assert_eq!(bench.counts(), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_token_of_an_unknown_key_waits_for_the_issuers_keys() {
    let bench = Bench::start().await;
    let actor = token(&bench.published);
    for _ in 0..2 {
        assert_eq!(bench.ask(Some(&actor)).await.unwrap().status, 200);
    }
    assert_eq!(bench.counts(), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_does_not_verify_is_a_401_in_one_word_and_nothing_runs() {
    let bench = Bench::start().await;
    let (own, stranger) = (token(&bench.own), token(&key(3)));
    let (signed, signature) = own.rsplit_once('.').unwrap();
    let reversed: String = signature.chars().rev().collect();
    let bad_signature = format!("{signed}.{reversed}");
    let unsigned = format!("{signed}.");
    for actor in [bad_signature, unsigned, stranger] {
        let error = answered(bench.ask(Some(&actor)).await).unwrap_err();
        assert_eq!(
            (error.status, error.error.as_str()),
            (ErrorStatus::UNAUTHORIZED, "unauthorized"),
            "{actor}"
        );
    }
    assert_eq!(bench.counts(), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn an_unsigned_actor_counts_as_none_where_it_is_ignored_and_is_refused_elsewhere() {
    /// `{"alg":"none","typ":"JWT"}`, then the same with `None` and with `HS256`.
    const NONE: &str = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
    const CAPITAL: &str = "eyJhbGciOiJOb25lIiwidHlwIjoiSldUIn0";
    const SYMMETRIC: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";
    for (unsigned, of_none) in [(Unsigned::Refused, 401), (Unsigned::Ignored, 200)] {
        let bench = Bench::with(unsigned).await;
        let signed = token(&bench.own);
        let mut parts = signed.split('.').skip(1);
        let (claims, signature) = (parts.next().unwrap(), parts.next().unwrap());
        for (actor, expected) in [
            (format!("{NONE}.{claims}."), of_none),
            (format!("{NONE}.{claims}.{signature}"), of_none),
            (format!("{CAPITAL}.{claims}."), 401),
            (format!("{SYMMETRIC}.{claims}.{signature}"), 401),
        ] {
            let status = match answered(bench.ask(Some(&actor)).await) {
                Ok(response) => response.status,
                Err(error) => error.status.code(),
            };
            assert_eq!(status, expected, "{unsigned:?} {actor}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_after_a_fetch_stays_inside_its_request() {
    let connector = connector(&Connection::in_process(), "access.token.core").await;
    let published = key(2);
    let source = Published {
        key: Jwk::of(&published),
        fetches: Arc::default(),
    };
    let verifier = Verifier::new(source, Arc::new(SystemClock), Settings::default());
    let route = Route {
        name: "Ping",
        scope: Scope::Own,
        port: 888,
        method: None,
        path: "/ping",
        delivery: Delivery::Every,
        urgency: Urgency::Exempt,
        acknowledge: Acknowledge::AtOnce,
        handler: Arc::new(|_: Incoming| -> Handling { panic!("planted") }),
    };
    connector
        .subscribe(guard(verifier, Unsigned::Refused).before(route))
        .await
        .unwrap();
    let request = outgoing(Method::Get, "https://access.token.core:888/ping")
        .header(header::ACTOR, &token(&published));
    let error = answered(connector.request(request).await).unwrap_err();
    assert_eq!(error.status, ErrorStatus::INTERNAL);
    assert_eq!(connector.in_flight(), 0);
}

#[test]
fn later_stages_are_in_the_scope_of_the_actor_as_well() {
    let _subscribed = tracing::subscriber::set_default(tracing_subscriber::registry());
    let scope = tracing::info_span!("actor");
    let seen = Arc::<Mutex<Vec<_>>>::default();
    let note = {
        let seen = Arc::clone(&seen);
        move || seen.lock().unwrap().push(Span::current().id())
    };
    let handling = Handling::Next(Box::new(move || {
        note();
        Handling::Next(Box::new(move || {
            note();
            Handling::Later(Box::pin(async move {
                note();
                Ok(Reply::empty(204))
            }))
        }))
    }));
    let answer = go_on_within(scope.clone(), handling).answer();
    assert_eq!(answer.now_or_never().unwrap().unwrap().status, 204);
    assert!(scope.id().is_some());
    assert_eq!(*seen.lock().unwrap(), [scope.id(), scope.id(), scope.id()]);
}

#[test]
fn every_reason_is_in_the_list_of_reasons() {
    let errors = [
        VerifyError::Algorithm,
        VerifyError::Expired,
        VerifyError::HeaderMember("crit"),
        VerifyError::Issuer,
        VerifyError::KeyIdMissing,
        VerifyError::Segments,
        VerifyError::NotYetValid,
        VerifyError::Signature,
        VerifyError::ExpiryMissing,
        VerifyError::UnknownKey,
    ];
    let refusals = errors.into_iter().map(Refusal::Token);
    let mut reasons: Vec<_> = refusals.map(|refusal| reason(&refusal)).collect();
    reasons.push("keys_unavailable");
    reasons.sort_unstable();
    assert_eq!(reasons, REASONS);
}
