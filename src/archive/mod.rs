//! The package archive: its distributions, and the pockets of its releases.

mod distribution;
mod pocket;

pub use self::distribution::{Distribution, has_deb822_sources};
pub use self::pocket::{InvalidPocket, NoPocket, Pocket, Pockets, has_own_i386};
