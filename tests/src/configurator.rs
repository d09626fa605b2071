//! A stand-in for `configurator.core`: it answers config fetches and tells services to fetch again.

use crate::PATIENCE;
use crate::caller::{Answers, Caller, Listener};
use crate::message::Message;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A running stand-in; it falls silent on drop.
pub struct Configurator {
    caller: Arc<Caller>,
    values: Arc<Mutex<Values>>,
    answered: watch::Receiver<usize>,
    task: JoinHandle<()>,
}

/// Values by host and name.
type Values = BTreeMap<(String, String), String>;

impl Configurator {
    /// Starts to answer on the connection of `caller`, which must be `configurator.core`.
    pub async fn start(caller: Caller, plane: &str) -> Self {
        let caller = Arc::new(caller);
        let pattern = format!("{plane}.safe.888.*.configurator_core._.*.values");
        let requests = caller.listen(&pattern).await;
        let values = Arc::new(Mutex::new(Values::new()));
        let (sender, answered) = watch::channel(0);
        let task = tokio::spawn(serve(
            Arc::clone(&caller),
            Arc::clone(&values),
            requests,
            sender,
            plane.to_owned(),
        ));
        Self {
            caller,
            values,
            answered,
            task,
        }
    }

    /// Gives `host` a value at its next fetch.
    pub fn set(&self, host: &str, name: &str, value: &str) {
        let mut values = self.values.lock().expect("no holder panicked");
        values.insert((host.to_owned(), name.to_owned()), value.to_owned());
    }

    /// Leaves `host` with its default at its next fetch.
    pub fn unset(&self, host: &str, name: &str) {
        let mut values = self.values.lock().expect("no holder panicked");
        values.remove(&(host.to_owned(), name.to_owned()));
    }

    /// Returns how many fetches were answered so far.
    #[must_use]
    pub fn answered(&self) -> usize {
        *self.answered.borrow()
    }

    /// Waits until `count` fetches were answered in all.
    pub async fn until_answered(&self, count: usize) {
        let mut answered = self.answered.clone();
        let enough = answered.wait_for(|answered| *answered >= count);
        assert!(
            tokio::time::timeout(PATIENCE, enough).await.is_ok(),
            "only {} fetches came",
            self.answered()
        );
    }

    /// Tells the services at `host` (or `all`) to fetch again, and returns the first complete answer.
    pub async fn refresh(&self, host: &str) -> Answers {
        self.caller.post(host, 888, "/config-refresh", "{}").await
    }
}

impl Drop for Configurator {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    caller: Arc<Caller>,
    values: Arc<Mutex<Values>>,
    mut requests: Listener,
    answered: watch::Sender<usize>,
    plane: String,
) {
    loop {
        // A stand-in without requests for a while is still a stand-in.
        let Some(request) = requests.next(PATIENCE).await else {
            continue;
        };
        let source = request.subject.split('.').nth(3).unwrap_or_default();
        let instance = request
            .header("Microbus-From-Id")
            .unwrap_or_default()
            .to_lowercase();
        let reply = format!("{plane}.reply._.configurator_core.{source}.{instance}");
        caller.publish(&reply, acknowledgement(&request)).await;
        let host = microbus_wire::host::unescape_host(source);
        let body = answer(
            &values.lock().expect("no holder panicked"),
            &host,
            &request.json(),
        );
        caller.publish(&reply, response(&request, &body)).await;
        answered.send_modify(|count| *count = count.saturating_add(1));
    }
}

/// Returns the values that `host` asks for and has, as the peer writes them.
fn answer(values: &Values, host: &str, request: &Value) -> String {
    let names = request
        .get("names")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let known: Map<_, _> = names
        .filter_map(Value::as_str)
        .filter_map(|name| {
            let value = values.get(&(host.to_owned(), name.to_owned()))?;
            Some((name.to_owned(), json!(value)))
        })
        .collect();
    format!("{}\n", json!({ "values": known }))
}

fn acknowledgement(request: &Message) -> String {
    format!(
        "HTTP/1.1 202 Accepted\r\nConnection: close\r\nMicrobus-From-Host: configurator.core\r\n\
         Microbus-From-Id: {INSTANCE}\r\nMicrobus-Msg-Id: {}\r\nMicrobus-Op-Code: Ack\r\n\
         Microbus-Queue: configurator.core\r\nContent-Length: 0\r\n\r\n",
        request.message_id()
    )
}

fn response(request: &Message, body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nContent-Type: application/json\r\n\
         Microbus-From-Host: configurator.core\r\nMicrobus-From-Id: {INSTANCE}\r\n\
         Microbus-From-Version: 254\r\nMicrobus-Msg-Id: {}\r\nMicrobus-Op-Code: Res\r\n\
         Microbus-Queue: configurator.core\r\n\r\n{body}",
        body.len(),
        request.message_id()
    )
}

/// The instance id of the stand-in.
pub(crate) const INSTANCE: &str = "id-standin000";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_are_asked_for_and_have_a_value_are_answered() {
        let values: Values = [
            ("a.example", "One", "1"),
            ("a.example", "Two", "2"),
            ("b", "Three", "3"),
        ]
        .into_iter()
        .map(|(host, name, value)| ((host.to_owned(), name.to_owned()), value.to_owned()))
        .collect();
        let request = json!({"names": ["One", "Three", "Four"]});
        assert_eq!(
            answer(&values, "a.example", &request),
            "{\"values\":{\"One\":\"1\"}}\n"
        );
        assert_eq!(answer(&values, "c", &request), "{\"values\":{}}\n");
    }
}
