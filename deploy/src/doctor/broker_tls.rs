//! Whether what passes the network is encrypted, and by whom.

use super::certificate::{self, Judged};
use super::{Check, Finding};
use crate::broker::{Server, SessionError};
use std::time::SystemTime;

pub(super) const CHECK: Check = Check {
    id: "broker-tls",
    what: "encryption between clients and broker",
    expected: "TLS 1.2 or later with a certificate that clients believe, for two weeks more; or loopback",
};

/// Judges the certificate that a broker showed, in DER; one that speaks plain text shows none.
pub(super) fn check(server: &Server, certificate: Option<&[u8]>, now: SystemTime) -> Finding {
    let Some(certificate) = certificate else {
        if server.is_loopback() {
            return CHECK.pass(format!("{server} is plain text, on loopback"));
        }
        return CHECK.fail(
            format!("{server} speaks plain text over the network"),
            "give it `tls { cert_file, key_file }`, and put ca.pem beside the credentials of each service",
        );
    };
    match certificate::judge(certificate, now) {
        Judged::Lasting { days } => CHECK.pass(format!(
            "{server} encrypts; its certificate lasts {days} days"
        )),
        Judged::Ending { days } => CHECK.warn(
            format!("the certificate of {server} ends in {days} days"),
            "renew it and reload the server",
        ),
        Judged::Unreadable => CHECK.unknown(
            format!("the certificate of {server} cannot be read"),
            "look at it with openssl x509",
        ),
    }
}

/// Judges a broker whose TLS could not be set up.
pub(super) fn check_failure(server: &Server, error: &SessionError) -> Option<Finding> {
    let SessionError::Tls(error) = error else {
        return None;
    };
    Some(CHECK.fail(
        format!("{server}: {error}"),
        "put the CA of the broker's certificate beside the credentials as ca.pem, or renew the certificate",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn plain_text_is_for_loopback_alone() {
        for (url, verdict) in [
            ("nats://127.0.0.1:4222", Verdict::Pass),
            ("nats://localhost", Verdict::Pass),
            ("nats://10.0.0.5:4222", Verdict::Fail),
            ("nats://nats.internal", Verdict::Fail),
        ] {
            let server = Server::parse_list(url).unwrap().remove(0);
            let finding = check(&server, None, SystemTime::UNIX_EPOCH);
            assert_eq!(finding.verdict, verdict, "{url}");
        }
    }
}
