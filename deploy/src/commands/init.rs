//! `init`: the keys, accounts and server configuration that a bus is brought up with.

use crate::exit::Exit;
use crate::failure::Failure;
use crate::{files, output};
use clap::{Args, ValueEnum};
use microbus_bus::{Clock as _, SystemClock};
use microbus_deploy::bootstrap::Plan;
use microbus_deploy::{Bootstrap, Limits, Resolver, ServerConfig, Tls};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Make operator, accounts and server configuration in a new directory
///
/// Writes the seeds of the operator, of the system account and of the account of your services (`*.nk`), their JWTs
/// (`*.jwt`), credentials of the system account (`sys.creds`) and `nats-server.conf`, with which a nats-server starts as
/// it is. Seeds are never shown and never overwritten.
///
/// Keep the directory off the broker's machine: the broker needs `nats-server.conf` alone. Once `creds` signs with
/// `account-sk.nk`, `operator.nk` and `account.nk` belong into a vault.
///
/// Exit codes: 0 made, 1 there is something in the directory already, 2 usage, 78 a file that is named is missing.
///
/// Example: microbus-deploy init ops && nats-server -c ops/nats-server.conf
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The directory, which must not be there or be empty
    directory: PathBuf,
    /// What the operator is called in its JWT
    #[arg(long, value_name = "NAME", default_value = "microbus-operator")]
    operator: String,
    /// What the account of your services is called in its JWT
    #[arg(long, value_name = "NAME", default_value = "microbus")]
    account: String,
    /// Let the identities of operator and account sign, instead of signing keys of their own
    ///
    /// A leaked signing key is replaced; a leaked identity is a new account.
    #[arg(long)]
    no_signing_keys: bool,
    /// Where the broker listens for services; port 0 is a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:4222")]
    listen: SocketAddr,
    /// Where the broker looks accounts up
    #[arg(long, value_enum, default_value_t = ResolverKind::Memory)]
    resolver: ResolverKind,
    /// The directory of `--resolver full` [default: jwt in DIRECTORY]
    #[arg(long, value_name = "DIR")]
    resolver_dir: Option<PathBuf>,
    /// The URL of `--resolver url`, which must serve the files of `accounts/`, and answer at the URL itself
    #[arg(long, value_name = "URL", required_if_eq("resolver", "url"))]
    resolver_url: Option<String>,
    /// The broker's certificate with its chain, PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The private key of the certificate, PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Who signs the certificates that clients must show, PEM; without it clients need none
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_client_ca: Option<PathBuf>,
    /// Open the monitoring port, which shows connections and subscriptions to whoever reaches it
    #[arg(long, value_name = "ADDRESS:PORT")]
    monitor: Option<SocketAddr>,
    /// Bytes of one message
    #[arg(long, value_name = "BYTES", default_value_t = 1_048_576, value_parser = clap::value_parser!(u32).range(131_072..=67_108_864))]
    max_payload: u32,
    /// Connections at a time
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    max_connections: u32,
    /// Subscriptions of one connection
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    max_subscriptions: u32,
    /// Bytes that may wait for a client before the broker cuts it as a slow consumer
    #[arg(long, value_name = "BYTES", default_value_t = 16_777_216)]
    max_pending: u64,
    /// How long one write to a client may take before the broker cuts it as a slow consumer
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = crate::arguments::duration)]
    write_deadline: std::time::Duration,
    /// Bytes of one line of the protocol; a user's JWT must fit into it
    #[arg(long, value_name = "BYTES", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(4096..=65_536))]
    max_control_line: u32,
}

/// Where a broker looks accounts up.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum ResolverKind {
    /// In its configuration
    Memory,
    /// In a directory of its own, into which JWTs are pushed
    Full,
    /// At a web server
    Url,
}

impl Init {
    /// # Errors
    /// [`Failure`] when the directory is not empty or cannot be written, or when limits contradict one another.
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        if self.max_pending < u64::from(self.max_payload) {
            return Err(Failure::new(
                Exit::Usage,
                "--max-pending is less than --max-payload, and one message would cut a client; raise it",
            ));
        }
        let plan = Plan {
            operator: self.operator.clone(),
            account: self.account.clone(),
            signing_keys: !self.no_signing_keys,
        };
        let bootstrap = bootstrap(&plan)?;
        let config = self.configure(bootstrap.server_config())?;
        let kept = bootstrap
            .files(&config)
            .map_err(|error| Failure::caused(Exit::Internal, "taking the seeds", &error))?;
        files::write_new_directory(&self.directory, &kept)?;
        self.tell()
    }

    fn configure(&self, config: ServerConfig) -> Result<ServerConfig, Failure> {
        let port = Some(self.listen.port()).filter(|port| *port != 0);
        let mut config = config
            .with_address(self.listen.ip(), port)
            .with_resolver(self.resolver()?)
            .with_limits(Limits {
                max_payload: Some(self.max_payload),
                max_connections: Some(self.max_connections),
                max_subscriptions: Some(self.max_subscriptions),
                max_pending: Some(self.max_pending),
                write_deadline: Some(self.write_deadline),
                max_control_line: Some(self.max_control_line),
            });
        if let Some(monitor) = self.monitor {
            config = config.with_monitor(monitor);
        }
        if let (Some(certificate), Some(key)) = (&self.tls_cert, &self.tls_key) {
            let client_authority = self.tls_client_ca.as_deref();
            config = config.with_tls(Tls {
                certificate: present(certificate)?,
                key: present(key)?,
                client_authority: client_authority.map(present).transpose()?,
            });
        }
        Ok(config)
    }

    fn resolver(&self) -> Result<Resolver, Failure> {
        match (self.resolver, &self.resolver_url) {
            (ResolverKind::Memory, None) => Ok(Resolver::Memory),
            (ResolverKind::Full, None) => {
                let inside = self.directory.join("jwt");
                let directory = self.resolver_dir.as_ref().unwrap_or(&inside);
                files::absolute(directory).map(|directory| Resolver::Full { directory })
            }
            (ResolverKind::Url, Some(url)) if is_prefix(url) => Ok(Resolver::Url(url.clone())),
            (ResolverKind::Url, _) => Err(Failure::new(
                Exit::Usage,
                "--resolver-url must begin with http:// or https:// and end in a slash: the account's key is appended",
            )),
            (ResolverKind::Memory | ResolverKind::Full, Some(_)) => Err(Failure::new(
                Exit::Usage,
                "--resolver-url is for --resolver url",
            )),
        }
    }

    fn tell(&self) -> Result<Exit, Failure> {
        let directory = self.directory.display();
        let key = if self.no_signing_keys {
            "account.nk"
        } else {
            "account-sk.nk"
        };
        let mut text = format!(
            "{directory} is ready.\n\
             Start the broker:     nats-server -c {directory}/nats-server.conf\n\
             Make credentials:     microbus-deploy creds --service access.token.core,bearer.token.core \
             --signing-key {directory}/{key} --account-jwt {directory}/account.jwt --out creds\n\
             Into a vault:         {directory}/operator.nk, {directory}/account.nk, {directory}/sys.nk\n"
        );
        if self.tls_cert.is_none() && !self.listen.ip().is_loopback() {
            text.push_str(
                "Beware: the broker listens beyond this machine and speaks plain text; give --tls-cert and --tls-key.\n",
            );
        }
        output::print(&text)?;
        Ok(Exit::Ok)
    }
}

/// Makes keys and JWTs with the randomness and the clock of the operating system.
///
/// # Errors
/// [`Failure`] when either of them is not to be had.
pub(crate) fn bootstrap(plan: &Plan) -> Result<Bootstrap, Failure> {
    let mut random = Zeroizing::new([[0; 32]; Bootstrap::KEYS]);
    for seed in random.iter_mut() {
        *seed = files::random_seed()?;
    }
    Bootstrap::new(plan, &random, SystemClock.wall())
        .map_err(|error| Failure::caused(Exit::Internal, "making the keys", &error))
}

/// Returns the absolute path of a file that the server will read.
fn present(path: &Path) -> Result<String, Failure> {
    if path.is_file() {
        return files::absolute(path);
    }
    Err(Failure::new(
        Exit::Configuration,
        format!(
            "{} is not there; a broker with this configuration would not start",
            path.display()
        ),
    ))
}

fn is_prefix(url: &str) -> bool {
    let plain = !url
        .chars()
        .any(|c| c.is_whitespace() || c.is_control() || c == ')');
    (url.starts_with("https://") || url.starts_with("http://")) && url.ends_with('/') && plain
}
