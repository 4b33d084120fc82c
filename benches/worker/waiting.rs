//! Waiting for an idle worker.

use testkit::site::{TestSite, until};

/// Waits until this number of slots consumes the site's queue, which the worker may have to declare first.
pub fn until_slots_wait(site: &TestSite, slots: u32) {
    let name = site.queue_name();
    until("the worker waits", || {
        let queues = site.json(&["queues"]);
        let queues = queues.as_array().expect("a list of queues");
        queues.iter().any(|queue| queue["queue"] == name && queue["consumers"] == slots)
    });
}
