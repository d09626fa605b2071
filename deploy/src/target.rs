//! Where an endpoint is served, as a route says it.
//!
//! Source: spec: deploy 2.2.

use microbus_wire::host::escape_host;
use microbus_wire::subject::{SubjectError, route_segments};
use microbus_wire::{Hostname, Method, Plane, Trust};
use thiserror::Error;

/// Host, port and path of an endpoint, or of several where they are known only at run time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    host: Option<String>,
    port: Option<u16>,
    path: String,
}

impl Target {
    /// Reads a route as a service on `host` declares it; `None` is a host that is known only at run time.
    ///
    /// ```text
    /// (empty)             https://host
    /// :port/path          another port of the host; port 0 is any
    /// /path               port 443 of the host
    /// //other:port/path   another host, port 443 unless given
    /// scheme://other/path a whole URL
    /// *                   any path on any port
    /// ```
    ///
    /// # Errors
    /// [`RouteError`] when it is none of these.
    pub fn resolve(host: Option<&str>, route: &str) -> Result<Self, RouteError> {
        if route == "*" {
            return Ok(Self {
                host: host.map(segment).transpose()?,
                port: None,
                path: ">".to_owned(),
            });
        }
        let (default_port, rest) = match route.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (443, Some(rest)),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (80, Some(rest)),
            Some(_) => return Err(RouteError::Scheme),
            None => (443, route.strip_prefix("//")),
        };
        let (host, rest) = match rest {
            Some(rest) => {
                let end = rest.find([':', '/']).unwrap_or(rest.len());
                let (host, rest) = rest.split_at_checked(end).unwrap_or((rest, ""));
                (Some(host).filter(|host| *host != "*"), rest)
            }
            None => (host, route),
        };
        let (port, path) = match rest.strip_prefix(':') {
            Some(rest) => {
                let end = rest.find('/').unwrap_or(rest.len());
                let (port, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
                (port.parse().map_err(|_| RouteError::Port)?, path)
            }
            None => (default_port, rest),
        };
        Ok(Self {
            host: host.map(segment).transpose()?,
            port: Some(port).filter(|port| *port != 0),
            path: route_segments(path)?,
        })
    }

    /// Returns the target of a caller that learns only at run time whom to call, which never includes port 666.
    #[must_use]
    pub fn anything() -> Self {
        Self {
            host: None,
            port: None,
            path: ">".to_owned(),
        }
    }

    /// Tells whether the host is known only at run time.
    #[must_use]
    pub fn is_any_host(&self) -> bool {
        self.host.is_none()
    }

    /// Tells whether it is served on `host` itself rather than on another name.
    #[must_use]
    pub fn is_on(&self, host: &Hostname) -> bool {
        self.host.as_deref() == Some(host.segment())
    }

    /// Tells whether it is served on port 666.
    #[must_use]
    pub fn is_trust_root(&self) -> bool {
        self.trust() == Trust::Danger
    }

    /// Returns what `caller` publishes to, in order to call it.
    #[must_use]
    pub fn call_pattern(&self, plane: &Plane, caller: &Hostname, method: Option<Method>) -> String {
        self.pattern(plane, caller.segment(), "*", method)
    }

    /// Returns what whoever serves it subscribes to.
    #[must_use]
    pub fn serve_pattern(&self, plane: &Plane, method: Option<Method>) -> String {
        self.pattern(plane, "*", "*", method)
    }

    fn pattern(&self, plane: &Plane, source: &str, slot: &str, method: Option<Method>) -> String {
        let (plane, trust, port) = (plane.as_str(), self.trust().as_str(), self.port_segment());
        let host = self.host.as_deref().unwrap_or("*");
        let method = method.map_or("*", Method::as_str);
        let path = &self.path;
        format!("{plane}.{trust}.{port}.{source}.{host}.{slot}.{method}.{path}")
    }

    fn port_segment(&self) -> String {
        self.port
            .map_or_else(|| "*".to_owned(), |port| port.to_string())
    }

    fn trust(&self) -> Trust {
        Trust::of_port(&self.port_segment())
    }
}

/// Why a text is no route.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum RouteError {
    /// Neither `http` nor `https`.
    #[error("a route with a scheme is a URL of http or https")]
    Scheme,
    /// No number up to 65535.
    #[error("the port of a route is a number up to 65535; 0 is any port")]
    Port,
    /// No host where one is announced.
    #[error("the host of a route is missing; write //host/path, or /path for the service's own")]
    Host,
    /// The path makes no subject.
    #[error("the path of a route cannot be written as a subject")]
    Path(#[from] SubjectError),
}

fn segment(host: &str) -> Result<String, RouteError> {
    if host.is_empty() {
        return Err(RouteError::Host);
    }
    Ok(escape_host(host).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(host: Option<&str>, route: &str) -> String {
        let caller = Hostname::parse("me.example").unwrap();
        let target = Target::resolve(host, route).unwrap();
        let pattern = target.call_pattern(&Plane::parse("P").unwrap(), &caller, Some(Method::Get));
        pattern.replace(".me_example.", ".ME.")
    }

    #[test]
    fn each_form_of_a_route_is_read() {
        for (route, expected) in [
            ("", "P.safe.443.ME.you_example.*.GET._"),
            (":444/a/b", "P.safe.444.ME.you_example.*.GET.a.b"),
            (":0/a", "P.safe.*.ME.you_example.*.GET.a"),
            (":666/mint", "P.danger.666.ME.you_example.*.GET.mint"),
            (":8080", "P.safe.8080.ME.you_example.*.GET._"),
            ("/a/{id}", "P.safe.443.ME.you_example.*.GET.a.*"),
            ("a/{rest...}", "P.safe.443.ME.you_example.*.GET.a.>"),
            ("//root", "P.safe.443.ME.root.*.GET._"),
            ("//OpenAPI.json:0", "P.safe.*.ME.openapi_json.*.GET._"),
            ("//my$.xml/lookup", "P.safe.443.ME.my%24_xml.*.GET.lookup"),
            ("http://other.host/x", "P.safe.80.ME.other_host.*.GET.x"),
            (
                "https://other.host:666/x",
                "P.danger.666.ME.other_host.*.GET.x",
            ),
            ("*", "P.safe.*.ME.you_example.*.GET.>"),
        ] {
            assert_eq!(call(Some("you.example"), route), expected, "{route}");
        }
    }

    #[test]
    fn a_host_of_run_time_is_a_wildcard_and_reaches_danger_only_by_name() {
        assert_eq!(call(None, "/x"), "P.safe.443.ME.*.*.GET.x");
        assert_eq!(call(None, ":666/mint"), "P.danger.666.ME.*.*.GET.mint");
        assert_eq!(call(None, "*"), "P.safe.*.ME.*.*.GET.>");
        assert!(!Target::anything().is_trust_root());
    }

    #[test]
    fn what_is_no_route_is_refused() {
        for (route, error) in [
            ("ftp://a/b", RouteError::Scheme),
            (":http/x", RouteError::Port),
            (":70000/x", RouteError::Port),
            ("//:80/x", RouteError::Host),
            ("///x", RouteError::Host),
            ("/{rest...}/x", RouteError::Path(SubjectError::Rest)),
        ] {
            assert_eq!(Target::resolve(Some("a"), route), Err(error), "{route}");
        }
    }

    #[test]
    fn whoever_serves_hears_every_caller() {
        let target = Target::resolve(Some("you.example"), ":417/on-x").unwrap();
        let plane = Plane::parse("P").unwrap();
        assert_eq!(
            target.serve_pattern(&plane, None),
            "P.safe.417.*.you_example.*.*.on-x"
        );
    }
}
