//! A whole mint beside the bare signature of the same input.
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

use aws_lc_rs::signature::Ed25519KeyPair;
use criterion::{Criterion, criterion_group, criterion_main};
use microbus_token::{Secret, SigningKey, TokenId, decode_claims, mint_access};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

/// A request body with about `bytes` of claims.
fn body(bytes: usize) -> Vec<u8> {
    let mut body =
        br#"{"claims":{"iss":"https://idp.example","roles":["admin","user"],"sub":"harry""#
            .to_vec();
    for number in 0.. {
        if body.len() >= bytes {
            break;
        }
        body.extend(format!(r#","zone{number:03}":"a value of some length {number}""#).bytes());
    }
    body.extend(b"}}");
    body
}

fn mint(c: &mut Criterion) {
    let key = SigningKey::from_seed(&Secret::new(vec![1; 32])).unwrap();
    let pair = Ed25519KeyPair::from_seed_unchecked(&[1; 32]).unwrap();
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    for size in [200, 4096] {
        let body = body(size);
        let mut rng = StdRng::seed_from_u64(1);
        let mut mint = || {
            let none = std::iter::empty::<(&str, &str)>;
            let claims = decode_claims(Some(black_box(&body)), none(), none()).unwrap();
            let jti = TokenId::random(&mut rng, TokenId::ACCESS_LENGTH);
            mint_access(claims, Duration::from_secs(20), &jti, &key, now).unwrap()
        };
        let token = mint();
        let input = token.as_str().rsplit_once('.').unwrap().0.to_owned();
        c.bench_function(&format!("mint_{size}"), |b| b.iter(&mut mint));
        c.bench_function(&format!("bare_signature_{size}"), |b| {
            b.iter(|| pair.sign(black_box(input.as_bytes())));
        });
    }
}

criterion_group!(benches, mint);
criterion_main!(benches);
