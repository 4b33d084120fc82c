//! The sections of autopkgtest's log: which lines belong to which test.
//!
//! autopkgtest marks them with lines of its own, such as
//!
//! ```text
//! autopkgtest [11:22:04]: test smoke: preparing testbed
//! autopkgtest [11:22:05]: test smoke: [-----------------------
//! autopkgtest [11:22:06]: test smoke: -----------------------]
//! autopkgtest [11:22:06]: test smoke:  - - - - - - - - - - results - - - - - - - - - -
//! smoke                PASS
//! autopkgtest [11:22:07]: @@@@@@@@@@@@@@@@@@@@ summary
//! ```
//!
//! From version 5.29 on, a line may begin with the seconds since the start: `  5s autopkgtest …`.

const OUTPUT_BEGINS: &str = "[-----------------------";
const OUTPUT_ENDS: &str = "-----------------------]";
const HEADING: &str = "@@@@@@@@@@@@@@@@@@@@ ";

/// Finds the section of each line of a log.
#[derive(Debug, Default)]
pub struct Sections {
    test: Option<String>,
    /// Whether the lines are a test's own output, which may look like a mark, above all when the test runs autopkgtest.
    in_output: bool,
}

impl Sections {
    /// Returns the test whose section the next line belongs to; `None` for lines about all tests.
    pub fn next(&mut self, line: &[u8]) -> Option<&str> {
        if let Some(mark) = mark(line) {
            self.pass(mark);
        }
        self.test.as_deref()
    }

    fn pass(&mut self, mark: &str) {
        if let Some(heading) = mark.strip_prefix(HEADING) {
            // The summary ends every section, however the test ended.
            if !self.in_output || heading.trim_end() == "summary" {
                (self.test, self.in_output) = (None, false);
            }
            return;
        }
        let Some((name, what)) = mark.strip_prefix("test ").and_then(|rest| rest.split_once(": ")) else { return };
        let what = what.trim_end();
        if self.in_output {
            self.in_output = !(what == OUTPUT_ENDS && self.test.as_deref() == Some(name));
            return;
        }
        self.in_output = what == OUTPUT_BEGINS;
        if self.test.as_deref() != Some(name) {
            self.test = Some(name.to_owned());
        }
    }
}

/// Returns autopkgtest's own message in a line.
fn mark(line: &[u8]) -> Option<&str> {
    // Most lines are not marks and need not even be text.
    let start = line.iter().position(|byte| *byte != b' ')?;
    let rest = line.get(start..)?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let rest = match rest.get(digits..)?.strip_prefix(b"s ") {
        Some(after) if digits > 0 => after,
        _ => rest,
    };
    let rest = rest.strip_prefix(b"autopkgtest [")?;
    let rest = std::str::from_utf8(rest).ok()?;
    let (time, said) = rest.split_once("]: ")?;
    (time.len() <= 8).then_some(said)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LOG: &str = "\
autopkgtest [11:22:00]: starting date and time: 2026-11-26 11:22:00+0000
autopkgtest [11:22:01]: @@@@@@@@@@@@@@@@@@@@ apt-source gzip
Get:1 http://deb.example gzip 1.12-1 (dsc)
autopkgtest [11:22:02]: testing package gzip version 1.12-1
autopkgtest [11:22:03]: test one: preparing testbed
Reading package lists...
autopkgtest [11:22:04]: test one: [-----------------------
autopkgtest [00:00:01]: test two: [-----------------------
autopkgtest [00:00:01]: @@@@@@@@@@@@@@@@@@@@ test bed setup
it works
autopkgtest [11:22:05]: test one: -----------------------]
autopkgtest [11:22:05]: test one:  - - - - - - - - - - results - - - - - - - - - -
one                  PASS
  9s autopkgtest [11:22:06]: test two: preparing testbed
 10s autopkgtest [11:22:07]: test two: [-----------------------
 10s boom
 11s autopkgtest [11:22:08]: @@@@@@@@@@@@@@@@@@@@ summary
 11s one                  PASS
 11s two                  FAIL timed out
";

    #[test]
    fn each_line_belongs_to_a_test_or_to_all() {
        let mut sections = Sections::default();
        let tests: Vec<&str> = LOG
            .lines()
            .map(|line| match sections.next(line.as_bytes()) {
                None => "",
                Some("one") => "one",
                Some("two") => "two",
                Some(other) => panic!("{other}"),
            })
            .collect();
        let expected = [&[""; 4][..], &["one"; 9], &["two"; 3], &[""; 3]].concat();
        assert_eq!(tests, expected);
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(lines in proptest::collection::vec("(  [0-9]{0,3}s )?autopkgtest \\[[0-9:]{0,9}\\]: (test [a-z ]{0,4}: )?(\\[?-{0,23}\\]?|@{0,20} [a-z]{0,8})|\\PC{0,30}", 0..20), bytes: Vec<u8>) {
            let mut sections = Sections::default();
            for line in lines {
                let _ = sections.next(line.as_bytes());
            }
            let _ = sections.next(&bytes);
        }
    }
}
