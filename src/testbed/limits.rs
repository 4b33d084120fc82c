//! Time limits of a test: autopkgtest's own, and the worker's beyond them.

use std::time::Duration;

/// Maximum number of tests that extend the limit. Hardly any package has more, and 100 tests already have many days.
pub const MAX_COUNTED_TESTS: u32 = 100;

/// Time limits in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Limit for short commands in the testbed.
    pub short: u64,
    /// Limit for installing packages and for setup commands.
    pub install: u64,
    /// Limit for one test.
    pub test: u64,
    /// Limit for copying files to and from the testbed.
    pub copy: u64,
    /// Limit for building the package.
    pub build: u64,
    /// Time beyond all of them after which an autopkgtest that hangs is ended.
    pub margin: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { short: 300, install: 3000, test: 10_000, copy: 900, build: 20_000, margin: 600 }
    }
}

impl Limits {
    /// Returns autopkgtest's limits, each with the name of its option.
    pub fn options(&self) -> [(&'static str, u64); 5] {
        let Self { short, install, test, copy, build, margin: _ } = *self;
        [("short", short), ("install", install), ("test", test), ("copy", copy), ("build", build)]
    }

    /// Returns the time after which an autopkgtest hangs whose log announces this number of tests.
    ///
    /// Output of a test can look like an announcement, so no log gets more time than a package with
    /// [`MAX_COUNTED_TESTS`] tests.
    pub fn hard(&self, tests: u32) -> Duration {
        let further = tests.min(MAX_COUNTED_TESTS).saturating_sub(1);
        self.total().saturating_add(self.per_test().saturating_mul(further))
    }

    /// Returns the time after which autopkgtest hangs if it has begun one test at most.
    pub fn total(&self) -> Duration {
        let sum = self.options().iter().fold(self.margin, |sum, (_, seconds)| sum.saturating_add(*seconds));
        Duration::from_secs(sum)
    }

    /// Returns the additional time for each further test.
    pub fn per_test(&self) -> Duration {
        Duration::from_secs(self.test.saturating_add(self.install).saturating_add(self.copy))
    }

    /// Returns the limits, each multiplied with its factor.
    pub(super) fn times(&self, factors: Factors) -> Self {
        let Factors { all, test, build } = factors;
        Self {
            short: self.short.saturating_mul(all),
            install: self.install.saturating_mul(all),
            test: self.test.saturating_mul(test).saturating_mul(all),
            copy: self.copy.saturating_mul(all),
            build: self.build.saturating_mul(build).saturating_mul(all),
            margin: self.margin,
        }
    }
}

/// Factors of the time limits. The factor of a slow architecture multiplies those of long and big packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Factors {
    pub(super) all: u64,
    pub(super) test: u64,
    pub(super) build: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_architecture_multiplies_what_a_package_gets() {
        let limits = Limits::default();
        let times = |all, test, build| limits.times(Factors { all, test, build });
        assert_eq!(times(1, 1, 1), limits);
        assert_eq!(times(1, 4, 2), Limits { test: 40_000, build: 40_000, ..limits });
        let slow = Limits { short: 1200, install: 12_000, test: 40_000, copy: 3600, build: 80_000, margin: 600 };
        assert_eq!(times(4, 1, 1), slow);
        assert_eq!(times(4, 4, 2), Limits { test: 160_000, build: 160_000, ..slow });
        assert_eq!(times(4, 2, 1), Limits { test: 80_000, ..slow });
    }

    #[test]
    fn the_hard_limit_is_beyond_all_others_and_never_overflows() {
        assert_eq!(Limits::default().total(), Duration::from_secs(34_800));
        assert_eq!(Limits::default().per_test(), Duration::from_secs(13_900));
        let (limits, most) = (Limits::default(), Duration::from_secs(34_800 + 99 * 13_900));
        assert_eq!([0, 1].map(|tests| limits.hard(tests)), [limits.total(); 2]);
        assert_eq!(limits.hard(3), limits.total() + 2 * limits.per_test());
        assert_eq!([100, 101, u32::MAX].map(|tests| limits.hard(tests)), [most; 3], "whatever a test prints");
        let endless = Limits { test: u64::MAX, ..Limits::default() };
        assert_eq!(endless.times(Factors { all: 4, test: 1, build: 1 }).total(), Duration::from_secs(u64::MAX));
        assert_eq!(endless.hard(u32::MAX), Duration::MAX);
    }
}
