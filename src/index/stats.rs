//! Figures of many runs, from the index.

use std::collections::HashMap;

use jiff::Timestamp;
use rusqlite::params;

use super::ask::SECOND;
use super::{Index, IndexError};
use crate::release::{Architecture, Release};
use crate::result::layout::container;
use crate::runs::{Day, Days, Flaky, FlakyTests, SameVersions};

impl Index {
    /// How a release's days went, oldest first, with an entry for each architecture.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn days(
        &self,
        release: &Release,
        architecture: Option<&Architecture>,
        since: Timestamp,
    ) -> Result<Vec<Day>, IndexError> {
        self.with(|connection| {
            let mut days = Days::default();
            let mut of_test: HashMap<i64, usize> = HashMap::new();
            let mut tests = connection.prepare(
                "SELECT test.id, test.architecture FROM test JOIN container ON container.id = test.container \
                 WHERE container.name = ? AND test.release = ?",
            )?;
            let mut rows = tests.query(params![container(release), release.as_str()])?;
            while let Some(row) = rows.next()? {
                let name = row.get_ref(1)?.as_str()?;
                if architecture.is_none_or(|wanted| wanted.as_str() == name)
                    && let Some(place) = days.architecture(name)
                {
                    of_test.insert(row.get(0)?, place);
                }
            }
            // All that is needed is in the index over times: the table itself is not read.
            let mut runs = connection
                .prepare("SELECT id, test, exitcode, duration FROM run INDEXED BY run_by_time WHERE id >= ?")?;
            let mut rows = runs.query([since.strftime(SECOND).to_string()])?;
            while let Some(row) = rows.next()? {
                if let Some(place) = of_test.get(&row.get(1)?) {
                    days.add(*place, row.get_ref(0)?.as_str()?, row.get(2)?, row.get(3)?);
                }
            }
            Ok(days.finish())
        })
    }

    /// The flaky tests of a release, the worst first.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn flaky(
        &self,
        release: &Release,
        architecture: Option<&Architecture>,
        since: Timestamp,
    ) -> Result<Vec<Flaky>, IndexError> {
        self.with(|connection| {
            let mut statement = connection.prepare(
                "SELECT test.package, test.architecture, run.version, sum(run.exitcode IN (0, 2, 8)), \
                     sum(run.exitcode IN (4, 6, 12, 14)), sum(run.exitcode = 16), max(run.id) \
                 FROM container CROSS JOIN test ON test.container = container.id CROSS JOIN run ON run.test = test.id \
                 WHERE container.name = ?1 AND test.release = ?2 AND run.id >= ?3 AND (?4 IS NULL OR test.architecture = ?4) \
                 GROUP BY run.test, run.version, run.cause",
            )?;
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
