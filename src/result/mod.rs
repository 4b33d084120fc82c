//! Results of test runs: the [`outcome`], the files as a [`bundle`], their location in the store ([`layout`]), and the
//! summary in the store's listing ([`listing`]).

mod artifacts;
pub mod bundle;
mod encoding;
mod facts;
pub mod layout;
pub mod listing;
mod log;
mod manifest;
mod material;
mod options;
pub mod outcome;
pub mod proof;
mod record;
mod redact;
pub mod sections;
mod sources;

pub use self::bundle::{Bundle, BundleError, BundleFile, pack};
pub use self::layout::{PackagePath, Place, RunId};
pub use self::listing::RunSummary;
pub use self::log::{KEEP_HEAD, KEEP_TAIL};
pub use self::material::Material;
pub use self::options::RunOptions;
pub use self::outcome::Outcome;
pub use self::proof::{Proof, ProofItem, ProofKind, ProofVerdict};
pub use self::record::RequestRecord;
pub use self::redact::Redactor;
