//! Whatever happens to replicas and to the broker, no verifier refuses a token of ours, and a caller is left without a
//! token only by what dies without warning.
//!
//! ```text
//! cargo test --package e2e --test chaos                           # about two minutes
//! cargo test --package e2e --test chaos -- --seconds 60           # as many seconds of load before and after each event
//! cargo test --package e2e --test chaos -- rotation kill          # only rounds with these words in their names
//! ```
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test fails by panicking, in its helpers too, and judges tokens by the wall clock"
)]

mod bearer;
mod fleet;
mod load;
mod stand_in;

use e2e::{Bus, Issuer, Product, Verifier, build_folder};
use fleet::{STARTS, flood, medians, restart_broker, rotate, start, stop, until_warm};
use load::{Load, Round};
use stand_in::StandIn;
use std::time::Duration;

/// What the command line asks for.
struct Options {
    span: Duration,
    /// Words of which one must be in the name of a round; none for all rounds.
    only: Vec<String>,
}

impl Options {
    /// Reads what cargo passes on; what is meant for the harness of other tests is ignored.
    fn of_command_line() -> Self {
        let mut options = Self {
            span: Duration::from_millis(1500),
            only: Vec::new(),
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--seconds" => {
                    let seconds = arguments.next().and_then(|text| text.parse().ok());
                    options.span = Duration::from_secs(seconds.expect("--seconds takes a number"));
                }
                flag if flag.starts_with('-') => {}
                _ => options.only.push(argument),
            }
        }
        options
    }

    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|word| name.contains(word))
    }
}

/// A bus with three replicas of ours on it, and load.
struct Field {
    options: Options,
    bus: Bus,
    fleet: Vec<Issuer>,
    load: Load,
    failures: Vec<String>,
}

/// How many mints may fail in a round.
#[derive(Clone, Copy)]
enum Errors {
    None,
    /// As many as there are callers, each with one call under way at what died.
    InFlight,
    /// The broker or a replica was away for a while.
    Some,
}

impl Field {
    async fn prepare(options: Options, bus: Bus) -> Self {
        let fleet = vec![start(&bus).await, start(&bus).await, start(&bus).await];
        let load = Load::start(&bus, Product::ACCESS_TOKEN.host, options.span).await;
        until_warm(&load, fleet.len()).await;
        Self {
            options,
            bus,
            fleet,
            load,
            failures: Vec::new(),
        }
    }

    /// Judges what came of a round.
    fn judge(&mut self, round: &Round, errors: Errors) {
        let allowed = match errors {
            Errors::None => 0,
            Errors::InFlight => self.load.callers.len(),
            Errors::Some => usize::MAX,
        };
        if round.refused_ours() > 0 || round.errors() > allowed {
            self.failures.push(round.to_string());
        }
    }
}

/// Makes a verifier that nobody has heard of, and that knows nothing.
async fn cold(bus: &Bus) -> Verifier {
    Verifier::unannounced(bus, &bus.server, "cold.verifier", 99).await
}

/// Runs a round of a [`Field`] if it is wanted: its name, how many mints may fail, and what happens in it.
macro_rules! round {
    ($field:ident, $name:literal, $errors:expr, $event:expr) => {
        if $field.options.wants($name) {
            let cold = $crate::cold(&$field.bus).await;
            let round = $field.load.round(&cold, $name, $event).await;
            $field.judge(&round, $errors);
        }
    };
}
pub(crate) use round;

#[tokio::main]
async fn main() {
    let options = Options::of_command_line();
    // A build in the middle of a round holds up all that goes on in this task.
    for product in [Product::ACCESS_TOKEN, Product::BEARER_TOKEN] {
        drop(build_folder::binary(product.package, product.binary));
    }
    if options.wants("JWKS") {
        Box::pin(jwks_latency()).await;
    }
    println!("| round                       |  mints | failed | verified | refused |");
    println!("|---|--:|--:|--:|--:|");
    let mut failures = [Box::pin(one_broker()).await, Box::pin(cluster()).await].concat();
    // On buses of their own, and most of their time keys wait to sign.
    let (of_bearer, ()) = tokio::join!(
        Box::pin(bearer::rounds(Options::of_command_line())),
        Box::pin(stand_ins_alone())
    );
    failures.extend(of_bearer);
    let mut starts = STARTS.lock().unwrap().clone();
    starts.sort_unstable();
    // A machine that stalls for seconds makes single starts slow.
    if let Some(median) = starts.get(starts.len() / 2) {
        println!("starts of replicas: median {median} ms, all {starts:?}");
        assert!(*median <= 2000, "a replica takes {median} ms to start");
    }
    assert!(
        failures.is_empty(),
        "too much went wrong:\n{}",
        failures.join("\n")
    );
}

/// What a JWK Set takes beside a ping, which is the least that anything takes; the number of replicas must not matter.
async fn jwks_latency() {
    let bus = Bus::start().await;
    let _configurator = bus.configurator().await;
    let caller = bus.caller("first.caller", "id-caller0000").await;
    let mut fleet = Vec::new();
    for _ in 0..3 {
        fleet.push(start(&bus).await);
        let (jwks, ping) = medians(&caller).await;
        let replicas = fleet.len();
        println!("{replicas} replicas: JWKS median {jwks:.1?}, ping median {ping:.1?}");
        assert!(jwks < ping * 2, "a JWK Set waits for something");
    }
}

/// The rounds on one nats-server.
async fn one_broker() -> Vec<String> {
    let options = Options::of_command_line();
    let bus = Bus::start().await;
    let _configurator = bus.configurator().await;
    let mut field = Field::prepare(options, bus).await;
    round!(field, "steady", Errors::None, async {});
    round!(field, "rotation", Errors::None, rotate(&field.fleet[0]));
    round!(field, "rotation of all at once", Errors::None, async {
        tokio::join!(
            rotate(&field.fleet[0]),
            rotate(&field.fleet[1]),
            rotate(&field.fleet[2])
        );
    });
    round!(
        field,
        "graceful stop",
        Errors::None,
        stop(&mut field.fleet[0])
    );
    round!(field, "start", Errors::None, async {
        field.fleet[0] = start(&field.bus).await;
    });
    round!(field, "kill -9", Errors::InFlight, async {
        field.fleet[1].kill();
    });
    round!(field, "start after kill -9", Errors::None, async {
        field.fleet[1] = start(&field.bus).await;
    });
    round!(field, "start of a fourth", Errors::None, async {
        field.fleet.push(start(&field.bus).await);
    });
    round!(field, "rolling restart", Errors::None, async {
        for issuer in &mut field.fleet {
            stop(issuer).await;
            *issuer = start(&field.bus).await;
        }
    });
    round!(field, "SIGSTOP for 3 s", Errors::Some, async {
        field.fleet[0].pause();
        tokio::time::sleep(Duration::from_secs(3)).await;
        field.fleet[0].resume();
    });
    round!(field, "key flood by a stranger", Errors::None, async {
        let stranger = field.bus.caller("raw.tester", "id-rawtester0").await;
        tokio::join!(flood(&stranger), rotate(&field.fleet[0]));
    });
    let mut stand_in = None;
    round!(field, "a Go-like replica joins", Errors::None, async {
        let started = StandIn::start(&field.bus, 1).await;
        field.load.note_foreign(&started.kid());
        stand_in = Some(started);
    });
    round!(
        field,
        "rotation beside it",
        Errors::None,
        rotate(&field.fleet[0])
    );
    drop(stand_in);
    round!(field, "broker restart", Errors::Some, async {
        restart_broker(&mut field.bus.server, &field.fleet, &field.load).await;
    });
    round!(field, "steady again", Errors::None, async {});
    field.failures
}

/// The rounds on three nats-servers.
async fn cluster() -> Vec<String> {
    let options = Options::of_command_line();
    if !["cluster", "a node"].iter().any(|name| options.wants(name)) {
        return Vec::new();
    }
    let bus = Bus::on_cluster(3).await;
    let _configurator = bus.configurator().await;
    let mut field = Field::prepare(options, bus).await;
    round!(
        field,
        "rotation in a cluster",
        Errors::None,
        rotate(&field.fleet[0])
    );
    round!(field, "loss of a node", Errors::Some, async {
        field.bus.others[0].stop();
    });
    round!(
        field,
        "rotation without that node",
        Errors::None,
        rotate(&field.fleet[0])
    );
    field.failures
}

/// For comparison: what happens where no replica is ours.
async fn stand_ins_alone() {
    let options = Options::of_command_line();
    if !options.wants("Go-like replicas alone") {
        return;
    }
    let bus = Bus::start().await;
    let mut fleet = Vec::new();
    for index in 1..=3 {
        fleet.push(StandIn::start(&bus, index).await);
    }
    let load = Load::start(&bus, Product::ACCESS_TOKEN.host, options.span).await;
    for stand_in in &fleet {
        load.note_foreign(&stand_in.kid());
    }
    let unaware = cold(&bus).await;
    load.round(&unaware, "Go-like replicas alone", async {})
        .await;
    let unaware = cold(&bus).await;
    let fourth = async {
        let started = StandIn::start(&bus, 4).await;
        load.note_foreign(&started.kid());
        fleet.push(started);
    };
    let fourth = load.round(&unaware, "Go-like: a fourth starts", fourth);
    Box::pin(fourth).await;
    let unaware = cold(&bus).await;
    let rotation = async {
        fleet[0].rotate();
        load.note_foreign(&fleet[0].kid());
        tokio::time::sleep(Duration::from_secs(11)).await;
    };
    load.round(&unaware, "Go-like: rotation", rotation).await;
}
