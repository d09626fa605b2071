//! A whole verification.
#![expect(
    missing_docs,
    reason = "the macros of criterion make undocumented functions"
)]
#![expect(
    clippy::unwrap_used,
    reason = "a bench that cannot be set up must stop"
)]

use std::hint::black_box;
use std::time::{Duration, SystemTime};

use criterion::{Criterion, criterion_group, criterion_main};
use microbus_token::{Claims, Jwk, JwkSet, Secret, SigningKey, TokenId, mint_access};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

fn verify(c: &mut Criterion) {
    let key = SigningKey::from_seed(&Secret::new(vec![1; 32])).unwrap();
    let mut keys = JwkSet::default();
    keys.push(Jwk::of(&key)).unwrap();
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    for size in [200, 4096] {
        let mut claims = Claims::new();
        claims.insert("text", "x".repeat(size)).unwrap();
        let jti = TokenId::random(&mut StdRng::seed_from_u64(1), TokenId::ACCESS_LENGTH);
        let token = mint_access(claims, Duration::from_secs(20), &jti, &key, now).unwrap();
        c.bench_function(&format!("verify_{size}"), |b| {
            b.iter(|| microbus_token::verify(black_box(token.as_str()), &keys, now).unwrap());
        });
    }
}

criterion_group!(benches, verify);
criterion_main!(benches);
