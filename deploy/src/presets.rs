//! The core services of a Microbus bus, which every application has and whose sources nobody needs to scan.

use crate::manifest::Manifest;
use crate::service::{Service, ServiceError};

/// Descriptions of the core services, in the format of this tool.
#[derive(Clone, Debug)]
pub struct Presets {
    services: Vec<Service>,
}

impl Presets {
    /// Reads the descriptions that are built in.
    ///
    /// # Errors
    /// [`ServiceError`] when one of them is wrong, which a test rules out.
    pub fn built_in() -> Result<Self, ServiceError> {
        let services = serde_yaml::from_str(include_str!("presets.yaml"));
        let services = services.map_err(|error| ServiceError::Manifest(error.into()))?;
        Ok(Self { services })
    }

    /// Returns the core service called `host`.
    #[must_use]
    pub fn of_host(&self, host: &str) -> Option<&Service> {
        let named = |manifest: &Manifest| manifest.host().is_ok_and(|own| own.as_str() == host);
        self.find(named)
    }

    /// Returns the core service of a Go package.
    #[must_use]
    pub fn of_package(&self, package: &str) -> Option<&Service> {
        self.find(|manifest| manifest.package() == package)
    }

    /// Returns the names of all, in their order.
    pub fn hosts(&self) -> impl Iterator<Item = String> {
        let hosts = self.manifests().map(Manifest::host);
        hosts.filter_map(|host| Some(host.ok()?.to_string()))
    }

    /// Returns the manifests of all.
    pub fn manifests(&self) -> impl Iterator<Item = &Manifest> {
        self.services.iter().filter_map(Service::manifest)
    }

    fn find(&self, wanted: impl Fn(&Manifest) -> bool) -> Option<&Service> {
        self.services
            .iter()
            .find(|service| service.manifest().is_some_and(&wanted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preset_is_found_by_host_and_by_package() {
        let presets = Presets::built_in().unwrap();
        assert_eq!(presets.hosts().count(), 16);
        for host in presets.hosts() {
            let preset = presets.of_host(&host).unwrap();
            let package = preset.manifest().unwrap().package();
            let same = presets.of_package(package).unwrap();
            assert_eq!(same.host().unwrap().as_str(), host);
        }
        assert!(presets.of_host("a.example").is_none());
        assert!(presets.of_package("").is_none());
    }
}
