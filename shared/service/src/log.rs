//! Logs to standard error: text for people in LOCAL and TESTING, JSON elsewhere.
//!
//! Source: spec: microbus-wire 8.6, 10.3 (names and order of the JSON fields).

use crate::deployment::Deployment;
use crate::metrics::Messages;
use crate::telemetry::Lines;
use microbus_otlp::Exporter;
use serde_json::{Map, Value, json};
use std::fmt;
use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::registry::{LookupSpan, Scope};
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

/// The fields that every line of a process carries.
#[derive(Debug, Clone)]
pub(crate) struct CommonFields {
    /// First segment of the subjects.
    pub(crate) plane: String,
    /// Hostname of the service.
    pub(crate) service: String,
    /// Version of the service's interface.
    pub(crate) version: u32,
    /// Instance ID.
    pub(crate) instance: String,
    /// Deployment in force.
    pub(crate) deployment: Deployment,
}

/// Starts logging for the whole process, counted by `messages` and exported where lines are wanted; `debug` adds DEBUG lines.
///
/// # Errors
/// When the process logs already.
pub(crate) fn start(
    common: CommonFields,
    debug: bool,
    messages: Messages,
    exporter: Option<Arc<Exporter>>,
) -> Result<(), TryInitError> {
    let level = if debug {
        LevelFilter::DEBUG
    } else {
        LevelFilter::INFO
    };
    // What libraries find worth a line below WARN is about themselves, not about us.
    let targets = ["access_token", "bearer_token", "microbus"]
        .map(|prefix| (prefix, level))
        .into_iter();
    let filter = Targets::new()
        .with_default(LevelFilter::WARN)
        .with_targets(targets);
    let json = matches!(common.deployment, Deployment::Prod | Deployment::Lab);
    let format = Format {
        common,
        json,
        clock: now,
    };
    let layer = tracing_subscriber::fmt::layer()
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .event_format(format);
    tracing_subscriber::registry()
        .with(filter)
        .with(Scopes)
        .with(messages)
        .with(exporter.filter(|exporter| exporter.takes_logs()).map(Lines))
        .with(layer)
        .try_init()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a log line is stamped where it is written"
)]
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}

struct Format {
    common: CommonFields,
    json: bool,
    clock: fn() -> SystemTime,
}

impl<S, N> FormatEvent<S, N> for Format
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let actor = scope_fields(context.event_scope());
        let time = timestamp((self.clock)());
        let level = *event.metadata().level();
        if self.json {
            return writeln!(writer, "{}", self.json_line(&time, level, fields, actor));
        }
        fields.others.extend(actor.others);
        write_text(&mut writer, &time, level, &fields)
    }
}

impl Format {
    fn json_line(&self, time: &str, level: Level, fields: Fields, actor: Fields) -> String {
        let mut line = String::from("{");
        let mut put = |name: &str, value: &Value| {
            let separator = if line.len() > 1 { "," } else { "" };
            line.push_str(&format!("{separator}{}:{value}", json!(name)));
        };
        put("time", &json!(time));
        put("level", &json!(level.as_str()));
        put("msg", &json!(fields.message));
        put("plane", &json!(self.common.plane));
        put("service", &json!(self.common.service));
        put("ver", &json!(self.common.version));
        put("id", &json!(self.common.instance));
        put("deployment", &json!(self.common.deployment.as_str()));
        let mut traced = false;
        for (name, value) in fields.others {
            traced |= name == "trace";
            match (name.as_str(), &value) {
                ("error", Value::String(text)) => put("error", &json!({ "error": text })),
                _ => put(&name, &value),
            }
        }
        if !traced {
            put("trace", &json!(NO_TRACE));
        }
        for (name, value) in actor.others {
            put(&name, &value);
        }
        line.push('}');
        line
    }
}

fn write_text(writer: &mut Writer<'_>, time: &str, level: Level, fields: &Fields) -> fmt::Result {
    let colour = match level {
        _ if !writer.has_ansi_escapes() => None,
        Level::ERROR => Some(31),
        Level::WARN => Some(33),
        Level::INFO => Some(32),
        _ => Some(36),
    };
    match colour {
        Some(colour) => write!(
            writer,
            "{time} \x1b[{colour}m{level:>5}\x1b[0m {}",
            fields.message
        )?,
        None => write!(writer, "{time} {level:>5} {}", fields.message)?,
    }
    for (name, value) in &fields.others {
        let bare = value
            .as_str()
            .filter(|text| !text.is_empty() && !text.contains(needs_quotes));
        match bare {
            Some(text) => write!(writer, " {name}={text}")?,
            None => write!(writer, " {name}={value}")?,
        }
    }
    writeln!(writer)
}

/// Callers have a say in some fields: a control character could rewrite what the terminal shows.
fn needs_quotes(c: char) -> bool {
    c.is_control() || matches!(c, ' ' | '"' | '=')
}

/// Keeps what a scope of log lines says, such as the actor of the request that is handled.
struct Scopes;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Scopes {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        // A field of a scope holds a text or a number; of the roles it is the text of an array.
        if let Some(roles) = fields.others.get_mut("roles")
            && let Some(Ok(array)) = roles.as_str().map(serde_json::from_str)
        {
            *roles = array;
        }
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }
}

/// Returns what the scopes around a line say.
pub(crate) fn scope_of<S>(event: &Event<'_>, context: &Context<'_, S>) -> Fields
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    scope_fields(context.event_scope(event))
}

fn scope_fields<'a, S: LookupSpan<'a>>(scope: Option<Scope<'a, S>>) -> Fields {
    let mut all = Fields::default();
    for span in scope.into_iter().flatten() {
        if let Some(fields) = span.extensions().get::<Fields>() {
            all.others.extend(fields.others.clone());
        }
    }
    all
}

/// What a line or a scope says.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    pub(crate) message: String,
    pub(crate) others: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            (name, value) => drop(self.others.insert(name.to_owned(), value)),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, json!(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, json!(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, json!(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, json!(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, json!(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, json!(value));
    }
}

/// Formats `time` as RFC 3339 in UTC with microseconds.
#[must_use]
pub fn timestamp(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let (days, seconds) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = civil(days);
    let parts = [
        (year, 4, '-'),
        (month, 2, '-'),
        (day, 2, 'T'),
        (seconds / 3600, 2, ':'),
        (seconds / 60 % 60, 2, ':'),
        (seconds % 60, 2, '.'),
        (since.subsec_micros().into(), 6, 'Z'),
    ];
    // Digit by digit: the formatter takes ten times as long, for each line of the audit trail.
    let mut text = String::with_capacity("2026-01-02T03:04:05.678901Z".len());
    for (number, width, end) in parts {
        for place in (0..width).rev() {
            let digit = number / 10_u64.pow(place) % 10;
            text.extend(
                u32::try_from(digit)
                    .ok()
                    .and_then(|digit| char::from_digit(digit, 10)),
            );
        }
        text.push(end);
    }
    text
}

/// Converts days since 1970-01-01 to a date of the proleptic Gregorian calendar.
fn civil(days: u64) -> (u64, u64, u64) {
    // Counted in 400-year eras that begin on 1 March, so that a leap day is the last day of its year.
    let shifted = days.saturating_add(719_468);
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

/// What the Go services write for a line outside any trace.
const NO_TRACE: &str = "00000000000000000000000000000000";

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(deployment: Deployment, log: impl FnOnce()) -> String {
        let sink = Sink::default();
        let common = CommonFields {
            plane: "microbus".into(),
            service: "access.token.core".into(),
            version: 4,
            instance: "id-abcdefghij".into(),
            deployment,
        };
        let json = deployment == Deployment::Prod;
        let clock = || UNIX_EPOCH + Duration::from_micros(1_795_465_994_000_042);
        let writer = sink.clone();
        let layer = tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .event_format(Format {
                common,
                json,
                clock,
            });
        let subscriber = tracing_subscriber::registry().with(Scopes).with(layer);
        tracing::subscriber::with_default(subscriber, log);
        let bytes = sink.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_json_line_has_the_peers_fields_in_its_order() {
        let line = logged(Deployment::Prod, || {
            tracing::error!(error = "no \"route\"", code = 500, "Handling request");
        });
        assert_eq!(
            line,
            "{\"time\":\"2026-11-23T20:33:14.000042Z\",\"level\":\"ERROR\",\"msg\":\"Handling request\",\
             \"plane\":\"microbus\",\"service\":\"access.token.core\",\"ver\":4,\"id\":\"id-abcdefghij\",\
             \"deployment\":\"PROD\",\"code\":500,\"error\":{\"error\":\"no \\\"route\\\"\"},\
             \"trace\":\"00000000000000000000000000000000\"}\n"
        );
    }

    #[test]
    fn a_line_about_a_request_names_its_verified_actor_last() {
        let log = || {
            let (iss, roles) = ("https://access.token.core", r#"["a","b"]"#);
            let scope = tracing::info_span!("actor", iss, sub = "harry", tenant = 7, roles);
            scope.in_scope(|| tracing::warn!(caller = "x", "Refused to mint"));
        };
        let line = logged(Deployment::Prod, log);
        let end = "\"caller\":\"x\",\"trace\":\"00000000000000000000000000000000\",\
                   \"iss\":\"https://access.token.core\",\"roles\":[\"a\",\"b\"],\"sub\":\"harry\",\"tenant\":7}\n";
        assert!(line.ends_with(end), "{line}");
        let line = logged(Deployment::Local, log);
        assert!(
            line.contains(" caller=x iss=https://access.token.core"),
            "{line}"
        );
    }

    #[test]
    fn a_text_line_quotes_what_needs_it() {
        let line = logged(Deployment::Local, || {
            tracing::info!(name = "a b", latency = 5, "Config");
        });
        assert_eq!(
            line,
            "2026-11-23T20:33:14.000042Z  INFO Config latency=5 name=\"a b\"\n"
        );
    }

    #[test]
    fn a_text_line_cannot_be_rewritten_by_what_a_caller_sends() {
        let line = logged(Deployment::Local, || {
            tracing::info!(path = "/a\u{1b}[2K\rb", "Handling request");
        });
        assert!(line.ends_with("path=\"/a\\u001b[2K\\rb\"\n"), "{line:?}");
    }

    #[test]
    fn dates_are_right_around_leap_days() {
        for (days, expected) in [
            (0, (1970, 1, 1)),
            (11_016, (2000, 2, 29)),
            (11_017, (2000, 3, 1)),
            (19_782, (2024, 2, 29)),
            (20_780, (2026, 11, 23)),
        ] {
            assert_eq!(civil(days), expected);
        }
    }
}
