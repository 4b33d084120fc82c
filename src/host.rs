//! The local machine.

/// Returns the host name; `localhost` when it is not known. Read from the kernel, not from the environment or a
/// resolver.
pub fn name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "localhost".to_owned() } else { name.to_owned() }
}
