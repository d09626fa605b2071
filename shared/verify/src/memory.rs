//! Tokens that were verified before. Pure: time is handed in.

use microbus_token::{Verified, VerifyingKey};
use sha2::{Digest as _, Sha256};
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, SystemTime};

/// What a token is remembered by, so that the token itself is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Digest([u8; 32]);

impl Digest {
    pub(crate) fn of(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }
}

/// A bounded number of verified tokens; the oldest makes room.
#[derive(Debug)]
pub(crate) struct TokenMemory {
    most: usize,
    tokens: HashMap<Digest, Remembered>,
    /// Oldest first; may name some that are gone already.
    order: VecDeque<Digest>,
}

/// A token that held, and the key that it held with.
#[derive(Debug, Clone)]
pub(crate) struct Remembered {
    pub(crate) verified: Verified,
    pub(crate) key: VerifyingKey,
}

impl TokenMemory {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            tokens: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    /// Returns a token that still is within its times.
    pub(crate) fn recall(
        &self,
        digest: &Digest,
        now: SystemTime,
        leeway: Duration,
    ) -> Option<Remembered> {
        let found = self.tokens.get(digest)?;
        found.verified.check_times(now, leeway).ok()?;
        Some(found.clone())
    }

    pub(crate) fn remember(&mut self, digest: Digest, token: Remembered, now: SystemTime) {
        if self.tokens.insert(digest, token).is_some() {
            return;
        }
        self.order.push_back(digest);
        while let Some(oldest) = self.order.front() {
            let expired = self
                .tokens
                .get(oldest)
                .is_none_or(|token| token.verified.check_times(now, Duration::ZERO).is_err());
            if !expired && self.order.len() <= self.most {
                return;
            }
            self.tokens.remove(oldest);
            self.order.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use microbus_token::{Claims, SigningKey, TokenId, Unverified, mint_access};
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    const LIFETIME: Duration = Duration::from_secs(20);

    fn start() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
    }

    fn token(seed: u64, now: SystemTime) -> (Digest, Remembered) {
        let mut rng = StdRng::seed_from_u64(seed);
        let signer = SigningKey::generate(&mut rng).unwrap();
        let jti = TokenId::random(&mut rng, TokenId::ACCESS_LENGTH);
        let token = mint_access(Claims::new(), LIFETIME, &jti, &signer, now).unwrap();
        let key = signer.verifying_key().clone();
        let unverified = Unverified::parse(token.as_str(), 8_192).unwrap();
        let verified = unverified.verify(&key, now, Duration::ZERO).unwrap();
        (Digest::of(token.as_str()), Remembered { verified, key })
    }

    #[test]
    fn a_token_is_remembered_until_it_expires() {
        let (digest, remembered) = token(1, start());
        let mut memory = TokenMemory::new(2);
        memory.remember(digest, remembered, start());
        let recalls = |after| {
            let then = start() + Duration::from_secs(after);
            memory.recall(&digest, then, Duration::ZERO).is_some()
        };
        assert!(recalls(0) && recalls(24));
        assert!(!recalls(25), "the padding ends too");
        assert!(
            memory
                .recall(&Digest::of("another"), start(), Duration::ZERO)
                .is_none()
        );
    }

    #[test]
    fn the_oldest_makes_room() {
        let mut memory = TokenMemory::new(2);
        let tokens: Vec<_> = (1..=3).map(|seed| token(seed, start())).collect();
        for (digest, remembered) in &tokens {
            memory.remember(*digest, remembered.clone(), start());
            memory.remember(*digest, remembered.clone(), start());
        }
        let known = tokens
            .iter()
            .map(|(digest, _)| memory.tokens.contains_key(digest));
        assert_eq!(known.collect::<Vec<_>>(), [false, true, true]);
        assert_eq!(memory.order.len(), 2);
    }

    #[test]
    fn expired_tokens_make_room_first() {
        let mut memory = TokenMemory::new(2);
        let (old, new) = (
            token(1, start()),
            token(2, start() + Duration::from_secs(60)),
        );
        memory.remember(old.0, old.1, start());
        memory.remember(new.0, new.1, start() + Duration::from_secs(60));
        assert_eq!(memory.tokens.len(), 1);
        assert_eq!(memory.order.len(), 1);
    }
}
