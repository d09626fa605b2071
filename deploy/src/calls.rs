//! What a service calls and which events it hears, as its operator declares it.
//!
//! Manifests do not say it, and sources are not read: what is not declared is refused by the broker.
//! Source: spec: deploy 4.

use crate::manifest::parse_method;
use crate::target::{RouteError, Target};
use microbus_wire::Method;
use serde::Deserialize;
use thiserror::Error;

/// The content of a `calls.yaml`, such as this one:
///
/// ```yaml
#[doc = include_str!("../samples/calls.yaml")]
/// ```
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calls {
    /// The service that calls; needed where no manifest lies beside the file.
    pub hostname: Option<String>,
    /// Whether a service without a manifest serves endpoints of its own on port 666.
    #[serde(default)]
    pub trust_root: bool,
    #[serde(default)]
    calls: Vec<RawCall>,
    #[serde(default)]
    events: Vec<RawEvent>,
}

/// An endpoint that is called, or an event that is heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Declared<'a> {
    /// One that the manifest of its host describes.
    Named {
        /// The host.
        host: &'a str,
        /// Its name there.
        name: &'a str,
    },
    /// One that is written out.
    Written {
        /// Where it is served.
        target: Target,
        /// Its method; `None` is any.
        method: Option<Method>,
    },
}

impl Calls {
    /// Reads the text of a `calls.yaml`.
    ///
    /// # Errors
    /// [`CallsError`] when it is no YAML of this shape, or an entry contradicts itself.
    pub fn parse(text: &str) -> Result<Self, CallsError> {
        let calls: Self = serde_yaml::from_str(text)?;
        calls.calls()?;
        calls.events()?;
        Ok(calls)
    }

    /// Returns the calls, in their order.
    ///
    /// # Errors
    /// As [`Calls::parse`].
    pub fn calls(&self) -> Result<Vec<Declared<'_>>, CallsError> {
        self.calls.iter().map(RawCall::declared).collect()
    }

    /// Returns the events, in their order.
    ///
    /// # Errors
    /// As [`Calls::parse`].
    pub fn events(&self) -> Result<Vec<Declared<'_>>, CallsError> {
        self.events.iter().map(RawEvent::declared).collect()
    }

    /// Tells whether any call goes to `host`.
    #[must_use]
    pub fn mention(&self, host: &str) -> bool {
        let mut hosts = self.calls.iter().filter_map(|call| call.host.as_deref());
        hosts.any(|mentioned| mentioned.eq_ignore_ascii_case(host))
    }
}

/// Why a text declares no calls.
#[derive(Debug, Error)]
pub enum CallsError {
    /// No YAML of this shape.
    #[error("not a list of calls")]
    Yaml(#[from] serde_yaml::Error),
    /// An entry that says too little or too much.
    #[error(
        "{entry} says neither which endpoint nor which route, or both; write host with endpoint, host with route, or url"
    )]
    Entry {
        /// The entry.
        entry: String,
    },
    /// A host that is known only at run time, without the consent to it.
    #[error("{entry} lets the service call any host; add allow_wildcard: true if that is meant")]
    Wildcard {
        /// The entry.
        entry: String,
    },
    /// A method that is none.
    #[error("the method {method:?} of {entry}; write one of HTTP in capitals, or ANY")]
    Method {
        /// The entry.
        entry: String,
        /// What stands there.
        method: String,
    },
    /// A route that is none.
    #[error("{entry}")]
    Route {
        /// The entry.
        entry: String,
        /// What is wrong with it.
        #[source]
        source: RouteError,
    },
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCall {
    host: Option<String>,
    endpoint: Option<String>,
    method: Option<String>,
    route: Option<String>,
    url: Option<String>,
    #[serde(default)]
    allow_wildcard: bool,
}

impl RawCall {
    fn declared(&self) -> Result<Declared<'_>, CallsError> {
        let any_host = self.host.as_deref() == Some("*");
        let target = match (&self.host, &self.endpoint, &self.route, &self.url) {
            (Some(host), Some(endpoint), None, None) if !any_host && self.method.is_none() => {
                return Ok(Declared::Named {
                    host,
                    name: endpoint,
                });
            }
            (Some(host), None, Some(route), None) => {
                Target::resolve(Some(host.as_str()).filter(|_| !any_host), route)
            }
            (None, None, None, Some(url)) if url == DYNAMIC => Ok(Target::anything()),
            (None, None, None, Some(url)) if url.contains("://") => Target::resolve(None, url),
            _ => {
                return Err(CallsError::Entry {
                    entry: self.shown(),
                });
            }
        };
        let target = target.map_err(|source| CallsError::Route {
            entry: self.shown(),
            source,
        })?;
        if target.is_any_host() && !self.allow_wildcard {
            return Err(CallsError::Wildcard {
                entry: self.shown(),
            });
        }
        let method = self.method.as_deref().unwrap_or_default();
        let method = parse_method(method).ok_or_else(|| CallsError::Method {
            entry: self.shown(),
            method: method.to_owned(),
        })?;
        Ok(Declared::Written { target, method })
    }

    fn shown(&self) -> String {
        let members = [
            ("host", &self.host),
            ("endpoint", &self.endpoint),
            ("method", &self.method),
            ("route", &self.route),
            ("url", &self.url),
        ];
        let said: Vec<_> = members
            .iter()
            .filter_map(|(name, value)| value.as_ref().map(|value| format!("{name}: {value}")))
            .collect();
        format!("the call {{{}}}", said.join(", "))
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEvent {
    host: String,
    event: Option<String>,
    method: Option<String>,
    route: Option<String>,
}

impl RawEvent {
    fn declared(&self) -> Result<Declared<'_>, CallsError> {
        if let (Some(event), None) = (&self.event, &self.route) {
            return Ok(Declared::Named {
                host: &self.host,
                name: event,
            });
        }
        let written = RawCall {
            host: Some(self.host.clone()),
            method: self.method.clone(),
            route: self.route.clone(),
            ..RawCall::default()
        };
        match written.declared()? {
            Declared::Written { target, method } => Ok(Declared::Written { target, method }),
            Declared::Named { .. } => Err(CallsError::Entry {
                entry: written.shown(),
            }),
        }
    }
}

/// What stands for a URL that is known only at run time.
const DYNAMIC: &str = "dynamic";

#[cfg(test)]
mod tests {
    use super::*;

    fn error(call: &str) -> CallsError {
        Calls::parse(&format!("calls: [{call}]")).unwrap_err()
    }

    #[test]
    fn each_form_of_a_call_is_read() {
        let calls = Calls::parse(
            r#"
calls:
  - {host: access.token.core, endpoint: Mint}
  - {host: billing.acme, method: POST, route: ":444/charge"}
  - {url: "https://partner.acme:8443/quote", method: GET}
  - {host: "*", method: GET, route: "/data/{id}", allow_wildcard: true}
  - {url: dynamic, allow_wildcard: true}
events:
  - {host: shop.acme, event: OnSold}
  - {host: shop.acme, method: POST, route: ":417/on-paid"}
"#,
        )
        .unwrap();
        let written = |host, route, method| Declared::Written {
            target: Target::resolve(host, route).unwrap(),
            method,
        };
        assert_eq!(
            calls.calls().unwrap(),
            [
                Declared::Named {
                    host: "access.token.core",
                    name: "Mint"
                },
                written(Some("billing.acme"), ":444/charge", Some(Method::Post)),
                written(Some("partner.acme"), ":8443/quote", Some(Method::Get)),
                written(None, "/data/{id}", Some(Method::Get)),
                written(None, "*", None),
            ]
        );
        assert_eq!(
            calls.events().unwrap(),
            [
                Declared::Named {
                    host: "shop.acme",
                    name: "OnSold"
                },
                written(Some("shop.acme"), ":417/on-paid", Some(Method::Post)),
            ]
        );
        assert!(calls.mention("Billing.acme"));
        assert!(!calls.mention("partner"));
    }

    #[test]
    fn an_entry_that_says_too_little_or_too_much_is_named() {
        for entry in [
            "{host: a.b}",
            "{endpoint: Mint}",
            "{host: a.b, endpoint: X, route: /x}",
            "{host: '*', endpoint: X}",
            "{url: 'a.b/x'}",
        ] {
            assert!(
                matches!(error(entry), CallsError::Entry { .. }),
                "{entry}: {}",
                error(entry)
            );
        }
        assert!(matches!(error("{hots: a.b}"), CallsError::Yaml(_)));
    }

    #[test]
    fn any_host_must_be_meant() {
        for entry in ["{host: '*', route: /x}", "{url: dynamic}"] {
            assert!(
                matches!(error(entry), CallsError::Wildcard { .. }),
                "{entry}"
            );
        }
    }

    #[test]
    fn methods_and_routes_are_checked() {
        assert!(matches!(
            error("{host: a.b, route: /x, method: FETCH}"),
            CallsError::Method { .. }
        ));
        assert!(matches!(
            error("{host: a.b, route: ':x'}"),
            CallsError::Route { .. }
        ));
    }
}
