use super::*;
use serde_json::json;

fn read(yaml: &str) -> Result<Mapping, Vec<String>> {
    let raw: RawMapping = serde_yaml::from_str(yaml).map_err(|error| vec![error.to_string()])?;
    let mut problems = Vec::new();
    let mapping = Mapping::check(raw, "claims", &mut problems);
    if problems.is_empty() {
        Ok(mapping)
    } else {
        Err(problems)
    }
}

fn applied(yaml: &str, foreign: &Value) -> Value {
    let mapping = read(yaml).unwrap();
    Value::from(mapping.apply(foreign.as_object().unwrap()).unwrap())
}

/// Claims as a provider may send them, friendly and hostile.
fn foreign() -> Value {
    json!({
        "iss": "https://login.example", "aud": "web-app", "exp": 9, "iat": 1, "nbf": 1, "jti": "x", "idp": "evil",
        "sub": "harry", "email": "harry@hogwarts.edu", "email_verified": true, "level": 5, "big": 9_007_199_254_740_993_u64,
        "nothing": null, "empty": "", "https://ns/org": "gryffindor", "5": 0, "'admin'": "admin", "roles.admin": true, "true": false,
        "groups": ["Admins", "Readers", "5", "a.b", "https://ns/x", "true", "' || true || '", "plain", "plain", 7, null],
        "scope": "openid read write:all  read",
        "realm_access": {"roles": ["Admins"], "5": 1},
        "address": {
            "country": "UK", "street-address": "4 Privet Drive", "5": "x", "roles.admin": true, "iss": "x", "nan": 1,
            "inner": {"t": 1, "ok": [{"a.b": 1, "fine": "x", "exp": 5}, "bad one", "good"], "gone": null, "picture": "p"},
        },
    })
}

#[test]
fn nothing_passes_that_no_rule_names() {
    assert_eq!(applied("{}", &foreign()), json!({}));
    assert_eq!(applied("sub:", &foreign()), json!({"sub": "harry"}));
}

#[test]
fn each_rule_does_what_it_says() {
    for (yaml, wanted) in [
        ("mail: {from: email}", json!({"mail": "harry@hogwarts.edu"})),
        (
            "tenant: {from: 'https://ns/org'}",
            json!({"tenant": "gryffindor"}),
        ),
        (
            "roles: {from: [realm_access, roles]}",
            json!({"roles": ["Admins"]}),
        ),
        ("sub: {prefix: 'login|'}", json!({"sub": "login|harry"})),
        ("source: {constant: login}", json!({"source": "login"})),
        (
            "limits: {constant: {level: 3, of: [a, b]}}",
            json!({"limits": {"level": 3, "of": ["a", "b"]}}),
        ),
        ("level:", json!({"level": 5})),
        ("big:", json!({"big": 9_007_199_254_740_993_u64})),
        ("email_verified:", json!({"email_verified": true})),
        ("nothing:", json!({})),
        ("empty:", json!({"empty": ""})),
        ("absent:", json!({})),
        ("x: {from: [sub, inner]}", json!({})),
        ("x: {from: [groups, '0']}", json!({})),
        // Without its prefix a foreign value must not pass as one of ours.
        ("level: {prefix: 'x'}", json!({})),
        ("groups: {prefix: 'x'}", json!({})),
    ] {
        assert_eq!(applied(yaml, &foreign()), wanted, "{yaml}");
    }
}

#[test]
fn lists_become_roles() {
    for (yaml, wanted) in [
        (
            "roles: {from: groups, roles: {Admins: admin, Readers: reader}}",
            json!(["admin", "reader"]),
        ),
        (
            "roles: {from: groups, roles: {Admins: admin, Readers: admin}}",
            json!(["admin"]),
        ),
        (
            "roles: {from: groups, roles: {'a.b': ab, '5': five, nobody: x}}",
            json!(["five", "ab"]),
        ),
        (
            "roles: {from: groups, roles: safe}",
            json!(["Admins", "Readers", "plain"]),
        ),
        (
            "roles: {from: groups, roles: safe, prefix: login_}",
            json!([
                "login_Admins",
                "login_Readers",
                "login_5",
                "login_true",
                "login_plain"
            ]),
        ),
        (
            "roles: {from: groups, roles: {Admins: admin}, prefix: login_}",
            json!(["login_admin"]),
        ),
        (
            "roles: {from: scope, roles: safe}",
            json!(["openid", "read"]),
        ),
        (
            "roles: {from: scope, roles: {'write:all': writer}}",
            json!(["writer"]),
        ),
    ] {
        assert_eq!(
            applied(yaml, &foreign()),
            json!({ "roles": wanted }),
            "{yaml}"
        );
    }
    for from in ["level", "address", "email_verified", "nothing", "absent"] {
        let yaml = format!("roles: {{from: {from}, roles: safe}}");
        assert_eq!(applied(&yaml, &foreign()), json!({}), "{yaml}");
    }
}

#[test]
fn unsafe_and_reserved_names_pass_at_no_level() {
    assert_eq!(
        applied("address: {drop: [picture]}", &foreign()),
        json!({"address": {
            "country": "UK", "inner": {"ok": [{"fine": "x"}, "good"]},
        }})
    );
    assert_eq!(
        applied(
            "address: {members: {country: , street: {from: street-address}, five: {from: '5'}, none: {from: x}}}",
            &foreign()
        ),
        json!({"address": {"country": "UK", "street": "4 Privet Drive", "five": "x"}})
    );
    assert_eq!(
        applied("groups:", &foreign()),
        json!({"groups": ["Admins", "Readers", "plain", "plain", 7]})
    );
}

#[test]
fn what_is_required_must_be_there() {
    for (yaml, missing) in [
        ("absent: {required: true}", "absent"),
        ("nothing: {required: true}", "nothing"),
        ("level: {prefix: x, required: true}", "level"),
        ("address: {members: {planet: {required: true}}}", "planet"),
    ] {
        let error = read(yaml)
            .unwrap()
            .apply(foreign().as_object().unwrap())
            .unwrap_err();
        assert_eq!(error, RequiredClaimMissing(missing.to_owned()), "{yaml}");
    }
    applied("sub: {required: true}", &foreign());
}

#[test]
fn a_wrong_mapping_is_refused_with_its_place() {
    for (yaml, problem) in [
        (
            "iss: {constant: x}",
            "claims.iss: only the platform sets `iss`",
        ),
        ("idp:", "claims.idp: only the platform"),
        ("exp:", "claims.exp: only the platform"),
        ("'5':", "claims.5: not a safe name"),
        ("a.b:", "claims.a.b: not a safe name"),
        ("'true': {constant: 1}", "claims.true: not a safe name"),
        (
            "a: {members: {nan: }}",
            "claims.a.members.nan: not a safe name",
        ),
        (
            "a: {members: {jti: }}",
            "claims.a.members.jti: only the platform",
        ),
        ("a: {constant: x, from: b}", "claims.a: a constant needs"),
        (
            "a: {constant: x, required: true}",
            "claims.a: a constant needs",
        ),
        ("a: {constant: [a, 'b c']}", "claims.a: the constant has"),
        ("a: {constant: {x.y: 1}}", "claims.a: the constant has"),
        ("a: {from: []}", "claims.a: `from` is empty"),
        ("a: {roles: all}", "claims.a: `roles` is a table"),
        ("a: {roles: {x: 'y z'}}", "claims.a: the role `y z`"),
        ("a: {roles: {x: y}, prefix: '5'}", "claims.a: the role `5y`"),
        ("a: {roles: safe, prefix: 'a:'}", "claims.a: no role is"),
        (
            "a: {roles: safe, drop: [x]}",
            "claims.a: `roles`, `members`",
        ),
        (
            "a: {members: {x: }, prefix: y}",
            "claims.a: `roles`, `members`",
        ),
        ("a: {drop: [x], prefix: y}", "claims.a: `roles`, `members`"),
        ("a: {form: b}", "unknown field `form`"),
        ("a: 5", "invalid type"),
        ("[a]", "a map"),
        ("a: \na: ", "`a` is there twice"),
        ("a: {roles: {x: y, x: z}}", "`x` is there twice"),
        ("a: {roles: 5}", "a word, or a map"),
        ("a: {from: 5}", "a text, or a list"),
        ("a: {members: {x: , x: }}", "`x` is there twice"),
    ] {
        let problems = read(yaml).unwrap_err();
        assert!(
            problems.iter().any(|found| found.contains(problem)),
            "{yaml}: {problems:?}"
        );
    }
    let both = read("iss: \n'5': ").unwrap_err();
    assert_eq!(both.len(), 2, "all problems are told: {both:?}");
}
