//! Pull requests of projects at GitHub and GitLab, from the hook to the last status.

mod commands;
mod deaths;
mod doubt;
pub mod fixture;
mod life;
mod published;
mod refused;
mod strangers;

use std::sync::Arc;

use testkit::{Services, Trial};

pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    let areas = [
        published::trials,
        life::trials,
        deaths::trials,
        doubt::trials,
        refused::trials,
        strangers::trials,
        commands::trials,
    ];
    areas.into_iter().flat_map(|trials| trials(services)).collect()
}
