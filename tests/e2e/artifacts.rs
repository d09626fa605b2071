//! How a process logs in: TLS and certificates from its working directory, several URLs, deprecated variables.

use e2e::{IssuerSetup, NatsServer, Product};
use tempfile::TempDir;

/// A certificate for the loopback address that is its own authority.
pub(crate) struct Identity {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

pub(crate) fn identity() -> Identity {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    Identity {
        certificate: made.cert.pem(),
        key: made.signing_key.serialize_pem(),
    }
}

/// A server that speaks TLS only, with its files beside it.
async fn tls_server(server: &Identity, clients: Option<&Identity>) -> (NatsServer, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let certificate = write("certificate.pem", &server.certificate);
    let key = write("key.pem", &server.key);
    let mutual = clients.map(|client| {
        let authority = write("clients.pem", &client.certificate);
        format!("ca_file: \"{authority}\"\nverify: true\n")
    });
    let config = format!(
        "tls {{\ncert_file: \"{certificate}\"\nkey_file: \"{key}\"\n{}}}\n",
        mutual.unwrap_or_default()
    );
    (NatsServer::configured(&config).await, folder)
}

fn setup(url: &str) -> IssuerSetup {
    IssuerSetup::new(Product::ACCESS_TOKEN)
        .with_variable("MICROBUS_NATS", url)
        .with_variable("MICROBUS_CONFIGURATION", "files")
        .with_variable("MICROBUS_STARTUP_TIME_BUDGET", "2s")
}

#[tokio::test]
async fn a_root_ca_in_the_directory_makes_tls_work() {
    let authority = identity();
    let (server, _files) = tls_server(&authority, None).await;
    let issuer = setup(&server.url())
        .with_file("ca.pem", authority.certificate)
        .start();
    issuer.until_logged("Serving").await;
}

#[tokio::test]
async fn a_server_of_an_unknown_authority_is_refused() {
    let (server, _files) = tls_server(&identity(), None).await;
    let mut issuer = setup(&server.url())
        .with_file("ca.pem", identity().certificate)
        .start();
    assert_eq!(issuer.exit().await.code(), Some(69));
}

#[tokio::test]
async fn a_client_certificate_is_shown_where_both_halves_lie() {
    let (authority, client) = (identity(), identity());
    let (server, _files) = tls_server(&authority, Some(&client)).await;
    let with_ca = setup(&server.url()).with_file("ca.pem", authority.certificate);
    let complete = with_ca
        .clone()
        .with_file("access.token.core_cert.pem", client.certificate.clone())
        .with_file("key.pem", client.key);
    complete.start().until_logged("Serving").await;
    let mut incomplete = with_ca.with_file("cert.pem", client.certificate).start();
    assert_eq!(incomplete.exit().await.code(), Some(69));
}

#[tokio::test]
async fn of_several_urls_one_that_answers_is_enough() {
    let mut gone = NatsServer::open_to_all(1 << 20).await;
    let there = NatsServer::open_to_all(1 << 20).await;
    gone.stop();
    let issuer = setup(&format!("{}, {}", gone.url(), there.url())).start();
    issuer.until_logged("Serving").await;
}

#[tokio::test]
async fn deprecated_logins_work_and_are_named_without_their_values() {
    let password = NatsServer::configured("authorization { user: u, password: planted }\n").await;
    let token = NatsServer::configured("authorization { token: planted }\n").await;
    let by_password = setup(&password.url())
        .with_variable("MICROBUS_NATS_USER", "u")
        .with_variable("MICROBUS_NATS_PASSWORD", "planted");
    let by_token = setup(&token.url()).with_variable("MICROBUS_NATS_TOKEN", "planted");
    for (login, variable) in [
        (by_password, "MICROBUS_NATS_PASSWORD"),
        (by_token, "MICROBUS_NATS_TOKEN"),
    ] {
        let issuer = login.start();
        let line = issuer
            .until_logged("Deprecated NATS env-var auth in use")
            .await;
        assert!(line.contains(variable), "{line}");
        issuer.until_logged("Serving").await;
        assert!(
            !issuer.log().text().contains("planted"),
            "{}",
            issuer.log().text()
        );
    }
}
