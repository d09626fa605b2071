//! Traces, metrics and lines of the log for a collector: what of a process is told there, and when.
//!
//! Source: spec: microbus-wire 10.2 to 10.4. How it gets there is `microbus_otlp`'s.

mod lines;
mod readings;
mod watcher;

pub(crate) use lines::Lines;
pub(crate) use readings::metrics_of;
pub(crate) use watcher::Watcher;

use crate::deployment::Deployment;
use crate::log::CommonFields;
use crate::vitals::Vitals;
use microbus_otlp::{Attributes, Exporter, Parts, Resource, Settings, Spans, StartError, Value};
use std::sync::Arc;
use std::time::Duration;

/// Starts to export what `settings` name; `None` if they name nothing.
///
/// # Errors
/// When certificates cannot be used, or there is no thread to be had.
pub(crate) fn start(
    settings: &Settings,
    common: &CommonFields,
    vitals: &Arc<Vitals>,
) -> Result<Option<Arc<Exporter>>, StartError> {
    if settings.is_off() {
        return Ok(None);
    }
    let metric_interval = match common.deployment {
        Deployment::Prod | Deployment::Lab => Duration::from_secs(60),
        Deployment::Local | Deployment::Testing => Duration::from_secs(15),
    };
    let vitals = Arc::downgrade(vitals);
    let parts = Parts {
        resource: Resource(describe(common)),
        spans: spans_of(common.deployment),
        readings: Box::new(move || Some(vitals.upgrade()?.readings())),
        metric_interval,
    };
    Ok(Some(Arc::new(Exporter::start(settings, parts)?)))
}

/// Returns which spans are exported (spec: microbus-wire 10.4).
pub(crate) fn spans_of(deployment: Deployment) -> Spans {
    match deployment {
        Deployment::Prod => Spans::OfSelectedTraces,
        Deployment::Lab | Deployment::Local | Deployment::Testing => Spans::All,
    }
}

/// Says who this process is (spec: microbus-wire 8.6, 10.2).
fn describe(common: &CommonFields) -> Attributes {
    let namespace = match common.deployment {
        Deployment::Testing => "testing".to_owned(),
        Deployment::Prod | Deployment::Lab | Deployment::Local => common.plane.clone(),
    };
    let deployment = common.deployment.as_str();
    vec![
        ("service.namespace".into(), Value::Text(namespace.into())),
        (
            "service.name".into(),
            Value::Text(common.service.clone().into()),
        ),
        (
            "service.version".into(),
            Value::Integer(common.version.into()),
        ),
        (
            "service.instance.id".into(),
            Value::Text(common.instance.clone().into()),
        ),
        (
            "deployment.environment.name".into(),
            Value::Text(deployment.into()),
        ),
    ]
}
