//! The protocol in a world in memory: single cases, thousands of random schedules, and all of a small world.

mod exhaustive;
mod schedules;
mod world;

use super::*;
use world::{Broker, Network, Replica, State, World};

const NETWORK: Network = Network {
    delay: Duration::from_millis(2),
    lost_percent: 0,
    late_percent: 0,
};

#[test]
fn a_replica_that_is_alone_signs_at_once() {
    for (broker, patience) in [(Broker::Lone, 4), (Broker::Silent, 201)] {
        let mut world = World::new(1, NETWORK, 0);
        world.broker = broker;
        let alone = world.start();
        world.run(Duration::from_millis(patience));
        assert!(world.replicas[alone].signs(), "{broker:?}");
    }
}

#[test]
fn a_replica_beside_others_signs_when_all_have_its_key_and_verifiers_know_it() {
    let mut world = World::new(1, NETWORK, 3);
    world.start();
    world.run(Duration::from_secs(5));
    let second = world.start();
    world.run(Duration::from_millis(150));
    assert_eq!(world.replicas[second].state, State::Serving);
    assert!(
        !world.replicas[second].signs(),
        "it is told, and not shown yet"
    );
    world.run(Duration::from_millis(300));
    assert!(world.replicas[second].signs());
    let kid = world.replicas[second].keys()[0].clone();
    assert!(world.verifiers.iter().all(|one| one.known.contains(&kid)));
}

#[test]
fn while_a_replica_is_silent_a_new_key_waits_for_its_delay() {
    let mut world = World::new(1, NETWORK, 1);
    for _ in 0..2 {
        world.start();
        world.run(Duration::from_secs(5));
    }
    world.crash(1);
    world.rotate(0);
    let before = world.replicas[0].keys();
    world.run(Duration::from_millis(9900));
    let signer = |world: &World| {
        world.replicas[0]
            .member
            .ring()
            .active()
            .unwrap()
            .id()
            .clone()
    };
    assert_ne!(signer(&world), before[0]);
    assert_eq!(world.replicas[0].member.missing(), ["id-1"]);
    world.run(Duration::from_millis(200));
    assert_eq!(signer(&world), before[0]);
}

#[test]
fn two_replicas_that_rotate_at_once_do_not_spoil_each_others_warm_up() {
    let mut world = World::new(1, NETWORK, 3);
    for _ in 0..2 {
        world.start();
        world.run(Duration::from_secs(5));
    }
    world.rotate(0);
    world.run(Duration::from_millis(101));
    assert!(matches!(
        world.replicas[0].member.next_step(world.now),
        Step::ShowAll
    ));
    world.rotate(1);
    world.run(Duration::from_millis(110));
    let step = world.replicas[1].member.next_step(world.now);
    assert!(matches!(step, Step::Wait(_)), "{step:?}");
    world.run(Duration::from_millis(1500));
    for number in world.living(Replica::signs) {
        let ring = world.replicas[number].member.ring();
        assert!(ring.next().is_none(), "both keys sign");
    }
}

#[test]
fn where_keys_are_not_to_be_shown_they_sign_after_their_delay() {
    let now = world::start();
    let policy = RotationPolicy::access(Duration::from_secs(7200));
    let mut member = Member::new("id-own".to_owned(), policy, false);
    let key = |seed| SigningKey::from_seed(&microbus_token::Secret::new(vec![seed; 32])).unwrap();
    member.prepare(key(1), now).unwrap();
    member.activate_first(now);
    member.prepare(key(2), now).unwrap();
    assert_eq!(member.next_step(now), Step::Tell);
    assert_eq!(member.told(key(2).id(), now), []);
    assert_eq!(member.next_step(now), Step::Done);
    assert_eq!(
        member.advance(now + Duration::from_secs(10)).changes.len(),
        2
    );
}

#[test]
fn what_came_of_showing_one_key_is_not_said_of_the_next() {
    let now = world::start();
    let policy = RotationPolicy::access(Duration::from_secs(7200));
    let mut member = Member::new("id-own".to_owned(), policy, true);
    let key = |seed| SigningKey::from_seed(&microbus_token::Secret::new(vec![seed; 32])).unwrap();
    member.prepare(key(1), now).unwrap();
    member.activate_first(now);
    assert_eq!(member.next_step(now), Step::ShowAll);
    member.prepare(key(2), now).unwrap();
    // The first one is still being told and shown when the next one is made.
    assert_eq!(member.told(key(1).id(), now), []);
    assert_eq!(member.shown(key(1).id(), Vec::new(), true, now), []);
    assert_eq!(member.next_step(now), Step::Tell);
    member.told(key(2).id(), now);
    assert_eq!(member.next_step(now), Step::ShowAll);
    let changes = member.shown(key(2).id(), Vec::new(), true, now);
    assert!(changes.contains(&Change::Activated(key(2).id().clone())));
}
