//! The admin listener with a certificate: who is served, who is not, and what becomes of a new certificate.

use crate::metrics::{admin_address, value};
use e2e::http::{HttpAnswer, exchange_over};
use e2e::{Issuer, IssuerSetup, PATIENCE, Product};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::io;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

const CERTIFICATE: &str = "MICROBUS_ADMIN_CERTIFICATE_FILE";
const KEY: &str = "MICROBUS_ADMIN_PRIVATE_KEY_FILE";
const CLIENT_CA: &str = "MICROBUS_ADMIN_CLIENT_CA_FILE";

/// Whoever signs certificates of the listener or of its clients.
struct Authority(CertifiedIssuer<'static, KeyPair>);

struct Pair {
    certificate: String,
    key: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    fn issue(&self) -> Pair {
        let key = KeyPair::generate().unwrap();
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let params = CertificateParams::new(names).unwrap();
        Pair {
            certificate: params.signed_by(&key, &self.0).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }
}

/// An issuer without a broker whose listener others can reach, with the certificate of `pair`.
fn setup(pair: &Pair) -> IssuerSetup {
    IssuerSetup::new(Product::ACCESS_TOKEN)
        .with_argument("--door=127.0.0.1:0")
        .with_variable("MICROBUS_ADMIN", "0.0.0.0:0")
        .with_variable(CERTIFICATE, "./admin.crt")
        .with_variable(KEY, "./admin.key")
        .with_file("admin.crt", pair.certificate.clone())
        .with_file("admin.key", pair.key.clone())
}

/// Returns where this machine reaches the listener.
async fn address(issuer: &Issuer) -> String {
    let address = admin_address(issuer).await;
    format!("127.0.0.1:{}", address.rsplit(':').next().unwrap())
}

/// Asks the listener at `address` for `path`, as a client that trusts `authority` and shows `identity`.
async fn get(
    address: &str,
    path: &str,
    authority: &Authority,
    identity: Option<&Pair>,
) -> io::Result<HttpAnswer> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.0.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some(pair) => {
            let chain = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap();
            let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
            builder.with_client_auth_cert(vec![chain], key).unwrap()
        }
    };
    let exchange = async {
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        let stream = connector.connect(name, stream).await?;
        let headers = [("Host", "issuer.example")];
        exchange_over(stream, &format!("GET {path}"), &headers, "").await
    };
    tokio::time::timeout(PATIENCE, exchange).await.unwrap()
}

#[tokio::test]
async fn beyond_loopback_probes_and_scrapers_are_served_over_tls_alone() {
    let authority = Authority::new();
    let issuer = setup(&authority.issue()).start();
    let address = address(&issuer).await;
    issuer.until_logged("Serving").await;
    // Clients that never say a word delay nobody.
    let silent: Vec<_> = (0..3)
        .map(|_| std::net::TcpStream::connect(&address).unwrap())
        .collect();
    let ready = get(&address, "/readyz", &authority, None).await.unwrap();
    assert_eq!((ready.status, &*ready.body), (200, "{\"ready\":true}\n"));
    let metrics = get(&address, "/metrics", &authority, None).await.unwrap();
    assert_eq!(value(&metrics.body, "microbus_token_ready", &[]), 1.0);
    drop(silent);

    let stranger = get(&address, "/healthz", &Authority::new(), None).await;
    assert!(
        stranger
            .unwrap_err()
            .to_string()
            .contains("invalid peer certificate")
    );
    let stream = TcpStream::connect(&address).await.unwrap();
    let host = [("Host", "issuer.example")];
    let in_clear = exchange_over(stream, "GET /healthz", &host, "").await;
    assert!(in_clear.is_err(), "{in_clear:?}");
    let again = get(&address, "/healthz", &authority, None).await.unwrap();
    assert_eq!(again.status, 200);
}

#[tokio::test]
async fn a_new_certificate_is_served_from_the_next_connection_on_and_a_bad_one_never() {
    let (old, new) = (Authority::new(), Authority::new());
    let issuer = setup(&old.issue()).start();
    let address = address(&issuer).await;
    let status = async |authority| {
        let answer = get(&address, "/healthz", authority, None).await;
        answer.map(|answer| answer.status).ok()
    };
    assert_eq!((status(&old).await, status(&new).await), (Some(200), None));

    let pair = new.issue();
    issuer.write_file("admin.crt", &pair.certificate);
    assert_eq!(
        status(&old).await,
        Some(200),
        "half of a pair changes nothing"
    );
    let line = issuer.until_logged("the one before stays").await;
    assert!(line.contains("cannot be used with the key"), "{line}");
    issuer.write_file("admin.key", &pair.key);
    assert_eq!((status(&new).await, status(&old).await), (Some(200), None));
    issuer.until_logged("certificate was read again").await;
    assert!(
        !issuer
            .log()
            .text()
            .contains(pair.key.lines().nth(1).unwrap())
    );
}

#[tokio::test]
async fn where_clients_need_a_certificate_nobody_else_is_served() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let issuer = setup(&authority.issue())
        .with_variable(CLIENT_CA, "./clients.pem")
        .with_file("clients.pem", clients.pem())
        .start();
    let address = address(&issuer).await;
    let status = async |identity: Option<Pair>| {
        let answer = get(&address, "/healthz", &authority, identity.as_ref()).await;
        answer.map(|answer| answer.status).ok()
    };
    assert_eq!(status(Some(clients.issue())).await, Some(200));
    assert_eq!(status(Some(authority.issue())).await, None);
    assert_eq!(status(None).await, None);
}

#[tokio::test]
async fn files_that_cannot_be_used_end_the_process_with_every_problem() {
    let authority = Authority::new();
    let [pair, other] = [authority.issue(), authority.issue()];
    let bad = |name: &str, content: &str| setup(&pair).with_file(name, content);
    for (setup, problems) in [
        (
            bad("admin.crt", "rubbish"),
            vec![CERTIFICATE, "./admin.crt", "no certificate"],
        ),
        (
            bad("admin.key", "rubbish"),
            vec![KEY, "./admin.key", "no private key"],
        ),
        (
            bad("admin.key", &other.key),
            vec!["cannot be used with the key"],
        ),
        (
            setup(&pair).with_variable(KEY, "./absent"),
            vec![KEY, "./absent", "cannot be read"],
        ),
        (
            setup(&pair)
                .with_variable(KEY, "")
                .with_variable("MICROBUS_PLANE", "a.b"),
            vec![CERTIFICATE, KEY, "belong together", "MICROBUS_PLANE"],
        ),
    ] {
        let mut issuer = setup.start();
        assert_eq!(issuer.exit().await.code(), Some(78));
        let text = issuer.log().text();
        for problem in problems {
            assert!(text.contains(problem), "{text}, without {problem}");
        }
    }
}
