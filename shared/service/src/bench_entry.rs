//! What the benchmarks of the issuers need, and no issuer uses.

use crate::audit::{AUDIT_PROPERTIES, Audit};
use crate::deployment::Deployment;
use crate::log::CommonFields;
use crate::metrics::Metrics;
use crate::minting::{MINTING_PROPERTIES, Minting};
use crate::service::Profile;
use crate::settings::{self, Texts};
use microbus_bus::{Observer, SystemClock};
use std::error::Error;
use std::sync::Arc;

/// Makes what answers requests to mint, configured by these property names and texts, and what measures the traffic.
///
/// # Errors
/// When a text is not valid, or the audit trail cannot be opened.
pub fn minting(
    profile: &'static Profile,
    texts: &[(&str, &str)],
) -> Result<(Minting, Arc<dyn Observer>), Box<dyn Error>> {
    let properties = [&MINTING_PROPERTIES[..], &AUDIT_PROPERTIES[..]].concat();
    let texts: Texts = texts
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned().into()))
        .collect();
    let settings = settings::resolve(&properties, &texts, &Texts::new(), None)?.settings;
    let common = CommonFields {
        plane: "microbus".to_owned(),
        service: profile.issuer.host().to_owned(),
        version: profile.version,
        instance: "id-bench00000".to_owned(),
        deployment: Deployment::Prod,
    };
    let metrics = Arc::new(Metrics::new(&common, profile)?);
    let audit = Arc::new(Audit::open(&settings, &metrics)?);
    let minting = Minting::new(
        Arc::clone(&metrics),
        audit,
        Arc::new(SystemClock),
        profile.issuer.host(),
        common.instance,
    );
    minting.configure(&settings);
    Ok((minting, Arc::clone(&metrics.traffic) as _))
}
