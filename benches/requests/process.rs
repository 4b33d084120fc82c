//! Measurement of whole processes.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Returns how long a process takes with this input, and its peak memory, in MiB.
pub fn measure(command: &mut Command, input: &str) -> (Duration, f64) {
    let started = Instant::now();
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("it starts");
    child.stdin.take().expect("its input").write_all(input.as_bytes()).expect("it reads");
    let mut peak = 0.0_f64;
    let status = loop {
        let memory = fs::read_to_string(format!("/proc/{}/status", child.id())).ok();
        let line = memory.iter().flat_map(|text| text.lines()).find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
        peak = peak.max(kilobytes.unwrap_or_default() / 1024.0);
        match child.try_wait().expect("its end") {
            Some(status) => break status,
            None => std::thread::sleep(Duration::from_millis(1)),
        }
    };
    assert!(status.success(), "{command:?}");
    (started.elapsed(), peak)
}
