use super::*;
use crate::{Account, Operator};
use serde_json::json;
use std::time::{Duration, UNIX_EPOCH};

const USER: &str = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4";

fn key(kind: NkeyKind, byte: u8) -> Nkey {
    Nkey::from_random(kind, [byte; 32]).unwrap()
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

/// Returns the JWT of an account as another tool would write it, with members that we do not know.
fn served(mut nats: Value) -> String {
    let account = Account::new("bus", key(NkeyKind::Account, 1)).unwrap();
    let operator = Operator::new("acme", key(NkeyKind::Operator, 2)).unwrap();
    let mut jwt = Jwt::read(&operator.sign_account(&account, at(100)).unwrap()).unwrap();
    jwt.nats.append(nats.as_object_mut().unwrap());
    claims::sign_again(&jwt, &key(NkeyKind::Operator, 2), at(100)).unwrap()
}

fn trusted() -> Vec<String> {
    vec![key(NkeyKind::Operator, 2).public_key()]
}

#[test]
fn what_is_not_known_stays_and_the_revocation_is_added() {
    let served = served(json!({
        "revocations": {"*": 5}, "info_url": "https://example", "default_permissions": {"pub": {}},
    }));
    let mut change = AccountChange::of(&served).unwrap();
    change.revoke(USER, at(150), at(200)).unwrap();
    let signed = change.sign(&key(NkeyKind::Operator, 2), at(200)).unwrap();
    change.check(&signed, &trusted(), at(200)).unwrap();
    let jwt = Jwt::read(&signed).unwrap();
    assert_eq!(jwt.nats["info_url"], "https://example");
    assert_eq!(jwt.nats["default_permissions"], json!({"pub": {}}));
    assert_eq!(jwt.nats["revocations"], json!({"*": 5, USER: 150}));
    assert_eq!(revoked_until(&jwt, USER), Some(150));
    assert_eq!(revoked_until(&jwt, "somebody else"), Some(5));
}

#[test]
fn a_revocation_lies_never_in_the_future_and_is_never_lowered() {
    let mut change = AccountChange::of(&served(json!({"revocations": {USER: 90}}))).unwrap();
    let future = change.revoke(USER, at(201), at(200)).unwrap_err();
    assert!(
        matches!(future, ChangeError::Future { until: 201, .. }),
        "{future}"
    );
    let lowered = change.revoke(USER, at(89), at(200)).unwrap_err();
    assert!(
        matches!(lowered, ChangeError::Lowered { until: 90, .. }),
        "{lowered}"
    );
    change.revoke(USER, at(90), at(200)).unwrap();
}

#[test]
fn what_the_broker_would_accept_and_then_ignore_is_not_sent() {
    let mut change = AccountChange::of(&served(json!({}))).unwrap();
    change.revoke(EVERYBODY, at(100), at(200)).unwrap();
    let by_a_stranger = change.sign(&key(NkeyKind::Operator, 9), at(200)).unwrap();
    let refused = change
        .check(&by_a_stranger, &trusted(), at(200))
        .unwrap_err();
    assert!(
        matches!(refused, ChangeError::Untrusted { .. }),
        "{refused}"
    );
}

#[test]
fn a_revocation_that_somebody_else_made_meanwhile_is_not_lost() {
    let before = AccountChange::of(&served(json!({}))).unwrap();
    let signed = before.sign(&key(NkeyKind::Operator, 2), at(200)).unwrap();
    let meanwhile = AccountChange::of(&served(json!({"revocations": {USER: 99}}))).unwrap();
    let refused = meanwhile.check(&signed, &trusted(), at(200)).unwrap_err();
    assert!(
        matches!(refused, ChangeError::Lowered { until: 99, .. }),
        "{refused}"
    );
}

#[test]
fn an_account_in_which_nobody_could_work_is_not_sent() {
    for (limits, limit) in [
        (
            json!({"conn": 0, "subs": -1, "payload": -1, "data": -1}),
            "conn",
        ),
        (json!({"conn": -1, "payload": -1, "data": -1}), "subs"),
    ] {
        let change = AccountChange::of(&served(json!({"limits": limits}))).unwrap();
        let signed = change.sign(&key(NkeyKind::Operator, 2), at(200)).unwrap();
        let refused = change.check(&signed, &trusted(), at(200)).unwrap_err();
        assert!(
            matches!(refused, ChangeError::Zero { limit: found } if found == limit),
            "{refused}"
        );
    }
}

#[test]
fn a_clock_behind_the_served_jwt_is_noticed_before_signing() {
    let change = AccountChange::of(&served(json!({}))).unwrap();
    let refused = change
        .sign(&key(NkeyKind::Operator, 2), at(99))
        .unwrap_err();
    assert!(
        matches!(
            refused,
            ChangeError::Clock {
                served: 100,
                now: 99
            }
        ),
        "{refused}"
    );
}

#[test]
fn signing_keys_come_and_go_whether_plain_or_scoped() {
    let [plain, scoped, new] = [3, 4, 5].map(|byte| key(NkeyKind::Account, byte).public_key());
    let listed = json!({"signing_keys": [plain, {"kind": "user_scope", "key": scoped}]});
    let mut change = AccountChange::of(&served(listed)).unwrap();
    change.add_signing_key(&new).unwrap();
    change.add_signing_key(&scoped).unwrap();
    assert_eq!(
        change.jwt.signing_keys(),
        [plain.clone(), scoped.clone(), new.clone()]
    );
    change.remove_signing_key(&scoped).unwrap();
    assert_eq!(change.jwt.signing_keys(), [plain, new]);
    assert!(matches!(
        change.remove_signing_key(&scoped),
        Err(ChangeError::NotListed { .. })
    ));
}

#[test]
fn a_new_account_keeps_the_limits_and_no_revocation() {
    let change = AccountChange::of(&served(json!({"revocations": {"*": 90}, "x": 1}))).unwrap();
    let [identity, signer] = [6, 7].map(|byte| key(NkeyKind::Account, byte).public_key());
    let new = change.into_new_account(&identity, vec![signer.clone()]);
    let signed = new.sign(&key(NkeyKind::Operator, 2), at(200)).unwrap();
    new.check(&signed, &trusted(), at(200)).unwrap();
    let jwt = Jwt::read(&signed).unwrap();
    assert_eq!(
        (jwt.sub.as_str(), jwt.name.as_str()),
        (identity.as_str(), "bus")
    );
    assert_eq!(jwt.signing_keys(), [signer]);
    assert_eq!((revocations(&jwt).len(), &jwt.nats["x"]), (0, &json!(1)));
    assert_eq!(jwt.nats["limits"]["conn"], -1);
}

#[test]
fn a_user_jwt_is_no_account() {
    let user = key(NkeyKind::User, 1).public_key();
    let mut jwt = Jwt::read(&served(json!({}))).unwrap();
    jwt.sub = user;
    let signed = claims::sign_again(&jwt, &key(NkeyKind::Operator, 2), at(1)).unwrap();
    assert!(matches!(
        AccountChange::of(&signed),
        Err(ChangeError::NoAccount { .. })
    ));
}
