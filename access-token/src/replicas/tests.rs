use super::*;
use microbus_token::{RotationPolicy, Secret, SigningKey};

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&Secret::new(vec![seed; 32])).unwrap()
}

fn jwk(seed: u8) -> Jwk {
    Jwk::of(&key(seed))
}

#[expect(
    clippy::disallowed_methods,
    reason = "an Instant can only be got by reading one"
)]
fn start() -> Instant {
    Instant::now()
}

fn ring(seeds: &[u8], now: Instant) -> KeyRing {
    let mut ring = KeyRing::new(RotationPolicy::access(Duration::from_secs(7200)));
    for seed in seeds {
        ring.prepare(key(*seed), now).unwrap();
        ring.activate_now(now);
    }
    ring
}

fn word(keys: &[(u8, bool, u64)]) -> Word {
    let mut set = JwkSet::default();
    let about = keys
        .iter()
        .map(|(seed, own, life)| {
            set.push(jwk(*seed)).unwrap();
            About {
                kid: jwk(*seed).id().as_str().to_owned(),
                own: *own,
                life: *life,
                number: 1,
            }
        })
        .collect();
    Word {
        keys: set,
        about,
        showing: Duration::ZERO,
        leaving: false,
    }
}

fn numbered(number: u64, mut word: Word) -> Word {
    for about in &mut word.about {
        about.number = number;
    }
    word
}

fn knows(replicas: &Replicas, seed: u8) -> bool {
    replicas.foreign.contains_key(jwk(seed).id())
}

#[test]
fn a_key_is_served_until_its_owner_says_that_no_token_of_it_can_live() {
    let (now, own) = (start(), ring(&[1], start()));
    let mut replicas = Replicas::new("id-own".to_owned());
    assert_eq!(
        replicas.hear("id-b", &word(&[(2, true, 100)]), &own, now),
        Heard::News
    );
    let later = now + Duration::from_secs(90);
    let second = numbered(2, word(&[(2, true, 100)]));
    replicas.hear("id-b", &second, &own, later);
    replicas.expire(now + Duration::from_secs(189));
    assert!(knows(&replicas, 2), "the owner extended its life");
    replicas.expire(now + Duration::from_secs(190));
    assert!(!knows(&replicas, 2));
}

#[test]
fn hearsay_introduces_a_key_and_never_lengthens_its_life() {
    let (now, own) = (start(), ring(&[1], start()));
    let mut replicas = Replicas::new("id-own".to_owned());
    assert_eq!(
        replicas.hear("id-c", &word(&[(2, false, 50)]), &own, now),
        Heard::News
    );
    for second in 1..50 {
        let then = now + Duration::from_secs(second);
        assert_eq!(
            replicas.hear("id-c", &word(&[(2, false, 50)]), &own, then),
            Heard::Nothing
        );
    }
    replicas.expire(now + Duration::from_secs(50));
    assert!(!knows(&replicas, 2));
}

#[test]
fn hearsay_passes_a_later_word_of_the_owner_on_once() {
    let (now, own) = (start(), ring(&[1], start()));
    let after = |seconds| now + Duration::from_secs(seconds);
    let mut replicas = Replicas::new("id-own".to_owned());
    replicas.hear("id-b", &word(&[(2, true, 100)]), &own, now);
    let passed_on = numbered(2, word(&[(2, false, 100)]));
    replicas.hear("id-c", &passed_on, &own, after(50));
    assert_eq!(replicas.next_expiry(), Some(after(150)));
    replicas.hear("id-d", &passed_on, &own, after(60));
    assert_eq!(
        replicas.next_expiry(),
        Some(after(150)),
        "the same word on another way"
    );
    let shorter = numbered(3, word(&[(2, false, 10)]));
    replicas.hear("id-c", &shorter, &own, after(60));
    assert_eq!(
        replicas.next_expiry(),
        Some(after(150)),
        "only the owner shortens"
    );
    let stale = numbered(1, word(&[(2, true, 1)]));
    replicas.hear("id-b", &stale, &own, after(61));
    assert_eq!(
        replicas.next_expiry(),
        Some(after(150)),
        "an old word that comes late"
    );
}

#[test]
fn a_word_that_was_on_its_way_for_long_brings_no_key_back() {
    let (now, own) = (start(), ring(&[1], start()));
    let after = |seconds| now + Duration::from_secs(seconds);
    let mut replicas = Replicas::new("id-own".to_owned());
    replicas.hear("id-b", &word(&[(2, true, 100)]), &own, now);
    let late = word(&[(2, false, 5)]);
    assert_eq!(
        replicas.hear("id-c", &late, &own, after(101)),
        Heard::Nothing
    );
    assert!(!knows(&replicas, 2));
    let newer = numbered(2, late);
    assert_eq!(replicas.hear("id-c", &newer, &own, after(101)), Heard::News);
}

#[test]
fn a_replica_that_says_it_goes_is_not_waited_for() {
    let (now, own) = (start(), ring(&[1], start()));
    let mut replicas = Replicas::new("id-own".to_owned());
    replicas.hear("id-b", &word(&[(2, true, 100)]), &own, now);
    let leaving = Word {
        leaving: true,
        ..word(&[(2, true, 90)])
    };
    replicas.hear("id-b", &leaving, &own, now);
    assert_eq!(replicas.peers().count(), 0);
    assert!(knows(&replicas, 2));
}

#[test]
fn hearsay_leaves_room_for_those_who_are_there() {
    let (now, own) = (start(), ring(&[1], start()));
    let mut replicas = Replicas::new("id-own".to_owned());
    let flood: Vec<_> = (2..=60).map(|seed| (seed, false, 100)).collect();
    replicas.hear("id-b", &word(&flood), &own, now);
    assert_eq!(replicas.foreign.len(), MOST_HEARSAY);
    replicas.hear("id-c", &word(&[(61, true, 100)]), &own, now);
    assert!(knows(&replicas, 61));
}

#[test]
fn nobody_can_claim_more_than_the_ceiling() {
    let (now, own) = (start(), ring(&[1], start()));
    let mut replicas = Replicas::new("id-own".to_owned());
    replicas.hear("id-b", &word(&[(2, true, u64::MAX)]), &own, now);
    assert_eq!(replicas.next_expiry(), Some(now + CEILING));
}

#[test]
fn a_key_id_means_one_key() {
    let (now, own) = (start(), ring(&[1], start()));
    let mut replicas = Replicas::new("id-own".to_owned());
    replicas.hear("id-b", &word(&[(2, true, 100)]), &own, now);
    let mut forged = word(&[(2, true, 100)]);
    forged.keys = JwkSet::default();
    let other = Jwk::new(jwk(2).id().clone(), jwk(3).key().clone());
    forged.keys.push(other).unwrap();
    replicas.hear("id-b", &forged, &own, now);
    assert_eq!(replicas.union(&own).get(jwk(2).id()), Some(jwk(2).key()));
}

#[test]
fn an_own_key_is_never_taken_from_others() {
    let (now, own) = (start(), ring(&[1], start()));
    let mut replicas = Replicas::new("id-own".to_owned());
    let mut forged = word(&[(1, true, 100)]);
    forged.keys = JwkSet::default();
    let other = Jwk::new(jwk(1).id().clone(), jwk(3).key().clone());
    forged.keys.push(other).unwrap();
    assert_eq!(replicas.hear("id-b", &forged, &own, now), Heard::Nothing);
    assert_eq!(replicas.union(&own).get(jwk(1).id()), Some(jwk(1).key()));
}

#[test]
fn memory_is_bounded_and_live_keys_are_not_evicted_for_new_ones() {
    let (now, own) = (start(), ring(&[1], start()));
    let mut replicas = Replicas::new("id-own".to_owned());
    let flood: Vec<_> = (2..=60).map(|seed| (seed, true, 100)).collect();
    replicas.hear("id-b", &word(&flood), &own, now);
    assert_eq!(replicas.foreign.len(), MOST_OF_ONE);
    assert!(knows(&replicas, 2));
    for (at, chunk) in flood.chunks(MOST_OF_ONE).enumerate() {
        replicas.hear(&format!("id-{at}"), &word(chunk), &own, now);
    }
    assert!(replicas.foreign.len() <= MOST_FOREIGN);
    assert!(replicas.union(&own).len() <= 64);
}

#[test]
fn a_replica_that_falls_silent_counts_as_gone_but_its_keys_stay() {
    let (now, own) = (start(), ring(&[1], start()));
    let mut replicas = Replicas::new("id-own".to_owned());
    replicas.hear("id-b", &word(&[(2, true, 900)]), &own, now);
    assert_eq!(replicas.peers().collect::<Vec<_>>(), ["id-b"]);
    replicas.expire(now + SILENCE);
    assert_eq!(replicas.peers().count(), 0);
    assert!(knows(&replicas, 2));
}

#[test]
fn a_rolling_restart_loses_no_key_while_one_replica_remembers() {
    let now = start();
    let (first, second) = (ring(&[1], now), ring(&[2], now));
    let mut of_second = Replicas::new("id-own".to_owned());
    of_second.hear(
        "id-1",
        &Replicas::new("id-own".to_owned()).word(&first, now),
        &second,
        now,
    );
    // The first is gone; a third starts and hears of its key from the second alone.
    let third = ring(&[3], now);
    let mut of_third = Replicas::new("id-own".to_owned());
    of_third.hear("id-2", &of_second.word(&second, now), &third, now);
    assert!(knows(&of_third, 1));
    // Then the second is gone too.
    let fourth = ring(&[4], now);
    let mut of_fourth = Replicas::new("id-own".to_owned());
    of_fourth.hear("id-3", &of_third.word(&third, now), &fourth, now);
    assert!(knows(&of_fourth, 1) && knows(&of_fourth, 2));
}

#[test]
fn our_own_word_that_comes_back_is_not_another_replica() {
    let (now, own) = (start(), ring(&[1], start()));
    let mut replicas = Replicas::new("id-own".to_owned());
    assert_eq!(
        replicas.hear("id-own", &word(&[(2, true, 100)]), &own, now),
        Heard::Nothing
    );
    assert_eq!((replicas.peers().count(), knows(&replicas, 2)), (0, false));
}
