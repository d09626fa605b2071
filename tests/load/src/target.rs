//! Implementations under load: each a process of its own on a plane of its own, so that all can wait beside each other.

use crate::arguments::Foreign;
use crate::collector::Collector;
use crate::connection::Connection;
use crate::generator::{Answer, Generator, Window, now};
use crate::process::Process;
use crate::request::{CALLER, INSTANCE, Request, endpoint};
use crate::sample::{Cpu, Sample};
use crate::workload::Workload;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use e2e::child::Child;
use e2e::{Bus, Caller, Configurator, build_folder};
use microbus_wire::Plane;
use std::error::Error;
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What answers.
#[derive(Clone, Debug)]
pub(crate) enum Implementation {
    /// The issuer of this workspace.
    Ours(Variant),
    /// An issuer of somebody else.
    Foreign(Foreign),
    /// A responder with a constant.
    Floor {
        /// Whether it signs a constant for each answer.
        signs: bool,
        /// What it answers with.
        shape: Shape,
    },
}

/// How the issuer of this workspace is deployed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variant {
    /// PROD with metrics, and nothing that is off by default.
    Plain,
    /// It acks every request, as the framework does.
    Acking,
    /// It records each decision in a file.
    Audited,
    /// The same, each line linked to the one before.
    Chained,
    /// Each request is a span, exported if something fails, as in PROD.
    Traced,
    /// Each request is a span and exported, as in LAB.
    Exporting,
}

impl Variant {
    /// Those that are watched more closely than [`Variant::Plain`].
    pub(crate) const WATCHED: [Self; 4] =
        [Self::Audited, Self::Chained, Self::Traced, Self::Exporting];

    fn name(self) -> &'static str {
        match self {
            Self::Plain => "ours",
            Self::Acking => "ours, acking",
            Self::Audited => "ours, audited",
            Self::Chained => "ours, audited and chained",
            Self::Traced => "ours, traced",
            Self::Exporting => "ours, exporting all traces",
        }
    }

    fn deployment(self) -> &'static str {
        match self {
            Self::Exporting => "LAB",
            Self::Plain | Self::Acking | Self::Audited | Self::Chained | Self::Traced => "PROD",
        }
    }

    fn is_traced(self) -> bool {
        matches!(self, Self::Traced | Self::Exporting)
    }

    /// Returns `config.yaml` of the issuer at `host`, where it needs one.
    fn config(self, host: &str) -> Option<String> {
        let audit = format!("{host}:\n  AuditLog: ./audit.jsonl\n");
        match self {
            Self::Audited => Some(audit),
            Self::Chained => Some(audit + "  AuditChain: true\n"),
            Self::Plain | Self::Acking | Self::Traced | Self::Exporting => None,
        }
    }
}

/// The size of an answer, which floors imitate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Length of the message, headers included.
    pub(crate) answer_bytes: usize,
    /// Length of the text that is signed for it.
    pub(crate) sign_bytes: usize,
    /// Messages per answer.
    pub(crate) messages: u8,
}

/// The broker of a run, with what it takes to start targets on it.
pub(crate) struct Bed {
    bus: Bus,
    broker: Option<Process>,
    collector: Collector,
    /// `PrivateKey` of bearer.token.core, for all of its implementations.
    bearer_key: String,
    planes: u32,
}

/// A running implementation with a generator of its own.
pub(crate) struct Target {
    pub(crate) name: String,
    /// When its process was about to be made.
    pub(crate) started: Instant,
    process: Child,
    broker: Option<Process>,
    request: Request,
    generator: Generator,
    asked: u32,
    _configurator: Configurator,
    _folder: TempDir,
}

impl Bed {
    /// Starts a broker in operator mode.
    ///
    /// # Errors
    /// When the operating system has no randomness.
    pub(crate) async fn start() -> Result<Self, Box<dyn Error>> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)?;
        Ok(Self {
            bus: Bus::start().await,
            broker: Process::child("nats-server"),
            collector: Collector::start()?,
            bearer_key: STANDARD.encode([PKCS8_PREFIX.as_slice(), &seed].concat()),
            planes: 0,
        })
    }

    /// Starts an implementation for a workload, on a fresh plane. It may not be ready yet.
    ///
    /// # Errors
    /// When its process or a connection cannot be made.
    pub(crate) async fn launch(
        &mut self,
        implementation: &Implementation,
        workload: Workload,
    ) -> Result<Target, Box<dyn Error>> {
        self.planes += 1;
        let plane = Plane::parse(&format!("load{}", self.planes))?;
        let url = self.bus.server.url();
        // First, because it may build for minutes, in which no connection could answer a PING.
        let mut command = implementation.command(workload, &url, plane.as_str())?;
        let configurator = self.configurator(&plane).await?;
        let host = workload.operation.product().host;
        let variant = match implementation {
            Implementation::Ours(variant) => *variant,
            Implementation::Foreign(_) | Implementation::Floor { .. } => Variant::Plain,
        };
        if variant == Variant::Acking {
            configurator.set(host, "AnswerWithoutAck", "false");
        }
        let caller = self.bus.credentials_on(&plane, CALLER);
        let own = microbus_wire::host::escape_host(CALLER);
        let replies = format!("{}.reply._.*.{own}.{INSTANCE}", plane.as_str());
        let connection = Connection::open(&url, &caller, &replies)?;

        let folder = tempfile::tempdir()?;
        let credentials = self.bus.credentials_on(&plane, host);
        std::fs::write(folder.path().join("nats.creds"), credentials)?;
        if let Some(config) = variant.config(host) {
            std::fs::write(folder.path().join("config.yaml"), config)?;
        }
        command
            .env_clear()
            .envs(search_path())
            .env("MICROBUS_NATS", &url)
            .env("MICROBUS_PLANE", plane.as_str())
            .env("MICROBUS_DEPLOYMENT", variant.deployment())
            .env("MICROBUS_PROMETHEUS_EXPORTER", "1")
            .current_dir(folder.path());
        if variant.is_traced() {
            command.env(TRACES, self.collector.traces());
        }
        let name = implementation.name();
        Ok(Target {
            started: now(),
            process: Child::start(&name, command),
            name,
            broker: self.broker,
            request: Request::new(plane.as_str(), workload),
            generator: Generator::new(connection),
            asked: 0,
            _configurator: configurator,
            _folder: folder,
        })
    }

    /// Waits until a target has exported traces.
    ///
    /// # Errors
    /// When none does within [`PATIENCE`].
    pub(crate) async fn until_exported(&self) -> Result<(), Box<dyn Error>> {
        let begin = now();
        while self.collector.taken() == 0 {
            if now() - begin > PATIENCE {
                return Err("no trace arrived where traces are exported".into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    async fn configurator(&self, plane: &Plane) -> Result<Configurator, Box<dyn Error>> {
        let host = "configurator.core";
        let credentials = self.bus.credentials_on(plane, host);
        let url = self.bus.server.url();
        let caller =
            Caller::connect(&url, Some(&credentials), plane.as_str(), host, STAND_IN).await;
        let caller = caller.map_err(|kind| format!("the configurator cannot connect: {kind}"))?;
        let configurator = Configurator::start(caller, plane.as_str()).await;
        configurator.set("bearer.token.core", "PrivateKey", &self.bearer_key);
        Ok(configurator)
    }
}

impl Implementation {
    fn name(&self) -> String {
        match self {
            Self::Ours(variant) => variant.name().to_owned(),
            Self::Foreign(foreign) => foreign.name.clone(),
            Self::Floor { signs: true, .. } => "signing floor".to_owned(),
            Self::Floor { signs: false, .. } => "echo floor".to_owned(),
        }
    }

    fn command(&self, workload: Workload, url: &str, plane: &str) -> std::io::Result<Command> {
        let product = workload.operation.product();
        Ok(match self {
            Self::Ours(_) => Command::new(build_folder::binary(product.package, product.binary)),
            Self::Foreign(foreign) => {
                let mut command = Command::new("sh");
                // The shell gives way to the command, whose id is then the one that is watched.
                let text = foreign.command.replace("{host}", product.host);
                command.args(["-c", &format!("exec {text}")]);
                command
            }
            Self::Floor { signs, shape } => {
                let pattern = endpoint(plane, workload, "*");
                let pattern = format!("{pattern}.{}", workload.operation.path());
                let sign_bytes = if *signs { shape.sign_bytes } else { 0 };
                let mut command = Command::new(std::env::current_exe()?);
                command
                    .args(["respond", "--url", url, "--plane", plane])
                    .args(["--pattern", &pattern, "--host", product.host])
                    .args(["--messages", &shape.messages.to_string()])
                    .args(["--answer-bytes", &shape.answer_bytes.to_string()])
                    .args(["--sign-bytes", &sign_bytes.to_string()]);
                command
            }
        })
    }
}

impl Target {
    /// Asks until the first answer with status 200, and returns it.
    ///
    /// # Errors
    /// When there is none within [`PATIENCE`]; the text has what the process wrote.
    pub(crate) fn until_ready(&mut self) -> Result<Answer, Box<dyn Error>> {
        let begin = now();
        while now() - begin < PATIENCE {
            self.asked += 1;
            let answer = self
                .generator
                .ask(&mut self.request, self.asked, ASK_INTERVAL)?;
            if let Some(answer) = answer {
                return Ok(answer);
            }
        }
        let log = self.process.log().text();
        Err(format!("{} does not answer; it wrote:\n{log}", self.name).into())
    }

    /// Asks once more, now that it is ready, and returns the size of the answer and of what is signed for it.
    ///
    /// # Errors
    /// When there is no answer with status 200.
    pub(crate) fn shape(&mut self) -> Result<Shape, Box<dyn Error>> {
        let answer = self.until_ready()?;
        let body: serde_json::Value = serde_json::from_slice(answer.body())?;
        let token = body.get("token").and_then(serde_json::Value::as_str);
        let signed = token.and_then(|token| token.rsplit_once('.'));
        Ok(Shape {
            answer_bytes: answer.payload.len(),
            sign_bytes: signed.map_or(0, |(signed, _)| signed.len()),
            // As the framework does: the ack and the answer.
            messages: 2,
        })
    }

    /// Keeps `callers` requests in flight for `length`, and returns the numbers with what went wrong.
    ///
    /// # Errors
    /// When the connection is lost.
    pub(crate) fn measure(
        &mut self,
        callers: u16,
        length: Duration,
    ) -> Result<(Sample, Window), Box<dyn Error>> {
        let mut edges = Edges::of(self);
        let edge = || edges.note();
        let (generator, request) = (&mut self.generator, &mut self.request);
        let window = generator.drive(request, callers, length / 3, length, edge)?;
        Ok((edges.sample(&window)?, window))
    }

    /// Offers `rate` requests a second for `length`, after as long a warm-up, in which queues fill.
    ///
    /// # Errors
    /// When the connection is lost.
    pub(crate) fn flood(
        &mut self,
        rate: f64,
        length: Duration,
    ) -> Result<(Sample, Window, f64), Box<dyn Error>> {
        let mut edges = Edges::of(self);
        let edge = || edges.note();
        let (generator, request) = (&mut self.generator, &mut self.request);
        let (window, sent) = generator.offer(request, rate, length, length, edge)?;
        let offered = sent as f64 / window.elapsed.as_secs_f64();
        Ok((edges.sample(&window)?, window, offered))
    }

    /// Returns the resident memory of the process, in bytes.
    pub(crate) fn resident(&self) -> u64 {
        Process(self.process.id()).resident()
    }
}

/// What was used of the CPU when a window began and ended.
struct Edges {
    target: Process,
    broker: Option<Process>,
    readings: Vec<Cpu>,
}

impl Edges {
    fn of(target: &Target) -> Self {
        Self {
            target: Process(target.process.id()),
            broker: target.broker,
            readings: Vec::new(),
        }
    }

    fn note(&mut self) {
        self.readings.push(Cpu {
            target: self.target.cpu(),
            broker: self.broker.map(Process::cpu).unwrap_or_default(),
            generator: Process::own().cpu(),
        });
    }

    fn sample(&self, window: &Window) -> Result<Sample, Box<dyn Error>> {
        let [begin, end] = self.readings.as_slice() else {
            return Err("a window has two ends".into());
        };
        let cpu = Cpu {
            target: end.target.saturating_sub(begin.target),
            broker: end.broker.saturating_sub(begin.broker),
            generator: end.generator.saturating_sub(begin.generator),
        };
        Ok(Sample::new(window, cpu, self.target.resident()))
    }
}

/// Returns the variable that `sh` finds commands with, if it is set.
#[expect(
    clippy::disallowed_methods,
    reason = "it is handed to child processes, nothing here depends on it"
)]
fn search_path() -> Option<(&'static str, std::ffi::OsString)> {
    Some(("PATH", std::env::var_os("PATH")?))
}

/// Services that wait for a key to become active, or try their configuration again, take some seconds.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long one question waits before it is asked again; it bounds the error of start-up times.
const ASK_INTERVAL: Duration = Duration::from_millis(5);
/// Where an issuer is told of a collector.
const TRACES: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
/// Instance ID of the stand-in configurators.
const STAND_IN: &str = "id-standin000";
/// PKCS#8 version 1 of an Ed25519 key, up to its seed (RFC 8410 section 7).
const PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];
