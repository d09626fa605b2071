//! Answers without what differs from run to run, so that ours can be compared with the recorded ones.

use crate::message::Message;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

/// Returns an answer as JSON in which every identifier, key, signature and time is replaced by a name for it.
///
/// Tokens are opened: `exp` is shown relative to `iat`, which is the lifetime plus ten seconds (a lifetime that is no
/// whole number of seconds shows either neighbour). The lengths of `kid` and `jti` stay visible. Stack traces are left
/// out, because ours sends none. `Content-Length` is replaced only where it tells the truth.
#[must_use]
pub fn normal(answer: &Message) -> Value {
    let headers: Map<_, _> = answer
        .headers()
        .map(|(name, value)| (name.to_owned(), json!(normal_header(name, value, answer))))
        .collect();
    let body = answer.body();
    let text = String::from_utf8_lossy(&body);
    let body = match serde_json::from_slice::<Value>(&body) {
        Ok(value) => json!({
            "json": normal_json(value),
            "indented": text.contains("\n  "),
            "ends_with_newline": text.ends_with('\n'),
        }),
        Err(_) => json!(text),
    };
    json!({ "first_line": answer.first_line(), "headers": headers, "body": body })
}

fn normal_header(name: &str, value: &str, answer: &Message) -> String {
    match name {
        "Microbus-Msg-Id" => "<message id>".to_owned(),
        "Microbus-From-Id" => "<instance>".to_owned(),
        "Content-Length" if value == answer.body().len().to_string() => "<length>".to_owned(),
        _ => value.to_owned(),
    }
}

fn normal_json(body: Value) -> Value {
    let Value::Object(mut members) = body else {
        return body;
    };
    if let Some(token) = members.get_mut("token") {
        *token = normal_token(token);
    }
    if let Some(Value::Array(keys)) = members.get_mut("keys") {
        keys.iter_mut().for_each(normal_key);
    }
    if let Some(Value::Object(error)) = members.get_mut("err") {
        error.remove("stack");
        if let Some(trace) = error.get_mut("trace") {
            *trace = json!("<trace>");
        }
    }
    Value::Object(members)
}

fn normal_key(key: &mut Value) {
    let Value::Object(key) = key else { return };
    for name in ["kid", "x"] {
        if let Some(Value::String(text)) = key.get_mut(name) {
            *text = format!("<{name} of {}>", text.len());
        }
    }
}

fn normal_token(token: &Value) -> Value {
    let parts: Vec<_> = token.as_str().unwrap_or_default().split('.').collect();
    let [header, claims, signature] = parts.as_slice() else {
        return token.clone();
    };
    let (Some(mut header), Some(mut claims)) = (open(header), open(claims)) else {
        return token.clone();
    };
    normal_key(&mut header);
    if let Value::Object(claims) = &mut claims {
        if let Some(Value::String(id)) = claims.get_mut("jti") {
            *id = format!("<jti of {}>", id.len());
        }
        let seconds = |name| claims.get(name).and_then(Value::as_i64);
        if let (Some(issued), Some(expires)) = (seconds("iat"), seconds("exp")) {
            let lifetime = expires.saturating_sub(issued);
            claims.insert("iat".to_owned(), json!("<now>"));
            claims.insert("exp".to_owned(), json!(format!("<iat + {lifetime}>")));
        }
    }
    let signature = format!("<signature of {}>", signature.len());
    json!({ "header": header, "claims": claims, "signature": signature })
}

/// Returns a claim of a compact JWT, unverified; null when there is none.
#[must_use]
pub fn claim(token: &str, name: &str) -> Value {
    let claims = token.split('.').nth(1).and_then(open);
    claims
        .map(|claims| claims[name].clone())
        .unwrap_or_default()
}

/// Returns the key ID in the header of a compact JWT; empty when there is none.
#[must_use]
pub fn kid(token: &str) -> String {
    header(token, "kid").as_str().unwrap_or_default().to_owned()
}

/// Returns a member of the header of a compact JWT; null when there is none.
#[must_use]
pub fn header(token: &str, name: &str) -> Value {
    let header = token.split('.').next().and_then(open);
    header
        .map(|header| header[name].clone())
        .unwrap_or_default()
}

fn open(part: &str) -> Option<Value> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::goldens;

    fn answers(recording: &str, name: &str) -> Vec<Value> {
        let case = goldens::case(recording, name);
        let request = case.requests_to("access.token.core").next().unwrap();
        case.answers_to(request).map(normal).collect()
    }

    #[test]
    fn a_recorded_mint_is_shown_without_its_random_parts() {
        let [ack, response] = &answers("acl", "acl_mint_access")[..] else {
            panic!("two answers")
        };
        assert_eq!(ack["first_line"], "HTTP/1.1 202 Accepted");
        assert_eq!(ack["headers"]["Content-Length"], "<length>");
        let token = &response["body"]["json"]["token"];
        assert_eq!(
            *token,
            json!({
                "header": {"alg": "EdDSA", "kid": "<kid of 16>", "typ": "JWT"},
                "claims": {
                    "a": 1, "exp": "<iat + 30>", "iat": "<now>", "idp": null,
                    "iss": "https://access.token.core", "jti": "<jti of 16>",
                },
                "signature": "<signature of 86>",
            })
        );
        assert_eq!(response["headers"]["Microbus-From-Version"], "4");
    }

    #[test]
    fn two_recorded_runs_of_the_same_request_become_equal() {
        let first = answers("local", "jwks_access_one_replica_cold");
        let second = answers("local", "jwks_access_one_replica_warm");
        assert_eq!(first, second);
    }

    #[test]
    fn an_error_keeps_its_text_and_loses_its_stack() {
        let error = &answers("prod", "prod_budget_too_small")[1]["body"];
        assert_eq!(
            *error,
            json!({
                "json": {"err": {"error": "timeout", "statusCode": 408, "trace": "<trace>"}},
                "indented": false,
                "ends_with_newline": true,
            })
        );
    }

    #[test]
    fn a_content_length_that_lies_stays_visible() {
        let payload = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}";
        let message = Message {
            subject: String::new(),
            payload: payload.into(),
        };
        assert_eq!(normal(&message)["headers"]["Content-Length"], "3");
    }
}
