//! Everything that a slot's job and its run have in common.

use std::sync::Arc;

use super::Worker;
use super::board::{Phase, SlotBoard};
use super::stop::Stop;
use crate::broker::Contact;
use crate::testbed::settings::Settings;

/// The surroundings of one job.
pub(super) struct Context<'a> {
    pub(super) worker: &'a Worker<'a>,
    pub(super) stop: &'a Stop,
    pub(super) board: &'a SlotBoard,
    /// Settings that the job began with.
    pub(super) settings: Arc<Settings>,
}

impl Context<'_> {
    /// Shows how far the test has come, on the board and to clients of the broker.
    pub(super) fn phase(&self, contact: &Contact, phase: Phase) {
        self.board.phase(phase);
        contact.phase(phase.name());
    }
}
