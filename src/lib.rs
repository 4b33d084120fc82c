//! A distribution's package-test CI as a library: requests, queues, workers, results and their store.
//!
//! The modules follow a request's way: [`request`] → [`broker`] → [`worker`] → [`testbed`] → [`result`] → [`store`] →
//! [`runs`] and [`index`]. The library never prints, prompts, exits or reads the environment; it returns values and
//! typed errors. Words, colours and exit codes belong to the program in `commands/`.

pub mod archive;
pub mod broker;
pub mod compare;
mod confined_folder;
pub mod duplicates;
pub mod environment;
pub mod excuses;
pub mod exit_code;
pub mod follow;
pub mod forge;
pub mod host;
pub mod http;
pub mod index;
pub mod launchpad;
mod owned;
mod pattern;
pub mod pulls;
pub mod release;
pub mod request;
pub mod result;
pub mod retry;
pub mod runs;
pub mod server_url;
pub mod site;
mod small_file;
mod sqlite;
pub mod status;
pub mod store;
pub mod submitted;
pub mod testbed;
pub mod verdict;
pub mod web;
pub mod worker;
