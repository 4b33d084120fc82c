//! Results of test runs: the [`outcome`], the files as a [`bundle`], their location in the store ([`layout`]), and the
//! summary in the store's listing ([`listing`]).

mod artifacts;
pub mod bundle;
mod bundle_input;
mod encoding;
mod facts;
pub mod layout;
pub mod listing;
mod log;
mod manifest;
mod options;
pub mod outcome;
pub mod proof;
mod record;
mod redact;
mod run_id;
pub mod sections;
mod sources;

pub use self::bundle::{Bundle, BundleError, BundleFile, pack};
pub use self::bundle_input::BundleInput;
pub use self::layout::{PackagePath, ResultLocation};
pub use self::listing::RunSummary;
pub use self::log::{MAX_LOG_HEAD, MAX_LOG_TAIL};
pub use self::options::RunOptions;
pub use self::outcome::Outcome;
pub use self::proof::{Proof, ProofItem, ProofKind, ProofVerdict};
pub use self::record::RequestRecord;
pub use self::redact::Redactor;
pub use self::run_id::{InvalidRunId, RunId};
