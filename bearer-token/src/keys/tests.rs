use super::*;
use microbus_token::Secret;
use proptest::prelude::*;

const DELAY: Duration = Duration::from_secs(10);

/// Keys under a clock that the test moves.
struct Fixture {
    keys: Keys,
    now: Instant,
}

fn fixture() -> Fixture {
    Fixture {
        keys: Keys::new(DELAY),
        now: start(),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "an Instant can only be got by reading one"
)]
fn start() -> Instant {
    Instant::now()
}

fn key(seed: u8) -> Arc<SigningKey> {
    Arc::new(SigningKey::from_seed(&Secret::new(vec![seed; 32])).unwrap())
}

fn id(seed: u8) -> KeyId {
    key(seed).id().clone()
}

fn desired(primary: Option<u8>, alternate: Option<u8>) -> Desired {
    Desired {
        primary: primary.map(key),
        alternate: alternate.map(key),
    }
}

impl Fixture {
    /// Returns what is reported, in words.
    fn replace(&mut self, primary: Option<u8>, alternate: Option<u8>) -> Vec<String> {
        let changes = self.keys.replace(desired(primary, alternate), self.now);
        words(&changes)
    }

    fn wait(&mut self, seconds: u64) -> Vec<String> {
        self.now += Duration::from_secs(seconds);
        words(&self.keys.advance(self.now))
    }

    fn signer(&self) -> Option<u8> {
        self.keys.signer().map(|key| seed_of(key.key().id()))
    }

    fn published(&self) -> Vec<u8> {
        self.keys
            .published()
            .iter()
            .map(|jwk| seed_of(jwk.id()))
            .collect()
    }
}

fn words(changes: &[Change]) -> Vec<String> {
    changes
        .iter()
        .map(|change| match change {
            Change::Published(id) => format!("published {}", seed_of(id)),
            Change::Signs(id) => format!("signs {}", seed_of(id)),
            Change::NoneSigns => "none signs".to_owned(),
            Change::Withdrawn { key, signs_on } => {
                let seed = seed_of(key.key().id());
                match signs_on.as_secs() {
                    0 => format!("withdrawn {seed}"),
                    seconds => format!("withdrawn {seed}, signs on for {seconds}"),
                }
            }
            Change::SameTwice(id) => format!("same {}", seed_of(id)),
        })
        .collect()
}

fn seed_of(wanted: &KeyId) -> u8 {
    (1..=5).find(|seed| id(*seed) == *wanted).unwrap()
}

#[test]
fn the_first_key_signs_at_once() {
    let mut fixture = fixture();
    assert_eq!(fixture.signer(), None);
    assert_eq!(
        fixture.replace(Some(1), Some(2)),
        ["published 1", "published 2", "signs 1"]
    );
    assert_eq!(fixture.published(), [1, 2], "primary first");
    assert_eq!(fixture.keys.next_wakeup(), None);
}

#[test]
fn the_outgoing_key_signs_until_the_new_one_was_published_for_the_activation_delay() {
    let mut fixture = fixture();
    fixture.replace(Some(1), None);
    assert_eq!(fixture.replace(Some(2), Some(1)), ["published 2"]);
    assert_eq!(
        (fixture.published(), fixture.signer()),
        (vec![2, 1], Some(1))
    );
    assert_eq!(fixture.keys.next_wakeup(), Some(fixture.now + DELAY));
    assert!(fixture.wait(9).is_empty());
    assert_eq!(fixture.wait(1), ["signs 2"]);
    assert_eq!(fixture.keys.next_wakeup(), None);
    assert_eq!(fixture.replace(Some(2), None), ["withdrawn 1"]);
    assert_eq!(fixture.published(), [2]);
}

#[test]
fn an_older_alternate_makes_way_for_the_outgoing_key() {
    let mut fixture = fixture();
    fixture.replace(Some(1), Some(3));
    fixture.wait(100);
    fixture.replace(Some(2), Some(1));
    assert_eq!(
        (fixture.published(), fixture.signer()),
        (vec![2, 1], Some(1))
    );
}

#[test]
fn in_two_changes_alternate_first_nothing_else_happens() {
    let mut fixture = fixture();
    fixture.replace(Some(1), None);
    fixture.wait(100);
    assert_eq!(fixture.replace(Some(1), Some(1)), ["same 1"]);
    assert!(fixture.replace(Some(1), Some(1)).is_empty(), "warned once");
    assert_eq!(fixture.published(), [1], "one JWK");
    assert_eq!(fixture.replace(Some(2), Some(1)), ["published 2"]);
    assert_eq!(fixture.signer(), Some(1));
    assert_eq!(fixture.wait(10), ["signs 2"]);
}

#[test]
fn in_two_changes_primary_first_the_outgoing_key_signs_again_when_it_comes_back() {
    let mut fixture = fixture();
    fixture.replace(Some(1), None);
    fixture.wait(100);
    assert_eq!(
        fixture.replace(Some(2), None),
        ["published 2", "withdrawn 1, signs on for 10"]
    );
    assert_eq!((fixture.published(), fixture.signer()), (vec![2], Some(1)));
    fixture.wait(3);
    assert_eq!(fixture.replace(Some(2), Some(1)), ["published 1"]);
    assert_eq!(
        (fixture.published(), fixture.signer()),
        (vec![2, 1], Some(1))
    );
    assert!(fixture.wait(6).is_empty());
    assert_eq!(fixture.wait(1), ["signs 2"], "10 s after it was published");
    assert!(fixture.replace(Some(2), Some(1)).is_empty());
}

#[test]
fn in_two_changes_primary_first_the_second_may_come_late() {
    let mut fixture = fixture();
    fixture.replace(Some(1), None);
    fixture.wait(100);
    fixture.replace(Some(2), None);
    assert_eq!(fixture.wait(10), ["signs 2"]);
    assert_eq!(fixture.replace(Some(2), Some(1)), ["published 1"]);
    assert_eq!(fixture.signer(), Some(2));
}

#[test]
fn what_signs_is_shown_even_if_it_is_not_published() {
    let mut fixture = fixture();
    fixture.replace(Some(1), None);
    fixture.wait(100);
    fixture.replace(Some(2), None);
    let states = fixture.keys.states(fixture.now);
    let shown: Vec<_> = states
        .iter()
        .map(|key| (key.state, key.is_published))
        .collect();
    assert_eq!(shown, [(KeySlot::Waits, true), (KeySlot::Signs, false)]);
}

#[test]
fn a_removed_key_signs_no_more_whichever_way_it_was_removed() {
    for (primary, alternate, expected) in [
        (Some(2), None, "withdrawn 1 signs 2"),
        (Some(2), Some(3), "published 3 withdrawn 1 signs 2"),
        (None, Some(2), "withdrawn 1 none signs"),
        (None, None, "withdrawn 2 withdrawn 1 none signs"),
    ] {
        let mut fixture = fixture();
        fixture.replace(Some(1), None);
        fixture.wait(100);
        fixture.replace(Some(2), Some(1));
        assert_eq!(fixture.signer(), Some(1));
        let changes = fixture.replace(primary, alternate);
        assert_eq!(changes.join(" "), expected);
    }
}

#[test]
fn a_replaced_key_that_leaked_is_stopped_by_hand() {
    let mut fixture = fixture();
    fixture.replace(Some(1), None);
    fixture.wait(100);
    fixture.replace(Some(2), None);
    assert_eq!(words(&fixture.keys.activate_now(fixture.now)), ["signs 2"]);
    assert!(words(&fixture.keys.activate_now(fixture.now)).is_empty());
    assert_eq!(fixture.keys.next_wakeup(), None);
    let brought_back = fixture.replace(Some(2), Some(1));
    assert_eq!(brought_back, ["published 1"], "it verifies, and no more");
}

#[test]
fn a_second_rotation_within_the_window_leaves_the_outgoing_key_signing() {
    let mut fixture = fixture();
    fixture.replace(Some(1), None);
    fixture.wait(100);
    fixture.replace(Some(2), Some(1));
    fixture.wait(5);
    assert_eq!(
        fixture.replace(Some(3), Some(2)),
        ["published 3", "withdrawn 1, signs on for 10"],
        "verifiers know neither of the others"
    );
    assert_eq!(fixture.wait(10), ["signs 3"]);
}

#[test]
fn a_key_that_was_moved_to_the_alternate_before_there_is_another_signs_until_that_does() {
    let mut fixture = fixture();
    fixture.replace(Some(1), None);
    fixture.wait(100);
    assert_eq!(fixture.replace(None, Some(1)), ["none signs"]);
    assert_eq!(
        fixture.replace(Some(2), Some(1)),
        ["published 2", "signs 1"]
    );
    assert_eq!(fixture.wait(10), ["signs 2"]);
}

#[test]
fn whatever_the_alternate_is_meanwhile_it_is_the_outgoing_key_that_signs() {
    let mut fixture = fixture();
    fixture.replace(Some(1), Some(3));
    fixture.wait(100);
    fixture.replace(Some(2), Some(3));
    assert_eq!(fixture.signer(), Some(1));
    fixture.replace(Some(2), Some(1));
    assert_eq!(fixture.signer(), Some(1));
}

#[test]
fn an_incoming_key_that_was_published_as_the_alternate_signs_at_once() {
    let mut fixture = fixture();
    fixture.replace(Some(1), None);
    fixture.wait(100);
    assert_eq!(fixture.replace(Some(1), Some(2)), ["published 2"]);
    fixture.wait(4);
    assert!(
        fixture.replace(Some(2), Some(1)).is_empty(),
        "4 s are not enough"
    );
    assert_eq!(fixture.wait(6), ["signs 2"]);
    assert_eq!(fixture.replace(Some(1), Some(2)), ["signs 1"], "and back");
}

#[test]
fn the_alternate_alone_never_signs() {
    let mut fixture = fixture();
    assert_eq!(fixture.replace(None, Some(1)), ["published 1"]);
    assert_eq!((fixture.published(), fixture.signer()), (vec![1], None));
    fixture.replace(Some(2), Some(1));
    fixture.wait(100);
    assert_eq!(
        fixture.replace(None, Some(1)),
        ["withdrawn 2", "none signs"]
    );
    assert_eq!(fixture.published(), [1]);
}

#[test]
fn a_key_that_was_gone_for_longer_than_the_delay_is_new_again() {
    let mut fixture = fixture();
    fixture.replace(Some(1), Some(2));
    fixture.wait(100);
    fixture.replace(Some(1), None);
    fixture.wait(10);
    fixture.replace(Some(2), Some(1));
    assert_eq!(fixture.signer(), Some(1));
}

#[test]
fn a_changed_delay_counts_for_keys_to_come() {
    let mut fixture = fixture();
    fixture.replace(Some(1), None);
    fixture.wait(20);
    fixture.replace(Some(2), Some(1));
    fixture.keys.set_activation_delay(Duration::from_secs(3600));
    assert_eq!(fixture.wait(10), ["signs 2"]);
    fixture.replace(Some(3), Some(2));
    assert!(fixture.wait(3599).is_empty());
    assert_eq!(fixture.wait(1), ["signs 3"]);
}

#[test]
fn the_last_end_is_the_greatest() {
    let mut fixture = fixture();
    fixture.replace(Some(1), None);
    let key = fixture.keys.signer().unwrap();
    assert_eq!(key.last_end(), None);
    key.note_end(20);
    key.note_end(10);
    let expected = SystemTime::UNIX_EPOCH + Duration::from_secs(20);
    assert_eq!(key.last_end(), Some(expected));
}

/// When each key was shown first, as verifiers see it; a gap shorter than the delay does not count.
#[derive(Default)]
struct Shown(Vec<(u8, Instant, Option<Instant>)>);

impl Shown {
    fn note(&mut self, published: &[u8], now: Instant) {
        for (seed, _, gone) in &mut self.0 {
            if !published.contains(seed) {
                gone.get_or_insert(now);
            }
        }
        for seed in published {
            let known = self.0.iter_mut().find(|(known, ..)| known == seed);
            match known {
                Some((_, since, gone)) => {
                    if gone.is_some_and(|gone| now >= gone + DELAY) {
                        *since = now;
                    }
                    *gone = None;
                }
                None => self.0.push((*seed, now, None)),
            }
        }
    }

    fn is_long(&self, seed: u8, now: Instant) -> bool {
        self.0
            .iter()
            .any(|(known, since, _)| *known == seed && now >= *since + DELAY)
    }
}

proptest! {
    #[test]
    fn whatever_the_operator_does_only_a_removal_makes_an_unknown_key_sign(
        steps in prop::collection::vec((prop::option::of(1_u8..5), prop::option::of(1_u8..5), 0_u64..15), 1..30)
    ) {
        let mut fixture = fixture();
        let mut shown = Shown::default();
        let mut before = [None, None];
        let mut last = None;
        for (primary, alternate, seconds) in steps {
            fixture.replace(primary, alternate);
            let configured = [primary, alternate.filter(|_| alternate != primary)];
            let published: Vec<_> = configured.into_iter().flatten().collect();
            prop_assert_eq!(fixture.published(), published.clone(), "nothing but what is configured");
            shown.note(&published, fixture.now);
            let removed = last.is_some_and(|last: u8| {
                let was_there = before.contains(&Some(last));
                !published.contains(&last) && (primary.is_none() || was_there && before[0] == primary)
            });
            if removed {
                last = None;
            }
            for seconds in [0, seconds] {
                fixture.wait(seconds);
                let signer = fixture.signer();
                prop_assert_eq!(signer.is_some(), primary.is_some());
                let known = |seed: &u8| shown.is_long(*seed, fixture.now);
                if primary.is_some() {
                    let expected = primary.filter(known).or(last).or(primary);
                    prop_assert_eq!(signer, expected);
                    last = signer;
                }
            }
            before = configured;
        }
    }
}
