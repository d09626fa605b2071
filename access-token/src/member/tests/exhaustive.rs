//! Every schedule of a small world: two replicas, one verifier, two operations, and up to two words that are lost or late;
//! and every order in which the steps of up to three starts reach the broker.

use super::world::{Broker, Fault, Network, Replica, World};
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Clone, Copy, Debug)]
enum Operation {
    Rotate(usize),
    Start,
    Stop(usize),
    Crash(usize),
    StartVerifier,
    Wait,
}

const OPERATIONS: [Operation; 8] = [
    Operation::Rotate(0),
    Operation::Rotate(1),
    Operation::Start,
    Operation::Stop(0),
    Operation::Stop(1),
    Operation::Crash(0),
    Operation::Crash(1),
    Operation::StartVerifier,
];

const BROKERS: [Broker; 2] = [Broker::Lone, Broker::Silent];

/// How long after the first operation the second comes: at once, between telling and showing, and at a retry.
const GAPS: [Duration; 3] = [
    Duration::ZERO,
    Duration::from_millis(150),
    Duration::from_millis(1300),
];

/// Runs one schedule, and returns how many words were sent in it.
fn run(
    broker: Broker,
    operations: &[Operation],
    gap: Duration,
    faults: &BTreeMap<usize, Fault>,
) -> usize {
    let network = Network {
        delay: Duration::from_millis(2),
        lost_percent: 0,
        late_percent: 0,
    };
    let mut world = World::new(0, network, 1);
    world.broker = broker;
    for _ in 0..2 {
        world.start();
        world.run(Duration::from_secs(2));
    }
    world.words = 0;
    world.faults.clone_from(faults);
    for operation in operations {
        match *operation {
            Operation::Start => {
                world.start();
            }
            Operation::StartVerifier => {
                world.start_verifier();
            }
            // Somebody must be left to mint.
            Operation::Stop(number) | Operation::Crash(number)
                if world.living(Replica::signs) == [number] => {}
            Operation::Rotate(number) if world.living(Replica::signs).contains(&number) => {
                world.rotate(number);
            }
            Operation::Stop(number) => world.stop(number),
            Operation::Crash(number) => world.crash(number),
            Operation::Rotate(_) | Operation::Wait => {}
        }
        world.mint(Some(0));
        world.run(gap);
        world.mint(Some(0));
    }
    let words = world.words;
    for _ in 0..30 {
        world.mint(Some(0));
        world.run(Duration::from_millis(500));
    }
    // A lost word can delay a key, and never costs a token: the verifier was there before.
    assert_eq!(
        world.refused, 0,
        "{broker:?} {operations:?} {gap:?} {faults:?}"
    );
    world.judge_memories();
    words
}

/// Runs a schedule with these faults, and with all faults beyond them up to `most`.
fn explore(
    broker: Broker,
    operations: &[Operation],
    gap: Duration,
    faults: &mut BTreeMap<usize, Fault>,
    most: usize,
) -> usize {
    let words = run(broker, operations, gap, faults);
    let mut schedules = 1;
    if faults.len() == most {
        return schedules;
    }
    let from = faults.last_key_value().map_or(1, |(last, _)| last + 1);
    for word in from..=words {
        for fault in [Fault::Lost, Fault::Late] {
            faults.insert(word, fault);
            schedules += explore(broker, operations, gap, faults, most);
            faults.remove(&word);
        }
    }
    schedules
}

#[test]
fn two_operations_and_a_lost_or_late_word_cost_no_token() {
    let mut schedules = 0;
    for first in OPERATIONS {
        for second in OPERATIONS {
            for gap in GAPS {
                for broker in BROKERS {
                    let faults = &mut BTreeMap::new();
                    schedules += explore(broker, &[first, second], gap, faults, 1);
                }
            }
        }
    }
    assert!(schedules > 1000, "{schedules} schedules");
}

#[test]
fn one_operation_and_two_lost_or_late_words_cost_no_token() {
    let mut schedules = 0;
    for operation in OPERATIONS {
        let operations = [operation, Operation::Wait];
        for broker in BROKERS {
            schedules += explore(broker, &operations, GAPS[2], &mut BTreeMap::new(), 2);
        }
    }
    assert!(schedules > 100, "{schedules} schedules");
}

/// Returns every order of the steps of so many starts: the place of each step of each.
fn orders(starts: usize) -> Vec<Vec<[u32; 3]>> {
    let mut orders = vec![vec![Vec::new(); starts]];
    for place in 1..=u32::try_from(3 * starts).unwrap() {
        let mut longer = Vec::new();
        for order in orders {
            for start in 0..starts {
                if order[start].len() < 3 {
                    let mut next: Vec<Vec<u32>> = order.clone();
                    next[start].push(place);
                    longer.push(next);
                }
            }
        }
        orders = longer;
    }
    let whole = |order: Vec<Vec<u32>>| order.into_iter().map(|one| one.try_into().unwrap());
    orders
        .into_iter()
        .map(|order| whole(order).collect())
        .collect()
}

#[test]
fn in_whatever_order_starts_reach_the_broker_no_token_is_refused_and_one_signs_at_once() {
    let network = Network {
        delay: Duration::from_micros(100),
        lost_percent: 0,
        late_percent: 0,
    };
    let mut schedules = 0;
    for (starts, step) in [(2, 1), (2, 40), (3, 1), (3, 30)] {
        for order in orders(starts) {
            let mut world = World::new(0, network, 0);
            for places in &order {
                let mut before = 0;
                let steps = places.map(|place| {
                    let wait = place - std::mem::replace(&mut before, place);
                    Duration::from_millis(u64::from(wait) * step)
                });
                world.start_in(steps);
            }
            for pause in [[5; 40], [100; 40]].concat() {
                world.mint_for_newcomers();
                world.run(Duration::from_millis(pause));
            }
            assert_eq!(world.refused, 0, "{order:?} {step}");
            let signing = world.living(Replica::signs);
            assert_eq!(signing.len(), starts, "{order:?} {step}");
            schedules += 1;
        }
    }
    assert_eq!(schedules, 2 * (20 + 1680));
}
