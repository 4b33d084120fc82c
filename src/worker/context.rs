//! Everything that a slot's job and its run have in common.

use std::sync::Arc;

use super::Worker;
use super::board::{Phase, SlotBoard};
use super::stop::Stop;
use crate::broker::Contact;
use crate::testbed::settings::Settings;

/// Context of one job.
pub(super) struct Context<'a> {
    pub(super) worker: &'a Worker<'a>,
    pub(super) stop: &'a Stop,
    pub(super) board: &'a SlotBoard,
    /// Settings at the start of the job.
    pub(super) settings: Arc<Settings>,
}

impl Context<'_> {
    /// Records the phase of the test for operators, and for clients of the broker.
    pub(super) fn phase(&self, contact: &Contact, phase: Phase) {
        self.board.phase(phase);
        contact.phase(phase.name());
    }
}
