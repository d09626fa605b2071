//! What lies where: the operator's directory, and a working directory for each process.

use crate::commands::init;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::files;
use microbus_bus::{Clock as _, SystemClock};
use microbus_deploy::bootstrap::{Bootstrap, Mode, Plan};
use microbus_deploy::doctor::Request;
use microbus_deploy::{Limits, NkeyKind, Permissions, Resolver, Target, bearer_key};
use microbus_wire::{Hostname, Plane};
use std::fmt::Display;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use zeroize::Zeroizing;

/// A directory with everything that a bus is brought up with.
pub(super) struct Layout {
    root: PathBuf,
    plane: Plane,
}

impl Layout {
    /// Makes keys, accounts, credentials and configuration below `root`.
    pub(super) fn write(root: &Path, plane: &str) -> Result<Self, Failure> {
        let plane =
            Plane::parse(plane).map_err(|error| Failure::caused(Exit::Usage, "--plane", &error))?;
        let layout = Self {
            root: root.to_owned(),
            plane,
        };
        let bootstrap = init::bootstrap(&Plan::default())?;
        let config = bootstrap
            .server_config()
            .with_address(Ipv4Addr::LOCALHOST.into(), None)
            .with_resolver(Resolver::Full {
                directory: files::absolute(&layout.ops().join("jwt"))?,
            })
            .with_limits(Limits::recommended());
        let kept = bootstrap
            .files(&config)
            .map_err(|error| Failure::caused(Exit::Internal, "taking the seeds", &error))?;
        // The scratch directory itself may be there, empty; another one's keys are never overwritten.
        files::write_new_directory(&layout.root, &[])?;
        files::write_new_directory(&layout.ops(), &kept)?;
        for host in HOSTS {
            layout.write_service(host, &bootstrap)?;
        }
        let key = bearer_key::pem(&Zeroizing::new(files::random_seed()?));
        let key_file = layout.directory(BEARER).join(BEARER_KEY);
        files::write_whole(&key_file, key.as_bytes(), Mode::Secret)?;
        Ok(layout)
    }

    /// Tells each process where the broker is.
    pub(super) fn tell_broker(&self, url: &str) -> Result<(), Failure> {
        for host in HOSTS {
            let mut environment = format!(
                "MICROBUS_NATS: {url}\nMICROBUS_PLANE: {}\nMICROBUS_DEPLOYMENT: PROD\nMICROBUS_CONFIGURATION: files\n",
                self.plane.as_str()
            );
            if host == BEARER {
                environment.push_str(&format!("MICROBUS_PRIVATE_KEY_FILE: ./{BEARER_KEY}\n"));
            }
            let file = self.directory(host).join("env.yaml");
            files::write_whole(&file, environment.as_bytes(), Mode::Config)?;
        }
        Ok(())
    }

    /// Returns the operator's directory.
    pub(super) fn ops(&self) -> PathBuf {
        self.root.join("ops")
    }

    /// Returns the working directory of a service.
    pub(super) fn directory(&self, host: &str) -> PathBuf {
        self.root.join(host)
    }

    /// Returns what `doctor` looks at.
    pub(super) fn request(&self, url: &str) -> Request {
        Request {
            directories: HOSTS.map(|host| self.directory(host)).into(),
            servers: Some(url.to_owned()),
            plane: Some(self.plane.clone()),
            services: HOSTS.map(str::to_owned).into(),
            system_credentials: Some(self.ops().join("sys.creds")),
            operator_jwt: Some(self.ops().join("operator.jwt")),
            credentials: Some(self.credentials(CALLER)),
            minter: Some(self.credentials(CALLER)),
            cadence: Duration::from_secs(72 * 3600),
            ..Request::default()
        }
    }

    /// Returns how to mint, to look and to revoke, ready to paste.
    pub(super) fn instructions(&self, url: &str) -> String {
        let caller = self.credentials(CALLER);
        let (caller, ops, root) = (caller.display(), self.ops(), self.root.display());
        let ops = ops.display();
        format!(
            "The bus is up at {url}, in {root}.\n\
             Mint a token:    microbus-deploy mint --creds {caller} --nats {url} --claims '{{\"sub\":\"harry\"}}'\n\
             Cut it off:      microbus-deploy revoke {caller} --nats {url} --system-creds {ops}/sys.creds \
             --operator-key {ops}/operator-sk.nk --keep {root}/account-jwts\n\
             Logs:            {root}/*/log\n\
             Stop:            Ctrl-C, or SIGTERM to this process\n"
        )
    }

    fn credentials(&self, host: &str) -> PathBuf {
        self.directory(host).join(format!("{host}_nats.creds"))
    }

    fn write_service(&self, host: &str, bootstrap: &Bootstrap) -> Result<(), Failure> {
        let internal =
            |error: &dyn std::error::Error| Failure::caused(Exit::Internal, making(host), error);
        let name = Hostname::parse(host).map_err(|error| internal(&error))?;
        let permissions = self.permissions(&name).map_err(|error| internal(&*error))?;
        let user = files::new_key(NkeyKind::User)?;
        let credentials = bootstrap
            .account()
            .issue(host, &user, &permissions, None, SystemClock.wall())
            .map_err(|error| internal(&error))?;
        files::make_private_directory(&self.directory(host))?;
        let text = credentials.to_text();
        files::write_whole(&self.credentials(host), text.as_bytes(), Mode::Secret)
    }

    fn permissions(&self, host: &Hostname) -> Result<Permissions, Box<dyn std::error::Error>> {
        if host.as_str() != CALLER {
            return Ok(Permissions::of_issuer(&self.plane, host));
        }
        let mut permissions = Permissions::of_service(&self.plane, host);
        for issuer in [ACCESS, BEARER] {
            let mint = Target::resolve(Some(issuer), ":666/mint")?;
            permissions = permissions.with_call(&self.plane, host, &mint, None);
        }
        Ok(permissions)
    }
}

fn making(host: &str) -> impl Display {
    format!("making the credentials of {host}")
}

pub(super) const ACCESS: &str = "access.token.core";
pub(super) const BEARER: &str = "bearer.token.core";
/// Somebody who may mint, to try it with.
const CALLER: &str = "login.example";
const HOSTS: [&str; 3] = [ACCESS, BEARER, CALLER];
const BEARER_KEY: &str = "bearer-key.pem";
