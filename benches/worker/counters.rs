//! Counters of the kernel for a process.

use std::fs;
use std::time::Duration;

/// A running process.
#[derive(Clone, Copy)]
pub struct Counters(u32);

impl Counters {
    /// Returns the counters of the process with this id.
    pub fn of(process: u32) -> Self {
        Self(process)
    }

    fn read(self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{file}", self.0)).expect("the process runs")
    }

    /// Returns the processor time in user and system mode, without its children's, in steps of 10 ms.
    pub fn processor(self) -> Duration {
        let text = self.read("stat");
        let fields: Vec<&str> = text.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        let ticks: u64 = [11, 12].map(|field| fields[field].parse::<u64>().expect("ticks")).iter().sum();
        Duration::from_millis(ticks * 10)
    }

    /// Returns the resident memory, in MiB.
    pub fn memory(self) -> f64 {
        let status = self.read("status");
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("resident memory");
        resident.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") / 1024.0
    }

    /// Returns the number of open files.
    pub fn files(self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.0)).expect("the process runs").count()
    }
}
