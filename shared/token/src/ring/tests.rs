use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::Secret;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&Secret::new(vec![seed; 32])).unwrap()
}

fn id(seed: u8) -> KeyId {
    key(seed).id().clone()
}

fn policy() -> RotationPolicy {
    RotationPolicy::access(Duration::from_secs(7200))
}

#[expect(
    clippy::disallowed_methods,
    reason = "an Instant can be had from the clock only"
)]
fn start() -> Instant {
    Instant::now()
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn ids(ring: &KeyRing) -> Vec<KeyId> {
    ring.published()
        .iter()
        .map(|jwk| jwk.id().clone())
        .collect()
}

#[test]
fn stations_tell_since_when_and_until_when() {
    let t = start();
    let mut ring = KeyRing::new(policy());
    ring.prepare(key(1), t).unwrap();
    assert_eq!(ring.next_rotation(), None);
    ring.activate_now(t);
    let due = t + seconds(7200);
    assert_eq!(ring.next_rotation(), Some(due));
    ring.prepare(key(2), due).unwrap();
    let stations = [
        (id(2), KeyStation::Waits { since: due }),
        (id(1), KeyStation::Signs { since: t }),
    ];
    assert_eq!(ring.stations(), stations);
    let swap = due + seconds(10);
    ring.advance(swap);
    let until = swap + policy().retention;
    let stations = [
        (id(2), KeyStation::Signs { since: swap }),
        (id(1), KeyStation::Retired { until }),
    ];
    assert_eq!(ring.stations(), stations);
}

#[test]
fn a_key_lives_through_all_its_states() {
    let t = start();
    let mut ring = KeyRing::new(policy());
    assert!(ring.rotation_due(t));
    assert!(ring.active().is_none());
    ring.prepare(key(1), t).unwrap();
    assert!(!ring.rotation_due(t));
    assert_eq!(ring.activate_now(t), [Change::Activated(id(1))]);
    assert_eq!(ring.next_wakeup(), Some(t + seconds(7200)));

    let due = t + seconds(7200);
    assert!(!ring.rotation_due(due - seconds(1)));
    assert!(ring.rotation_due(due));
    ring.prepare(key(2), due).unwrap();
    assert_eq!(ids(&ring), [id(2), id(1)]);
    assert_eq!(ring.active().unwrap().id(), &id(1));
    assert_eq!(ring.activate_now(due), []);
    assert_eq!(ring.next_wakeup(), Some(due + seconds(10)));
    assert_eq!(ring.advance(due + seconds(9)), []);

    let swap = due + seconds(10);
    assert_eq!(
        ring.advance(swap),
        [Change::Activated(id(2)), Change::Retired(id(1))]
    );
    assert_eq!(ring.active().unwrap().id(), &id(2));
    assert_eq!(ids(&ring), [id(2), id(1)]);
    let end = swap + seconds(15 * 60 + 5 + 60);
    assert_eq!(ring.next_wakeup(), Some(end));
    assert_eq!(ring.advance(end - seconds(1)), []);
    assert_eq!(ring.advance(end), [Change::Erased(id(1))]);
    assert_eq!(ids(&ring), [id(2)]);
}

#[test]
fn only_the_waiting_key_can_be_confirmed() {
    let t = start();
    let mut ring = KeyRing::new(policy());
    ring.prepare(key(1), t).unwrap();
    ring.activate_now(t);
    ring.prepare(key(2), t).unwrap();
    assert_eq!(ring.confirm(&id(1), t), []);
    assert_eq!(ring.confirm(&id(2), t).len(), 2);
    assert_eq!(ring.confirm(&id(2), t), []);
}

#[test]
fn keys_that_do_not_fit_are_refused() {
    let t = start();
    let mut ring = KeyRing::new(policy());
    ring.prepare(key(1), t).unwrap();
    assert_eq!(ring.prepare(key(2), t), Err(RingError::NextExists(id(1))));
    ring.activate_now(t);
    assert_eq!(ring.prepare(key(1), t), Err(RingError::KnownKey(id(1))));
    for seed in 2..=16 {
        ring.prepare(key(seed), t).unwrap();
        ring.confirm(&id(seed), t);
    }
    assert_eq!(ring.prepare(key(17), t), Err(RingError::Full));
    assert_eq!(ids(&ring), (1..=16).rev().map(id).collect::<Vec<_>>());
}

#[test]
fn a_rotation_can_be_asked_for() {
    let t = start();
    let mut ring = KeyRing::new(policy());
    ring.prepare(key(1), t).unwrap();
    ring.activate_now(t);
    ring.request_rotation(t);
    ring.request_rotation(t + seconds(1));
    assert!(ring.rotation_due(t));
    assert_eq!(ring.next_rotation(), Some(t));
    assert_eq!(ring.next_wakeup(), Some(t));
    let t = t + seconds(2);
    ring.prepare(key(2), t).unwrap();
    ring.request_rotation(t);
    ring.confirm(&id(2), t);
    assert!(!ring.rotation_due(t));
}

#[test]
fn debug_output_shows_identifiers_only() {
    let mut ring = KeyRing::new(policy());
    ring.prepare(key(1), start()).unwrap();
    let shown = format!("{ring:?}");
    assert!(shown.contains("SigningKey(NHUPmL1Z_Pw)"), "{shown}");
}

/// What a test does to a ring, with the seconds that pass before (or, if negative, go back).
#[derive(Clone, Debug)]
enum Step {
    Prepare,
    ActivateNow,
    Confirm,
    Advance,
    Request,
}

proptest! {
    // Each case makes keys and signatures, which are slow in a debug build.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_promises_hold_under_any_order_of_steps(
        steps in prop::collection::vec(
            (
                prop_oneof![
                    Just(Step::Prepare),
                    Just(Step::ActivateNow),
                    Just(Step::Confirm),
                    Just(Step::Advance),
                    Just(Step::Request),
                ],
                -600_i64..600,
            ),
            0..60,
        )
    ) {
        let policy = policy();
        let base = start() + seconds(1_000_000);
        let (mut time, mut latest) = (base, base);
        let mut ring = KeyRing::new(policy);
        ring.advance(base);
        let mut published: HashMap<KeyId, Instant> = HashMap::new();
        let mut last_signed: HashMap<KeyId, Instant> = HashMap::new();
        let mut seed = 0;
        for (step, passed) in steps {
            let by = seconds(passed.unsigned_abs());
            time = if passed < 0 { time - by } else { time + by };
            let before = latest;
            latest = latest.max(time);
            let had_active = ring.active().is_some();
            // Until this step, the active key may have signed at any time.
            if let Some(active) = ring.active() {
                last_signed.insert(active.id().clone(), before);
            }
            let mut confirmed = false;
            let changes = match step {
                Step::Prepare => {
                    seed += 1;
                    if ring.prepare(key(seed), time).is_ok() {
                        published.insert(id(seed), latest);
                    }
                    Vec::new()
                }
                Step::ActivateNow => ring.activate_now(time),
                Step::Confirm => {
                    confirmed = true;
                    let next = ring.next().map_or_else(|| id(0), |(key, _)| key.id().clone());
                    ring.confirm(&next, time)
                }
                Step::Advance => ring.advance(time),
                Step::Request => {
                    ring.request_rotation(time);
                    Vec::new()
                }
            };
            for change in changes {
                match change {
                    Change::Activated(id) => {
                        let waited = latest - published[&id] >= policy.activation_delay;
                        prop_assert!(waited || confirmed || !had_active);
                    }
                    Change::Retired(id) => prop_assert!(ring.published().get(&id).is_some()),
                    Change::Erased(id) => {
                        prop_assert!(latest - last_signed[&id] >= ACCESS_CEILING + ACCESS_PADDING);
                        prop_assert!(ring.published().get(&id).is_none());
                        published.remove(&id);
                    }
                }
            }
            // Nothing else withdraws a key, and who signs is published.
            prop_assert!(published.keys().all(|id| ring.published().get(id).is_some()));
            prop_assert_eq!(ring.published().len(), published.len());
            prop_assert!(ring.active().is_none_or(|key| published.contains_key(key.id())));
        }
    }
}
