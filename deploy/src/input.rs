//! What a command reads: named files, and standard input as `-`.

use crate::exit::Exit;
use crate::failure::Failure;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use zeroize::Zeroizing;

/// Reads the text of a file, or of standard input for `-`.
///
/// # Errors
/// [`Failure`] that names the file, when it cannot be read, is no text, or has more than 4 MiB.
pub(crate) fn text(path: &Path) -> Result<Zeroizing<String>, Failure> {
    if path == Path::new("-") {
        return read(io::stdin(), "standard input");
    }
    let place = path.display().to_string();
    let file =
        File::open(path).map_err(|error| Failure::caused(Exit::Configuration, &place, &error))?;
    read(file, &place)
}

fn read(from: impl Read, place: &str) -> Result<Zeroizing<String>, Failure> {
    let mut text = Zeroizing::new(String::new());
    from.take(LARGEST + 1)
        .read_to_string(&mut text)
        .map_err(|error| Failure::caused(Exit::Configuration, place, &error))?;
    if text.len() > usize::try_from(LARGEST).unwrap_or(usize::MAX) {
        let reason =
            format!("{place}: more than {LARGEST} bytes, which nothing that is read here has");
        return Err(Failure::new(Exit::Configuration, reason));
    }
    Ok(text)
}

const LARGEST: u64 = 4 << 20;
