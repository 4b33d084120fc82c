use std::fs;
use std::io::Write;

use proptest::prelude::*;

use super::*;

#[test]
fn who_watches_sees_the_beginning_and_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut log = LiveLog::new(&path);
    assert_eq!(log.tail().unwrap(), "", "before autopkgtest has made it");

    let mut file = File::create(&path).unwrap();
    file.write_all(b"line 1\nline 2 with half a \xc3").unwrap();
    assert_eq!(log.tail().unwrap(), "line 1\nline 2 with half a ");
    file.write_all(b"\xa4\n").unwrap();
    assert_eq!(log.tail().unwrap(), "line 1\nline 2 with half a ä\n");

    for number in 3..=1000 {
        writeln!(file, "line {number}").unwrap();
    }
    let text = log.tail().unwrap();
    let (head, tail) = text.split_once(DIVIDER).unwrap();
    assert_eq!(head, "line 1\nline 2 with half a ä\nline 3\nline 4\nline 5\n");
    let whole = fs::read_to_string(&path).unwrap();
    assert!(whole.ends_with(tail) && tail.ends_with("line 1000\n"));
    assert!(tail.starts_with("line ") && (1990..=2000).contains(&tail.len()), "{} bytes", tail.len());
}

#[test]
fn what_is_no_log_is_not_shown_and_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    fs::write(&secret, "hunter2\n").unwrap();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&secret, &link).unwrap();
    assert!(!LiveLog::new(&link).tail().unwrap_or_default().contains("hunter2"));
    let pipe = folder.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_eq!(LiveLog::new(&pipe).tail().unwrap(), "");
}

#[test]
fn nothing_is_left_out_of_a_short_log() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let whole: String = (0..100).map(|number| format!("line {number}\n")).collect();
    fs::write(&path, &whole).unwrap();
    assert_eq!(LiveLog::new(&path).tail().unwrap(), whole);
}

#[test]
fn endless_lines_are_cut_between_characters() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    fs::write(&path, "ä€".repeat(10_000)).unwrap();
    let text = LiveLog::new(&path).tail().unwrap();
    assert!(text.len() < 4100, "{} bytes", text.len());
    assert!(!text.contains(char::REPLACEMENT_CHARACTER), "{text}");
    assert!(text.contains("\n[...]\n"), "{text}");
}

#[test]
fn a_log_that_begins_anew_is_read_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut log = LiveLog::new(&path);
    fs::write(&path, "old\n".repeat(10)).unwrap();
    log.tail().unwrap();
    fs::write(&path, "new\n").unwrap();
    assert_eq!(log.tail().unwrap(), "new\n");
}

proptest! {
    #[test]
    fn any_text_is_shown_with_its_end(text in "([a-zäß€😀 ]{0,300}\n?){0,16}", cut in 0usize..4000) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = LiveLog::new(&path);
        // Written up to any byte, also in the middle of a character, and then to the end.
        fs::write(&path, text.as_bytes().get(..cut).unwrap_or(text.as_bytes())).unwrap();
        let early = log.tail().unwrap();
        prop_assert!(!early.contains(char::REPLACEMENT_CHARACTER));
        fs::write(&path, &text).unwrap();
        let late = log.tail().unwrap();
        prop_assert!(!late.contains(char::REPLACEMENT_CHARACTER));
        prop_assert!(late.len() <= 4010);
        let end = late.rsplit_once(DIVIDER).map_or(late.as_str(), |(_, end)| end);
        prop_assert!(text.ends_with(end));
    }
}

#[test]
fn tests_are_counted_as_the_log_grows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut log = LiveLog::new(&path);
    log.read_new().unwrap();
    assert_eq!((log.tests_begun(), log.last_line()), (0, ""));
    let mut file = File::create(&path).unwrap();
    file.write_all(b"autopkgtest [10:00:00]: test one: [--------").unwrap();
    log.read_new().unwrap();
    assert_eq!(log.tests_begun(), 0, "the line is not whole");
    file.write_all(b"---------------\nhello\n").unwrap();
    log.read_new().unwrap();
    log.read_new().unwrap();
    assert_eq!(log.tests_begun(), 1);
    file.write_all(b"autopkgtest [10:00:01]: test two: [-----------------------\n\x1b[1mred\x07\n\n").unwrap();
    log.read_new().unwrap();
    log.tail().unwrap();
    assert_eq!((log.tests_begun(), log.last_line()), (2, "[1mred"));
    // Another file in its place.
    let new = folder.path().join("new");
    fs::write(&new, "autopkgtest [10:00:02]: test new: [-----------------------\n".repeat(3)).unwrap();
    fs::rename(&new, &path).unwrap();
    log.read_new().unwrap();
    assert_eq!(log.tests_begun(), 3);
}

#[test]
fn a_look_reads_only_what_is_new_and_not_too_much_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut log = LiveLog::new(&path);
    let mut file = File::create(&path).unwrap();
    // A hole is quickly made and quickly read.
    file.set_len(MAX_READ_BYTES * 2).unwrap();
    file.seek(SeekFrom::End(0)).unwrap();
    file.write_all(b"\nautopkgtest [10:00:00]: test one: [-----------------------\n").unwrap();
    for (read, count) in [(MAX_READ_BYTES, 0), (MAX_READ_BYTES * 2, 0), (file.metadata().unwrap().len(), 1)] {
        log.read_new().unwrap();
        assert_eq!((log.read, log.tests_begun()), (read, count));
    }
    log.read_new().unwrap();
    assert_eq!(log.tests_begun(), 1);
}

#[test]
fn the_last_line_of_a_crash_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    fs::write(&path, "\n\n  <VirtSubproc>: failure\tx\n \n").unwrap();
    let mut log = LiveLog::new(&path);
    log.tail().unwrap();
    assert_eq!(log.last_line(), "<VirtSubproc>: failure x");
}
