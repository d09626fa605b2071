//! The `OpenAPI` document of a service. Pure.
//!
//! Source: spec: microbus-wire 7.4. Same paths, operations and schemas as the Go service; the texts are ours.

use crate::service::{Function, Profile, Shape};
use serde_json::{Map, Value, json};

/// How a request came through a proxy.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Forwarded<'a> {
    pub(crate) proto: Option<&'a str>,
    pub(crate) host: Option<&'a str>,
    pub(crate) prefix: Option<&'a str>,
    pub(crate) path: Option<&'a str>,
}

/// Returns the document.
pub(crate) fn document(profile: &Profile, forwarded: &Forwarded<'_>) -> Value {
    let host = profile.issuer.host();
    let mut paths = Map::new();
    for function in profile.functions {
        let path = format!("/{host}:{}{}", function.port, function.path);
        paths.insert(path, json!({ "post": function_operation(host, function) }));
    }
    for (name, path, description) in CONTROL {
        let mut operation = json!({
            "summary": format!("{name}()"),
            "x-feature-type": "web",
            "x-name": name,
            "parameters": [],
            "responses": responses(&json!({ "description": "OK" })),
        });
        if let (Some(text), Some(members)) = (description, operation.as_object_mut()) {
            members.insert("description".to_owned(), json!(text));
        }
        paths.insert(format!("/{host}:888{path}"), json!({ "get": operation }));
    }
    let openapi = json!({
        "summary": "Ctrl888OpenAPI()",
        "x-feature-type": "web",
        "x-name": "Ctrl888OpenAPI",
        "parameters": [],
        "responses": responses(&json!({ "description": "OK", "content": { "application/json": {} } })),
    });
    paths.insert(
        format!("/{host}:888/openapi.json"),
        json!({ "get": openapi }),
    );
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": host,
            "description": profile.description,
            "version": profile.version.to_string(),
        },
        "servers": [{ "url": server_url(host, forwarded) }],
        "paths": paths,
        "components": { "schemas": schemas(host, profile.functions), "securitySchemes": {} },
    })
}

fn server_url(host: &str, forwarded: &Forwarded<'_>) -> String {
    let proxied = || {
        let path = forwarded.path?;
        let before = [format!("/{host}/"), format!("/{host}:")]
            .iter()
            .find_map(|marker| {
                path.split_once(marker.as_str())
                    .map(|(before, _)| before.to_owned())
            })?;
        let proto = forwarded.proto.unwrap_or("https");
        let prefix = forwarded.prefix.unwrap_or_default();
        Some(format!("{proto}://{}{prefix}{before}/", forwarded.host?))
    };
    proxied().unwrap_or_else(|| "https://localhost/".to_owned())
}

fn function_operation(host: &str, function: &Function) -> Value {
    let schema = |direction: &str| {
        let name = schema_name(host, function, direction);
        json!({ "application/json": { "schema": { "$ref": reference(&name) } } })
    };
    json!({
        "summary": function.summary,
        "description": function.description,
        "x-feature-type": "function",
        "x-name": function.name,
        "requestBody": { "required": true, "content": schema("IN") },
        "responses": responses(&json!({ "description": "OK", "content": schema("OUT") })),
    })
}

fn responses(success: &Value) -> Value {
    let failure = |description: &str| {
        let schema = json!({ "$ref": reference("error_ErrorResponse") });
        json!({ "description": description, "content": { "application/json": { "schema": schema } } })
    };
    json!({ "2XX": success, "4XX": failure("User error"), "5XX": failure("Server error") })
}

fn schemas(host: &str, functions: &[Function]) -> Value {
    let mut schemas = Map::new();
    for function in functions {
        for (direction, suffix, shape) in [
            ("IN", "In", function.input),
            ("OUT", "Out", function.output),
        ] {
            let name = schema_name(host, function, direction);
            let inner = format!("{name}_{}{suffix}", function.name);
            schemas.insert(name.clone(), json!({ "$ref": reference(&inner) }));
            let mut properties = json!({});
            match shape {
                Shape::Nothing => {}
                Shape::Claims => properties = json!({ "claims": { "examples": [{}] } }),
                Shape::Token => properties = json!({ "token": { "type": "string" } }),
                Shape::JwkSet => {
                    let jwk = format!("{name}_JWK");
                    let items = json!({ "$ref": reference(&jwk) });
                    properties = json!({ "keys": { "items": items, "type": "array" } });
                    schemas.insert(jwk, jwk_schema());
                }
            }
            schemas.insert(inner, json!({ "properties": properties, "type": "object" }));
        }
    }
    schemas.extend(error_schemas());
    Value::Object(schemas)
}

fn jwk_schema() -> Value {
    let members = ["kty", "crv", "x", "kid", "use", "alg"];
    let properties: Map<_, _> = members
        .iter()
        .map(|name| ((*name).to_owned(), json!({ "type": "string" })))
        .collect();
    json!({ "properties": properties, "type": "object", "required": ["kty", "crv", "x", "kid"] })
}

fn error_schemas() -> [(String, Value); 3] {
    let error = json!({
        "properties": {
            "error": { "type": "string", "examples": ["message"] },
            "statusCode": { "type": "integer" },
            "trace": { "type": "string" },
            "stack": { "items": { "$ref": reference("error_StackFrame") }, "type": "array" },
        },
        "type": "object",
        "required": ["error"],
    });
    let response = json!({
        "properties": { "err": { "$ref": reference("error_Error") } },
        "type": "object",
        "required": ["err"],
    });
    let frame = json!({
        "properties": {
            "func": { "type": "string" },
            "file": { "type": "string" },
            "line": { "type": "integer" },
        },
        "type": "object",
        "required": ["func", "file", "line"],
    });
    [
        ("error_Error".to_owned(), error),
        ("error_ErrorResponse".to_owned(), response),
        ("error_StackFrame".to_owned(), frame),
    ]
}

fn schema_name(host: &str, function: &Function, direction: &str) -> String {
    format!("{}__{}_{direction}", host.replace('.', "_"), function.name)
}

fn reference(name: &str) -> String {
    format!("#/components/schemas/{name}")
}

/// The endpoints that are no functions, but for the document itself.
const CONTROL: [(&str, &str, Option<&str>); 7] = [
    ("Ctrl888ConfigRefresh", "/config-refresh", None),
    (
        "DcacheAll",
        "/dcache/all",
        Some("Serves the other replicas' requests to the distributed cache."),
    ),
    (
        "DcacheRescue",
        "/dcache/rescue",
        Some("Takes over elements of the distributed cache from a replica that stops."),
    ),
    ("Ctrl888Metrics", "/metrics", None),
    ("Ctrl888OnNewSubs", "/on-new-subs", None),
    ("Ctrl888Ping", "/ping", None),
    ("Ctrl888Trace", "/trace", None),
];

#[cfg(test)]
mod tests;
