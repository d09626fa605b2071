//! What the kernel says about processes: CPU time and memory.

use std::fs;
use std::time::Duration;

/// A process that is watched, by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process(pub(crate) u32);

impl Process {
    /// Returns this program.
    pub(crate) fn own() -> Self {
        Self(std::process::id())
    }

    /// Returns the first child of this program with that name.
    pub(crate) fn child(name: &str) -> Option<Self> {
        let children = tasks(Self::own())
            .filter_map(|task| fs::read_to_string(format!("{task}/children")).ok())
            .collect::<String>();
        let mut children = children
            .split_whitespace()
            .filter_map(|id| id.parse().ok().map(Self));
        children.find(|child| {
            let known = fs::read_to_string(format!("/proc/{}/comm", child.0));
            known.is_ok_and(|known| known.trim() == name)
        })
    }

    /// Returns the CPU time of all its threads that still run, with the resolution of the scheduler: the sums in
    /// `/proc/<pid>/stat` include ended threads but count in hundredths of a second.
    pub(crate) fn cpu(self) -> Duration {
        let nanoseconds = tasks(self)
            .filter_map(|task| fs::read_to_string(format!("{task}/schedstat")).ok())
            .filter_map(|text| text.split(' ').next()?.parse::<u64>().ok())
            .sum();
        Duration::from_nanos(nanoseconds)
    }

    /// Returns the resident memory in bytes, 0 for a process that is gone.
    pub(crate) fn resident(self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0));
        status.map_or(0, |status| resident_in(&status))
    }
}

fn tasks(process: Process) -> impl Iterator<Item = String> {
    let folder = format!("/proc/{}/task", process.0);
    let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
    entries.map(move |entry| format!("{folder}/{}", entry.file_name().to_string_lossy()))
}

fn resident_in(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kibibytes.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_test_has_used_cpu_and_memory() {
        let own = Process::own();
        assert!(own.cpu() > Duration::ZERO);
        assert!(own.resident() > 100 * 1024);
    }

    #[test]
    fn memory_is_read_in_bytes() {
        assert_eq!(
            resident_in("VmPeak: 9 kB\nVmRSS:\t   1234 kB\n"),
            1234 * 1024
        );
        assert_eq!(resident_in(""), 0);
    }
}
