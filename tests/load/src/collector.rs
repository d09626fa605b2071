//! A collector of traces that reads what it is sent and keeps nothing.

use std::error::Error;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// Takes exports over HTTP until the program ends.
#[derive(Debug)]
pub(crate) struct Collector {
    address: SocketAddr,
    taken: Arc<AtomicU64>,
}

impl Collector {
    /// Opens a port on loopback.
    ///
    /// # Errors
    /// When there is no port or no thread to be had.
    pub(crate) fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let taken = Arc::<AtomicU64>::default();
        let count = Arc::clone(&taken);
        thread::Builder::new().spawn(move || {
            for stream in listener.incoming().flatten() {
                let count = Arc::clone(&count);
                // An exporter whose connection breaks opens another.
                thread::spawn(move || drop(serve(stream, &count)));
            }
        })?;
        Ok(Self { address, taken })
    }

    /// Returns the endpoint of traces.
    pub(crate) fn traces(&self) -> String {
        format!("http://{}/v1/traces", self.address)
    }

    /// Returns how many exports were taken.
    pub(crate) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }
}

/// Takes the exports of one connection, until it ends or what comes is no HTTP.
fn serve(stream: TcpStream, taken: &AtomicU64) -> Result<(), Box<dyn Error>> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut length = 0;
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse()?;
            }
        }
        io::copy(&mut reader.by_ref().take(length), &mut io::sink())?;
        taken.fetch_add(1, Ordering::Relaxed);
        reader.get_mut().write_all(TAKEN)?;
    }
}

const TAKEN: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_export_is_answered_once_it_was_read() {
        let collector = Collector::start().unwrap();
        let mut stream = TcpStream::connect(collector.address).unwrap();
        for _ in 0..2 {
            let head = "POST /v1/traces HTTP/1.1\r\ncontent-length: 100000\r\n\r\n";
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(&[7; 100_000]).unwrap();
            let mut answer = [0; TAKEN.len()];
            stream.read_exact(&mut answer).unwrap();
            assert_eq!(answer, TAKEN);
        }
        assert_eq!(collector.taken(), 2);
        assert!(collector.traces().ends_with("/v1/traces"));
    }
}
