use super::*;
use serde::Deserialize;

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

fn recorded() -> Vec<RecordedService> {
    let recorded: Recorded =
        serde_json::from_str(include_str!("../../testdata/permissions.json")).unwrap();
    assert_eq!(recorded.services.len(), 35);
    recorded.services
}

fn plane() -> Plane {
    Plane::parse("PLANE").unwrap()
}

fn host(name: &str) -> Hostname {
    Hostname::parse(name).unwrap()
}

fn own(service: &RecordedService) -> Permissions {
    let host = host(&service.hostname);
    let trust_root = format!("PLANE.danger.666.*.{}.>", host.segment());
    if service.sub.contains(&trust_root) {
        Permissions::of_issuer(&plane(), &host)
    } else {
        Permissions::of_service(&plane(), &host)
    }
}

#[test]
fn every_recorded_list_begins_with_the_standard_rules() {
    for service in recorded() {
        let own = own(&service);
        assert!(
            service.r#pub.starts_with(own.publish()),
            "{}",
            service.hostname
        );
        assert!(
            service.sub.starts_with(own.subscribe()),
            "{}",
            service.hostname
        );
    }
}

#[test]
fn the_issuers_have_the_recorded_lists_and_nothing_more() {
    for service in recorded() {
        if matches!(
            service.hostname.as_str(),
            "access.token.core" | "bearer.token.core"
        ) {
            let own = own(&service);
            assert_eq!(own.publish(), service.r#pub);
            assert_eq!(own.subscribe(), service.sub);
        }
    }
}

/// Reads a recorded grant back into the call that it allows.
fn with_recorded_call(permissions: Permissions, service: &str, grant: &str) -> Permissions {
    let segments: Vec<_> = grant.split('.').collect();
    let known = |index: usize| Some(segments[index]).filter(|segment| *segment != "*");
    let callee = known(4).map(|segment| segment.replace('_', "."));
    let path: Vec<_> = segments[7..]
        .iter()
        .map(|segment| match *segment {
            ">" => "{rest...}",
            "*" => "{one}",
            plain => plain,
        })
        .collect();
    let route = format!(":{}/{}", known(2).unwrap_or("0"), path.join("/"));
    let target = Target::resolve(callee.as_deref(), &route).unwrap();
    let method = known(6).map(|method| Method::parse(method).unwrap());
    permissions.with_call(&plane(), &host(service), &target, method)
}

#[test]
fn the_calls_of_every_recorded_service_give_its_recorded_publish_list() {
    for service in recorded() {
        let mut permissions = own(&service);
        for grant in &service.r#pub[2..] {
            permissions = with_recorded_call(permissions, &service.hostname, grant);
        }
        assert_eq!(permissions.publish(), service.r#pub, "{}", service.hostname);
    }
}

#[test]
fn a_port_known_only_at_run_time_never_reaches_the_trust_root() {
    let host = host("a.example");
    let anything = Target::anything();
    let permissions =
        Permissions::of_service(&plane(), &host).with_call(&plane(), &host, &anything, None);
    assert_eq!(
        permissions.publish().last().unwrap(),
        "PLANE.safe.*.a_example.*.*.*.>"
    );
}

#[test]
fn a_broader_call_replaces_a_narrower_one_in_either_order() {
    let caller = host("a.example");
    let broad = "PLANE.safe.443.a_example.b_example.*.*.items.>";
    for routes in [
        ["/items/{id}", "/items/{rest...}"],
        ["/items/{rest...}", "/items/{id}"],
    ] {
        let mut permissions = Permissions::of_service(&plane(), &caller);
        for route in routes {
            let target = Target::resolve(Some("b.example"), route).unwrap();
            permissions = permissions.with_call(&plane(), &caller, &target, None);
        }
        assert_eq!(permissions.publish()[2..], [broad]);
    }
}

#[test]
fn covering_compares_segment_by_segment() {
    for (broad, narrow, expected) in [
        ("a.>", "a.b", true),
        ("a.>", "a.b.>", true),
        ("a.>", "a", false),
        ("a.*", "a.b", true),
        ("a.*", "a.>", false),
        ("a.*", "a.b.c", false),
        ("a.*.c", "a.*.c", true),
        ("a.b", "a.*", false),
    ] {
        assert_eq!(covers(broad, narrow), expected, "{broad} {narrow}");
    }
}

#[test]
fn an_empty_list_is_refused_because_it_would_allow_everything() {
    let one = || vec!["a".to_owned()];
    assert_eq!(
        Permissions::exactly(Vec::new(), one()),
        Err(PermissionsError::Unrestricted)
    );
    assert_eq!(
        Permissions::exactly(one(), Vec::new()),
        Err(PermissionsError::Unrestricted)
    );
    assert!(Permissions::exactly(one(), one()).is_ok());
}

#[test]
fn patterns_overlap_where_one_subject_falls_under_both() {
    for (one, other, expected) in [
        ("a.>", "*.b", true),
        ("a.*.c", "a.b.*", true),
        ("a.b", "a.b", true),
        ("a.b", "a.c", false),
        ("a.>", "a", false),
        ("a.*", "a.b.c", false),
        (">", "a", true),
        ("a.*.c", "a.>", true),
    ] {
        assert_eq!(overlap(one, other), expected, "{one} {other}");
        assert_eq!(overlap(other, one), expected, "{other} {one}");
    }
}
