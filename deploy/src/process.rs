//! What the operating system may do with the memory of this process, which holds seeds: write none of it to disk.

use rustix::process::{Resource, Rlimit, setrlimit};

/// Forbids core dumps, and attaching to this process by others of the same user.
///
/// # Errors
/// When the operating system refuses, which a sandbox may make it do.
pub(crate) fn forbid_dumps() -> std::io::Result<()> {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    setrlimit(Resource::Core, none)?;
    // The limit alone is not heeded where the core pattern is a pipe.
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    Ok(())
}
