//! One blocking connection to the broker that costs next to nothing: one write and one read per batch of messages.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use memchr::memmem;
use nkeys::KeyPair;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;
use thiserror::Error;

/// A connection that is logged in and hears the replies to one instance.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
    /// Where unread bytes begin and end in `input`.
    start: usize,
    end: usize,
}

/// A message of the server, borrowed from what was read.
#[derive(Debug, PartialEq, Eq)]
enum Frame<'a> {
    Message(&'a [u8]),
    Ping,
    Refusal(&'a [u8]),
    Other,
}

impl Connection {
    /// Connects to `nats://host:port` with the text of a `.creds` file and subscribes to `pattern`.
    ///
    /// # Errors
    /// [`ConnectionError`] when the server cannot be reached or refuses the credentials.
    pub(crate) fn open(
        url: &str,
        credentials: &str,
        pattern: &str,
    ) -> Result<Self, ConnectionError> {
        let address = url.strip_prefix("nats://").unwrap_or(url);
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE))?;
        let mut connection = Self {
            stream,
            input: vec![0; INPUT_BYTES],
            start: 0,
            end: 0,
        };
        let greeting = connection.line()?;
        let connect = login(&greeting, credentials)?;
        let commands = format!("CONNECT {connect}\r\nSUB {pattern} 1\r\nPING\r\n");
        connection.send(commands.as_bytes())?;
        while connection.line()? != "PONG" {}
        Ok(connection)
    }

    /// Sets how long a read waits for a byte, [`SILENCE`] at first.
    ///
    /// # Errors
    /// [`ConnectionError::Lost`].
    pub(crate) fn wait_at_most(&mut self, limit: Duration) -> Result<(), ConnectionError> {
        Ok(self.stream.set_read_timeout(Some(limit))?)
    }

    /// Writes whole commands.
    ///
    /// # Errors
    /// [`ConnectionError::Lost`].
    pub(crate) fn send(&mut self, commands: &[u8]) -> Result<(), ConnectionError> {
        Ok(self.stream.write_all(commands)?)
    }

    /// Reads once and hands each whole message to `take`. Returns whether anything came in time.
    ///
    /// # Errors
    /// [`ConnectionError`] when the connection is lost or the server refuses something.
    pub(crate) fn receive(&mut self, mut take: impl FnMut(&[u8])) -> Result<bool, ConnectionError> {
        if !self.fill()? {
            return Ok(false);
        }
        let mut ping = false;
        let mut unread = self.input.get(self.start..self.end).unwrap_or_default();
        while let Some((frame, length)) = frame(unread) {
            match frame {
                Frame::Message(payload) => take(payload),
                Frame::Ping => ping = true,
                Frame::Refusal(text) => return Err(refusal(text)),
                Frame::Other => {}
            }
            self.start += length;
            unread = unread.get(length..).unwrap_or_default();
        }
        if ping {
            self.send(b"PONG\r\n")?;
        }
        Ok(true)
    }

    /// Reads one line of the login.
    fn line(&mut self) -> Result<String, ConnectionError> {
        loop {
            let unread = self.input.get(self.start..self.end).unwrap_or_default();
            if let Some(length) = memmem::find(unread, b"\r\n") {
                let line = unread.get(..length).unwrap_or_default();
                let text = String::from_utf8_lossy(line).into_owned();
                self.start += length + 2;
                if text.starts_with("-ERR") {
                    return Err(ConnectionError::Refused(text));
                }
                return Ok(text);
            }
            if !self.fill()? {
                return Err(io::Error::from(ErrorKind::TimedOut).into());
            }
        }
    }

    /// Reads once behind what is unread; `false` when nothing came in time.
    fn fill(&mut self) -> Result<bool, ConnectionError> {
        if self.input.len() - self.end < READ_BYTES {
            self.input.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            let needed = self.end + READ_BYTES;
            self.input.resize(needed.max(self.input.len()), 0);
        }
        let free = self.input.get_mut(self.end..).unwrap_or_default();
        match self.stream.read(free) {
            Ok(0) => Err(io::Error::from(ErrorKind::UnexpectedEof).into()),
            Ok(length) => {
                self.end += length;
                Ok(true)
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Returns the JSON after CONNECT: the JWT of the credentials and the server's challenge, signed.
fn login(greeting: &str, credentials: &str) -> Result<String, ConnectionError> {
    let information = greeting.strip_prefix("INFO ").unwrap_or_default();
    let information: serde_json::Value =
        serde_json::from_str(information).map_err(|_| ConnectionError::Greeting)?;
    let nonce = information.get("nonce").and_then(|nonce| nonce.as_str());
    let nonce = nonce.ok_or(ConnectionError::Greeting)?;

    // The JWT is the first line that is no decoration, the seed the last.
    let mut lines = credentials.lines().filter(|line| !line.contains(' '));
    let jwt = lines.find(|line| line.contains('.'));
    let seed = lines.rfind(|line| line.starts_with("SU"));
    let (Some(jwt), Some(seed)) = (jwt, seed) else {
        return Err(ConnectionError::Credentials);
    };
    let key = KeyPair::from_seed(seed).map_err(|_| ConnectionError::Credentials)?;
    let signature = key
        .sign(nonce.as_bytes())
        .map_err(|_| ConnectionError::Credentials)?;
    Ok(serde_json::json!({
        "verbose": false, "pedantic": false, "tls_required": false, "lang": "rust", "version": "1",
        "protocol": 1, "echo": true, "headers": false, "no_responders": false,
        "jwt": jwt, "sig": URL_SAFE_NO_PAD.encode(signature),
    })
    .to_string())
}

/// Returns the first whole frame and its length.
fn frame(unread: &[u8]) -> Option<(Frame<'_>, usize)> {
    let line_length = memchr::memchr(b'\n', unread)? + 1;
    let line = unread.get(..line_length)?.trim_ascii_end();
    if line.starts_with(b"MSG ") {
        let size = line.rsplit(|byte| *byte == b' ').next()?;
        let size: usize = std::str::from_utf8(size).ok()?.parse().ok()?;
        let end = line_length + size;
        // The line end after the payload belongs to the frame.
        unread.get(end + 1)?;
        return Some((Frame::Message(unread.get(line_length..end)?), end + 2));
    }
    let frame = match line {
        b"PING" => Frame::Ping,
        line if line.starts_with(b"-ERR") => Frame::Refusal(line),
        _ => Frame::Other,
    };
    Some((frame, line_length))
}

fn refusal(text: &[u8]) -> ConnectionError {
    ConnectionError::Refused(String::from_utf8_lossy(text).into_owned())
}

/// Why the generator has no connection.
#[derive(Debug, Error)]
pub(crate) enum ConnectionError {
    /// The socket failed.
    #[error("the connection to the broker is lost: {0}")]
    Lost(#[from] io::Error),
    /// The first line is not that of a server in operator mode.
    #[error("the broker asks for no signature; it must run in operator mode")]
    Greeting,
    /// The text is no `.creds` file.
    #[error("the credentials hold no JWT with a user's seed")]
    Credentials,
    /// The server said so.
    #[error("the broker refuses: {0}")]
    Refused(String),
}

/// After this time without a byte, whatever is unanswered counts as lost. It is far above any latency of a closed
/// loop, and far below the budget of the requests.
pub(crate) const SILENCE: Duration = Duration::from_secs(1);
const INPUT_BYTES: usize = 1 << 20;
const READ_BYTES: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_a_frame_only_when_it_is_whole() {
        let bytes = b"MSG a.b 1 5\r\nhe\r\no\r\nPING\r\n";
        let whole = frame(bytes).unwrap();
        assert_eq!(whole, (Frame::Message(b"he\r\no"), 20));
        for length in 0..20 {
            assert_eq!(frame(&bytes[..length]), None, "{length}");
        }
        assert_eq!(frame(&bytes[20..]), Some((Frame::Ping, 6)));
    }

    #[test]
    fn what_the_server_refuses_is_told_from_what_it_confirms() {
        let refused = frame(b"-ERR 'Permissions Violation'\r\n").unwrap().0;
        assert_eq!(refused, Frame::Refusal(b"-ERR 'Permissions Violation'"));
        assert_eq!(frame(b"+OK\r\n"), Some((Frame::Other, 5)));
    }

    #[test]
    fn a_login_signs_the_challenge_with_the_seed_of_the_credentials() {
        let key = KeyPair::new_user();
        let credentials = format!(
            "-----BEGIN NATS USER JWT-----\nh.p.s\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
            key.seed().unwrap()
        );
        let connect = login("INFO {\"nonce\":\"abc\"}", &credentials).unwrap();
        let connect: serde_json::Value = serde_json::from_str(&connect).unwrap();
        assert_eq!(connect["jwt"], "h.p.s");
        let signature = URL_SAFE_NO_PAD.decode(connect["sig"].as_str().unwrap());
        key.verify(b"abc", &signature.unwrap()).unwrap();
        assert!(login("INFO {}", &credentials).is_err());
    }
}
