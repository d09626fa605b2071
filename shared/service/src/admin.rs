//! The admin listener: health, metrics and the JWK Set over HTTP, for probes and scrapers.
//!
//! It has a thread of its own, so that nothing asked of it delays a token, and opens before the bus is looked for, so that
//! a probe sees a process that starts.

use crate::environment::Environment;
use crate::pages::{self, Guard, Origins};
use crate::vitals::Vitals;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;

/// Reads where the listener is to open: an address with a port, or a port alone, which is on loopback. `None` is nowhere.
///
/// What it shows is not secret, but it tells who mints: beyond loopback it opens only where the operator says that the
/// network is trusted with it.
pub(crate) fn address(environment: &Environment, problems: &mut Vec<String>) -> Option<SocketAddr> {
    let text = environment.get(ADDRESS)?;
    let on_loopback = |port| (IpAddr::from(Ipv4Addr::LOCALHOST), port).into();
    let parsed = text
        .parse()
        .map(on_loopback)
        .ok()
        .or_else(|| text.parse().ok());
    let Some(address): Option<SocketAddr> = parsed else {
        problems.push(format!(
            "{ADDRESS} is '{text}'; write a port such as 9666, which opens on loopback, or an address such as 127.0.0.1:9666"
        ));
        return None;
    };
    if !address.ip().is_loopback() && !environment.is_on(PLAINTEXT) {
        problems.push(format!(
            "{ADDRESS} is {address}, which others can reach in clear text; use a loopback address, or set {PLAINTEXT}=1 \
             if the network between is trusted"
        ));
        return None;
    }
    Some(address)
}

/// Opens the listener at `address` on a thread of its own, which ends with the process. Returns where it listens.
///
/// # Errors
/// When the address cannot be listened at or there is no thread to be had.
pub(crate) fn open(address: SocketAddr, vitals: Arc<Vitals>) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(address)?;
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
                let listener = tokio::net::TcpListener::from_std(listener)?;
                axum::serve(listener, router).await
            });
            if let Err(error) = served {
                tracing::error!(error = %error, "The admin listener closed");
            }
        })?;
    Ok(address)
}

const ADDRESS: &str = "MICROBUS_ADMIN";
const PLAINTEXT: &str = "MICROBUS_ADMIN_PLAINTEXT";

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(pairs: &[(&str, &str)]) -> Result<Option<String>, String> {
        let mut problems = Vec::new();
        let address = address(&pairs.iter().copied().collect(), &mut problems);
        match problems.pop() {
            None => Ok(address.map(|address| address.to_string())),
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
