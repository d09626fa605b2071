//! Thousands of random schedules, each from one seed. A failure names its seed; `SCHEDULE=7` runs that one alone, and
//! `SCHEDULES=100000` as many as that.

use super::world::{Broker, INTERVAL, LONGEST_DELAY, Network, Replica, World};
use crate::replicas::CEILING;
use std::time::Duration;

/// Runs `schedule` for each seed.
fn for_each_seed(count: u64, schedule: impl Fn(u64)) {
    #[expect(
        clippy::disallowed_methods,
        reason = "how a developer repeats a schedule"
    )]
    let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
    match number("SCHEDULE") {
        Some(seed) => schedule(seed),
        None => (0..number("SCHEDULES").unwrap_or(count)).for_each(schedule),
    }
}

/// Three replicas that know each other, and verifiers that know their keys.
fn fleet(seed: u64, network: Network) -> World {
    let mut world = World::new(seed, network, 4);
    if seed % 2 == 1 {
        world.broker = Broker::Silent;
    }
    for _ in 0..3 {
        world.start();
        world.run(Duration::from_secs(2));
    }
    world.run(Duration::from_secs(20));
    assert_eq!(world.living(Replica::signs).len(), 3, "{world}");
    world
}

/// Does one thing that operators, or fate, do to replicas and verifiers.
fn disturb(world: &mut World, may_pause: bool) {
    let signing = world.living(Replica::signs);
    let one = signing[world.below(signing.len())];
    let another = signing[world.below(signing.len())];
    match world.below(if may_pause { 7 } else { 6 }) {
        0 => world.rotate(one),
        1 => {
            world.rotate(one);
            world.rotate(another);
        }
        2 if signing.len() < 5 => {
            world.start();
        }
        3 if signing.len() > 1 => world.stop(one),
        4 if signing.len() > 1 => world.crash(one),
        6 => {
            let span = world.within(Duration::from_secs(12));
            world.pause(one, span);
        }
        _ => {
            world.start_verifier();
            world.run(Duration::from_millis(100));
        }
    }
}

#[test]
fn where_the_network_works_no_verifier_refuses_a_token() {
    const NETWORK: Network = Network {
        delay: Duration::from_millis(5),
        lost_percent: 0,
        late_percent: 0,
    };
    for_each_seed(2000, |seed| {
        let mut world = fleet(seed, NETWORK);
        for _ in 0..4 {
            disturb(&mut world, false);
            for _ in 0..world.below(60) {
                let verifier = world.below(world.verifiers.len());
                world.mint(Some(verifier));
                let pause = world.within(Duration::from_millis(100));
                world.run(pause);
            }
        }
        world.run(Duration::from_secs(1));
        assert_eq!(world.refused, 0, "{world}");
        world.judge_memories();
    });
}

#[test]
fn of_replicas_that_start_at_once_none_signs_with_what_another_does_not_publish() {
    for_each_seed(2000, |seed| {
        let mut world = World::new(seed, CALM, 0);
        world.slowness = Duration::from_millis(1 << world.below(8));
        for _ in 0..2 + world.below(3) {
            world.start();
            let pause = world.within(world.slowness);
            world.run(pause);
        }
        for _ in 0..60 {
            world.mint_for_newcomers();
            let pause = world.within(Duration::from_millis(30));
            world.run(pause);
        }
        if world.below(3) == 0 {
            world.start();
        }
        for _ in 0..60 {
            world.mint_for_newcomers();
            world.run(Duration::from_millis(200));
        }
        assert_eq!(world.refused, 0, "{world}");
        assert!(world.verified > 30, "{world}: {}", world.verified);
        let living = world.living(|_| true);
        assert_eq!(world.living(Replica::signs), living, "{world}");
    });
}

#[test]
fn whatever_is_lost_or_late_a_replica_that_heard_of_a_key_serves_it_while_tokens_live() {
    for_each_seed(1000, |seed| {
        let mut world = fleet(seed, CALM);
        world.network = Network {
            delay: Duration::from_millis(50),
            lost_percent: u32::try_from(world.below(40)).unwrap(),
            late_percent: u32::try_from(world.below(30)).unwrap(),
        };
        for _ in 0..5 {
            disturb(&mut world, true);
            for number in world.living(|_| true) {
                // Wall clocks are set, within what the margin is for.
                world.replicas[number].ahead = i64::try_from(world.below(41)).unwrap() - 20;
            }
            for _ in 0..6 {
                world.mint(None);
                let pause = world.within(Duration::from_secs(20));
                world.run(pause);
                world.judge_memories();
            }
        }
        // All tokens are looked after until they are dead.
        for _ in 0..4 {
            world.run(Duration::from_secs(230));
            world.judge_memories();
        }
    });
}

#[test]
fn after_all_faults_every_key_of_the_dead_is_forgotten() {
    for_each_seed(300, |seed| {
        let mut world = fleet(seed, CALM);
        world.network = Network {
            delay: Duration::from_millis(50),
            lost_percent: 20,
            late_percent: 30,
        };
        for _ in 0..6 {
            disturb(&mut world, true);
            let pause = world.within(Duration::from_secs(30));
            world.run(pause);
        }
        world.network = CALM;
        for dead in world.living(|_| true).into_iter().skip(2) {
            world.crash(dead);
        }
        world.run(CEILING + LONGEST_DELAY + 2 * INTERVAL);
        let living = world.living(|_| true);
        let alive: Vec<_> = living
            .iter()
            .flat_map(|number| {
                let own = world.replicas[*number].member.ring().published();
                own.iter().map(|jwk| jwk.id().clone()).collect::<Vec<_>>()
            })
            .collect();
        for number in living {
            for kid in world.replicas[number].keys() {
                assert!(alive.contains(&kid), "{world}: {number} remembers {kid}");
            }
        }
    });
}

const CALM: Network = Network {
    delay: Duration::from_millis(5),
    lost_percent: 0,
    late_percent: 0,
};
