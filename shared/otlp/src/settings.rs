//! Where each signal goes, from the variables that OpenTelemetry names.
//!
//! Source: spec: microbus-wire 10.2. As the Go services read them: a signal without an endpoint is off, an HTTP endpoint is
//! used as written, and the protocol is guessed from the port.

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use http::uri::{Scheme, Uri};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Where the signals go.
#[derive(Debug, Default)]
pub struct Settings {
    /// Where spans go.
    pub traces: Option<Target>,
    /// Where metrics go.
    pub metrics: Option<Target>,
    /// Where lines of the log go.
    pub logs: Option<Target>,
    /// How often metrics go there, if that is said.
    pub metric_interval: Option<Duration>,
}

/// A place that a signal goes to.
#[derive(Debug, Clone)]
pub struct Target {
    /// What it is called: `traces`, `metrics` or `logs`.
    pub(crate) signal: Signal,
    /// `None` goes nowhere: spans are made for whoever follows a trace, and not exported.
    pub(crate) collector: Option<Collector>,
}

/// What is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Readings of metrics.
    Metrics,
    /// Lines of the log.
    Logs,
}

/// A collector and how to speak with it.
#[derive(Clone)]
pub(crate) struct Collector {
    pub(crate) uri: Uri,
    pub(crate) protocol: Protocol,
    pub(crate) tls: Option<TlsFiles>,
    /// Set by the operator; they may hold secrets.
    pub(crate) headers: HeaderMap,
    pub(crate) timeout: Duration,
}

/// How a request is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Grpc,
    HttpProtobuf,
}

/// Whom to trust, and who we are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) client: Option<(PathBuf, PathBuf)>,
}

impl Signal {
    /// Returns the name in metrics and in the log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        }
    }

    fn variable(self) -> &'static str {
        match self {
            Self::Traces => "TRACES",
            Self::Metrics => "METRICS",
            Self::Logs => "LOGS",
        }
    }
}

impl Settings {
    /// Reads the variables through `get`, which gives `None` for one that is unset or empty.
    ///
    /// # Errors
    /// Every problem found, one sentence each with its remedy.
    pub fn read<'v>(get: impl Fn(&str) -> Option<&'v str>) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let mut target = |signal| {
            let variables = Variables { signal, get: &get };
            variables.target(&mut problems)
        };
        let (traces, metrics, logs) = (
            target(Signal::Traces),
            target(Signal::Metrics),
            target(Signal::Logs),
        );
        let settings = Self {
            traces,
            metrics,
            logs,
            metric_interval: get(METRIC_INTERVAL).and_then(milliseconds),
        };
        if problems.is_empty() {
            Ok(settings)
        } else {
            Err(problems)
        }
    }

    /// Tells whether anything is exported.
    #[must_use]
    pub fn is_off(&self) -> bool {
        [&self.traces, &self.metrics, &self.logs]
            .into_iter()
            .all(Option::is_none)
    }
}

/// The variables of one signal.
struct Variables<'a, G> {
    signal: Signal,
    get: &'a G,
}

impl<'v, G: Fn(&str) -> Option<&'v str>> Variables<'_, G> {
    /// Returns the signal's own variable, or else the one for all signals, with its name.
    fn find(&self, what: &str) -> Option<(String, &'v str)> {
        let own = format!("{PREFIX}{}_{what}", self.signal.variable());
        let [own, general] = [own, format!("{PREFIX}{what}")].map(|name| {
            let value = (self.get)(&name)?;
            Some((name, value))
        });
        own.or(general)
    }

    fn value(&self, what: &str) -> Option<&'v str> {
        self.find(what).map(|(_, value)| value)
    }

    fn is_on(&self, what: &str) -> Option<bool> {
        let value = self.value(what)?;
        Some(value == "1" || value.eq_ignore_ascii_case("true"))
    }

    fn target(&self, problems: &mut Vec<String>) -> Option<Target> {
        let (name, endpoint) = self.find("ENDPOINT")?;
        let signal = self.signal;
        if signal == Signal::Traces && endpoint == NOWHERE {
            return Some(Target {
                signal,
                collector: None,
            });
        }
        let protocol = match self.value("PROTOCOL") {
            Some("grpc") => Protocol::Grpc,
            None if endpoint.contains(":4317") => Protocol::Grpc,
            Some(_) | None => Protocol::HttpProtobuf,
        };
        let Some(uri) = uri_of(endpoint, protocol, self.is_on("INSECURE")) else {
            // What stands before the host may be a password.
            let shown = endpoint.rsplit_once('@').map_or(endpoint, |(_, host)| host);
            problems.push(format!(
                "{name} is '{shown}'; write a URL such as http://127.0.0.1:4318/v1/{}, with its path, or http://127.0.0.1:4317 for gRPC; a login goes into the headers",
                signal.as_str()
            ));
            return None;
        };
        let tls = (uri.scheme() == Some(&Scheme::HTTPS)).then(|| TlsFiles {
            certificate: self.value("CERTIFICATE").map(PathBuf::from),
            client: self.client_files(problems),
        });
        let timeout = self.value("TIMEOUT").and_then(milliseconds);
        let collector = Collector {
            uri,
            protocol,
            tls,
            headers: self.headers(problems),
            timeout: timeout.unwrap_or(DEFAULT_TIMEOUT),
        };
        Some(Target {
            signal,
            collector: Some(collector),
        })
    }

    /// Returns the files of the certificate and of the key that we show the collector.
    fn client_files(&self, problems: &mut Vec<String>) -> Option<(PathBuf, PathBuf)> {
        let (certificate, key) = ("CLIENT_CERTIFICATE", "CLIENT_KEY");
        let (alone, missing) = match (self.find(certificate), self.find(key)) {
            (Some((_, certificate)), Some((_, key))) => {
                return Some((certificate.into(), key.into()));
            }
            (None, None) => return None,
            (Some((alone, _)), None) => (alone, key),
            (None, Some((alone, _))) => (alone, certificate),
        };
        problems.push(format!(
            "{alone} is set, {PREFIX}{missing} is not; one is of no use without the other, set both or none"
        ));
        None
    }

    /// Reads `name=value,name=value`, values percent-encoded where they must be.
    fn headers(&self, problems: &mut Vec<String>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let Some((variable, text)) = self.find("HEADERS") else {
            return headers;
        };
        for pair in text.split(',').filter(|pair| !pair.trim().is_empty()) {
            let parsed = pair.split_once('=').and_then(|(name, value)| {
                let name = HeaderName::try_from(name.trim()).ok()?;
                let mut value = HeaderValue::try_from(decoded(value.trim())?).ok()?;
                value.set_sensitive(true);
                Some((name, value))
            });
            match parsed {
                Some((name, value)) => drop(headers.insert(name, value)),
                // What it holds may be a secret.
                None => problems.push(format!(
                    "{variable} is malformed; write name=value, several separated by commas"
                )),
            }
        }
        headers
    }
}

/// Returns the endpoint with a scheme: for gRPC the scheme may be missing, and INSECURE decides over it.
fn uri_of(endpoint: &str, protocol: Protocol, insecure: Option<bool>) -> Option<Uri> {
    let text = match (protocol, endpoint.split_once("://")) {
        (Protocol::HttpProtobuf, _) => endpoint.to_owned(),
        (Protocol::Grpc, split) => {
            let (scheme, rest) = split.unwrap_or(("https", endpoint));
            let scheme = match insecure {
                Some(true) => "http",
                Some(false) => "https",
                None => scheme,
            };
            format!("{scheme}://{rest}")
        }
    };
    let uri: Uri = text.parse().ok()?;
    let known = uri.scheme() == Some(&Scheme::HTTP) || uri.scheme() == Some(&Scheme::HTTPS);
    let has_host = uri.host().is_some_and(|host| !host.is_empty());
    // A login would go out in clear with each request, as part of the host's name: it belongs into the headers.
    let has_login = uri
        .authority()
        .is_some_and(|whole| whole.as_str().contains('@'));
    (known && has_host && !has_login).then_some(uri)
}

fn milliseconds(text: &str) -> Option<Duration> {
    let milliseconds = text.trim().parse().ok().filter(|number| *number > 0)?;
    Some(Duration::from_millis(milliseconds))
}

/// Resolves percent escapes; `None` for a malformed one.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [rest.next()?, rest.next()?];
        let digits = std::str::from_utf8(&digits).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
    }
    Some(bytes)
}

impl fmt::Debug for Collector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Collector")
            .field("host", &self.uri.host())
            .field("protocol", &self.protocol)
            .finish_non_exhaustive()
    }
}

const PREFIX: &str = "OTEL_EXPORTER_OTLP_";
const METRIC_INTERVAL: &str = "OTEL_METRIC_EXPORT_INTERVAL";
/// The endpoint of traces that go nowhere.
const NOWHERE: &str = "nil";
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn read(variables: &[(&str, &'static str)]) -> Result<Settings, Vec<String>> {
        let variables: BTreeMap<String, &str> = variables
            .iter()
            .map(|(name, value)| (format!("{PREFIX}{name}"), *value))
            .collect();
        Settings::read(|name| variables.get(name).copied())
    }

    fn collector(target: Option<Target>) -> Collector {
        target.unwrap().collector.unwrap()
    }

    #[test]
    fn a_signal_without_an_endpoint_is_off_and_its_own_variable_wins() {
        assert!(read(&[]).unwrap().is_off());
        let settings = read(&[
            ("ENDPOINT", "http://127.0.0.1:4318/all"),
            ("LOGS_ENDPOINT", "http://127.0.0.1:4318/v1/logs"),
        ])
        .unwrap();
        assert_eq!(collector(settings.logs).uri.path(), "/v1/logs");
        assert_eq!(collector(settings.traces).uri.path(), "/all");
        let settings = read(&[("TRACES_ENDPOINT", "nil")]).unwrap();
        assert!(settings.traces.unwrap().collector.is_none());
        assert!(settings.metrics.is_none() && settings.logs.is_none());
    }

    #[test]
    fn the_protocol_is_guessed_from_the_port() {
        use Protocol::{Grpc, HttpProtobuf};
        for (endpoint, protocol, expected) in [
            ("http://a:4317", None, Grpc),
            ("http://a:4318/v1/traces", None, HttpProtobuf),
            ("http://a:4317", Some("http/protobuf"), HttpProtobuf),
            ("http://a:9999", Some("grpc"), Grpc),
        ] {
            let mut variables = vec![("ENDPOINT", endpoint)];
            variables.extend(protocol.map(|protocol| ("PROTOCOL", protocol)));
            let settings = read(&variables).unwrap();
            assert_eq!(collector(settings.traces).protocol, expected, "{endpoint}");
        }
    }

    #[test]
    fn grpc_takes_an_endpoint_without_a_scheme_and_insecure_decides() {
        for (endpoint, insecure, expected) in [
            ("a:4317", None, "https"),
            ("a:4317", Some("true"), "http"),
            ("http://a:4317", None, "http"),
            ("https://a:4317", Some("1"), "http"),
            ("http://a:4317", Some("false"), "https"),
        ] {
            let mut variables = vec![("ENDPOINT", endpoint)];
            variables.extend(insecure.map(|insecure| ("INSECURE", insecure)));
            let collector = collector(read(&variables).unwrap().traces);
            assert_eq!(collector.uri.scheme_str(), Some(expected), "{endpoint}");
            assert_eq!(collector.tls.is_some(), expected == "https");
        }
    }

    #[test]
    fn headers_and_times_are_read_and_headers_are_never_shown() {
        let settings = read(&[
            ("ENDPOINT", "http://a:4318"),
            ("HEADERS", "api-key=se%20cret, x=y"),
            ("LOGS_TIMEOUT", "250"),
            ("TIMEOUT", "soon"),
        ])
        .unwrap();
        let (traces, logs) = (collector(settings.traces), collector(settings.logs));
        assert_eq!(
            (traces.headers["api-key"].as_bytes(), traces.headers.len()),
            (&b"se cret"[..], 2)
        );
        assert_eq!(
            (logs.timeout, traces.timeout),
            (Duration::from_millis(250), DEFAULT_TIMEOUT)
        );
        assert!(!format!("{traces:?}{:?}", traces.headers).contains("cret"));
    }

    #[test]
    fn what_cannot_be_used_is_a_problem_with_a_remedy() {
        for (name, value) in [
            ("ENDPOINT", "collector"),
            ("ENDPOINT", "http://"),
            ("METRICS_ENDPOINT", "ftp://a/b"),
            ("LOGS_ENDPOINT", "nil"),
        ] {
            let problems = read(&[(name, value)]).unwrap_err();
            assert!(problems[0].contains("write a URL"), "{problems:?}");
        }
        for endpoint in ["ftp://user:secret@host", "http://user:secret@host"] {
            let problems = read(&[("ENDPOINT", endpoint)]).unwrap_err();
            assert!(problems[0].contains("'host'"), "{problems:?}");
        }
        for (alone, missing) in [
            ("CLIENT_CERTIFICATE", "CLIENT_KEY"),
            ("LOGS_CLIENT_KEY", "CLIENT_CERTIFICATE"),
        ] {
            let problems = read(&[("LOGS_ENDPOINT", "https://a"), (alone, "a.pem")]).unwrap_err();
            let [problem] = problems.as_slice() else {
                panic!("{problems:?}");
            };
            let expected = format!("{PREFIX}{alone} is set, {PREFIX}{missing} is not");
            assert!(problem.starts_with(&expected), "{problem}");
        }
        let secret = [("ENDPOINT", "http://a"), ("HEADERS", "secret")];
        let problems = read(&secret).unwrap_err();
        assert!(problems[0].contains("name=value") && !problems[0].contains("secret"));
    }
}
