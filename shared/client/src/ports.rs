//! Which ports of services a client may reach through an ingress. Pure.

/// The ports that are open to clients. 666 and 888 never are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortRules {
    open: Open,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Open {
    All,
    These(Vec<(u16, u16)>),
}

/// Why a list of ports is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no port from 1024 to 65535, nor a range such as 8000-8010 of them")]
pub struct PortRulesError(String);

impl PortRules {
    /// Opens every port but 666 and 888: for a developer's machine, deployment LOCAL.
    #[must_use]
    pub fn local() -> Self {
        Self { open: Open::All }
    }

    /// Opens 443, and the ports of a comma-separated list of ports and ranges, which may be empty.
    ///
    /// # Errors
    /// [`PortRulesError`] names the first part that is neither. An ingress should not start then.
    pub fn parse(list: &str) -> Result<Self, PortRulesError> {
        let mut ranges = vec![(443, 443)];
        for part in list
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            match (port(first), port(last)) {
                (Some(first), Some(last)) if first <= last => ranges.push((first, last)),
                _ => return Err(PortRulesError(part.to_owned())),
            }
        }
        Ok(Self {
            open: Open::These(ranges),
        })
    }

    /// Tells whether clients may reach this port.
    #[must_use]
    pub fn allow(&self, port: u16) -> bool {
        if NEVER.contains(&port) {
            return false;
        }
        match &self.open {
            Open::All => true,
            Open::These(ranges) => ranges
                .iter()
                .any(|(first, last)| (*first..=*last).contains(&port)),
        }
    }
}

fn port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse()
        .ok()
        .filter(|port| digits && *port >= LEAST_INTERNAL)
}

/// Minting, and the control endpoints of every service.
const NEVER: [u16; 2] = [666, 888];

const LEAST_INTERNAL: u16 = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn danger_and_control_are_never_open() {
        for rules in [PortRules::local(), PortRules::parse("1024-65535").unwrap()] {
            assert!(
                !rules.allow(666) && !rules.allow(888) && rules.allow(443) && rules.allow(1234)
            );
        }
    }

    #[test]
    fn elsewhere_than_at_home_only_what_is_listed_is_open() {
        let rules = PortRules::parse("8080, 9000-9002").unwrap();
        let open: Vec<u16> = (0..=u16::MAX).filter(|port| rules.allow(*port)).collect();
        assert_eq!(open, [443, 8080, 9000, 9001, 9002]);
        assert!(!PortRules::parse("").unwrap().allow(80));
        assert!(PortRules::local().allow(80));
    }

    #[test]
    fn what_is_no_list_of_ports_is_refused() {
        for list in [
            "80",
            "1023",
            "65536",
            "9002-9000",
            "x",
            "8080-",
            "-8080",
            "+8080",
            "8080;9090",
            "666",
            "1-2-3",
        ] {
            assert_eq!(
                PortRules::parse(list),
                Err(PortRulesError(list.to_owned())),
                "{list}"
            );
        }
    }
}
