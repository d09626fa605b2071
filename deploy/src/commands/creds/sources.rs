//! Where `creds` learns what services do: presets, manifests, bundles, lists of calls, earlier credentials.

use crate::exit::Exit;
use crate::failure::Failure;
use crate::{deployment, files, output};
use clap::Args;
use microbus_deploy::bundle::{self, Bundle};
use microbus_deploy::service::ServiceError;
use microbus_deploy::{Calls, Manifest, Permissions, Presets, Service};
use microbus_wire::{Hostname, Plane};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Which services get credentials; at least one source is needed, and they may be combined.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(super) struct Sources {
    /// Core services by host name, such as access.token.core
    #[arg(long, value_name = "HOST,…", value_delimiter = ',')]
    service: Vec<String>,
    /// The main.go of an application: every service that it adds, with the manifests of its module
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    /// Directories with a manifest.yaml and a calls.yaml
    #[arg(long, value_name = "DIR,…", value_delimiter = ',')]
    manifests: Vec<PathBuf>,
    /// Lists of calls, each of the service that its hostname says: one without a manifest, or one without a calls.yaml
    #[arg(long, value_name = "FILE,…", value_delimiter = ',')]
    calls: Vec<PathBuf>,
    /// Credentials, or directories of them, to sign again with the permissions that they have; for services without a list of calls
    #[arg(long, value_name = "PATH,…", value_delimiter = ',')]
    from_creds: Vec<PathBuf>,
}

impl Sources {
    /// Returns the services with their permissions; `plane` is what the operator asked for.
    ///
    /// # Errors
    /// [`Failure`] when a source cannot be read or does not say enough.
    pub(super) fn read(
        &self,
        plane: Option<&Plane>,
        strict: bool,
    ) -> Result<BTreeMap<Hostname, Permissions>, Failure> {
        let presets = Presets::built_in()
            .map_err(|error| Failure::caused(Exit::Internal, "the presets", &error))?;
        let mut collection = Collection::new(&presets, self.declared_calls()?);
        for host in &self.service {
            collection.add_preset(host)?;
        }
        for directory in &self.manifests {
            collection.add_directory(directory)?;
        }
        if let Some(main) = &self.bundle {
            collection.add_bundle(main, strict)?;
        }
        let mut signed_again = self.signed_again(plane)?;
        // What a credential says of a service need not be declared anew.
        let services = collection.finish(signed_again.keys())?;
        let default = Plane::default();
        let mut permissions = permissions(&services, &presets, plane.unwrap_or(&default))?;
        permissions.append(&mut signed_again);
        Ok(permissions)
    }

    /// Returns what earlier credentials allow, moved to `plane` if the operator asked for one.
    fn signed_again(
        &self,
        plane: Option<&Plane>,
    ) -> Result<BTreeMap<Hostname, Permissions>, Failure> {
        let mut again = BTreeMap::new();
        for path in &self.from_creds {
            for file in deployment::read_some(path)? {
                let path = Path::new(&file.path);
                let jwt = deployment::user(&file)?;
                let host =
                    Hostname::parse(&jwt.name).map_err(|error| misconfigured(path, &error))?;
                let permissions = Permissions::of_jwt(&jwt, plane)
                    .map_err(|error| misconfigured(path, &error))?;
                let before = again.insert(host.clone(), permissions.clone());
                if before.is_some_and(|before| before != permissions) {
                    return Err(Failure::new(
                        Exit::Configuration,
                        format!(
                            "{} is a second one of {host} with other permissions; name the one that counts",
                            file.path
                        ),
                    ));
                }
            }
        }
        Ok(again)
    }

    fn declared_calls(&self) -> Result<BTreeMap<Hostname, Listed>, Failure> {
        let mut declared = BTreeMap::new();
        for path in &self.calls {
            let calls = read_calls(path)?;
            let host = Service::of_calls(calls.clone())
                .host()
                .map_err(|error| misconfigured(path, &error))?;
            let path = path.clone();
            if declared
                .insert(host.clone(), Listed { path, calls })
                .is_some()
            {
                return Err(Failure::new(
                    Exit::Configuration,
                    format!("{host} has two lists of calls; put them into one file"),
                ));
            }
        }
        Ok(declared)
    }
}

/// The services that were found so far.
struct Collection<'p> {
    presets: &'p Presets,
    /// Lists of calls that no manifest has taken yet.
    declared: BTreeMap<Hostname, Listed>,
    services: BTreeMap<Hostname, Service>,
    /// The manifest of each service that has one.
    manifests: BTreeMap<Hostname, PathBuf>,
    /// The list of calls of each service that has one.
    lists: BTreeMap<Hostname, PathBuf>,
}

/// A list of calls, and the file that it is in.
struct Listed {
    path: PathBuf,
    calls: Calls,
}

impl<'p> Collection<'p> {
    fn new(presets: &'p Presets, declared: BTreeMap<Hostname, Listed>) -> Self {
        Self {
            presets,
            declared,
            services: BTreeMap::new(),
            manifests: BTreeMap::new(),
            lists: BTreeMap::new(),
        }
    }

    fn add_preset(&mut self, host: &str) -> Result<(), Failure> {
        let Some(preset) = self.presets.of_host(host) else {
            let hosts: Vec<_> = self.presets.hosts().collect();
            return Err(Failure::new(
                Exit::Usage,
                format!(
                    "{host} is no core service, so list what it calls with --calls; core services are {}",
                    hosts.join(", ")
                ),
            ));
        };
        self.add(preset.clone())
    }

    fn add_directory(&mut self, directory: &Path) -> Result<(), Failure> {
        let path = directory.join("manifest.yaml");
        let manifest = Manifest::parse(&files::read_text(&path)?)
            .map_err(|error| misconfigured(&path, &error))?;
        let host = manifest
            .host()
            .map_err(|error| misconfigured(&path, &error))?;
        self.refuse_second_manifest(&host, &path)?;
        let beside = directory.join("calls.yaml");
        let calls = if let Some(Listed { path, calls }) = self.declared.remove(&host) {
            self.lists.insert(host, path);
            Some(calls)
        } else if beside.exists() {
            let calls = read_calls(&beside)?;
            self.lists.insert(host, beside);
            Some(calls)
        } else {
            let preset = self.presets.of_host(host.as_str());
            preset.and_then(Service::calls).cloned()
        };
        self.add(Service::new(manifest, calls))
    }

    /// Refuses another manifest of a service; the same one may be named twice.
    fn refuse_second_manifest(&mut self, host: &Hostname, path: &Path) -> Result<(), Failure> {
        let same = |path: &Path| std::fs::canonicalize(path).ok();
        match self.manifests.insert(host.clone(), path.to_owned()) {
            Some(before) if same(&before) != same(path) => Err(Failure::new(
                Exit::Configuration,
                format!(
                    "{host} has two manifests, {} and {}; name the one that counts",
                    before.display(),
                    path.display()
                ),
            )),
            Some(_) | None => Ok(()),
        }
    }

    fn add_bundle(&mut self, main: &Path, strict: bool) -> Result<(), Failure> {
        let bundle = Bundle::parse(&files::read_text(main)?);
        let main_name = main.display();
        let mut problems: Vec<_> = bundle
            .unresolved
            .iter()
            .map(|line| format!("{main_name}:{line}: adds something that is no imported package"))
            .collect();
        if bundle.packages.is_empty() {
            problems.push(format!("{main_name}: adds no service"));
        }
        let module = Module::around(main)?;
        for added in &bundle.packages {
            let directory = module
                .as_ref()
                .and_then(|module| module.find(&added.package));
            if let Some(directory) = directory {
                self.add_directory(&directory)?;
            } else if let Some(preset) = self.presets.of_package(&added.package) {
                self.add(preset.clone())?;
            } else {
                let (line, package) = (added.line, &added.package);
                problems.push(format!(
                    "{main_name}:{line}: {package} has no manifest.yaml in this module and is no core service; \
                     give --calls for it"
                ));
            }
        }
        report(&problems, strict)
    }

    fn add(&mut self, service: Service) -> Result<(), Failure> {
        let host = service
            .host()
            .map_err(|error| Failure::caused(Exit::Configuration, "a service", &error))?;
        self.services.insert(host, service);
        Ok(())
    }

    /// Returns the services `but` some, whose earlier credentials say what they do, so that no list of calls may say it too;
    /// lists that are left are those of services without a manifest.
    fn finish<'h>(
        mut self,
        but: impl Iterator<Item = &'h Hostname>,
    ) -> Result<Vec<Service>, Failure> {
        for (host, Listed { path, calls }) in std::mem::take(&mut self.declared) {
            self.add(Service::of_calls(calls))?;
            self.lists.insert(host, path);
        }
        for host in but {
            if let Some(list) = self.lists.get(host) {
                return Err(Failure::new(
                    Exit::Configuration,
                    format!(
                        "{host} has a list of calls, {}, and earlier credentials named with --from-creds; leave out one of both",
                        list.display()
                    ),
                ));
            }
            self.services.remove(host);
        }
        Ok(self.services.into_values().collect())
    }
}

/// A Go module on disk.
struct Module {
    root: PathBuf,
    go_mod: String,
}

impl Module {
    fn around(file: &Path) -> Result<Option<Self>, Failure> {
        let file = PathBuf::from(files::absolute(file)?);
        for root in file.ancestors().skip(1) {
            let path = root.join("go.mod");
            if path.is_file() {
                return Ok(Some(Self {
                    root: root.to_owned(),
                    go_mod: files::read_text(&path)?.to_string(),
                }));
            }
        }
        Ok(None)
    }

    fn find(&self, package: &str) -> Option<PathBuf> {
        let below = bundle::path_in_module(&self.go_mod, package)?;
        let directory = self.root.join(below);
        directory
            .join("manifest.yaml")
            .is_file()
            .then_some(directory)
    }
}

fn permissions(
    services: &[Service],
    presets: &Presets,
    plane: &Plane,
) -> Result<BTreeMap<Hostname, Permissions>, Failure> {
    let given = services.iter().filter_map(Service::manifest);
    let known: Vec<_> = given.chain(presets.manifests()).collect();
    let mut permissions = BTreeMap::new();
    let mut problems = Vec::new();
    for service in services {
        let of_service = || Ok((service.host()?, service.permissions(plane, &known)?));
        match of_service() {
            Ok((host, allowed)) => drop(permissions.insert(host, allowed)),
            Err(error @ ServiceError::Undeclared { .. }) => problems.push(error.to_string()),
            Err(error) => {
                let host = service
                    .host()
                    .map_or_else(|_| "a service".to_owned(), |host| host.to_string());
                return Err(Failure::caused(Exit::Configuration, host, &error));
            }
        }
    }
    if problems.is_empty() {
        return Ok(permissions);
    }
    Err(Failure::new(
        Exit::Finding,
        problems.join("\nmicrobus-deploy: "),
    ))
}

fn read_calls(path: &Path) -> Result<Calls, Failure> {
    Calls::parse(&files::read_text(path)?).map_err(|error| misconfigured(path, &error))
}

fn report(problems: &[String], strict: bool) -> Result<(), Failure> {
    if problems.is_empty() {
        return Ok(());
    }
    if strict {
        return Err(Failure::new(
            Exit::Finding,
            problems.join("\nmicrobus-deploy: "),
        ));
    }
    problems.iter().for_each(|problem| output::warn(problem));
    Ok(())
}

fn misconfigured(path: &Path, error: &dyn std::error::Error) -> Failure {
    Failure::caused(Exit::Configuration, path.display(), error)
}
