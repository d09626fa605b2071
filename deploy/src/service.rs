//! A service as its manifest and its operator describe it, and the permissions that follow.
//!
//! Source: spec: deploy 2.1, 4.

use crate::calls::{Calls, CallsError, Declared};
use crate::manifest::{Endpoint, Manifest, ManifestError};
use crate::permissions::Permissions;
use microbus_wire::host::HostnameError;
use microbus_wire::{Hostname, Plane};
use serde::Deserialize;
use thiserror::Error;

/// What one service serves, and what it calls.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    manifest: Option<Manifest>,
    calls: Option<Calls>,
}

impl Service {
    /// Describes a service by its manifest and its calls; `None` where nobody declared any.
    #[must_use]
    pub fn new(manifest: Manifest, calls: Option<Calls>) -> Self {
        Self {
            manifest: Some(manifest),
            calls,
        }
    }

    /// Describes a service that serves nothing under another name than its own, by its calls alone.
    #[must_use]
    pub fn of_calls(calls: Calls) -> Self {
        Self {
            manifest: None,
            calls: Some(calls),
        }
    }

    /// Returns the host name.
    ///
    /// # Errors
    /// [`ServiceError`] when neither part names a host, or they name two.
    pub fn host(&self) -> Result<Hostname, ServiceError> {
        let declared = self
            .calls
            .as_ref()
            .and_then(|calls| calls.hostname.as_ref());
        let declared = declared.map(|host| Hostname::parse(host)).transpose()?;
        let served = self.manifest.as_ref().map(Manifest::host).transpose()?;
        match (served, declared) {
            (Some(served), Some(declared)) if served != declared => Err(ServiceError::TwoHosts {
                served: served.to_string(),
                declared: declared.to_string(),
            }),
            (Some(host), _) | (None, Some(host)) => Ok(host),
            (None, None) => Err(ServiceError::NoHost),
        }
    }

    /// Returns the manifest, where there is one.
    #[must_use]
    pub fn manifest(&self) -> Option<&Manifest> {
        self.manifest.as_ref()
    }

    /// Returns the calls, where somebody declared them.
    #[must_use]
    pub fn calls(&self) -> Option<&Calls> {
        self.calls.as_ref()
    }

    /// Returns exactly what the service needs on `plane`; `known` are the manifests that describe what it calls.
    ///
    /// # Errors
    /// [`ServiceError::Undeclared`] when it calls or hears something of which nobody said what it is,
    /// [`ServiceError::Unknown`] or [`ServiceError::NotOffered`] when a declared endpoint is in no manifest; else an error of its description.
    pub fn permissions(
        &self,
        plane: &Plane,
        known: &[&Manifest],
    ) -> Result<Permissions, ServiceError> {
        let host = self.host()?;
        self.refuse_undeclared(&host, known)?;
        let own = self.own_endpoints()?;
        let trust_root = own.iter().any(|endpoint| endpoint.target.is_trust_root())
            || self.calls.as_ref().is_some_and(|calls| calls.trust_root);
        let mut permissions = if trust_root {
            Permissions::of_issuer(plane, &host)
        } else {
            Permissions::of_service(plane, &host)
        };
        for Endpoint { target, method } in self.called(known)? {
            permissions = permissions.with_call(plane, &host, &target, method);
        }
        for Endpoint { target, method } in self.fired()? {
            permissions = permissions.with_call(plane, &host, &target, method);
        }
        for Endpoint { target, method } in self.heard(known)? {
            permissions = permissions.with_subscribe(target.serve_pattern(plane, method));
        }
        for Endpoint { target, method } in own {
            if !target.is_on(&host) {
                permissions = permissions.with_subscribe(target.serve_pattern(plane, method));
            }
        }
        Ok(permissions)
    }

    fn own_endpoints(&self) -> Result<Vec<Endpoint>, ServiceError> {
        let Some(manifest) = &self.manifest else {
            return Ok(Vec::new());
        };
        let endpoints = manifest.endpoints()?.into_iter();
        Ok(endpoints.map(|(_, endpoint)| endpoint).collect())
    }

    fn fired(&self) -> Result<Vec<Endpoint>, ServiceError> {
        let Some(manifest) = &self.manifest else {
            return Ok(Vec::new());
        };
        let events = manifest.outbound_events()?.into_iter();
        Ok(events.map(|(_, event)| event).collect())
    }

    fn called(&self, known: &[&Manifest]) -> Result<Vec<Endpoint>, ServiceError> {
        let Some(calls) = &self.calls else {
            return Ok(Vec::new());
        };
        let declared = calls.calls()?.into_iter();
        declared
            .map(|call| find(&call, known, Manifest::endpoints))
            .collect()
    }

    fn heard(&self, known: &[&Manifest]) -> Result<Vec<Endpoint>, ServiceError> {
        let mut heard = Vec::new();
        if let Some(calls) = &self.calls {
            for event in calls.events()? {
                heard.push(find(&event, known, Manifest::outbound_events)?);
            }
        }
        let inbound = self.manifest.iter().flat_map(Manifest::inbound_events);
        for (name, package) in inbound {
            heard.extend(event_of_package(package, name, known)?);
        }
        Ok(heard)
    }

    fn refuse_undeclared(&self, host: &Hostname, known: &[&Manifest]) -> Result<(), ServiceError> {
        let mut missing = Vec::new();
        if self.calls.is_none() {
            missing.push("all of its calls".to_owned());
        }
        if let Some(manifest) = &self.manifest {
            let calls = self.calls.as_ref();
            for callee in manifest.downstream() {
                if calls.is_some_and(|calls| !calls.mention(callee)) {
                    missing.push(format!("its calls of {callee}"));
                }
            }
            let declared = calls.map(Calls::events).transpose()?.unwrap_or_default();
            for (name, package) in manifest.inbound_events() {
                let is_declared = declared
                    .iter()
                    .any(|event| matches!(event, Declared::Named { name: declared, .. } if *declared == name));
                if !is_declared && event_of_package(package, name, known)?.is_none() {
                    missing.push(format!("the source of its event {name}"));
                }
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        Err(ServiceError::Undeclared {
            host: host.to_string(),
            missing: missing.join(", "),
        })
    }
}

/// Why no permissions follow from a description.
#[derive(Debug, Error)]
pub enum ServiceError {
    /// Nothing says what it does.
    #[error(
        "{host} does not declare {missing}; put a calls.yaml beside its manifest (`calls: []` if there are none)"
    )]
    Undeclared {
        /// The service.
        host: String,
        /// What is not declared.
        missing: String,
    },
    /// An endpoint or event that no manifest has.
    #[error(
        "no manifest at hand says what {name} of {host} is; give it, or write method and route"
    )]
    Unknown {
        /// The host.
        host: String,
        /// The endpoint or event.
        name: String,
    },
    /// An endpoint or event that the manifest of its host does not have.
    #[error("{host} has no {name}, but {offered}; write one of them, or method and route")]
    NotOffered {
        /// The host.
        host: String,
        /// The endpoint or event.
        name: String,
        /// Those that it has.
        offered: String,
    },
    /// Neither manifest nor calls name the service.
    #[error("the calls do not say whose they are; add hostname")]
    NoHost,
    /// Manifest and calls are of two services.
    #[error("the manifest is of {served}, the calls beside it of {declared}")]
    TwoHosts {
        /// The host of the manifest.
        served: String,
        /// The host of the calls.
        declared: String,
    },
    /// The host of the calls is none.
    #[error("the hostname of the calls")]
    Host(#[from] HostnameError),
    /// The manifest is none.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The calls are none.
    #[error(transparent)]
    Calls(#[from] CallsError),
}

type Features<'m> = Result<Vec<(&'m str, Endpoint)>, ManifestError>;

fn find(
    declared: &Declared<'_>,
    known: &[&Manifest],
    features: impl for<'m> Fn(&'m Manifest) -> Features<'m>,
) -> Result<Endpoint, ServiceError> {
    let (host, name) = match declared {
        Declared::Written { target, method } => {
            return Ok(Endpoint {
                target: target.clone(),
                method: *method,
            });
        }
        Declared::Named { host, name } => (*host, *name),
    };
    let wanted = Hostname::parse(host)?;
    let mut offered = Vec::new();
    for manifest in known {
        if manifest.host()? != wanted {
            continue;
        }
        for (feature, endpoint) in features(manifest)? {
            if feature == name {
                return Ok(endpoint);
            }
            offered.push(feature.to_owned());
        }
    }
    let (host, name) = (host.to_owned(), name.to_owned());
    Err(if offered.is_empty() {
        ServiceError::Unknown { host, name }
    } else {
        ServiceError::NotOffered {
            host,
            name,
            offered: offered.join(", "),
        }
    })
}

/// Returns the event `name` of the service whose package, or the package of its clients below it, is `package`.
fn event_of_package(
    package: &str,
    name: &str,
    known: &[&Manifest],
) -> Result<Option<Endpoint>, ServiceError> {
    for manifest in known {
        let source = manifest.package();
        let below = package.strip_prefix(source);
        if source.is_empty()
            || !below.is_some_and(|below| below.is_empty() || below.starts_with('/'))
        {
            continue;
        }
        let events = manifest.outbound_events()?.into_iter();
        let mut events = events.filter(|(event, _)| *event == name);
        if let Some((_, event)) = events.next() {
            return Ok(Some(event));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
