//! A verification with a key at hand, and one that is remembered.
#![expect(
    missing_docs,
    reason = "the macros of criterion make undocumented functions"
)]
#![expect(
    clippy::unwrap_used,
    reason = "a bench that cannot be set up must stop"
)]

use criterion::{Criterion, criterion_group, criterion_main};
use futures_util::future::{self, BoxFuture, FutureExt as _};
use microbus_bus::{Clock as _, SystemClock};
use microbus_token::{Claims, Issuer, Jwk, JwkSet, SigningKey, TokenId, VerifyError, mint_access};
use microbus_verify::{FetchError, KeySource, Refusal, Settings, Verifier};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

struct Fixed(JwkSet);

impl KeySource for Fixed {
    fn fetch(&self, _: Issuer) -> BoxFuture<'static, Result<JwkSet, FetchError>> {
        future::ready(Ok(self.0.clone())).boxed()
    }
}

fn verifier(signer: &SigningKey, remembered_tokens: usize) -> Verifier {
    let mut set = JwkSet::default();
    set.push(Jwk::of(signer)).unwrap();
    let settings = Settings {
        remembered_tokens,
        ..Settings::default()
    };
    let verifier = Verifier::new(Fixed(set), Arc::new(SystemClock), settings);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    runtime
        .unwrap()
        .block_on(verifier.refresh(Issuer::Access))
        .unwrap();
    verifier
}

fn verify(c: &mut Criterion) {
    let mut rng = StdRng::seed_from_u64(1);
    let signer = SigningKey::generate(&mut rng).unwrap();
    let stranger = SigningKey::generate(&mut rng).unwrap();
    let mut claims = Claims::new();
    claims.insert("sub", "harry@hogwarts.edu").unwrap();
    claims
        .insert("roles", ["reader", "writer", "admin"])
        .unwrap();
    let jti = TokenId::random(&mut rng, TokenId::ACCESS_LENGTH);
    let mint = |key| {
        let lifetime = Duration::from_secs(900);
        mint_access(claims.clone(), lifetime, &jti, key, SystemClock.wall())
            .unwrap()
            .into_string()
    };
    let (token, strange) = (mint(&signer), mint(&stranger));
    for (name, remembered) in [("known_key", 0), ("remembered", 1024)] {
        let verifier = verifier(&signer, remembered);
        c.bench_function(&format!("verifier_{name}"), |b| {
            b.iter(|| verifier.verify_now(black_box(&token)).unwrap());
        });
    }
    let verifier = verifier(&signer, 0);
    c.bench_function("verifier_unknown_key", |b| {
        b.iter(|| {
            let refusal = verifier.verify_now(black_box(&strange));
            assert!(matches!(
                refusal,
                Err(Refusal::Token(VerifyError::UnknownKey))
            ));
        });
    });
}

criterion_group!(benches, verify);
criterion_main!(benches);
