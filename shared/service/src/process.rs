//! What the operating system may do with the memory of this process: write none of it to disk.

use rustix::process::{Resource, Rlimit, setrlimit};

/// Forbids core dumps, and attaching to this process by others of the same user.
///
/// Both ways, since a core pattern that is a pipe heeds no limit, and a limit holds where dumpable is set again by `exec`.
///
/// # Errors
/// When the operating system refuses, which a sandbox may make it do.
pub fn forbid_dumps() -> std::io::Result<()> {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    setrlimit(Resource::Core, none)?;
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    Ok(())
}
