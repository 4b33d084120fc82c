//! Limits of a request's fields, the same for requests from every source.
//!
//! Most of a request becomes arguments of autopkgtest. Linux refuses to start a program with an argument of 128 KiB,
//! and stores refuse long names, so that a request beyond these limits could never be run or published.

use super::{InvalidRequest, Parameters, SourcePackage, TestSource};

/// Maximum size of a queue's message, in bytes. Everything within the other limits fits into it.
pub(super) const MAX_MESSAGE_BYTES: usize = 1 << 20;

/// A limit of one field.
struct Limit {
    field: &'static str,
    unit: &'static str,
    max: usize,
    measure: fn(&SourcePackage, &Parameters) -> usize,
}

/// The limits. Names of users, PPAs and ids have limits of their own types as well.
const LIMITS: [Limit; 11] = [
    Limit { field: "package", unit: "bytes", max: 128, measure: |package, _| package.as_str().len() },
    // All triggers are one argument.
    Limit { field: "triggers", unit: "bytes", max: 100_000, measure: |_, all| triggers(all) },
    Limit { field: "ppas", unit: "archives", max: 20, measure: |_, all| all.ppas.len() },
    Limit { field: "env", unit: "variables", max: 200, measure: |_, all| all.env.len() },
    Limit {
        field: "env",
        unit: "bytes in one variable",
        max: 64_000,
        measure: |_, all| all.env.iter().map(|one| one.as_str().len()).max().unwrap_or_default(),
    },
    // autopkgtest passes all variables, including the triggers, to the test's shell as one argument.
    Limit { field: "env and triggers", unit: "bytes together", max: 120_000, measure: |_, all| exported(all) },
    Limit {
        field: "testname",
        unit: "bytes",
        max: 250,
        measure: |_, all| all.testname.as_ref().map_or(0, |name| name.as_str().len()),
    },
    Limit {
        field: "branch address",
        unit: "bytes",
        max: 2_000,
        measure: |_, all| all.source.as_ref().map_or(0, address),
    },
    Limit { field: "readable-by", unit: "users", max: 100, measure: |_, all| all.readable_by.len() },
    Limit { field: "other parameters", unit: "parameters", max: 100, measure: |_, all| all.other.len() },
    Limit {
        field: "other parameters",
        unit: "bytes",
        max: 64_000,
        measure: |_, all| all.other.iter().map(|(name, value)| name.len() + value.to_string().len()).sum(),
    },
];

fn triggers(all: &Parameters) -> usize {
    all.triggers.iter().map(|one| one.package().as_str().len() + one.version().len() + 2).sum()
}

/// Returns the size of the shell commands that set the variables: `export 'NAME=VALUE'; ` for each.
fn exported(all: &Parameters) -> usize {
    const COMMAND: usize = "export ''; ".len();
    const TRIGGERS: usize = "ADT_TEST_TRIGGERS=".len() + COMMAND;
    let env: usize = all.env.iter().map(|one| one.as_str().len() + COMMAND).sum();
    env + triggers(all) + if all.triggers.is_empty() { 0 } else { TRIGGERS }
}

fn address(source: &TestSource) -> usize {
    match source {
        TestSource::TestGit(git) | TestSource::BuildGit(git) => git.url().len(),
        TestSource::TestBzr(bzr) => bzr.url().len(),
    }
}

/// Checks a request against all limits.
///
/// # Errors
/// Names the first field over its limit, with its size and the limit.
pub(super) fn check(package: &SourcePackage, parameters: &Parameters) -> Result<(), InvalidRequest> {
    LIMITS
        .iter()
        .try_for_each(|limit| bounded(limit.field, limit.unit, (limit.measure)(package, parameters), limit.max))
}

/// Checks one amount against its limit.
pub(super) fn bounded(field: &'static str, unit: &str, amount: usize, max: usize) -> Result<(), InvalidRequest> {
    if amount <= max {
        return Ok(());
    }
    Err(InvalidRequest::new(field, "", format!("{amount} {unit} are too many: the limit is {max}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::request::Request;
    use crate::request::line::Submission;

    fn parse(package: &str, parameters: &serde_json::Value) -> Result<Request, String> {
        let text = format!("{package}\n{parameters}");
        // A batch and a queue have the same limits.
        let line = Submission::parse_line(&format!("debci-noble-amd64:{}", text.replacen('\n', " ", 1)));
        let message = Request::parse(text.as_bytes()).map_err(|error| error.to_string());
        assert_eq!(line.map(|line| line.request).map_err(|error| error.to_string()), message);
        message
    }

    #[test]
    fn a_request_over_a_limit_is_refused_with_field_and_limit() {
        let many = |count: usize, text: &str| vec![text.to_owned(); count];
        let cases = [
            (json!({"triggers": many(10_000, "gzip/1.10-1")}), json!({"triggers": many(5_000, "gzip/1.10-1")})),
            (
                json!({"env": [format!("A={}", "x".repeat(64_000))]}),
                json!({"env": [format!("A={}", "x".repeat(60_000))]}),
            ),
            (json!({"env": many(201, "A=1")}), json!({"env": many(200, "A=1")})),
            // Together they are one argument of the test's shell, including the triggers.
            (
                json!({"env": many(2, &format!("A={}", "x".repeat(60_000)))}),
                json!({"env": many(2, &format!("A={}", "x".repeat(59_900)))}),
            ),
            (
                json!({"env": [format!("A={}", "x".repeat(60_000))], "triggers": many(5_500, "gzip/1.10-1")}),
                json!({"env": [format!("A={}", "x".repeat(40_000))], "triggers": many(5_500, "gzip/1.10-1")}),
            ),
            (json!({"testname": "t".repeat(251)}), json!({"testname": "t".repeat(250)})),
            (json!({"ppas": many(21, "a/b")}), json!({"ppas": many(20, "a/b")})),
            (json!({"readable-by": many(101, "bob")}), json!({"readable-by": many(100, "bob")})),
            (json!({"x": "y".repeat(64_000)}), json!({"x": "y".repeat(60_000)})),
            (
                json!({"test-git": format!("http://host/{}", "x".repeat(2_000))}),
                json!({"test-git": format!("http://host/{}", "x".repeat(1_900))}),
            ),
        ];
        for (beyond, within) in cases {
            let message = parse("gzip", &beyond).unwrap_err();
            assert!(message.contains("are too many: the limit is "), "{message}");
            let field = beyond.as_object().unwrap().keys().next().unwrap();
            assert!(["test-git", "x"].contains(&field.as_str()) || message.starts_with(field), "{message}");
            parse("gzip", &within).unwrap();
        }
        assert!(parse(&"a".repeat(129), &json!({})).unwrap_err().starts_with("package: 129 bytes"));
        let message = Request::parse(&vec![b' '; 2 << 20]).unwrap_err().to_string();
        assert_eq!(message, "request: 2097152 bytes are too many: the limit is 1048576");
    }
}
