//! Units, images and manifests say what the code needs: each fact that stands in both is compared here.

use crate::observability;
use e2e::{Bus, build_folder};
use microbus_wire::duration;
use serde_yaml::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const ISSUERS: [(&str, &str); 2] = [
    ("access-token", "access.token.core"),
    ("bearer-token", "bearer.token.core"),
];
const SERVICE: &str = include_str!("../../shared/service/src/deployment.rs");
/// Whom the images run as.
const USER: &str = "65532";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn deploy(path: &str) -> String {
    let path = root().join("deploy").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns how long a stop may take when nothing else is said.
fn shutdown_budget() -> Duration {
    let seconds = SERVICE
        .split("\"MICROBUS_SHUTDOWN_TIME_BUDGET\", ")
        .nth(1)
        .and_then(|rest| rest.split(')').next());
    Duration::from_secs(seconds.unwrap().parse().unwrap())
}

fn seconds(text: &str) -> Duration {
    let nanoseconds = duration::parse(text).unwrap();
    Duration::from_nanos(nanoseconds.try_into().unwrap())
}

/// Returns the values of a setting of a unit, in its order.
fn settings<'a>(unit: &'a str, name: &str) -> Vec<&'a str> {
    unit.lines()
        .filter_map(|line| line.split_once('='))
        .filter(|(key, _)| *key == name)
        .map(|(_, value)| value)
        .collect()
}

fn documents(path: &str) -> Vec<Value> {
    use serde::Deserialize as _;
    let text = deploy(path);
    serde_yaml::Deserializer::from_str(&text)
        .map(|document| Value::deserialize(document).unwrap())
        .collect()
}

fn of_kind<'a>(documents: &'a [Value], kind: &str) -> &'a Value {
    let found = documents.iter().find(|document| document["kind"] == kind);
    found.unwrap_or_else(|| panic!("no {kind}"))
}

fn named<'a>(list: &'a Value, name: &str) -> &'a Value {
    let list = list.as_sequence().unwrap();
    let found = list.iter().find(|item| item["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {list:?}"))
}

/// Reads a mode, which YAML 1.1 takes for an octal number and YAML 1.2 does not.
fn mode(value: &Value) -> u32 {
    let text = value
        .as_str()
        .map(str::to_owned)
        .unwrap_or_else(|| value.as_u64().unwrap().to_string());
    u32::from_str_radix(&text, 8).unwrap()
}

#[test]
fn a_unit_isolates_its_issuer_and_waits_for_its_stop() {
    for (binary, host) in ISSUERS {
        let unit = deploy(&format!("systemd/microbus-{binary}.service"));
        let one = |name| {
            let values = settings(&unit, name);
            assert_eq!(values.len(), 1, "{name} of {binary}: {values:?}");
            values[0]
        };
        assert_eq!(one("ExecStart"), format!("/usr/local/bin/{binary}"));
        assert_eq!(one("WorkingDirectory"), "%d");
        assert!(seconds(one("TimeoutStopSec")) > shutdown_budget());
        let loaded = settings(&unit, "LoadCredential");
        assert!(
            loaded
                .iter()
                .all(|line| line.contains(&format!("/{binary}/")))
        );
        assert!(
            loaded
                .iter()
                .any(|line| line.starts_with(&format!("{host}_nats.creds:")))
        );
        for (name, value) in [
            ("DynamicUser", "yes"),
            ("NoNewPrivileges", "yes"),
            ("CapabilityBoundingSet", ""),
            ("ProtectSystem", "strict"),
            ("MemoryDenyWriteExecute", "yes"),
            ("IPAddressDeny", "any"),
            ("LimitCORE", "0"),
            ("UMask", "0077"),
            ("RestrictAddressFamilies", "AF_INET AF_INET6 AF_UNIX"),
        ] {
            assert_eq!(one(name), value, "{name} of {binary}");
        }
    }
}

#[test]
fn the_units_differ_in_what_their_issuers_differ_in_only() {
    let [access, bearer] = ISSUERS.map(|(binary, _)| {
        let unit = deploy(&format!("systemd/microbus-{binary}.service"));
        let hardening = unit.split("DynamicUser").nth(1).unwrap();
        hardening.replace(binary, "BINARY")
    });
    assert_eq!(access, bearer);
}

#[test]
fn a_deployment_rolls_without_a_gap_and_waits_for_the_stop_of_a_replica() {
    for (name, _) in ISSUERS {
        let all = documents(&format!("kubernetes/base/{name}.yaml"));
        let spec = &of_kind(&all, "Deployment")["spec"];
        assert!(spec["replicas"].as_u64() >= Some(2), "{name}");
        assert_eq!(spec["strategy"]["rollingUpdate"]["maxUnavailable"], 0);
        let pod = &spec["template"]["spec"];
        let grace = pod["terminationGracePeriodSeconds"].as_u64().unwrap();
        assert!(Duration::from_secs(grace) > shutdown_budget());
        let ready = Duration::from_secs(spec["minReadySeconds"].as_u64().unwrap());
        let delay = bearer_token::PROPERTIES
            .iter()
            .find(|property| property.name == "ActivationDelay");
        assert!(ready > seconds(delay.unwrap().default));
        assert_eq!(
            of_kind(&all, "PodDisruptionBudget")["spec"]["maxUnavailable"],
            1
        );
    }
}

#[test]
fn a_pod_has_no_rights_and_its_secrets_are_readable_for_its_group_alone() {
    for (name, host) in ISSUERS {
        let all = documents(&format!("kubernetes/base/{name}.yaml"));
        assert_eq!(
            of_kind(&all, "ServiceAccount")["automountServiceAccountToken"],
            false
        );
        let pod = &of_kind(&all, "Deployment")["spec"]["template"]["spec"];
        assert_eq!(pod["serviceAccountName"], name);
        assert_eq!(pod["automountServiceAccountToken"], false);
        let context = &pod["securityContext"];
        assert_eq!(context["runAsNonRoot"], true);
        assert_eq!(context["seccompProfile"]["type"], "RuntimeDefault");
        for number in ["runAsUser", "runAsGroup", "fsGroup"] {
            assert_eq!(
                context[number].as_u64().unwrap().to_string(),
                USER,
                "{number}"
            );
        }
        let containers = ["initContainers", "containers"].map(|list| &pod[list][0]);
        for container in containers {
            let context = &container["securityContext"];
            assert_eq!(context["readOnlyRootFilesystem"], true);
            assert_eq!(context["allowPrivilegeEscalation"], false);
            assert_eq!(context["capabilities"]["drop"][0], "ALL");
            for mount in container["volumeMounts"].as_sequence().unwrap() {
                assert_eq!(mount["readOnly"], true);
            }
        }
        let directory = &named(&pod["volumes"], "working-directory")["projected"];
        assert_eq!(mode(&directory["defaultMode"]), 0o440);
        let file = &directory["sources"][0]["secret"]["items"][0]["path"];
        assert_eq!(*file, format!("{host}_nats.creds"));
        let issuer = named(&pod["containers"], "issuer");
        let mount = named(&issuer["volumeMounts"], "working-directory");
        assert_eq!(mount["mountPath"], issuer["workingDir"]);
    }
}

#[tokio::test]
async fn credentials_of_another_plane_end_a_rollout_before_the_issuer_starts() {
    let bus = Bus::start().await;
    for (name, host) in ISSUERS {
        let all = documents(&format!("kubernetes/base/{name}.yaml"));
        let pod = &of_kind(&all, "Deployment")["spec"]["template"]["spec"];
        let arguments = named(&pod["initContainers"], "credentials")["args"].clone();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(format!("{host}_nats.creds"));
        fs::write(&file, bus.credentials(host)).unwrap();
        // As a projected volume has it.
        fs::set_permissions(file, fs::Permissions::from_mode(0o440)).unwrap();
        let ended = |plane: &str| {
            let own = folder.path().to_str();
            let arguments = arguments.as_sequence().unwrap().iter();
            Command::new(build_folder::binary("microbus-deploy", "microbus-deploy"))
                .args(arguments.map(|argument| match argument.as_str() {
                    Some("/run/microbus") => own.unwrap(),
                    other => other.unwrap(),
                }))
                .env("MICROBUS_PLANE", plane)
                .output()
                .unwrap()
        };
        let right = ended("microbus");
        assert!(right.status.success(), "{right:?}");
        let wrong = ended("prod");
        assert_eq!(wrong.status.code(), Some(1), "{wrong:?}");
    }
}

#[test]
fn only_the_bearer_issuer_sees_the_keys_of_the_operator() {
    let all = documents("kubernetes/base/bearer-token.yaml");
    let pod = &of_kind(&all, "Deployment")["spec"]["template"]["spec"];
    let keys = &named(&pod["volumes"], "keys")["secret"];
    assert_eq!(mode(&keys["defaultMode"]), 0o440);
    let issuer = named(&pod["containers"], "issuer");
    let folder = named(&issuer["volumeMounts"], "keys")["mountPath"]
        .as_str()
        .unwrap();
    for (variable, file) in [
        ("MICROBUS_PRIVATE_KEY_FILE", "PrivateKey"),
        ("MICROBUS_ALT_PRIVATE_KEY_FILE", "AltPrivateKey"),
    ] {
        assert_eq!(
            named(&issuer["env"], variable)["value"],
            format!("{folder}/{file}")
        );
    }
    let others = [
        serde_yaml::to_string(&pod["initContainers"]).unwrap(),
        deploy("kubernetes/base/access-token.yaml"),
    ];
    assert!(others.iter().all(|text| !text.contains("keys\n")));
}

#[test]
fn probes_and_the_network_policy_know_the_port_of_the_admin_listener() {
    let environment = deploy("kubernetes/base/environment");
    let admin = environment
        .lines()
        .find_map(|line| line.strip_prefix("MICROBUS_ADMIN=0.0.0.0:"));
    let admin: u64 = admin.unwrap().parse().unwrap();
    for (name, _) in ISSUERS {
        let all = documents(&format!("kubernetes/base/{name}.yaml"));
        let pod = &of_kind(&all, "Deployment")["spec"]["template"]["spec"];
        let issuer = named(&pod["containers"], "issuer");
        assert_eq!(named(&issuer["ports"], "admin")["containerPort"], admin);
        // Losing the broker must not restart a process: its keys would go with it.
        for (probe, path) in [("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")] {
            assert_eq!(issuer[probe]["httpGet"]["path"], path);
            assert_eq!(issuer[probe]["httpGet"]["port"], "admin");
        }
    }
    let policy = documents("kubernetes/base/network-policy.yaml");
    let spec = &policy[0]["spec"];
    assert_eq!(spec["ingress"][0]["ports"][0]["port"], admin);
    let egress: Vec<_> = spec["egress"].as_sequence().unwrap().iter().collect();
    let ports = egress.iter().map(|rule| rule["ports"][0]["port"].as_u64());
    assert_eq!(ports.collect::<Vec<_>>(), [Some(4222), Some(53)]);
    assert!(
        egress
            .iter()
            .all(|rule| rule["to"][0]["podSelector"].is_mapping())
    );
}

#[test]
fn a_container_of_the_compose_file_is_as_confined_as_a_pod() {
    let mut compose = documents("compose/compose.yaml").remove(0);
    compose.apply_merge().unwrap();
    for (name, host) in ISSUERS {
        let issuer = &compose["services"][name];
        assert_eq!(issuer["read_only"], true);
        assert_eq!(issuer["cap_drop"][0], "ALL");
        assert_eq!(issuer["user"], format!("{USER}:{USER}"));
        assert!(seconds(issuer["stop_grace_period"].as_str().unwrap()) > shutdown_budget());
        let volumes = issuer["volumes"].as_sequence().unwrap();
        let volumes: Vec<_> = volumes.iter().filter_map(Value::as_str).collect();
        assert!(
            volumes.iter().all(|volume| volume.ends_with(":ro")),
            "{volumes:?}"
        );
        let credentials = format!(":/run/microbus/{host}_nats.creds:ro");
        assert!(volumes.iter().any(|volume| volume.ends_with(&credentials)));
    }
    assert_eq!(compose["networks"]["bus"]["internal"], true);
}

#[test]
fn an_image_is_one_binary_that_starts_where_its_files_are_mounted() {
    let file = deploy("image/Containerfile");
    let stages: Vec<_> = file.split("\nFROM ").skip(1).collect();
    let finals: Vec<_> = stages
        .iter()
        .filter(|stage| stage.starts_with("scratch AS "))
        .collect();
    assert_eq!((stages.len(), finals.len()), (4, 3));
    for stage in finals {
        assert!(stage.contains("\nWORKDIR /run/microbus\n"), "{stage}");
        assert!(
            stage.contains(&format!("\nUSER {USER}:{USER}\n")),
            "{stage}"
        );
        assert!(!stage.contains("\nRUN "), "{stage}");
    }
}

#[test]
fn every_variable_that_the_files_set_is_one_that_an_issuer_reads() {
    let sources = observability::sources().concat();
    let mut seen = 0;
    for file in [
        "samples/env.yaml",
        "kubernetes/base/environment",
        "kubernetes/base/bearer-token.yaml",
        "kubernetes/example/kustomization.yaml",
        "compose/compose.yaml",
    ] {
        let text = deploy(file);
        let is_part = |c: char| c.is_ascii_uppercase() || c == '_';
        for name in text
            .split(|c| !is_part(c))
            .filter(|name| name.starts_with("MICROBUS_"))
        {
            assert!(
                sources.contains(&format!("\"{name}\"")),
                "{file}: nothing reads {name}"
            );
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen}");
}

/// Every `config.yaml` here is read by the issuers themselves when they start; this finds what they would refuse.
#[test]
fn every_property_that_the_files_set_is_declared() {
    for file in [
        "samples/config.yaml",
        "kubernetes/base/config.yaml",
        "kubernetes/example/config.yaml",
    ] {
        let sections = &documents(file)[0];
        for ((_, host), properties) in ISSUERS
            .iter()
            .zip([access_token::PROPERTIES, bearer_token::PROPERTIES])
        {
            for name in sections[*host].as_mapping().unwrap().keys() {
                let declared = properties.iter().any(|property| *name == property.name);
                assert!(declared, "{file}: {host} has no {name:?}");
            }
        }
    }
}
