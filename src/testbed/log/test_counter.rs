//! Starts of tests in a log: autopkgtest announces each in a line.

/// Maximum length of an announcement, in bytes.
const MAX_LINE_BYTES: usize = 1000;

/// End of an announcement, after the test's name.
const END: &[u8] = b": [-----------------------";

/// Counter of the tests that begin in a log, which is read in parts.
#[derive(Debug, Default)]
pub(super) struct TestCounter {
    count: u32,
    /// Beginning of a line whose end has not been read yet; cut, as no announcement is longer.
    line: Vec<u8>,
}

impl TestCounter {
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    pub(super) fn read(&mut self, bytes: &[u8]) {
        let mut pieces = bytes.split(|byte| *byte == b'\n');
        // The last piece has no end yet.
        let unfinished = pieces.next_back().unwrap_or_default();
        for (number, piece) in pieces.enumerate() {
            let begins = if number == 0 && !self.line.is_empty() {
                self.keep(piece);
                announces(&self.line)
            } else {
                announces(piece)
            };
            self.count = self.count.saturating_add(u32::from(begins));
            self.line.clear();
        }
        self.keep(unfinished);
    }

    fn keep(&mut self, piece: &[u8]) {
        // One byte more than the maximum, so that a line that is cut stays too long.
        let room = (MAX_LINE_BYTES + 1).saturating_sub(self.line.len());
        self.line.extend_from_slice(piece.get(..room.min(piece.len())).unwrap_or_default());
    }
}

/// Whether a line announces a test: `autopkgtest [HH:MM:SS]: test NAME: [-----…`. Older versions call themselves
/// `adt-run`; newer ones write the seconds since their start before it.
fn announces(line: &[u8]) -> bool {
    if line.len() > MAX_LINE_BYTES {
        return false;
    }
    let line = line.trim_ascii_end();
    let Some(line) = line.strip_suffix(END) else { return false };
    let line = without_seconds(line);
    let Some(line) = [&b"autopkgtest ["[..], b"adt-run ["].iter().find_map(|name| line.strip_prefix(*name)) else {
        return false;
    };
    let Some((time, rest)) = line.split_at_checked(8) else { return false };
    let is_time =
        time.iter().enumerate().all(|(at, byte)| if at % 3 == 2 { *byte == b':' } else { byte.is_ascii_digit() });
    let Some(name) = rest.strip_prefix(b"]: test ") else { return false };
    is_time && !name.is_empty() && !name.contains(&b' ')
}

/// Returns the line without a leading `  12s `.
fn without_seconds(line: &[u8]) -> &[u8] {
    let trimmed = line.trim_ascii_start();
    let digits = trimmed.iter().take_while(|byte| byte.is_ascii_digit()).count();
    match trimmed.get(digits..).and_then(|rest| rest.strip_prefix(b"s ")) {
        Some(rest) if digits > 0 => rest,
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_autopkgtests_announcement_is_known_and_nothing_else() {
        for line in [
            "autopkgtest [10:00:00]: test upstream-1: [-----------------------",
            "adt-run [23:59:59]: test command1: [-----------------------",
            "  3s autopkgtest [10:00:00]: test a.b+c_d: [-----------------------",
            "1234s autopkgtest [10:00:00]: test x: [-----------------------\r",
        ] {
            assert!(announces(line.as_bytes()), "{line}");
        }
        for line in [
            "",
            "autopkgtest [10:00:00]: test x: -----------------------]",
            "autopkgtest [10:00:00]: test x: preparing testbed",
            "autopkgtest [10:00:00]: test : [-----------------------",
            "autopkgtest [10.00.00]: test x: [-----------------------",
            "autopkgtest [1:00]: test x: [-----------------------",
            "autopkgtest: test x: [-----------------------",
            "x autopkgtest [10:00:00]: test x: [-----------------------",
            "s autopkgtest [10:00:00]: test x: [-----------------------",
            " autopkgtest [10:00:00]: test x: [-----------------------",
        ] {
            assert!(!announces(line.as_bytes()), "{line}");
        }
        let long = format!("autopkgtest [10:00:00]: test {}: [-----------------------", "x".repeat(MAX_LINE_BYTES));
        let mut starts = TestCounter::default();
        for piece in [long.as_bytes(), b"\n"] {
            starts.read(piece);
        }
        assert_eq!(starts.count(), 0);
    }

    proptest! {
        #[test]
        fn the_pieces_do_not_matter(lines in prop::collection::vec(
            prop_oneof![
                Just("autopkgtest [10:00:00]: test a: [-----------------------\n".to_owned()),
                "[a-z\\[\\]: -]{0,40}\n?",
            ], 0..20), size in 1usize..50)
        {
            let text = lines.concat();
            let mut whole = TestCounter::default();
            whole.read(text.as_bytes());
            let mut pieces = TestCounter::default();
            text.as_bytes().chunks(size).for_each(|piece| pieces.read(piece));
            prop_assert_eq!(whole.count(), pieces.count());
            let lines = text.split('\n').collect::<Vec<_>>();
            let expected = lines[..lines.len() - 1].iter().filter(|line| announces(line.as_bytes())).count();
            prop_assert_eq!(whole.count() as usize, expected);
        }
    }
}
