use proptest::prelude::*;

use super::*;
use crate::fragment::split;

fn part(fragment: &str, body: &str) -> Response {
    let mut response = Response::new(200, Bytes::copy_from_slice(body.as_bytes()));
    response.headers.set(header::FRAGMENT, fragment);
    response.headers.set("Body", body);
    response
}

#[expect(
    clippy::disallowed_methods,
    reason = "any instant does; the tests only add to it"
)]
fn start() -> Instant {
    Instant::now()
}

fn joiner() -> Joiner<Response> {
    Joiner::new(Duration::from_millis(800))
}

#[test]
fn fragments_in_any_order_make_the_message_of_fragment_1() {
    let (mut joiner, now) = (joiner(), start());
    assert_eq!(
        joiner.on_fragment("k", part("3/3", "c"), now),
        Joined::Pending
    );
    assert_eq!(
        joiner.on_fragment("k", part("1/3", "a"), now),
        Joined::Pending
    );
    assert_eq!(
        joiner.on_fragment("other", part("1/2", "x"), now),
        Joined::Pending
    );
    let Joined::Complete(whole) = joiner.on_fragment("k", part("2/3", "b"), now) else {
        panic!("not complete")
    };
    assert_eq!(whole.body, "abc");
    assert_eq!(whole.headers.get("Body"), Some("a"));
    assert_eq!(whole.headers.get(header::FRAGMENT), None);
    assert_eq!(joiner.pending(), 1);
}

#[test]
fn a_whole_message_needs_no_joining() {
    for fragment in ["1/1", "0/0", "garbage", "5/1"] {
        let Joined::Complete(whole) = joiner().on_fragment("k", part(fragment, "a"), start())
        else {
            panic!("{fragment}")
        };
        assert_eq!(whole.headers.get(header::FRAGMENT), None);
    }
}

#[test]
fn absurd_fragments_are_refused_and_their_set_is_dropped() {
    for (first, second, error) in [
        (
            "1/2",
            "1/2",
            JoinError::Duplicate(Fragment { index: 1, count: 2 }),
        ),
        (
            "1/2",
            "3/2",
            JoinError::Index(Fragment { index: 3, count: 2 }),
        ),
        (
            "1/2",
            "0/2",
            JoinError::Index(Fragment { index: 0, count: 2 }),
        ),
        (
            "1/2",
            "2/3",
            JoinError::Count(Fragment { index: 2, count: 3 }),
        ),
        (
            "1/2",
            "1/1025",
            JoinError::TooMany(Fragment {
                index: 1,
                count: 1025,
            }),
        ),
        (
            "1/2",
            "1/1000000000",
            JoinError::TooMany(Fragment {
                index: 1,
                count: 1_000_000_000,
            }),
        ),
    ] {
        let (mut joiner, now) = (joiner(), start());
        assert_eq!(
            joiner.on_fragment("k", part(first, "a"), now),
            Joined::Pending
        );
        assert_eq!(
            joiner.on_fragment("k", part(second, "b"), now),
            Joined::Refused(error),
            "{second}"
        );
        assert_eq!(joiner.pending(), 0);
    }
}

#[test]
fn the_number_of_messages_is_bounded() {
    let (mut joiner, now) = (joiner(), start());
    for key in 0..MAX_SETS {
        assert_eq!(
            joiner.on_fragment(&key.to_string(), part("1/2", ""), now),
            Joined::Pending
        );
    }
    let refused = joiner.on_fragment("one more", part("1/2", ""), now);
    assert_eq!(refused, Joined::Refused(JoinError::TooManyMessages));
    assert!(matches!(
        joiner.on_fragment("7", part("2/2", ""), now),
        Joined::Complete(_)
    ));
}

#[test]
fn the_bytes_of_a_message_are_bounded() {
    let (mut joiner, now) = (joiner(), start());
    let large = |fragment: &str| {
        let mut response = part(fragment, "");
        response.body = Bytes::from(vec![0; MAX_SET_BYTES / 2]);
        response
    };
    assert_eq!(joiner.on_fragment("k", large("1/3"), now), Joined::Pending);
    assert_eq!(joiner.on_fragment("k", large("2/3"), now), Joined::Pending);
    let refused = joiner.on_fragment("k", part("3/3", "x"), now);
    assert_eq!(refused, Joined::Refused(JoinError::TooLarge));
}

#[test]
fn a_message_expires_when_no_fragment_came_for_the_idle_time() {
    let (mut joiner, now) = (joiner(), start());
    let idle = Duration::from_millis(800);
    assert_eq!(joiner.next_wakeup(), None);
    joiner.on_fragment("k", part("2/3", "b"), now);
    joiner.on_fragment("k", part("1/3", "a"), now + idle / 2);
    assert_eq!(joiner.next_wakeup(), Some(now + idle / 2 + idle));
    assert_eq!(joiner.expire(now + idle), []);
    let expired = joiner.expire(now + idle / 2 + idle);
    assert_eq!(expired.len(), 1);
    assert_eq!(
        (expired[0].key.as_str(), expired[0].head.headers.get("Body")),
        ("k", Some("a"))
    );
    assert_eq!(joiner.pending(), 0);
}

proptest! {
    #[test]
    fn what_is_split_joins_in_any_order(body in prop::collection::vec(any::<u8>(), 0..400), size in 1usize..40,
        seed in any::<prop::sample::Index>()) {
        let body = Bytes::from(body);
        let mut parts: Vec<_> = split(&body, size).collect();
        let turn = seed.index(parts.len());
        parts.rotate_left(turn);
        if turn % 2 == 1 {
            parts.reverse();
        }
        let (mut joiner, now) = (joiner(), start());
        let count = parts.len();
        for (place, (fragment, body_part)) in parts.into_iter().enumerate() {
            let mut response = part(&fragment.to_string(), "");
            response.body = body.slice_ref(body_part);
            match joiner.on_fragment("k", response, now) {
                Joined::Complete(whole) => {
                    prop_assert_eq!(place.saturating_add(1), count);
                    prop_assert_eq!(&whole.body, &body);
                }
                Joined::Pending => prop_assert!(place.saturating_add(1) < count),
                Joined::Refused(error) => prop_assert!(false, "{}", error),
            }
        }
    }
}

#[test]
fn what_all_senders_together_can_make_us_keep_is_bounded() {
    let (mut joiner, now) = (joiner(), start());
    let half_a_set = Bytes::from(vec![0; MAX_SET_BYTES / 2]);
    let mut send = |sender: usize| {
        let mut message = part("1/2", "");
        message.body = half_a_set.clone();
        joiner.on_fragment(&sender.to_string(), message, now)
    };
    let allowed = MAX_PENDING_BYTES / half_a_set.len();
    for sender in 0..allowed {
        assert_eq!(send(sender), Joined::Pending);
    }
    assert_eq!(send(allowed), Joined::Refused(JoinError::TooManyMessages));
}
