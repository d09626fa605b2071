//! The manifest of a service: which endpoints it has, and which events it hears.
//!
//! It does not say what the service calls: see [`crate::calls`]. Source: spec: deploy 4.

use crate::target::{RouteError, Target};
use microbus_wire::{Hostname, Method};
use serde::Deserialize;
use std::collections::BTreeMap;
use thiserror::Error;

/// What a `manifest.yaml` says that matters for permissions; anything else in it is ignored.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    general: General,
    #[serde(default)]
    functions: BTreeMap<String, Feature>,
    #[serde(default)]
    webs: BTreeMap<String, Feature>,
    #[serde(default)]
    tasks: BTreeMap<String, Feature>,
    #[serde(default)]
    workflows: BTreeMap<String, Feature>,
    #[serde(default)]
    outbound_events: BTreeMap<String, Feature>,
    #[serde(default)]
    inbound_events: BTreeMap<String, InboundEvent>,
    #[serde(default)]
    downstream: Vec<Downstream>,
}

/// An endpoint or an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Where it is served.
    pub target: Target,
    /// Its method; `None` is any.
    pub method: Option<Method>,
}

impl Manifest {
    /// Reads the text of a `manifest.yaml`.
    ///
    /// # Errors
    /// [`ManifestError`] when it is no YAML of this shape, names no host, or a route or method in it is none.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let manifest: Self = serde_yaml::from_str(text)?;
        manifest.check()?;
        Ok(manifest)
    }

    pub(crate) fn check(&self) -> Result<(), ManifestError> {
        let host = self.host()?;
        for (name, feature, port) in self.features() {
            feature.endpoint(&host, name, port)?;
        }
        Ok(())
    }

    /// Returns the host name of the service.
    ///
    /// # Errors
    /// [`ManifestError::Host`] when it is none.
    pub fn host(&self) -> Result<Hostname, ManifestError> {
        Hostname::parse(&self.general.hostname).map_err(|source| ManifestError::Host {
            host: self.general.hostname.clone(),
            source,
        })
    }

    /// Returns the import path of the service's package, empty where it is not said.
    #[must_use]
    pub fn package(&self) -> &str {
        &self.general.package
    }

    /// Returns what the service serves, by name.
    ///
    /// # Errors
    /// As [`Manifest::parse`].
    pub fn endpoints(&self) -> Result<Vec<(&str, Endpoint)>, ManifestError> {
        let host = self.host()?;
        self.features()
            .filter(|(_, _, port)| *port != EVENT_PORT)
            .map(|(name, feature, port)| Ok((name, feature.endpoint(&host, name, port)?)))
            .collect()
    }

    /// Returns the events that the service fires, by name.
    ///
    /// # Errors
    /// As [`Manifest::parse`].
    pub fn outbound_events(&self) -> Result<Vec<(&str, Endpoint)>, ManifestError> {
        let host = self.host()?;
        self.outbound_events
            .iter()
            .map(|(name, feature)| Ok((name.as_str(), feature.endpoint(&host, name, EVENT_PORT)?)))
            .collect()
    }

    /// Returns the events that the service hears, each with the package of its source.
    pub fn inbound_events(&self) -> impl Iterator<Item = (&str, &str)> {
        let events = self.inbound_events.iter();
        events.map(|(name, event)| (name.as_str(), event.package.as_str()))
    }

    /// Returns the hosts that the service is said to call, which older generators wrote down without endpoints.
    pub fn downstream(&self) -> impl Iterator<Item = &str> {
        self.downstream
            .iter()
            .map(|callee| callee.hostname.as_str())
    }

    fn features(&self) -> impl Iterator<Item = (&str, &Feature, u16)> {
        [
            (&self.functions, FUNCTION_PORT),
            (&self.webs, FUNCTION_PORT),
            (&self.tasks, TASK_PORT),
            (&self.workflows, TASK_PORT),
            (&self.outbound_events, EVENT_PORT),
        ]
        .into_iter()
        .flat_map(|(features, port)| {
            features
                .iter()
                .map(move |(name, feature)| (name.as_str(), feature, port))
        })
    }
}

/// Why a text is no manifest.
#[derive(Debug, Error)]
pub enum ManifestError {
    /// No YAML of this shape.
    #[error("not a manifest")]
    Yaml(#[from] serde_yaml::Error),
    /// `general.hostname` is no host name.
    #[error("the hostname {host:?}")]
    Host {
        /// What stands there.
        host: String,
        /// What is wrong with it.
        #[source]
        source: microbus_wire::host::HostnameError,
    },
    /// A method that is none.
    #[error("the method {method:?} of {name}; write one of HTTP in capitals, or ANY")]
    Method {
        /// The feature.
        name: String,
        /// What stands there.
        method: String,
    },
    /// A route that is none.
    #[error("the route {route:?} of {name}")]
    Route {
        /// The feature.
        name: String,
        /// What stands there.
        route: String,
        /// What is wrong with it.
        #[source]
        source: RouteError,
    },
}

#[derive(Clone, Debug, Deserialize)]
struct General {
    hostname: String,
    #[serde(default)]
    package: String,
}

#[derive(Clone, Debug, Deserialize)]
struct Feature {
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    route: Option<String>,
}

impl Feature {
    fn endpoint(&self, host: &Hostname, name: &str, port: u16) -> Result<Endpoint, ManifestError> {
        let method = self.method.as_deref().unwrap_or_default();
        let method = parse_method(method).ok_or_else(|| ManifestError::Method {
            name: name.to_owned(),
            method: method.to_owned(),
        })?;
        let named = || format!(":{port}/{}", kebab(name));
        let route = self.route.clone().unwrap_or_else(named);
        match Target::resolve(Some(host.as_str()), &route) {
            Ok(target) => Ok(Endpoint { target, method }),
            Err(source) => Err(ManifestError::Route {
                name: name.to_owned(),
                route,
                source,
            }),
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
struct InboundEvent {
    #[serde(default)]
    package: String,
}

#[derive(Clone, Debug, Deserialize)]
struct Downstream {
    #[serde(default)]
    hostname: String,
}

/// Returns the method of a declaration, of which `None` is any; no declaration at all is any, too.
pub(crate) fn parse_method(text: &str) -> Option<Option<Method>> {
    match text.to_ascii_uppercase().as_str() {
        "" | "ANY" | "*" => Some(None),
        method => Method::parse(method).map(Some),
    }
}

/// Returns `OnNewOrder` as `on-new-order`, as routes that are not given are named.
fn kebab(name: &str) -> String {
    let mut kebab = String::with_capacity(name.len() + 4);
    let letters: Vec<char> = name.chars().collect();
    for (index, letter) in letters.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|index| letters.get(index));
        let after = letters.get(index + 1);
        let begins_word = letter.is_uppercase()
            && before.is_some_and(|before| {
                !before.is_uppercase() || after.is_some_and(|after| after.is_lowercase())
            });
        if begins_word {
            kebab.push('-');
        }
        kebab.extend(letter.to_lowercase());
    }
    kebab
}

const FUNCTION_PORT: u16 = 443;
const EVENT_PORT: u16 = 417;
const TASK_PORT: u16 = 428;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_without_routes_and_methods_has_the_documented_ones() {
        let manifest = Manifest::parse(
            "general: {hostname: Shop.Example, name: Shop}\n\
             functions: {AddItem: {}, HTTPCheck: {method: get, route: ':666/check'}}\n\
             tasks: {Charge: {}}\n\
             outboundEvents: {OnSold: {}}\n\
             inboundEvents: {OnPaid: {package: example.com/bank/bankapi, signature: x}}\n\
             tickers: {Tick: {interval: 1h}}\n",
        )
        .unwrap();
        assert_eq!(manifest.host().unwrap().as_str(), "shop.example");
        let target = |route| Target::resolve(Some("shop.example"), route).unwrap();
        let endpoint = |route, method| Endpoint {
            target: target(route),
            method,
        };
        assert_eq!(
            manifest.endpoints().unwrap(),
            [
                ("AddItem", endpoint(":443/add-item", None)),
                ("HTTPCheck", endpoint(":666/check", Some(Method::Get))),
                ("Charge", endpoint(":428/charge", None)),
            ]
        );
        assert_eq!(
            manifest.outbound_events().unwrap(),
            [("OnSold", endpoint(":417/on-sold", None))]
        );
        assert_eq!(
            manifest.inbound_events().collect::<Vec<_>>(),
            [("OnPaid", "example.com/bank/bankapi")]
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        let said = |text: &str| {
            let error = Manifest::parse(text).unwrap_err();
            format!("{error}: {:?}", std::error::Error::source(&error))
        };
        assert!(said("functions: {}").contains("general"));
        assert!(said("general: {hostname: 'a b'}").contains("\"a b\""));
        let route = said("general: {hostname: a}\nwebs: {Page: {route: ':x/y'}}");
        assert!(route.contains("\":x/y\" of Page"), "{route}");
        let method = said("general: {hostname: a}\nwebs: {Page: {method: FETCH}}");
        assert!(method.contains("\"FETCH\" of Page"), "{method}");
    }

    #[test]
    fn names_become_kebab_case() {
        for (name, expected) in [
            ("Mint", "mint"),
            ("OnNewOrder", "on-new-order"),
            ("HTTPCheck", "http-check"),
            ("GetURL", "get-url"),
        ] {
            assert_eq!(kebab(name), expected);
        }
    }
}
