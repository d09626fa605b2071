use super::*;
use crate::presets::Presets;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Deserialize)]
struct Recorded {
    services: Vec<RecordedService>,
}

#[derive(Deserialize)]
struct RecordedService {
    hostname: String,
    r#pub: Vec<String>,
    sub: Vec<String>,
}

fn plane() -> Plane {
    Plane::parse("PLANE").unwrap()
}

fn service(yaml: &str) -> Service {
    serde_yaml::from_str(yaml).unwrap()
}

fn permissions(yaml: &str) -> Result<Permissions, ServiceError> {
    let presets = Presets::built_in().unwrap();
    let known: Vec<_> = presets.manifests().collect();
    service(yaml).permissions(&plane(), &known)
}

/// Returns what the permissions have beyond the five rules that every service has.
fn beyond_standard(permissions: &Permissions) -> (&[String], &[String]) {
    (&permissions.publish()[2..], &permissions.subscribe()[3..])
}

#[test]
fn every_recorded_service_gets_exactly_its_recorded_lists() {
    let recorded: Recorded =
        serde_json::from_str(include_str!("../../testdata/permissions.json")).unwrap();
    let presets = Presets::built_in().unwrap();
    let examples: Vec<Service> =
        serde_yaml::from_str(include_str!("../../testdata/services.yaml")).unwrap();
    let presets_by_host = presets
        .hosts()
        .map(|host| presets.of_host(&host).unwrap().clone());
    let described: BTreeMap<String, Service> = presets_by_host
        .chain(examples)
        .map(|service| (service.host().unwrap().to_string(), service))
        .collect();
    let known: Vec<_> = described.values().filter_map(Service::manifest).collect();

    assert_eq!(recorded.services.len(), 35);
    assert_eq!(described.len(), 35);
    for recorded in recorded.services {
        let permissions = described[&recorded.hostname]
            .permissions(&plane(), &known)
            .unwrap();
        let set = |patterns: &[String]| patterns.iter().cloned().collect::<BTreeSet<_>>();
        assert_eq!(
            (set(permissions.publish()), set(permissions.subscribe())),
            (set(&recorded.r#pub), set(&recorded.sub)),
            "{}",
            recorded.hostname
        );
        assert_eq!(permissions.publish().len(), recorded.r#pub.len());
        assert_eq!(permissions.subscribe().len(), recorded.sub.len());
    }
}

#[test]
fn a_bridge_that_mints_needs_its_list_of_calls_alone() {
    let permissions = permissions(
        "calls: {hostname: idp.bridge.acme, calls: [{host: access.token.core, endpoint: Mint}]}",
    )
    .unwrap();
    let mint = "PLANE.danger.666.idp_bridge_acme.access_token_core.*.*.mint".to_owned();
    assert_eq!(beyond_standard(&permissions), (&[mint][..], &[][..]));
}

#[test]
fn port_666_is_served_only_where_it_is_declared() {
    let own = "PLANE.danger.666.*.a_example.>".to_owned();
    for (yaml, serves) in [
        ("calls: {hostname: a.example, trust_root: true}", true),
        ("calls: {hostname: a.example}", false),
        (
            "{manifest: {general: {hostname: a.example}, functions: {X: {route: ':666/x'}}}, calls: {}}",
            true,
        ),
        (
            "{manifest: {general: {hostname: a.example}, functions: {X: {route: '//b:666/x'}}}, calls: {}}",
            true,
        ),
        (
            "{manifest: {general: {hostname: a.example}, functions: {X: {route: ':0/x'}}}, calls: {}}",
            false,
        ),
    ] {
        let permissions = permissions(yaml).unwrap();
        assert_eq!(permissions.subscribe().contains(&own), serves, "{yaml}");
    }
}

#[test]
fn what_is_not_declared_is_named() {
    let undeclared = |yaml: &str| {
        let error = permissions(yaml).unwrap_err();
        let ServiceError::Undeclared { host, missing } = error else {
            panic!("{error}")
        };
        (host, missing)
    };
    for (yaml, expected) in [
        ("manifest: {general: {hostname: a.example}}", "all of its calls"),
        (
            "{manifest: {general: {hostname: a.example}, downstream: [{hostname: b.example}, {hostname: c.example}]},
              calls: {calls: [{host: c.example, route: /x}]}}",
            "its calls of b.example",
        ),
        (
            "{manifest: {general: {hostname: a.example}, inboundEvents: {OnX: {package: x/y}}}, calls: {}}",
            "the source of its event OnX",
        ),
    ] {
        assert_eq!(
            undeclared(yaml),
            ("a.example".to_owned(), expected.to_owned())
        );
    }
}

#[test]
fn a_declared_event_needs_no_manifest_of_its_source_package() {
    let permissions = permissions(
        "{manifest: {general: {hostname: a.example}, inboundEvents: {OnIncomingEmail: {package: x/y}}},
          calls: {events: [{host: smtp.ingress.core, event: OnIncomingEmail}]}}",
    )
    .unwrap();
    let heard = "PLANE.safe.417.*.smtp_ingress_core.*.POST.on-incoming-email".to_owned();
    assert_eq!(beyond_standard(&permissions), (&[][..], &[heard][..]));
}

#[test]
fn an_unknown_endpoint_is_no_permission() {
    for (call, reason) in [
        (
            "{host: access.token.core, endpoint: Mnt}",
            "access.token.core has no Mnt, but JWKS, LocalKeys, Mint;",
        ),
        (
            "{host: stranger.example, endpoint: Mint}",
            "no manifest at hand says what Mint of stranger.example is;",
        ),
    ] {
        let yaml = format!("calls: {{hostname: a.example, calls: [{call}]}}");
        let refused = permissions(&yaml).unwrap_err().to_string();
        assert!(refused.starts_with(reason), "{refused}");
    }
}

#[test]
fn a_description_has_one_host() {
    let error =
        permissions("{manifest: {general: {hostname: a.example}}, calls: {hostname: b.example}}")
            .unwrap_err();
    assert!(matches!(error, ServiceError::TwoHosts { .. }), "{error}");
    let error = permissions("calls: {}").unwrap_err();
    assert!(matches!(error, ServiceError::NoHost), "{error}");
}
