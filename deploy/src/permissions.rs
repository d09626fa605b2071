//! The exact publish and subscribe lists of one service.
//!
//! There is never a deny list, a reply permission or an inbox: replies of the bus travel over subjects that name both
//! sides. Source: spec: deploy 2.1, spec: microbus-wire 1.3.

use crate::jwt::Jwt;
use crate::target::Target;
use microbus_wire::{Hostname, Method, Plane};
use std::collections::BTreeSet;
use thiserror::Error;

/// What one service may publish and subscribe to: neither list is ever empty, because to the server an empty list
/// allows everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permissions {
    publish: Vec<String>,
    subscribe: Vec<String>,
}

impl Permissions {
    /// Returns what every service of the bus needs: to call port 888 of anybody and to answer, as itself; to serve
    /// its own endpoints but those of port 666; to hear replies and broadcasts.
    #[must_use]
    pub fn of_service(plane: &Plane, host: &Hostname) -> Self {
        let (plane, own) = (plane.as_str(), host.segment());
        Self {
            publish: vec![
                format!("{plane}.safe.888.{own}.>"),
                format!("{plane}.reply._.{own}.>"),
            ],
            subscribe: vec![
                format!("{plane}.safe.*.*.{own}.>"),
                format!("{plane}.reply._.*.{own}.*"),
                format!("{plane}.safe.888.*.all.>"),
            ],
        }
    }

    /// Returns what an issuer of tokens needs: also to serve its own port 666.
    #[must_use]
    pub fn of_issuer(plane: &Plane, host: &Hostname) -> Self {
        let mut permissions = Self::of_service(plane, host);
        let (plane, own) = (plane.as_str(), host.segment());
        permissions
            .subscribe
            .push(format!("{plane}.danger.666.*.{own}.>"));
        permissions
    }

    /// Returns exactly these lists, of subject patterns.
    ///
    /// # Errors
    /// [`PermissionsError::Unrestricted`] when a list is empty.
    pub fn exactly(publish: Vec<String>, subscribe: Vec<String>) -> Result<Self, PermissionsError> {
        if publish.is_empty() || subscribe.is_empty() {
            return Err(PermissionsError::Unrestricted);
        }
        Ok(Self { publish, subscribe })
    }

    /// Returns what a user's JWT allows, as it stands there, or moved to `plane`.
    ///
    /// # Errors
    /// [`PermissionsError::Unrestricted`] when a list is empty; [`PermissionsError::NotPlain`] when there is more than
    /// two lists of what is allowed; [`PermissionsError::Plane`] when not all patterns begin with one and the same plane.
    pub fn of_jwt(jwt: &Jwt, plane: Option<&Plane>) -> Result<Self, PermissionsError> {
        let has_more = |list: &str| !jwt.strings(&[list, "deny"]).is_empty();
        if has_more("pub") || has_more("sub") || jwt.nats.contains_key("resp") {
            return Err(PermissionsError::NotPlain);
        }
        let (publish, subscribe) = (
            jwt.strings(&["pub", "allow"]),
            jwt.strings(&["sub", "allow"]),
        );
        let planes = publish
            .iter()
            .chain(&subscribe)
            .map(|pattern| plane_of(pattern));
        let planes = planes.collect::<Result<BTreeSet<_>, _>>()?;
        if planes.len() > 1 {
            return Err(PermissionsError::Plane);
        }
        let moved = |patterns: &[&str]| {
            let patterns = patterns
                .iter()
                .map(|pattern| match (plane, pattern.split_once('.')) {
                    (Some(plane), Some((_, rest))) => format!("{}.{rest}", plane.as_str()),
                    (None, _) | (_, None) => (*pattern).to_owned(),
                });
            patterns.collect()
        };
        Self::exactly(moved(&publish), moved(&subscribe))
    }

    /// Also allows `caller` to call `target` with `method`, of which `None` is any, unless an earlier line allows it.
    #[must_use]
    pub fn with_call(
        self,
        plane: &Plane,
        caller: &Hostname,
        target: &Target,
        method: Option<Method>,
    ) -> Self {
        self.with_publish(target.call_pattern(plane, caller, method))
    }

    /// Also allows to publish to `pattern`; of two lines one of which covers the other, the broader is kept.
    #[must_use]
    pub fn with_publish(mut self, pattern: String) -> Self {
        consolidate(&mut self.publish, pattern);
        self
    }

    /// Also allows to subscribe to `pattern`; of two lines one of which covers the other, the broader is kept.
    #[must_use]
    pub fn with_subscribe(mut self, pattern: String) -> Self {
        consolidate(&mut self.subscribe, pattern);
        self
    }

    /// Returns the patterns of subjects that may be published to.
    #[must_use]
    pub fn publish(&self) -> &[String] {
        &self.publish
    }

    /// Returns the patterns of subjects that may be subscribed to.
    #[must_use]
    pub fn subscribe(&self) -> &[String] {
        &self.subscribe
    }
}

/// Why permissions cannot be listed.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PermissionsError {
    /// A list without lines.
    #[error("an empty list allows everything; name at least one subject in each")]
    Unrestricted,
    /// A credential that denies something, or allows answers.
    #[error(
        "the credential has a deny list or response permissions, which no service of the bus has"
    )]
    NotPlain,
    /// A credential of no plane, or of several.
    #[error("the patterns of the credential do not all begin with the same plane")]
    Plane,
}

fn plane_of(pattern: &str) -> Result<&str, PermissionsError> {
    let (plane, _) = pattern.split_once('.').ok_or(PermissionsError::Plane)?;
    Plane::parse(plane).map_err(|_| PermissionsError::Plane)?;
    Ok(plane)
}

fn consolidate(patterns: &mut Vec<String>, pattern: String) {
    if !patterns.iter().any(|earlier| covers(earlier, &pattern)) {
        patterns.retain(|earlier| !covers(&pattern, earlier));
        patterns.push(pattern);
    }
}

/// Tells whether every subject under `narrow` falls under `broad` as well.
///
/// A `*` never covers a `>`, wherever it stands: the peer's generator drops the broader grant there.
#[must_use]
pub fn covers(broad: &str, narrow: &str) -> bool {
    let mut segments = narrow.split('.');
    for allowed in broad.split('.') {
        match (allowed, segments.next()) {
            (_, None) => return false,
            (">", Some(_)) => return true,
            ("*", Some(segment)) if segment != ">" => {}
            (allowed, Some(segment)) if allowed == segment => {}
            (_, Some(_)) => return false,
        }
    }
    segments.next().is_none()
}

/// Tells whether some subject falls under both patterns.
#[must_use]
pub fn overlap(one: &str, other: &str) -> bool {
    let (mut these, mut those) = (one.split('.'), other.split('.'));
    loop {
        match (these.next(), those.next()) {
            (None, None) => return true,
            (Some(">"), Some(_)) | (Some(_), Some(">")) => return true,
            (Some(a), Some(b)) if a == b || a == "*" || b == "*" => {}
            (None | Some(_), None | Some(_)) => return false,
        }
    }
}

#[cfg(test)]
mod tests;
