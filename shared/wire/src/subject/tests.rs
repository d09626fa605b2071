use proptest::prelude::*;

use super::*;

#[test]
fn requests_are_addressed_as_the_peer_addresses_them() {
    let plane = Plane::default();
    let id = Slot::Instance(InstanceId::parse("id-h1ujyo2lpe").unwrap());
    let locality = Slot::Locality("us-west".to_owned());
    let mint = |slot: &Slot| {
        request_subject(
            &plane,
            "666",
            "tester.client",
            "access.token.core",
            slot,
            Method::Post,
            "/mint",
        )
        .unwrap()
    };
    assert_eq!(
        mint(&Slot::Unpinned),
        "microbus.danger.666.tester_client.access_token_core._.POST.mint"
    );
    assert_eq!(
        mint(&id),
        "microbus.danger.666.tester_client.access_token_core.id-h1ujyo2lpe.POST.mint"
    );
    assert_eq!(
        mint(&locality),
        "microbus.danger.666.tester_client.access_token_core.loc-us-west.POST.mint"
    );
}

#[test]
fn subscriptions_hear_every_sender_and_method() {
    let plane = Plane::default();
    let subscribe = |port, method, route| {
        subscription_subject(&plane, port, "all", &Slot::Unpinned, method, route).unwrap()
    };
    assert_eq!(
        subscribe("888", None, "/ping"),
        "microbus.safe.888.*.all._.*.ping"
    );
    assert_eq!(
        subscribe("888", Some(Method::Get), "/openapi.json"),
        "microbus.safe.888.*.all._.GET.openapi%2ejson"
    );
    assert_eq!(
        subscribe("0", None, "/{rest...}"),
        "microbus.safe.*.*.all._.*.>"
    );
}

#[test]
fn only_port_666_is_danger() {
    assert_eq!(Trust::of_port("666"), Trust::Danger);
    for port in ["0666", "888", "6666", "", "666 "] {
        assert_eq!(Trust::of_port(port), Trust::Safe, "{port}");
    }
}

#[test]
fn a_subject_that_the_broker_would_not_take_is_refused_here() {
    let plane = Plane::default();
    let subject = |port: &str, slot: &Slot, path: &str| {
        request_subject(&plane, port, "a", "b", slot, Method::Get, path)
    };
    let long = format!("/{}", "x".repeat(MAX_SUBJECT));
    assert!(matches!(
        subject("443", &Slot::Unpinned, &long),
        Err(SubjectError::TooLong(_))
    ));
    assert_eq!(
        subject("4.3", &Slot::Unpinned, "/"),
        Err(SubjectError::Port)
    );
    assert_eq!(subject("", &Slot::Unpinned, "/"), Err(SubjectError::Port));
    assert_eq!(
        subject("443", &Slot::Locality("a.b".to_owned()), "/"),
        Err(SubjectError::Locality)
    );
    assert_eq!(
        request_subject(&plane, "443", "a", "", &Slot::Unpinned, Method::Get, "/"),
        Err(SubjectError::Host)
    );
}

#[test]
fn missing_segments_are_empty() {
    let subject = RequestSubject::parse("microbus.safe.888");
    assert_eq!(
        (subject.port, subject.source, subject.slot),
        ("888", "", "")
    );
    assert_eq!(subject.source_host(), "");
}

#[test]
fn slots_parse_and_print() {
    for text in ["_", "id-h1ujyo2lpe", "loc-us-west"] {
        assert_eq!(Slot::parse(text).unwrap().to_string(), text);
    }
    for text in ["", "*", "loc-", "loc-a.b", "id-x", "us"] {
        assert_eq!(Slot::parse(text), None, "{text}");
    }
}

#[test]
fn a_plane_is_letters_and_digits() {
    assert_eq!(Plane::parse("Blue7").unwrap().as_str(), "Blue7");
    for text in ["", "a.b", "*", "a-b", "ä"] {
        assert_eq!(Plane::parse(text), Err(PlaneError), "{text}");
    }
}

#[test]
fn patterns_match_as_the_broker_matches() {
    for (pattern, subject, expected) in [
        ("a.b", "a.b", true),
        ("a.b", "a.c", false),
        ("a.*", "a.b", true),
        ("a.*", "a", false),
        ("a.*", "a.b.c", false),
        ("a.>", "a.b.c", true),
        ("a.>", "a", false),
        (">", "a", true),
        ("*.b.*", "x.b.y", true),
        ("a.b.c", "a.b", false),
    ] {
        assert_eq!(matches(pattern, subject), expected, "{pattern} {subject}");
    }
}

proptest! {
    #[test]
    fn the_parts_of_a_request_can_be_read_back(source in "[a-z0-9.é*>-]{1,20}", destination in "[a-z0-9.é*>-]{1,20}",
        port in 1u16.., path in "\\PC{0,30}") {
        let port = port.to_string();
        let subject = request_subject(&Plane::default(), &port, &source, &destination, &Slot::Unpinned, Method::Put, &path)
            .unwrap();
        let parts = RequestSubject::parse(&subject);
        prop_assert_eq!(parts.source_host(), source);
        prop_assert_eq!(unescape_host(parts.destination), destination);
        prop_assert_eq!(parts.port, port);
        prop_assert!(!subject.contains(['*', '>', ' ', '\r', '\n']));
    }
}
