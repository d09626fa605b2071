//! How long a process takes from nothing to its first token, and how much memory it then holds.

use crate::generator::now;
use crate::run::progress;
use crate::sample::MEBIBYTE;
use crate::summary::Startup;
use crate::target::{Bed, Implementation};
use crate::workload::Workload;
use std::error::Error;
use std::time::Duration;

/// Starts each implementation `rounds` times, in turns, and ends it again.
///
/// # Errors
/// When one does not start.
pub(crate) async fn measure(
    bed: &mut Bed,
    implementations: &[Implementation],
    workload: Workload,
    rounds: u16,
) -> Result<Vec<Startup>, Box<dyn Error>> {
    let mut starts: Vec<(String, Vec<(f64, f64)>)> = Vec::new();
    for round in 0..rounds {
        for (place, implementation) in implementations.iter().enumerate() {
            let mut target = bed.launch(implementation, workload).await?;
            target.until_ready()?;
            let first_token = (now() - target.started).as_secs_f64() * 1e3;
            tokio::time::sleep(REST).await;
            let memory = target.resident() as f64 / MEBIBYTE;
            progress(&format!(
                "start {}/{rounds}, {}: {first_token:.1} ms, {memory:.1} MiB",
                round + 1,
                target.name
            ))?;
            match starts.get_mut(place) {
                Some((_, list)) => list.push((first_token, memory)),
                None => starts.push((target.name, vec![(first_token, memory)])),
            }
        }
    }
    Ok(starts
        .into_iter()
        .map(|(name, list)| Startup::new(workload.operation, name, &list))
        .collect())
}

/// Long enough for what a process still does after its first token.
const REST: Duration = Duration::from_millis(500);
