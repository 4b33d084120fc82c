//! Everything that a slot's job and its run have in common.

use std::sync::Arc;

use super::Worker;
use super::live_status::{SlotReporter, TestPhase};
use super::shutdown::Shutdown;
use crate::broker::TestHandle;
use crate::testbed::settings::Settings;

/// Context of one job.
pub(super) struct Context<'a> {
    pub(super) worker: &'a Worker<'a>,
    pub(super) stop: &'a Shutdown,
    pub(super) reporter: &'a SlotReporter,
    /// Settings at the start of the job.
    pub(super) settings: Arc<Settings>,
}

impl Context<'_> {
    /// Records the phase of the test for operators, and for clients of the broker.
    pub(super) fn phase(&self, contact: &TestHandle, phase: TestPhase) {
        self.reporter.phase(phase);
        contact.phase(phase.name());
    }
}
