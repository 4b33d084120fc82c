//! Joins the pieces of a growing log, each of which has its first lines, a divider, and its end.

/// Text that stands for what a worker leaves out between the first lines and the end.
const DIVIDER: &str = "\n[...]\n";

/// The log as far as it has been seen.
#[derive(Default)]
pub struct Stitcher {
    /// The end of what was seen last.
    end: String,
}

/// New text in a further piece of a log.
#[derive(Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// Whether something before it was never seen.
    pub has_gap: bool,
    /// The new text.
    pub text: &'a str,
}

impl Stitcher {
    /// Returns what is new in this piece. Where lines repeat, the longest overlap counts, so that nothing is shown
    /// twice.
    pub fn add<'a>(&mut self, look: &'a str) -> Piece<'a> {
        let (end, shortened) = match look.split_once(DIVIDER) {
            Some((_, end)) => (end, true),
            None => (look, false),
        };
        let piece = if self.end.is_empty() {
            Piece { has_gap: false, text: look }
        } else {
            match overlap(&self.end, end) {
                Some(length) => Piece { has_gap: false, text: end.get(length..).unwrap_or_default() },
                // A whole log that does not continue what was seen is another one: the test has started again.
                None => Piece { has_gap: shortened, text: end },
            }
        };
        if !end.is_empty() {
            end.clone_into(&mut self.end);
        }
        piece
    }

    /// Returns what the end of a finished log has after what was seen, or `None` if it does not have that.
    ///
    /// When nothing was seen, nothing is missing.
    pub fn rest<'a>(&self, end: &'a str) -> Option<&'a str> {
        end.get(end.rfind(&self.end)? + self.end.len()..)
    }
}

/// Returns the length of the beginning of `new` that is the end of `old`, from the start of one of its lines.
fn overlap(old: &str, new: &str) -> Option<usize> {
    let starts = std::iter::once(0).chain(old.match_indices('\n').map(|(at, _)| at + 1));
    starts.map(|at| &old[at..]).find(|rest| !rest.is_empty() && new.starts_with(rest)).map(str::len)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(has_gap: bool, text: &str) -> Piece<'_> {
        Piece { has_gap, text }
    }

    #[test]
    fn a_short_log_grows_at_its_end() {
        let mut log = Stitcher::default();
        assert_eq!(log.add(""), text(false, ""));
        assert_eq!(log.add("one\ntw"), text(false, "one\ntw"));
        assert_eq!(log.add("one\ntwo\nthree\n"), text(false, "o\nthree\n"));
        assert_eq!(log.add("one\ntwo\nthree\n"), text(false, ""));
    }

    #[test]
    fn a_long_log_goes_on_where_its_ends_overlap() {
        let mut log = Stitcher::default();
        assert_eq!(log.add("1\n2\n3\n4\n5\n6\n7\n8"), text(false, "1\n2\n3\n4\n5\n6\n7\n8"));
        assert_eq!(log.add("1\n2\n3\n4\n5\n[...]\n7\n8\n9\n"), text(false, "\n9\n"));
        assert_eq!(log.add("1\n2\n3\n4\n5\n[...]\n9\n10\n"), text(false, "10\n"));
    }

    #[test]
    fn what_was_never_seen_is_said() {
        let mut log = Stitcher::default();
        log.add("1\n2\n3\n4\n5\n6\n");
        assert_eq!(log.add("1\n2\n3\n4\n5\n[...]\n90\n91\n"), text(true, "90\n91\n"));
        assert_eq!(log.add("1\n2\n3\n4\n5\n[...]\n91\n92\n"), text(false, "92\n"));
    }

    #[test]
    fn a_test_that_begins_anew_is_no_gap() {
        let mut log = Stitcher::default();
        log.add("first try\nfailed\n");
        assert_eq!(log.add("second try\n"), text(false, "second try\n"));
    }

    #[test]
    fn the_rest_begins_after_what_was_seen() {
        let mut log = Stitcher::default();
        assert_eq!(log.rest("1\n2\n"), Some(""));
        log.add("1\n2\n3");
        assert_eq!(log.rest("0\n1\n2\n3\n4\n"), Some("\n4\n"));
        assert_eq!(log.rest("0\n1\n2\n3"), Some(""));
        log.add("1\n[...]\n3\n4\n5");
        assert_eq!(log.rest("0\n1\n2\n3\n4\n5\n6\n"), Some("\n6\n"));
        assert_eq!(log.rest("another log\n"), None);
    }

    proptest! {
        /// Numbered lines, seen through a window that always reaches back to what was seen before.
        #[test]
        fn nothing_is_lost_or_doubled(steps in proptest::collection::vec(0_usize..40, 1..20), window in 50_usize..80) {
            let lines: Vec<String> = (0..steps.iter().sum::<usize>()).map(|n| format!("line {n}\n")).collect();
            let (mut log, mut seen, mut length) = (Stitcher::default(), String::new(), 0);
            for step in steps {
                length += step;
                let look = if length <= window {
                    lines[..length].concat()
                } else {
                    format!("{}[...]\n{}", lines[..5].concat(), lines[(length - window).max(5)..length].concat())
                };
                let piece = log.add(&look);
                prop_assert!(!piece.has_gap);
                seen.push_str(piece.text);
            }
            prop_assert_eq!(seen, lines.concat());
        }
    }
}
