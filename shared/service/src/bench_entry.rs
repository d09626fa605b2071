//! What the benchmarks of the issuers need, and no issuer uses.

use crate::audit::{AUDIT_PROPERTIES, Audit};
use crate::deployment::Deployment;
use crate::log::CommonFields;
use crate::metrics::Metrics;
use crate::minting::{MINTING_PROPERTIES, Minting};
use crate::service::Profile;
use crate::settings::{self, Texts};
use crate::telemetry::{self, Watcher};
use microbus_bus::{Observer, SystemClock};
use microbus_otlp::{Exporter, Parts, Resource};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

/// What answers requests to mint, and what measures the traffic.
pub type Watched = (Arc<Minting>, Arc<dyn Observer>);

/// Makes what answers requests to mint, configured by these property names and texts, and what measures the traffic, with
/// traces where these variables say so: as in PROD exported if something fails, as in LAB all of them.
///
/// # Errors
/// When a text is not valid, or the audit trail cannot be opened.
pub fn minting(
    profile: &'static Profile,
    texts: &[(&str, &str)],
    variables: &[(&str, &str)],
    deployment: Deployment,
) -> Result<Watched, Box<dyn Error>> {
    let properties = [&MINTING_PROPERTIES[..], &AUDIT_PROPERTIES[..]].concat();
    let texts: Texts = texts
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned().into()))
        .collect();
    let (own, invalid) = settings::judge_files(&properties, &texts);
    if let Some(error) = invalid.into_iter().next() {
        return Err(error.into());
    }
    let settings = settings::resolve(&properties, &own, &Texts::new(), None)?.settings;
    let common = CommonFields {
        plane: "microbus".to_owned(),
        service: profile.issuer.host().to_owned(),
        version: profile.version,
        instance: "id-bench00000".to_owned(),
        deployment,
    };
    let metrics = Arc::new(Metrics::new(&common, profile)?);
    let audit = Arc::new(Audit::open(&settings, &metrics)?);
    let minting = Arc::new(Minting::new(
        Arc::clone(&metrics),
        audit,
        Arc::new(SystemClock),
        profile.issuer.host(),
        common.instance,
    ));
    minting.configure(&settings);
    let variable = |name: &str| {
        let variable = variables.iter().find(|(known, _)| *known == name);
        variable.map(|(_, value)| *value)
    };
    let telemetry =
        microbus_otlp::Settings::read(variable).map_err(|problems| problems.concat())?;
    let exporter = Exporter::start(
        &telemetry,
        Parts {
            resource: Resource(Vec::new()),
            spans: telemetry::spans_of(deployment),
            readings: Box::new(|| None),
            metric_interval: Duration::from_secs(60),
        },
    )?;
    let rng = StdRng::seed_from_u64(1);
    let clock = Arc::new(SystemClock);
    let watcher = Watcher::new(metrics, Some(Arc::new(exporter)), rng, false, clock);
    Ok((minting, Arc::new(watcher)))
}
