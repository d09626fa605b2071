//! What the system account may ask: the servers of a cluster, their accounts and connections, and the change of an
//! account.
//!
//! Each server of a cluster answers for itself, so every question has as many answers as there are servers.
//! Source: spec: deploy 6.2.

use microbus_bus::{
    Artifacts, ConnectError, ConnectionClosed, NatsSettings, Patience, PlainClient,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::time::Duration;
use thiserror::Error;

/// A connection as a user of the system account.
#[derive(Debug, Clone)]
pub struct System {
    client: PlainClient,
}

/// What one server says about itself.
#[derive(Clone, Debug)]
pub struct ServerReport {
    /// Its public key.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its clock, in RFC 3339.
    pub time: String,
    /// Its settings, as the monitoring port would show them.
    pub settings: Value,
}

/// How one server took a new account JWT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushAnswer {
    /// The server's name.
    pub server: String,
    /// 200, or the code of the refusal.
    pub code: i64,
    /// What it said.
    pub message: String,
}

/// One connection of a client.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct ConnectionReport {
    /// Its number at that server.
    #[serde(default)]
    pub cid: u64,
    /// Where it comes from.
    #[serde(default)]
    pub ip: String,
    /// The public key of its user.
    #[serde(default)]
    pub authorized_user: String,
    /// Its account.
    #[serde(default)]
    pub account: String,
    /// The JWT that it logged in with.
    #[serde(default)]
    pub jwt: String,
    /// What it subscribes.
    #[serde(default)]
    pub subscriptions_list: Vec<String>,
}

impl System {
    /// Connects with the credentials file of a user of the system account.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn connect(servers: &str, artifacts: Artifacts) -> Result<Self, ConnectError> {
        let settings = NatsSettings {
            servers: servers.to_owned(),
            artifacts,
            deprecated: None,
        };
        let client = PlainClient::connect(&settings).await?;
        Ok(Self { client })
    }

    /// Returns every server of the cluster.
    ///
    /// # Errors
    /// [`SystemError::Silent`] when none answers, as where the credentials are not of the system account.
    pub async fn servers(&self) -> Result<Vec<ServerReport>, SystemError> {
        let answers = self.ask("$SYS.REQ.SERVER.PING.VARZ", Value::Null).await?;
        if answers.is_empty() {
            return Err(SystemError::Silent);
        }
        Ok(answers
            .into_iter()
            .map(|answer| ServerReport {
                id: answer.server.id,
                name: answer.server.name,
                time: answer.server.time,
                settings: answer.data,
            })
            .collect())
    }

    /// Returns the JWT of `account` that each server *uses*, which is not always the one that its resolver has kept; `None`
    /// for a server that has not needed it yet.
    ///
    /// # Errors
    /// [`SystemError`].
    pub async fn accounts_in_use(&self, account: &str) -> Result<Vec<Option<String>>, SystemError> {
        let which = json!({ "account": account });
        let answers = self.ask("$SYS.REQ.SERVER.PING.ACCOUNTZ", which).await?;
        if answers.is_empty() {
            return Err(SystemError::Silent);
        }
        let jwt = |answer: Answer| {
            let jwt = answer.data.pointer("/account_detail/jwt")?.as_str()?;
            Some(jwt.to_owned()).filter(|jwt| !jwt.is_empty())
        };
        Ok(answers.into_iter().map(jwt).collect())
    }

    /// Returns the public keys of the accounts that the first server to answer knows.
    ///
    /// # Errors
    /// [`SystemError`].
    pub async fn account_names(&self) -> Result<Vec<String>, SystemError> {
        let answers = self
            .ask("$SYS.REQ.SERVER.PING.ACCOUNTZ", Value::Null)
            .await?;
        let first = answers.into_iter().next().ok_or(SystemError::Silent)?;
        let names = first.data.get("accounts").and_then(Value::as_array);
        let names = names.into_iter().flatten().filter_map(Value::as_str);
        Ok(names.map(str::to_owned).collect())
    }

    /// Returns the JWT of `account` that the resolver keeps; `None` when the servers keep accounts in their configuration or
    /// fetch them elsewhere.
    ///
    /// # Errors
    /// [`SystemError`].
    pub async fn kept_account(&self, account: &str) -> Result<Option<String>, SystemError> {
        let subject = format!("$SYS.REQ.ACCOUNT.{account}.CLAIMS.LOOKUP");
        let answers = self.client.collect(&subject, "", ONE).await?;
        let jwt = answers.into_iter().next();
        let jwt = jwt.map(|jwt| String::from_utf8_lossy(&jwt).trim().to_owned());
        Ok(jwt.filter(|jwt| !jwt.is_empty()))
    }

    /// Gives `jwt` to the resolvers of all servers, and returns how each took it: no answer where no resolver keeps
    /// accounts.
    ///
    /// # Errors
    /// [`SystemError`].
    pub async fn push(&self, jwt: &str) -> Result<Vec<PushAnswer>, SystemError> {
        self.change("$SYS.REQ.CLAIMS.UPDATE", jwt).await
    }

    /// Gives `jwt` to the servers' memory alone: at their next start they have forgotten it.
    ///
    /// # Errors
    /// [`SystemError`].
    pub async fn push_to_memory(
        &self,
        account: &str,
        jwt: &str,
    ) -> Result<Vec<PushAnswer>, SystemError> {
        let subject = format!("$SYS.REQ.ACCOUNT.{account}.CLAIMS.UPDATE");
        self.change(&subject, jwt).await
    }

    /// Has the resolvers forget an account: `request` is the operator's word for it.
    ///
    /// # Errors
    /// [`SystemError`].
    pub async fn delete(&self, request: &str) -> Result<Vec<PushAnswer>, SystemError> {
        self.change("$SYS.REQ.CLAIMS.DELETE", request).await
    }

    /// Returns the connections of `user`, or of everybody, at all servers.
    ///
    /// # Errors
    /// [`SystemError`].
    pub async fn connections(
        &self,
        user: Option<&str>,
    ) -> Result<Vec<ConnectionReport>, SystemError> {
        let mut which = json!({"auth": true, "subscriptions": true, "limit": MOST_CONNECTIONS});
        if let (Some(user), Some(which)) = (user, which.as_object_mut()) {
            which.insert("user".to_owned(), user.into());
        }
        let answers = self.ask("$SYS.REQ.SERVER.PING.CONNZ", which).await?;
        if answers.is_empty() {
            return Err(SystemError::Silent);
        }
        let mut connections = Vec::new();
        for answer in answers {
            let list = answer.data.get("connections").cloned().unwrap_or_default();
            let list: Option<Vec<ConnectionReport>> =
                serde_json::from_value(list).map_err(SystemError::Answer)?;
            connections.extend(list.unwrap_or_default());
        }
        Ok(connections)
    }

    async fn change(&self, subject: &str, body: &str) -> Result<Vec<PushAnswer>, SystemError> {
        let answers = self.client.collect(subject, body.to_owned(), ALL).await?;
        answers.iter().map(|answer| read_push(answer)).collect()
    }

    async fn ask(&self, subject: &str, options: Value) -> Result<Vec<Answer>, SystemError> {
        let options = if options.is_null() {
            String::new()
        } else {
            options.to_string()
        };
        let answers = self.client.collect(subject, options, ALL).await?;
        answers.iter().map(|answer| read(answer)).collect()
    }
}

/// Why a question has no answer.
#[derive(Debug, Error)]
pub enum SystemError {
    /// No server answers.
    #[error(
        "no server answers questions about itself; give credentials of a user of the system account"
    )]
    Silent,
    /// The connection is gone.
    #[error(transparent)]
    Closed(#[from] ConnectionClosed),
    /// An answer that is not the JSON of a server.
    #[error("a server answers with something else than it is documented to")]
    Answer(#[source] serde_json::Error),
}

#[derive(Deserialize)]
struct Answer {
    server: Answerer,
    #[serde(default)]
    data: Value,
}

#[derive(Default, Deserialize)]
struct Answerer {
    #[serde(default)]
    id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    time: String,
}

#[derive(Deserialize)]
struct PushReply {
    #[serde(default)]
    server: Answerer,
    data: Option<PushResult>,
    error: Option<PushResult>,
}

#[derive(Deserialize)]
struct PushResult {
    #[serde(default)]
    code: i64,
    #[serde(default)]
    message: String,
    #[serde(default)]
    description: String,
}

fn read_push(answer: &[u8]) -> Result<PushAnswer, SystemError> {
    let reply: PushReply = read(answer)?;
    let result = reply.error.or(reply.data);
    let (code, message) = result.map_or((0, String::new()), |result| {
        (result.code, [result.message, result.description].concat())
    });
    Ok(PushAnswer {
        server: reply.server.name,
        code,
        message,
    })
}

fn read<T: DeserializeOwned>(answer: &[u8]) -> Result<T, SystemError> {
    serde_json::from_slice(answer).map_err(SystemError::Answer)
}

/// Servers of one cluster answer within a round trip of each other.
const ALL: Patience = Patience {
    first: Duration::from_secs(3),
    further: Duration::from_millis(500),
};
const ONE: Patience = Patience {
    first: Duration::from_secs(3),
    further: Duration::ZERO,
};
/// More than a bus has; a server cuts its list at 1024 unless told otherwise.
const MOST_CONNECTIONS: u32 = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_to_a_push_are_read_whether_they_say_yes_or_no() {
        let yes = br#"{"server":{"name":"n1","id":"NA"},"data":{"account":"A","code":200,"message":"jwt updated"}}"#;
        let no = br#"{"server":{"name":"n2"},"error":{"account":"n/a","code":500,"description":"jwt validation failed"}}"#;
        let answer = |server: &str, code, message: &str| PushAnswer {
            server: server.to_owned(),
            code,
            message: message.to_owned(),
        };
        assert_eq!(read_push(yes).unwrap(), answer("n1", 200, "jwt updated"));
        assert_eq!(
            read_push(no).unwrap(),
            answer("n2", 500, "jwt validation failed")
        );
        assert!(matches!(read_push(b"-"), Err(SystemError::Answer(_))));
    }
}
