//! Queries of the index.

use rusqlite::types::Value;

use super::row::{self, IS_BRANCH, IS_EVIDENCE, PPA};
use super::{Index, IndexError};
use crate::result::Outcome;
use crate::runs::{PackageSource, RunFilter, RunRef, StoredRun};
use crate::store::ContainerSize;

/// Prefix of a run id for its second.
pub(super) const SECOND: &str = "%Y%m%d_%H%M%S";

impl Index {
    /// Returns the runs that match a filter, newest first, at most `limit`; and whether there are more.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn runs(&self, question: &RunFilter, limit: usize) -> Result<(Vec<StoredRun>, bool), IndexError> {
        let SqlQuery { from, mut conditions, values } = SqlQuery::of(question);
        let outcome = outcome(&question.outcomes);
        let (newest, group) = if question.latest {
            conditions.push_str(&format!(" AND {IS_EVIDENCE} AND NOT {IS_BRANCH}"));
            // For each test, the newest run that meets the conditions: SQLite returns the other columns from the row
            // with the maximum. The outcome is applied afterwards.
            let group = format!(" GROUP BY test.release, test.architecture, test.package HAVING {outcome}");
            (", max(run.id)", group)
        } else {
            conditions.push_str(&format!(" AND {outcome}"));
            ("", String::new())
        };
        let sql = format!(
            "SELECT {}{newest} FROM {from} WHERE {conditions}{group} ORDER BY run.id DESC, test.release DESC, \
             test.architecture DESC, test.package DESC LIMIT {}",
            row::COLUMNS,
            limit.saturating_add(1).min(i64::MAX as usize)
        );
        self.with(|connection| {
            let mut statement = connection.prepare(&sql)?;
            let rows = statement.query_map(rusqlite::params_from_iter(values), row::read)?;
            let mut runs: Vec<StoredRun> = rows.collect::<Result<_, _>>()?;
            let more = runs.len() > limit;
            runs.truncate(limit);
            Ok((runs, more))
        })
    }

    /// Returns the runs for a run's id, path or URL, including those in private containers.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn with_id(&self, text: &str) -> Result<Vec<StoredRun>, IndexError> {
        let Some(meaning) = RunRef::parse(text) else { return Ok(Vec::new()) };
        let (id, container, path) = match &meaning {
            RunRef::Id(id) => (id, None, None),
            RunRef::Path { container, path, id } => (id, Some(container), Some(path)),
        };
        let sql = format!(
            "SELECT {} FROM run CROSS JOIN test ON test.id = run.test CROSS JOIN container ON container.id = test.container \
             LEFT JOIN cause ON cause.id = run.cause WHERE run.id = ?",
            row::COLUMNS
        );
        let mut runs: Vec<StoredRun> =
            self.with(|connection| connection.prepare(&sql)?.query_map([id.as_str()], row::read)?.collect())?;
        runs.retain(|run| {
            container.is_none_or(|container| run.container == *container) && path.is_none_or(|path| run.path == *path)
        });
        Ok(runs)
    }

    /// Returns whether the index is complete for a container. `amount` is the store's number and size of its objects.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn is_complete(&self, container: &str, amount: ContainerSize) -> Result<bool, IndexError> {
        let ContainerSize { objects, bytes } = amount;
        let container = container.to_owned();
        self.with(|connection| {
            let sql = "SELECT 1 FROM container WHERE name = ? AND objects = ? AND bytes = ? AND marker IS NULL AND checked > 0";
            connection.prepare(sql)?.exists(rusqlite::params![container, objects, bytes])
        })
    }
}

/// Returns the known exit codes of these outcomes, separated by commas; an error has countless others.
pub(super) fn codes(among: &[Outcome]) -> String {
    let known = Outcome::CODES.iter().filter(|code| among.contains(&Outcome::from_exit_code(**code)));
    known.map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Returns the condition for these outcomes; empty means all.
fn outcome(outcomes: &[Outcome]) -> String {
    if outcomes.is_empty() {
        return "1".to_owned();
    }
    // Codes that are not in the table are errors, so that the complement is used for them.
    if outcomes.contains(&Outcome::Error) {
        let others: Vec<Outcome> = Outcome::ALL.into_iter().filter(|outcome| !outcomes.contains(outcome)).collect();
        format!("(run.damaged OR run.exitcode NOT IN ({}))", codes(&others))
    } else {
        format!("(NOT run.damaged AND run.exitcode IN ({}))", codes(outcomes))
    }
}

/// A filter in SQL.
struct SqlQuery {
    from: &'static str,
    conditions: String,
    values: Vec<Value>,
}

impl SqlQuery {
    fn of(question: &RunFilter) -> Self {
        // CROSS JOIN makes SQLite keep the order of the tables.
        let from = if question.package.is_some() {
            "test CROSS JOIN run ON run.test = test.id CROSS JOIN container ON container.id = test.container \
             LEFT JOIN cause ON cause.id = run.cause"
        } else if question.trigger.is_some() {
            "cause CROSS JOIN run ON run.cause = cause.id CROSS JOIN test ON test.id = run.test \
             CROSS JOIN container ON container.id = test.container"
        } else {
            // Without the hint, SQLite would sort millions of runs to show the newest twenty.
            "run INDEXED BY run_by_time CROSS JOIN test ON test.id = run.test CROSS JOIN container ON container.id = test.container \
             LEFT JOIN cause ON cause.id = run.cause"
        };
        let mut asked = Self { from, conditions: "1".to_owned(), values: Vec::new() };
        let containers = question.releases.iter().flat_map(|release| question.origin.containers(release));
        asked.any("container.name", containers.map(Value::Text).collect());
        if let PackageSource::Ppa { name: Some(name), .. } = &question.origin {
            asked.add(&format!("coalesce({PPA} = ?, 1)"), name);
        }
        if let Some(package) = &question.package {
            asked.add("test.package = ?", package.as_str());
        }
        asked.any("test.release", question.releases.iter().map(|release| Value::Text(release.to_string())).collect());
        if let Some(architecture) = &question.architecture {
            asked.add("test.architecture = ?", architecture.as_str());
        }
        if let Some(pattern) = &question.trigger {
            let (beginning, is_whole) = pattern.beginning();
            let end = if is_whole { " " } else { "" };
            asked.add("instr(' ' || cause.triggers || ' ', ?) > 0", &format!(" {beginning}{end}"));
        }
        if let Some(requester) = &question.requester {
            asked.add("run.requester = ?", requester);
        }
        if let Some(since) = question.since {
            asked.add("run.id >= ?", &since.strftime(SECOND).to_string());
        }
        if let Some(until) = question.until {
            asked.add("run.id < ?", &until.strftime(SECOND).to_string());
        }
        asked
    }

    fn add(&mut self, condition: &str, value: &str) {
        self.conditions.push_str(" AND ");
        self.conditions.push_str(condition);
        self.values.push(Value::Text(value.to_owned()));
    }

    fn any(&mut self, column: &str, values: Vec<Value>) {
        let marks = vec!["?"; values.len()].join(", ");
        self.conditions.push_str(&format!(" AND {column} IN ({marks})"));
        self.values.extend(values);
    }
}
