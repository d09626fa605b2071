//! Whether the broker refuses what a service may not do. That it accepts the credentials proves nothing of the kind.
//!
//! Source: spec: deploy 8.

use super::{Check, Finding};
use crate::broker::service::Own;
use crate::broker::{Login, Server, Session, SessionError};
use crate::credentials::Credentials;
use crate::jwt::Jwt;
use microbus_bus::Artifacts;
use microbus_wire::subject;

pub(super) const CHECK: Check = Check {
    id: "enforcement",
    what: "what the broker lets an ordinary service do beyond its credentials",
    expected: "every attempt outside the grants refused, those inside accepted",
};

/// One attempt.
struct Attempt {
    what: &'static str,
    verb: &'static str,
    subject: String,
    queue: &'static str,
}

pub(super) async fn check(
    server: &Server,
    artifacts: &Artifacts,
    credentials: &Credentials,
    jwt: &Jwt,
) -> Vec<Finding> {
    let Some(own) = Own::of(jwt) else {
        return vec![CHECK.unknown(
            "the credentials do not let their service speak as itself",
            "name those of an ordinary service with --creds",
        )];
    };
    match attempt_all(server, artifacts, credentials, jwt, &own).await {
        Ok(findings) => findings,
        Err(error) => vec![CHECK.unknown(
            format!("{server}: {error}"),
            "see broker-reachable and creds-accepted",
        )],
    }
}

async fn attempt_all(
    server: &Server,
    artifacts: &Artifacts,
    credentials: &Credentials,
    jwt: &Jwt,
    own: &Own,
) -> Result<Vec<Finding>, SessionError> {
    let mut session = Session::open(server, artifacts).await?;
    if let Login::Refused(reason) = session.log_in(Some(credentials)).await? {
        return Ok(vec![CHECK.unknown(
            format!("the broker refuses the credentials: {reason}"),
            "see creds-accepted",
        )]);
    }
    let mut wrong = Vec::new();
    let mut refused = 0_usize;
    for attempt in beyond(own) {
        if attempt.is_granted(jwt) {
            continue;
        }
        if session.refusals(&attempt.command()).await?.is_empty() {
            wrong.push(CHECK.fail(
                format!(
                    "NOT ENFORCED: {} ({} {})",
                    attempt.what, attempt.verb, attempt.subject
                ),
                "run the broker in operator mode; anybody on this bus can do what they like",
            ));
        } else {
            refused = refused.saturating_add(1);
        }
    }
    for attempt in within(own) {
        if !session.refusals(&attempt.command()).await?.is_empty() {
            wrong.push(CHECK.fail(
                format!(
                    "refused, though granted: {} ({} {})",
                    attempt.what, attempt.verb, attempt.subject
                ),
                "issue the credentials anew with microbus-deploy creds",
            ));
        }
    }
    let mut stranger = Session::open(server, artifacts).await?;
    match stranger.log_in_with_wrong_seed(credentials).await? {
        Login::Accepted => wrong.push(CHECK.fail(
            "NOT ENFORCED: a login without the seed of the credentials",
            "run the broker in operator mode",
        )),
        Login::Refused(_) => refused = refused.saturating_add(1),
    }
    let host = own.host();
    Ok(CHECK.all(wrong, || format!("{refused} attempts of {host} refused")))
}

impl Attempt {
    /// Tells whether the credentials themselves allow it, as those of an issuer or of a minter may.
    fn is_granted(&self, jwt: &Jwt) -> bool {
        let verb = if self.verb == "PUB" { "pub" } else { "sub" };
        let grants = jwt.strings(&[verb, "allow"]);
        grants
            .iter()
            .any(|grant| subject::matches(grant, &self.subject))
    }

    fn command(&self) -> String {
        let Self {
            verb,
            subject,
            queue,
            ..
        } = self;
        match (*verb, *queue) {
            ("PUB", _) => format!("PUB {subject} 0\r\n\r\n"),
            (_, "") => format!("SUB {subject} 1\r\nUNSUB 1\r\n"),
            (_, queue) => format!("SUB {subject} {queue} 1\r\nUNSUB 1\r\n"),
        }
    }
}

/// What no credential of an ordinary service grants. Paths are such that nobody serves them: a hole does nothing.
fn beyond(own: &Own) -> Vec<Attempt> {
    let (plane, me) = (&own.plane, &own.segment);
    let publish = |what, subject| Attempt {
        what,
        verb: "PUB",
        subject,
        queue: "",
    };
    let subscribe = |what, subject, queue| Attempt {
        what,
        verb: "SUB",
        subject,
        queue,
    };
    vec![
        publish(
            "calling port 666 of an issuer",
            format!("{plane}.danger.666.{me}.access_token_core._.POST.deploy-probe"),
        ),
        publish(
            "speaking as another service",
            format!("{plane}.safe.888.deploy_probe.nobody_example._.GET.deploy-probe"),
        ),
        publish(
            "answering as another service",
            format!("{plane}.reply._.deploy_probe.nobody_example.id-deployprob"),
        ),
        publish(
            "calling into another plane",
            format!("deployprobe.safe.888.{me}.nobody_example._.GET.deploy-probe"),
        ),
        subscribe(
            "serving as another service",
            format!("{plane}.safe.443.*.nobody_example.>"),
            "",
        ),
        subscribe(
            "serving port 666",
            format!("{plane}.danger.666.*.nobody_example._.*.mint"),
            "deploy-probe",
        ),
        subscribe(
            "hearing answers to others",
            format!("{plane}.reply._.*.nobody_example.*"),
            "",
        ),
        subscribe("hearing the whole plane", format!("{plane}.>"), ""),
        subscribe("hearing everything", ">".to_owned(), ""),
    ]
}

/// What every credential grants.
fn within(own: &Own) -> Vec<Attempt> {
    let (plane, me) = (&own.plane, &own.segment);
    vec![
        Attempt {
            what: "calling its own port 888",
            verb: "PUB",
            subject: format!("{plane}.safe.888.{me}.{me}._.GET.deploy-probe"),
            queue: "",
        },
        Attempt {
            what: "hearing its own answers",
            verb: "SUB",
            subject: format!("{plane}.reply._.*.{me}.id-deployprob"),
            queue: "",
        },
    ]
}
