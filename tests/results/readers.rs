//! What is read back: queues, results and logs, by people and by programs.

use std::fs::{self, File};
use std::process::Stdio;
use std::sync::Arc;

use libtest_mimic::Failed;
use testkit::site::{TestSite, finish};
use testkit::{Services, Story, Trial, stories};

pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    let all: &[(&str, Story)] = &[
        ("a_log_is_found_by_package_run_id_path_and_url", ways_to_a_log),
        ("a_program_gets_the_log_with_its_run", log_for_programs),
        ("what_is_not_there_is_named_with_where_it_was_looked_for", not_there),
        ("a_typing_error_is_named_with_the_nearest_name", mistyped),
        ("a_full_disk_for_the_output_is_an_error", full_output),
        ("a_reader_that_goes_away_is_none", reader_goes),
    ];
    stories("results", services, all)
}

fn mistyped(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let (wrong, nearest) = (&site.release[..site.release.len() - 1], format!("did you mean {}?", site.release));
    for command in [
        &["results"][..],
        &["results", "stats"],
        &["results", "stats", "--json"],
        &["results", "flaky"],
        &["results", "show", "gzip"],
        &["results", "blame", "gzip"],
        &["log", "gzip"],
        &["log", "-f", "gzip"],
        &["running"],
        &["retry", "--since", "1h"],
        &["index"],
    ] {
        let finished = site.run(&[command, &["-s", wrong]].concat());
        assert!(finished.status.code() == Some(2) && finished.err.contains(&nearest), "{command:?}: {finished:#?}");
    }
    let finished = site.run(&["results", "stats", "-a", "amd46"]);
    assert!(finished.status.code() == Some(2) && finished.err.contains("did you mean amd64?"), "{finished:#?}");
    for command in [&["results", "--since"][..], &["results", "stats", "--since"], &["retry", "--since"]] {
        let finished = site.run(&[command, &["6m"]].concat());
        assert!(finished.status.code() == Some(2) && finished.err.contains("months or minutes"), "{finished:#?}");
    }
    Ok(())
}

fn with_a_run() -> TestSite {
    let site = TestSite::local();
    site.request("gzip", &[]);
    site.ok(&["worker", "--drain"]);
    site
}

fn ways_to_a_log(_: &Services) -> Result<(), Failed> {
    let site = with_a_run();
    let run = site.results()[0].clone();
    let (id, path) = (run["run"].as_str().expect("an id"), run["path"].as_str().expect("a path"));
    let url = format!("https://swift.example/v1/AUTH_x/autopkgtest-{}/{path}/log.gz", site.release);
    let log = site.ok(&["log", "gzip"]);
    assert!(log.contains("starting gzip"), "{log}");
    for way in [id, id.trim_end_matches('@'), path, &format!("{path}/log.gz"), &url] {
        assert_eq!(site.ok(&["log", way]), log, "{way}");
    }
    Ok(())
}

fn log_for_programs(_: &Services) -> Result<(), Failed> {
    let site = with_a_run();
    let document = site.json(&["log", "gzip"]);
    assert_eq!((&document["package"], &document["outcome"]), (&"gzip".into(), &"pass".into()));
    assert_eq!(document["log"].as_str(), Some(site.ok(&["log", "gzip"]).as_str()));
    Ok(())
}

fn not_there(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let nothing = site.run(&["results", "grep", "-a", "amd64"]);
    assert_eq!((nothing.status.code(), nothing.out.as_str()), (Some(0), ""), "{nothing:#?}");
    let looked = format!("No results of grep for {} on amd64 in folder:", site.release);
    assert!(nothing.err.starts_with(&looked) && nothing.err.contains("does not exist yet"), "{}", nothing.err);
    let site = with_a_run();
    let missing = site.run(&["log", "grep", "-s", &site.release]);
    assert_eq!(missing.status.code(), Some(1), "{missing:#?}");
    assert!(missing.err.contains(&format!("has no results for package grep on {}", site.release)), "{}", missing.err);
    assert!(missing.err.contains("hint: run `apt-ci results`"), "{}", missing.err);
    let none = site.run(&["results", "--limit", "0"]);
    assert!(none.status.code() == Some(2) && none.err.contains("must be a number, at least 1"), "{none:#?}");
    site.request("gzip", &[]);
    site.ok(&["worker", "--drain", "-q"]);
    assert_eq!(site.run(&["results", "--limit", "1"]).err, "More results exist; raise --limit.\n");
    fs::write(site.path().join("file"), "")?;
    let no_folder = site.run(&["results", "--store", "folder:file"]);
    assert_eq!(no_folder.status.code(), Some(2), "{no_folder:#?}");
    assert!(no_folder.err.contains("is not a folder") && no_folder.err.contains("--store"), "{}", no_folder.err);
    Ok(())
}

const READING: [&[&str]; 6] =
    [&["results"], &["results", "--json"], &["log", "gzip"], &["queues"], &["config"], &["completions", "bash"]];

fn full_output(_: &Services) -> Result<(), Failed> {
    let site = with_a_run();
    for arguments in READING {
        let mut command = site.command(arguments);
        command.stdout(File::options().write(true).open("/dev/full")?).stderr(Stdio::piped());
        let finished = command.spawn()?.wait_with_output()?;
        let err = String::from_utf8_lossy(&finished.stderr);
        assert_eq!(finished.status.code(), Some(1), "{arguments:?}: {err}");
        assert!(err.contains("cannot write to standard output: No space left"), "{arguments:?}: {err}");
    }
    Ok(())
}

fn reader_goes(_: &Services) -> Result<(), Failed> {
    let site = with_a_run();
    for arguments in READING {
        let mut command = site.command(arguments);
        let (reader, writer) = std::io::pipe()?;
        drop(reader);
        command.stdout(writer).stderr(Stdio::piped());
        let finished = command.spawn()?.wait_with_output()?;
        let err = String::from_utf8_lossy(&finished.stderr);
        assert_eq!((finished.status.code(), err.as_ref()), (Some(0), ""), "{arguments:?}");
    }
    // Closed from the beginning, as some supervisors do.
    let mut closed = std::process::Command::new("sh");
    closed.args(["-c", &format!("exec {} --version >&-", env!("CARGO_BIN_EXE_apt-ci"))]);
    assert_eq!(finish(closed).status.code(), Some(0));
    Ok(())
}
