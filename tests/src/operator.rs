//! A whole bus for one test: what `microbus-deploy init` makes, a server, and credentials for whoever is needed.

use crate::caller::{Caller, Listener};
use crate::configurator::{self, Configurator};
use crate::issuer::{IssuerSetup, Product};
use crate::nats::NatsServer;
use microbus_deploy::bootstrap::Plan;
use microbus_deploy::{Bootstrap, Nkey, NkeyKind, Permissions, Target};
use microbus_wire::{Hostname, Plane};
use std::time::SystemTime;
use zeroize::Zeroizing;

/// A nats-server in operator mode, and the keys to issue credentials of its application account.
pub struct Bus {
    /// The server, which may be stopped and restarted.
    pub server: NatsServer,
    /// The other servers of its cluster.
    pub others: Vec<NatsServer>,
    bootstrap: Bootstrap,
    plane: Plane,
}

impl Bus {
    /// Starts a bus on the plane `microbus` with the server's usual bound of 1 MiB per message.
    pub async fn start() -> Self {
        Self::with_max_payload(1_048_576).await
    }

    /// Starts a bus whose messages are bounded to `max_payload` bytes.
    pub async fn with_max_payload(max_payload: u32) -> Self {
        Self::with_servers(max_payload, 1).await
    }

    /// Starts a bus on a cluster of so many servers.
    pub async fn on_cluster(servers: usize) -> Self {
        Self::with_servers(1_048_576, servers).await
    }

    async fn with_servers(max_payload: u32, servers: usize) -> Self {
        let mut seeds = Zeroizing::new([[0; 32]; Bootstrap::KEYS]);
        for seed in seeds.iter_mut() {
            getrandom::fill(seed).expect("the operating system has randomness");
        }
        let bootstrap = Bootstrap::new(&Plan::default(), &seeds, SystemTime::now());
        let bootstrap = bootstrap.expect("the clock is set");
        let config = bootstrap.server_config().with_max_payload(max_payload);
        let server = match servers {
            1 => NatsServer::in_operator_mode(&config).await,
            _ => NatsServer::in_cluster(&config, None).await,
        };
        let mut others = Vec::new();
        for _ in 1..servers {
            others.push(NatsServer::in_cluster(&config, Some(&server)).await);
        }
        if servers > 1 {
            for one in others.iter().chain([&server]) {
                one.until_joined(servers - 1).await;
            }
        }
        Self {
            server,
            others,
            bootstrap,
            plane: Plane::default(),
        }
    }

    /// Returns the plane that all credentials are for.
    #[must_use]
    pub fn plane(&self) -> &Plane {
        &self.plane
    }

    /// Returns the text of a `.creds` file with which `host` may do what production grants it.
    ///
    /// The issuers get exactly the lists of spec: microbus-wire 1.3. Anybody else is a caller: it may also reach every
    /// safe endpoint and port 666 of both issuers.
    #[must_use]
    pub fn credentials(&self, host: &str) -> String {
        self.credentials_on(&self.plane, host)
    }

    /// Returns such credentials for another plane.
    #[must_use]
    pub fn credentials_on(&self, plane: &Plane, host: &str) -> String {
        let own = Hostname::parse(host).expect("tests use valid host names");
        if ISSUERS.contains(&host) {
            return self.credentials_with(host, &Permissions::of_issuer(plane, &own));
        }
        let trust_root = |issuer| {
            Target::resolve(Some(issuer), ":666/{rest...}").expect("tests use valid routes")
        };
        let [access, bearer] = ISSUERS.map(trust_root);
        let permissions = [Target::anything(), access, bearer].iter().fold(
            Permissions::of_service(plane, &own),
            |permissions, target| permissions.with_call(plane, &own, target, None),
        );
        self.credentials_with(host, &permissions)
    }

    /// Returns credentials with exactly these permissions.
    #[must_use]
    pub fn credentials_with(&self, name: &str, permissions: &Permissions) -> String {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).expect("the operating system has randomness");
        let user = Nkey::from_random(NkeyKind::User, seed).expect("32 bytes make a key");
        let account = self.bootstrap.account();
        let credentials = account.issue(name, &user, permissions, None, SystemTime::now());
        credentials
            .expect("tests name few subjects")
            .to_text()
            .to_string()
    }

    /// Connects a caller with the credentials of `host`.
    pub async fn caller(&self, host: &str, instance: &str) -> Caller {
        self.caller_at(&self.server, host, instance).await
    }

    /// Connects a caller to one server of the cluster; it learns of the others by itself.
    pub async fn caller_at(&self, server: &NatsServer, host: &str, instance: &str) -> Caller {
        let credentials = self.credentials(host);
        let url = server.url();
        Caller::connect(
            &url,
            Some(&credentials),
            self.plane.as_str(),
            host,
            instance,
        )
        .await
        .expect("fresh credentials are accepted")
    }

    /// Connects a listener to every message of the bus.
    ///
    /// It sees requests and answers of everybody in the order in which the server took them.
    pub async fn tap(&self) -> Listener {
        let own_replies = format!("{}.reply._.tap.>", self.plane.as_str());
        let permissions = Permissions::exactly(vec![own_replies], vec![">".to_owned()])
            .expect("neither list is empty");
        let credentials = self.credentials_with("tap", &permissions);
        let url = self.server.url();
        let tap = Caller::connect(
            &url,
            Some(&credentials),
            self.plane.as_str(),
            "tap",
            "id-tap0000000",
        );
        tap.await
            .expect("fresh credentials are accepted")
            .listen(">")
            .await
    }

    /// Starts a stand-in for the configurator.
    pub async fn configurator(&self) -> Configurator {
        let caller = self
            .caller("configurator.core", configurator::INSTANCE)
            .await;
        Configurator::start(caller, self.plane.as_str()).await
    }

    /// Sets up `product` for this bus: its URL in the environment, its credentials in the working directory.
    #[must_use]
    pub fn issuer(&self, product: Product) -> IssuerSetup {
        let servers = self.others.iter().chain([&self.server]);
        let urls: Vec<_> = servers.map(NatsServer::url).collect();
        IssuerSetup::new(product)
            .with_variable("MICROBUS_NATS", &urls.join(","))
            .with_file(
                &format!("{}_nats.creds", product.host),
                self.credentials(product.host),
            )
    }
}

const ISSUERS: [&str; 2] = [Product::ACCESS_TOKEN.host, Product::BEARER_TOKEN.host];
