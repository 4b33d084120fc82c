//! Statistics of many runs, from the index.

use jiff::Timestamp;
use rusqlite::params;

use super::query::{SECOND, codes};
use super::row::{self, IS_BRANCH, IS_EVIDENCE};
use super::{Index, IndexError};
use crate::release::{Architecture, Release};
use crate::result::Outcome;
use crate::result::layout::container;
use crate::runs::{Day, Days, FlakyTest, FlakyTests, SameVersions};

impl Index {
    /// Returns the statistics of a release's days, oldest first, with an entry for each architecture.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn days(
        &self,
        release: &Release,
        architecture: Option<&Architecture>,
        since: Timestamp,
    ) -> Result<Vec<Day>, IndexError> {
        self.with(|connection| {
            let mut days = Days::default();
            // Joined test by test, so that only this release's part of the index is read.
            let mut statement = connection.prepare(
                "SELECT run.id, run.exitcode, run.duration, test.architecture, run.damaged \
                 FROM container CROSS JOIN test ON test.container = container.id CROSS JOIN run ON run.test = test.id \
                 WHERE container.name = ?1 AND test.release = ?2 AND run.id >= ?3 AND (?4 IS NULL OR test.architecture = ?4)",
            )?;
            let mut rows = statement.query(params![
                container(release),
                release.as_str(),
                since.strftime(SECOND).to_string(),
                architecture.map(Architecture::as_str),
            ])?;
            while let Some(row) = rows.next()? {
                if let Some(place) = days.architecture(row.get_ref(3)?.as_str()?) {
                    let outcome = row::outcome(row.get(1)?, row.get(4)?);
                    days.add(place, row.get_ref(0)?.as_str()?, outcome, row.get(2)?);
                }
            }
            Ok(days.finish())
        })
    }

    /// Returns the flaky tests of a release, the worst first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn flaky(
        &self,
        release: &Release,
        architecture: Option<&Architecture>,
        since: Timestamp,
    ) -> Result<Vec<FlakyTest>, IndexError> {
        self.with(|connection| {
            let count = |outcomes: &[Outcome]| format!("sum(run.exitcode IN ({}))", codes(outcomes));
            let (passed, failed) = (count(&[Outcome::Pass, Outcome::Neutral]), count(&[Outcome::Fail]));
            let tmpfailed = count(&[Outcome::Tmpfail]);
            let mut statement = connection.prepare(&format!(
                "SELECT test.package, test.architecture, run.version, {passed}, {failed}, {tmpfailed}, max(run.id) \
                 FROM container CROSS JOIN test ON test.container = container.id CROSS JOIN run ON run.test = test.id \
                 CROSS JOIN cause ON cause.id = run.cause \
                 WHERE container.name = ?1 AND test.release = ?2 AND run.id >= ?3 AND (?4 IS NULL OR test.architecture = ?4) \
                     AND cause.triggers NOT IN ('', 'migration-reference/0') AND {IS_EVIDENCE} AND NOT {IS_BRANCH} \
                 GROUP BY run.test, run.version, run.cause",
            ))?;
            let mut rows = statement.query(params![
                container(release),
                release.as_str(),
                since.strftime(SECOND).to_string(),
                architecture.map(Architecture::as_str),
            ])?;
            let mut found = FlakyTests::default();
            while let Some(row) = rows.next()? {
                let newest = row.get_ref(6)?.as_str()?.parse().ok();
                let same =
                    SameVersions { passed: row.get(3)?, failed: row.get(4)?, tmpfailed: row.get(5)?, newest };
                let text = |column| row.get_ref(column)?.as_str().map_err(rusqlite::Error::from);
                found.add(text(0)?, text(1)?, text(2)?, &same);
            }
            Ok(found.finish())
        })
    }
}
