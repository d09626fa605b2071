//! Lines of the log, on their way to a collector.

use crate::log::{self, Fields};
use microbus_otlp::{Attributes, Exporter, LogRecord, Severity, Value};
use microbus_wire::trace_context::TraceId;
use serde_json::Value as Json;
use std::sync::Arc;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// Hands each line over that is written.
pub(crate) struct Lines(pub(crate) Arc<Exporter>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let scope = log::scope_of(event, &context);
        let severity = *event.metadata().level();
        self.0.log(record(severity, fields, scope));
    }
}

fn record(level: Level, mut fields: Fields, scope: Fields) -> LogRecord {
    let trace = fields.others.remove("trace");
    let trace = trace
        .as_ref()
        .and_then(Json::as_str)
        .and_then(TraceId::parse);
    let attributes: Attributes = fields
        .others
        .into_iter()
        .chain(scope.others)
        .map(|(name, value)| (name.into(), attribute(value)))
        .collect();
    LogRecord {
        time: log::now(),
        severity: match level {
            Level::ERROR => Severity::Error,
            Level::WARN => Severity::Warn,
            Level::INFO => Severity::Info,
            _ => Severity::Debug,
        },
        body: fields.message,
        attributes,
        trace,
    }
}

fn attribute(value: Json) -> Value {
    match value {
        Json::String(text) => Value::Text(text.into()),
        Json::Bool(switch) => Value::Switch(switch),
        Json::Number(number) => match number.as_i64() {
            Some(integer) => Value::Integer(integer),
            None => Value::Number(number.as_f64().unwrap_or(f64::NAN)),
        },
        other @ (Json::Null | Json::Array(_) | Json::Object(_)) => {
            Value::Text(other.to_string().into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_line_keeps_its_fields_its_trace_and_the_actor_of_its_scope() {
        let fields = |json: Json| Fields {
            message: "Refused to mint".to_owned(),
            others: json.as_object().unwrap().clone(),
        };
        let trace = "0af7651916cd43dd8448eb211c80319c";
        let said =
            fields(json!({"trace": trace, "caller": "a", "count": 3, "share": 0.5, "new": true}));
        let scope = fields(json!({"iss": "x", "roles": ["a", "b"]}));
        let record = record(Level::WARN, said, scope);
        assert_eq!(
            (record.body.as_str(), record.severity),
            ("Refused to mint", Severity::Warn)
        );
        assert_eq!(record.trace, TraceId::parse(trace));
        let text = |text: &'static str| Value::Text(text.into());
        let expected: Attributes = vec![
            ("caller".into(), text("a")),
            ("count".into(), Value::Integer(3)),
            ("new".into(), Value::Switch(true)),
            ("share".into(), Value::Number(0.5)),
            ("iss".into(), text("x")),
            ("roles".into(), text(r#"["a","b"]"#)),
        ];
        assert_eq!(record.attributes, expected);
    }
}
