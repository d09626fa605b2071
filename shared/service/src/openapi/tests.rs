use super::*;
use crate::fixture::{ACCESS, BEARER};

const RECORDED_ACCESS: &str = include_str!("../../testdata/openapi-access.token.core.json");
const RECORDED_BEARER: &str = include_str!("../../testdata/openapi-bearer.token.core.json");

/// Removes the texts, which are ours, but leaves the fixed ones of responses.
fn without_texts(mut document: Value) -> Value {
    let mut forget = |pointer: &str| {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let members = document.pointer_mut(parent).and_then(Value::as_object_mut);
        members.unwrap().remove(name);
    };
    forget("/info/title");
    forget("/info/description");
    let operations = document["paths"].as_object_mut().unwrap().values_mut();
    for operation in operations.flat_map(|path| path.as_object_mut().unwrap().values_mut()) {
        operation.as_object_mut().unwrap().remove("description");
    }
    document
}

#[test]
fn paths_operations_and_schemas_are_those_of_the_go_services() {
    for (profile, recorded) in [(&ACCESS, RECORDED_ACCESS), (&BEARER, RECORDED_BEARER)] {
        let recorded: Value = serde_json::from_str(recorded).unwrap();
        let ours = document(profile, &Forwarded::default());
        assert_eq!(without_texts(ours), without_texts(recorded));
    }
}

#[test]
fn the_server_is_what_a_proxy_says_only_if_the_path_names_us() {
    let forwarded = Forwarded {
        proto: Some("http"),
        host: Some("example.com"),
        prefix: Some("/app"),
        path: Some("/bus/access.token.core:888/openapi.json"),
    };
    for (forwarded, expected) in [
        (forwarded, "http://example.com/app/bus/"),
        (
            Forwarded {
                proto: None,
                prefix: None,
                path: Some("/access.token.core/openapi.json"),
                ..forwarded
            },
            "https://example.com/",
        ),
        (
            Forwarded {
                path: Some("/bearer.token.core:888/openapi.json"),
                ..forwarded
            },
            "https://localhost/",
        ),
        (
            Forwarded {
                host: None,
                ..forwarded
            },
            "https://localhost/",
        ),
        (Forwarded::default(), "https://localhost/"),
    ] {
        assert_eq!(server_url("access.token.core", &forwarded), expected);
    }
}
