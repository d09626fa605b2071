use super::*;
use microbus_bus::{FakeClock, SystemClock};
use microbus_token::{Claims, Jwk, JwkSet, SigningKey, TokenId, mint_access, mint_bearer};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What a source answers, after a while.
#[derive(Clone)]
enum Answer {
    Keys(Vec<Jwk>),
    Failure,
    Panic,
    Silence,
}

/// A source whose answers a test changes.
#[derive(Clone)]
struct SlowSource {
    answer: Arc<Mutex<Answer>>,
    fetches: Arc<AtomicUsize>,
}

impl SlowSource {
    fn answering(answer: Answer) -> Self {
        Self {
            answer: Arc::new(Mutex::new(answer)),
            fetches: Arc::default(),
        }
    }

    fn publishing(keys: &[&SigningKey]) -> Self {
        Self::answering(published(keys))
    }

    fn change(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    fn fetches(&self) -> usize {
        self.fetches.load(Ordering::Relaxed)
    }

    fn verifier(&self) -> Verifier {
        self.verifier_with(Settings::default())
    }

    fn verifier_with(&self, settings: Settings) -> Verifier {
        Verifier::new(self.clone(), Arc::new(SystemClock), settings)
    }
}

impl KeySource for SlowSource {
    fn fetch(&self, issuer: Issuer) -> BoxFuture<'static, Result<JwkSet, FetchError>> {
        self.fetches.fetch_add(1, Ordering::Relaxed);
        let answer = self.answer.lock().unwrap().clone();
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            match answer {
                Answer::Keys(keys) => {
                    let mut set = JwkSet::default();
                    keys.into_iter().for_each(|jwk| set.push(jwk).unwrap());
                    Ok(set)
                }
                Answer::Failure => Err(FetchError {
                    host: issuer.host().into(),
                    cause: "planted".into(),
                    absent: false,
                }),
                Answer::Panic => panic!("planted"),
                Answer::Silence => std::future::pending().await,
            }
        })
    }
}

fn published(keys: &[&SigningKey]) -> Answer {
    Answer::Keys(keys.iter().map(|key| Jwk::of(key)).collect())
}

fn key(seed: u64) -> SigningKey {
    SigningKey::generate(&mut StdRng::seed_from_u64(seed)).unwrap()
}

const LIFETIME: Duration = Duration::from_secs(600);

fn token(key: &SigningKey) -> String {
    let jti = TokenId::random(&mut StdRng::seed_from_u64(9), TokenId::ACCESS_LENGTH);
    mint_access(Claims::new(), LIFETIME, &jti, key, SystemClock.wall())
        .unwrap()
        .into_string()
}

fn bearer_token(key: &SigningKey) -> String {
    let jti = TokenId::random(&mut StdRng::seed_from_u64(9), TokenId::BEARER_LENGTH);
    mint_bearer(Claims::new(), LIFETIME, &jti, key, SystemClock.wall())
        .unwrap()
        .into_string()
}

fn reason(outcome: Result<Verified, Refusal>) -> &'static str {
    outcome.map_or_else(|refusal| refusal.reason(), |_| "believed")
}

#[tokio::test(start_paused = true)]
async fn fifty_checks_of_an_unknown_key_share_one_fetch_and_all_pass() {
    let signer = key(1);
    let source = SlowSource::publishing(&[&signer]);
    let (verifier, token) = (source.verifier(), token(&signer));
    let checks: Vec<_> = (0..50).map(|_| verifier.verify(&token)).collect();
    for outcome in futures_util::future::join_all(checks).await {
        outcome.unwrap();
    }
    assert_eq!(source.fetches(), 1);
    let again = verifier.check(&token);
    assert!(matches!(again, Check::Done(Ok(_))), "the key is cached now");
    verifier.verify_now(&token).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_key_of_this_process_needs_no_fetch() {
    let signer = key(1);
    let own = Jwk::of(&signer);
    let known = move |issuer, id: &KeyId| {
        (issuer == Issuer::Access && id == own.id()).then(|| own.key().clone())
    };
    let source = SlowSource::answering(Answer::Failure);
    let clock = Arc::new(SystemClock);
    let verifier = Verifier::with_known_keys(source, known, clock, Settings::default());
    assert_eq!(reason(verifier.verify_now(&token(&signer))), "believed");
}

#[test]
fn verifying_without_a_runtime_asks_nobody() {
    let source = SlowSource::publishing(&[&key(1)]);
    let outcome = source.verifier().verify_now(&token(&key(1)));
    assert_eq!(reason(outcome), "unknown_kid");
    assert_eq!(source.fetches(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_nobody_publishes_is_refused_and_not_asked_for_again() {
    let source = SlowSource::publishing(&[]);
    let (verifier, token) = (source.verifier(), token(&key(1)));
    for _ in 0..3 {
        assert_eq!(reason(verifier.verify(&token).await), "unknown_kid");
    }
    assert_eq!(source.fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_unknown_keys_costs_one_fetch_a_second() {
    let source = SlowSource::publishing(&[]);
    let verifier = source.verifier();
    let began = tokio::time::Instant::now();
    for seed in 0..20 {
        assert_eq!(
            reason(verifier.verify(&token(&key(seed))).await),
            "unknown_kid"
        );
    }
    let seconds = began.elapsed().as_secs();
    assert!(
        source.fetches() <= 20 && seconds >= 19,
        "{} in {seconds} s",
        source.fetches()
    );
}

#[tokio::test(start_paused = true)]
async fn a_token_that_comes_just_after_a_fetch_waits_for_the_next() {
    let (first, second) = (key(1), key(2));
    let source = SlowSource::publishing(&[&first]);
    let verifier = source.verifier();
    verifier.verify(&token(&first)).await.unwrap();
    source.change(published(&[&first, &second]));
    verifier.verify(&token(&second)).await.unwrap();
    assert_eq!(source.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_failed_fetch_refuses_with_its_cause_and_the_next_is_put_off() {
    let signer = key(1);
    let source = SlowSource::answering(Answer::Failure);
    let verifier = source.verifier();
    let refusal = verifier.verify(&token(&signer)).await.unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "no JWK Set from access.token.core: planted"
    );
    source.change(published(&[&signer]));
    let meanwhile = verifier.verify(&token(&signer)).await.unwrap_err();
    assert_eq!(meanwhile.to_string(), refusal.to_string());
    assert_eq!(source.fetches(), 1, "the next fetch is put off");
    tokio::time::advance(Duration::from_millis(250)).await;
    assert_eq!(reason(verifier.verify(&token(&signer)).await), "believed");
}

#[tokio::test(start_paused = true)]
async fn a_source_that_panics_is_asked_again() {
    let signer = key(1);
    let source = SlowSource::answering(Answer::Panic);
    let verifier = source.verifier();
    assert_eq!(reason(verifier.verify(&token(&signer)).await), "no_keys");
    source.change(published(&[&signer]));
    verifier.refresh(Issuer::Access).await.unwrap();
    assert_eq!(reason(verifier.verify_now(&token(&signer))), "believed");
}

#[test]
fn a_fetch_that_ended_with_its_runtime_is_begun_anew() {
    let key = key(1);
    let source = SlowSource::publishing(&[&key]);
    let (verifier, token) = (source.verifier(), token(&key));
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().start_paused(true).build().unwrap()
    };
    let short = runtime();
    let amid_the_fetch = Duration::from_millis(50);
    let checked = short
        .block_on(async { tokio::time::timeout(amid_the_fetch, verifier.verify(&token)).await });
    assert!(checked.is_err() && source.fetches() == 1);
    drop(short);
    let checked = runtime().block_on(verifier.verify(&token));
    assert_eq!(reason(checked), "believed");
    assert_eq!(source.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_than_a_second_for_a_silent_issuer() {
    let source = SlowSource::answering(Answer::Silence);
    let verifier = source.verifier();
    let began = tokio::time::Instant::now();
    let refusal = verifier.verify(&token(&key(1))).await.unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "no JWK Set from access.token.core: no answer in time"
    );
    assert!(began.elapsed() < Duration::from_millis(1_100));
}

#[tokio::test(start_paused = true)]
async fn a_key_counts_only_for_the_issuer_that_published_it() {
    let signer = key(1);
    let known = Jwk::of(&signer);
    let known = move |issuer, _: &KeyId| (issuer == Issuer::Bearer).then(|| known.key().clone());
    let source = SlowSource::publishing(&[]);
    let clock = Arc::new(SystemClock);
    let verifier = Verifier::with_known_keys(source, known, clock, Settings::default());
    assert_eq!(
        reason(verifier.verify(&bearer_token(&signer)).await),
        "believed"
    );
    assert_eq!(
        reason(verifier.verify(&token(&signer)).await),
        "unknown_kid"
    );
}

#[tokio::test(start_paused = true)]
async fn one_issuer_alone_can_be_believed() {
    let signer = key(1);
    let source = SlowSource::publishing(&[&signer]);
    let verifier = source.verifier_with(Settings {
        only: Some(Issuer::Bearer),
        ..Settings::default()
    });
    assert_eq!(reason(verifier.verify(&token(&signer)).await), "issuer");
    assert_eq!(source.fetches(), 0);
    assert_eq!(
        reason(verifier.verify(&bearer_token(&signer)).await),
        "believed"
    );
}

#[tokio::test(start_paused = true)]
async fn keys_are_kept_fresh_and_a_withdrawn_bearer_key_stops_counting() {
    let signer = key(1);
    let source = SlowSource::publishing(&[&signer]);
    let verifier = source.verifier();
    let task = tokio::spawn(verifier.clone().keep_fresh());
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (bearer, access) = (bearer_token(&signer), token(&signer));
    assert_eq!(reason(verifier.verify_now(&bearer)), "believed");
    source.change(published(&[]));
    tokio::time::sleep(REFRESH_INTERVAL).await;
    assert_eq!(source.fetches(), 4);
    assert_eq!(reason(verifier.verify_now(&bearer)), "unknown_kid");
    assert_eq!(
        reason(verifier.verify_now(&access)),
        "believed",
        "its tokens live on"
    );
    tokio::time::sleep(ACCESS_CEILING + ACCESS_PADDING).await;
    assert_eq!(reason(verifier.verify_now(&access)), "unknown_kid");
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn a_remembered_token_is_believed_while_its_times_and_its_key_are() {
    let signer = key(1);
    let source = SlowSource::publishing(&[&signer]);
    let clock = Arc::new(FakeClock::at(SystemClock.wall()));
    let settings = Settings {
        remembered_tokens: 8,
        ..Settings::default()
    };
    let verifier = Verifier::new(source.clone(), Arc::<FakeClock>::clone(&clock), settings);
    verifier.refresh(Issuer::Access).await.unwrap();
    verifier.refresh(Issuer::Bearer).await.unwrap();
    let (access, bearer) = (token(&signer), bearer_token(&signer));
    for token in [&access, &bearer] {
        for _ in 0..2 {
            assert_eq!(reason(verifier.verify_now(token)), "believed");
        }
    }
    assert!(
        lock(&verifier.shared.tokens)
            .recall(&Digest::of(&access), clock.wall(), Duration::ZERO)
            .is_some()
    );
    let (signed, _) = access.rsplit_once('.').unwrap();
    let (_, other) = bearer.rsplit_once('.').unwrap();
    assert_eq!(
        reason(verifier.verify_now(&format!("{signed}.{other}"))),
        "signature"
    );

    source.change(published(&[]));
    clock.advance(Duration::from_secs(1));
    verifier.refresh(Issuer::Bearer).await.unwrap();
    assert_eq!(reason(verifier.verify_now(&bearer)), "unknown_kid");
    clock.advance(LIFETIME + Duration::from_secs(5));
    assert_eq!(reason(verifier.verify_now(&access)), "expired");
}

#[tokio::test(start_paused = true)]
async fn the_leeway_is_five_seconds_at_most() {
    let signer = key(1);
    let source = SlowSource::publishing(&[&signer]);
    let clock = Arc::new(FakeClock::at(
        SystemClock.wall() + LIFETIME + Duration::from_secs(9),
    ));
    let settings = Settings {
        leeway: Duration::from_secs(60),
        ..Settings::default()
    };
    let verifier = Verifier::new(source, Arc::<FakeClock>::clone(&clock), settings);
    let token = token(&signer);
    assert_eq!(reason(verifier.verify(&token).await), "believed");
    clock.advance(Duration::from_secs(2));
    assert_eq!(reason(verifier.verify(&token).await), "expired");
}

#[tokio::test(start_paused = true)]
async fn a_token_of_nobody_we_know_is_refused_without_a_fetch() {
    let source = SlowSource::publishing(&[]);
    for text in ["a.b.c", &"a".repeat(8 * 1024 + 1)] {
        assert!(source.verifier().verify(text).await.is_err());
    }
    assert_eq!(source.fetches(), 0);
}

/// `{"alg":"none","typ":"JWT"}` and `{"sub":"harry"}`.
const UNSIGNED: &str = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJzdWIiOiJoYXJyeSJ9.";

#[test]
fn an_unsigned_token_is_refused_unless_a_test_build_is_told_otherwise() {
    let source = SlowSource::publishing(&[]);
    assert_eq!(reason(source.verifier().verify_now(UNSIGNED)), "alg_none");
    #[cfg(feature = "testing")]
    {
        let settings = Settings {
            accept_unsigned: true,
            ..Settings::default()
        };
        let verified = source.verifier_with(settings).verify_now(UNSIGNED).unwrap();
        assert_eq!(verified.sub().as_deref(), Some("harry"));
    }
}
