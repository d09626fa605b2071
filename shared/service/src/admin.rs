//! The admin listener: health, metrics and the JWK Set over HTTP, for probes and scrapers.
//!
//! It has a thread of its own, so that nothing asked of it delays a token, and opens before the bus is looked for, so that
//! a probe sees a process that starts.

use crate::deployment::Deployment;
use crate::environment::Environment;
use crate::listener::HttpListener;
use crate::pages::{self, Guard, Origins};
use crate::vitals::Vitals;
use certificate::{CERTIFICATE, CertificateFiles, KEY};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::net::TcpListener;

mod certificate;

pub(crate) use certificate::Certificate;

/// The listener as the operator wants it.
#[derive(Debug, Clone)]
pub(crate) struct Admin {
    pub(crate) address: SocketAddr,
    certificate: Option<Certificate>,
}

impl Admin {
    /// Reads where the listener is to open, an address with a port, or a port alone, which is on loopback, and its certificate.
    /// `None` is nowhere.
    ///
    /// What it shows is not secret, but it tells who mints: beyond loopback it opens only with TLS, or where the operator says
    /// that the network is trusted with it.
    pub(crate) fn read(
        environment: &Environment,
        deployment: Deployment,
        problems: &mut Vec<String>,
    ) -> Option<Self> {
        let text = environment.get(ADDRESS)?;
        let files = CertificateFiles::named(environment, deployment, problems);
        let is_secure = files.is_some() || environment.is_on(PLAINTEXT);
        let certificate = files.and_then(|files| {
            let opened = Certificate::open(files);
            opened
                .map_err(|error| problems.push(error.to_string()))
                .ok()
        });
        let on_loopback = |port| (IpAddr::from(Ipv4Addr::LOCALHOST), port).into();
        let address = text.parse().map(on_loopback).ok();
        let Some(address): Option<SocketAddr> = address.or_else(|| text.parse().ok()) else {
            problems.push(format!(
                "{ADDRESS} is '{text}'; write a port such as 9666, which opens on loopback, or an address such as 127.0.0.1:9666"
            ));
            return None;
        };
        if !address.ip().is_loopback() && !is_secure {
            problems.push(format!(
                "{ADDRESS} is {address}, which others can reach in clear text; use a loopback address, give it a certificate \
                 with {CERTIFICATE} and {KEY}, or set {PLAINTEXT}=1 if the network between is trusted"
            ));
            return None;
        }
        Some(Self {
            address,
            certificate,
        })
    }

    /// Opens the listener on a thread of its own, which ends with the process. Returns where it listens.
    ///
    /// # Errors
    /// When the address cannot be listened at or there is no thread to be had.
    pub(crate) fn open(self, vitals: Arc<Vitals>) -> io::Result<SocketAddr> {
        let listener = std::net::TcpListener::bind(self.address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let origins = Origins::None;
        let router = pages::guarded(pages::router(vitals), Guard { address, origins });
        std::thread::Builder::new()
            .name("admin".to_owned())
            .spawn(move || {
                let served = runtime.block_on(async {
                    let listener = TcpListener::from_std(listener)?;
                    axum::serve(HttpListener::new(listener, self.certificate), router).await
                });
                if let Err(error) = served {
                    tracing::error!(error = %error, "The admin listener closed");
                }
            })?;
        Ok(address)
    }

    /// Tells whether the listener speaks TLS.
    pub(crate) fn has_tls(&self) -> bool {
        self.certificate.is_some()
    }
}

const ADDRESS: &str = "MICROBUS_ADMIN";
const PLAINTEXT: &str = "MICROBUS_ADMIN_PLAINTEXT";

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(pairs: &[(&str, &str)]) -> Result<Option<String>, String> {
        let mut problems = Vec::new();
        let environment = pairs.iter().copied().collect();
        let admin = Admin::read(&environment, Deployment::Prod, &mut problems);
        match problems.pop() {
            None => Ok(admin.map(|admin| admin.address.to_string())),
            Some(problem) => Err(problem),
        }
    }

    #[test]
    fn it_opens_nowhere_unless_told_and_on_loopback_unless_trusted() {
        assert_eq!(judged(&[]), Ok(None));
        for (text, expected) in [
            ("9666", "127.0.0.1:9666"),
            ("127.0.0.1:1", "127.0.0.1:1"),
            ("[::1]:1", "[::1]:1"),
        ] {
            assert_eq!(judged(&[(ADDRESS, text)]), Ok(Some(expected.to_owned())));
        }
        let problem = judged(&[(ADDRESS, "0.0.0.0:9666")]).unwrap_err();
        assert!(
            problem.contains("clear text") && problem.contains(PLAINTEXT),
            "{problem}"
        );
        assert_eq!(
            judged(&[(ADDRESS, "0.0.0.0:9666"), (PLAINTEXT, "1")]),
            Ok(Some("0.0.0.0:9666".to_owned()))
        );
        let problem = judged(&[(ADDRESS, "everywhere")]).unwrap_err();
        assert!(problem.contains("write a port such as 9666"), "{problem}");
    }
}
