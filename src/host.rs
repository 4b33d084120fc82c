//! This machine.

/// Its name; `localhost` when the system does not tell. Read from the kernel: neither the environment nor a resolver is asked.
pub fn name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "localhost".to_owned() } else { name.to_owned() }
}
