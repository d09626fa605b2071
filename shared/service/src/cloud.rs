//! Asks the cloud where this machine is, for whoever writes its name instead of a zone.
//!
//! Source: spec: microbus-wire 1.5, 13.20. One small answer over clear text from an address that only the machine's own
//! host serves; what it says becomes a locality or nothing.

use bytes::Bytes;
use microbus_wire::frame::{FrameError, Response};
use microbus_wire::locality::{Locality, LocalityError};
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::time::Duration;

/// A cloud that tells its machines where they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cloud {
    /// Amazon Web Services.
    Aws,
    /// Google Cloud Platform.
    Gcp,
}

/// Why a cloud did not say where this machine is.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CloudError {
    #[error("its metadata service cannot be reached ({0})")]
    Unreachable(#[from] io::Error),
    #[error("its metadata service does not speak HTTP ({0})")]
    Malformed(#[from] FrameError),
    #[error("its metadata service answers {0}")]
    Refused(u16),
    #[error("it names no zone that can be used: {0}")]
    Zone(#[from] LocalityError),
}

impl Cloud {
    /// Returns the cloud of this name, in any case.
    pub(crate) fn named(text: &str) -> Option<Self> {
        [("aws", Self::Aws), ("gcp", Self::Gcp)]
            .into_iter()
            .find(|(name, _)| text.eq_ignore_ascii_case(name))
            .map(|(_, cloud)| cloud)
    }

    /// Asks where this machine is, again while nobody is there: a machine may start before its network does. Takes some
    /// seconds at most.
    ///
    /// # Errors
    /// [`CloudError`], when the machine is in no such cloud.
    pub(crate) fn locality(self) -> Result<Locality, CloudError> {
        for _ in 1..ATTEMPTS {
            match self.ask(self.host()) {
                Err(CloudError::Unreachable(_)) => std::thread::sleep(BETWEEN_ATTEMPTS),
                outcome => return outcome,
            }
        }
        self.ask(self.host())
    }

    fn host(self) -> &'static str {
        match self {
            Self::Aws => "169.254.169.254:80",
            Self::Gcp => "metadata.google.internal:80",
        }
    }

    fn ask(self, host: &str) -> Result<Locality, CloudError> {
        let address = host
            .to_socket_addrs()?
            .next()
            .ok_or(io::ErrorKind::NotFound)
            .map_err(io::Error::from)?;
        let zone = match self {
            Self::Aws => aws_zone(address)?,
            Self::Gcp => content(&exchange(
                address,
                "GET /computeMetadata/v1/instance/zone",
                "Metadata-Flavor: Google",
            )?)?,
        };
        Ok(Locality::parse(&self.spelled(zone.trim()))?)
    }

    /// Spells a zone as the platform does, so that services of one zone prefer each other.
    fn spelled(self, zone: &str) -> String {
        match self {
            // The Go services take it as it is, although they mean to write us-east-1-a.
            Self::Aws => zone.to_owned(),
            // projects/415104041262/zones/us-east1-a is us-east-1-a.
            Self::Gcp => {
                let zone = zone.rsplit('/').next().unwrap_or(zone);
                let number = zone.find(|c: char| c.is_ascii_digit());
                match number.and_then(|at| zone.split_at_checked(at)) {
                    Some((region, rest)) => format!("{region}-{rest}"),
                    None => zone.to_owned(),
                }
            }
        }
    }
}

/// Most machines answer only who shows a session token, older ones know of none.
fn aws_zone(address: SocketAddr) -> Result<String, CloudError> {
    let session = exchange(
        address,
        "PUT /latest/api/token",
        "X-aws-ec2-metadata-token-ttl-seconds: 60",
    )?;
    let header = content(&session).map_or_else(
        |_| "Accept: text/plain".to_owned(),
        |token| format!("X-aws-ec2-metadata-token: {}", token.trim()),
    );
    let path = "GET /latest/meta-data/placement/availability-zone";
    content(&exchange(address, path, &header)?)
}

fn exchange(address: SocketAddr, request: &str, header: &str) -> Result<Response, CloudError> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let text = format!(
        "{request} HTTP/1.1\r\nHost: {}\r\n{header}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        address.ip()
    );
    stream.write_all(text.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(LARGEST_ANSWER).read_to_end(&mut answer)?;
    Ok(Response::parse(&Bytes::from(answer))?)
}

fn content(response: &Response) -> Result<String, CloudError> {
    match response.status {
        200 => Ok(String::from_utf8_lossy(&response.body).into_owned()),
        status => Err(CloudError::Refused(status)),
    }
}

const ATTEMPTS: usize = 3;
const BETWEEN_ATTEMPTS: Duration = Duration::from_secs(1);
/// As long as the Go services wait.
const PATIENCE: Duration = Duration::from_secs(2);
const LARGEST_ANSWER: u64 = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead as _, BufReader};
    use std::net::TcpListener;

    /// Serves these answers, one connection each, and returns the requests that came.
    fn ask(cloud: Cloud, answers: &[&str]) -> (Result<Locality, CloudError>, Vec<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let answers: Vec<_> = answers.iter().map(ToString::to_string).collect();
        let serving = std::thread::spawn(move || {
            answers
                .iter()
                .map(|answer| {
                    let (mut stream, _) = listener.accept().unwrap();
                    let lines = BufReader::new(stream.try_clone().unwrap()).lines();
                    let request: Vec<_> = lines
                        .map(Result::unwrap)
                        .take_while(|line| !line.is_empty())
                        .collect();
                    stream.write_all(answer.as_bytes()).unwrap();
                    request.join("\n")
                })
                .collect()
        });
        let outcome = cloud.ask(&host);
        (outcome, serving.join().unwrap())
    }

    fn answer(status: &str, body: &str) -> String {
        let length = body.len();
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}")
    }

    #[test]
    fn amazon_is_asked_with_a_session_token_where_it_gives_one() {
        let (found, requests) = ask(
            Cloud::Aws,
            &[
                &answer("200 OK", "planted=="),
                &answer("200 OK", "us-east-1a"),
            ],
        );
        assert_eq!(found.unwrap().as_str(), "us-east-1a");
        assert!(requests[0].starts_with("PUT /latest/api/token HTTP/1.1"));
        assert!(requests[1].contains("X-aws-ec2-metadata-token: planted=="));
        let (found, requests) = ask(
            Cloud::Aws,
            &[
                &answer("404 Not Found", ""),
                &answer("200 OK", "eu-west-2b\n"),
            ],
        );
        assert_eq!(found.unwrap().as_str(), "eu-west-2b");
        assert!(!requests[1].contains("X-aws"));
    }

    #[test]
    fn google_is_asked_with_its_header_and_its_zone_is_spelled_with_segments() {
        let zone = answer("200 OK", "projects/415104041262/zones/us-east1-a");
        let (found, requests) = ask(Cloud::Gcp, &[&zone]);
        assert_eq!(found.unwrap().as_str(), "us-east-1-a");
        assert!(requests[0].starts_with("GET /computeMetadata/v1/instance/zone HTTP/1.1"));
        assert!(requests[0].contains("Metadata-Flavor: Google"));
    }

    #[test]
    fn what_is_no_zone_is_an_error_that_says_why() {
        for (answer, expected) in [
            (answer("403 Forbidden", ""), "answers 403"),
            (answer("200 OK", "US_EAST"), "names no zone"),
            (answer("200 OK", ""), "names no zone"),
            ("SSH-2.0-OpenSSH_9.2\r\n".to_owned(), "does not speak HTTP"),
        ] {
            let (found, _) = ask(Cloud::Gcp, &[&answer]);
            let text = found.unwrap_err().to_string();
            assert!(text.contains(expected), "{text}");
        }
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
        let error = Cloud::Gcp.ask(&nobody.unwrap().to_string()).unwrap_err();
        assert!(error.to_string().contains("cannot be reached"), "{error}");
    }

    #[test]
    fn a_cloud_is_named_in_any_case() {
        assert_eq!(Cloud::named("AWS"), Some(Cloud::Aws));
        assert_eq!(Cloud::named("gcp"), Some(Cloud::Gcp));
        assert_eq!(Cloud::named("aws-1"), None);
    }
}
