//! What a test run leaves: its [`outcome`], its files as a [`bundle`], their place in the store ([`layout`]) and what the
//! store's listing tells about it ([`listing`]).

pub mod bundle;
pub mod layout;
pub mod listing;
pub mod outcome;

pub use self::bundle::{Bundle, BundleError, Material, pack};
pub use self::layout::{PackagePath, RunId};
pub use self::listing::RunSummary;
pub use self::outcome::Outcome;
