//! Help on a small terminal.

use std::sync::Arc;

use libtest_mimic::{Failed, Trial};

use crate::support::site::TestSite;
use crate::support::{Services, Story, stories};
use crate::terminal::on_terminal;

pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    let all: &[(&str, Story)] = &[("a_summary_fits_a_small_terminal", summaries)];
    stories("shells", services, all)
}

fn summaries(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let commands: [&[&str]; 12] = [
        &[],
        &["run"],
        &["retry"],
        &["retry-regressions"],
        &["worker"],
        &["queues"],
        &["queues", "remove"],
        &["results"],
        &["github", "add-hook"],
        &["gitlab", "retry"],
        &["credentials"],
        &["credentials", "set"],
    ];
    for (columns, command) in [80, 100].into_iter().flat_map(|columns| commands.map(|command| (columns, command))) {
        let shown = on_terminal(&site, columns, &[("NO_COLOR", "1")], &[command, &["-h"][..]].concat());
        assert!(shown.status.success(), "{shown:#?}");
        let rows: usize = shown.out.lines().map(|line| line.chars().count().div_ceil(columns).max(1)).sum();
        assert!(rows <= 24, "{command:?} at {columns}: {rows} rows\n{}", shown.out);
        let typed = [&["apt-ci"][..], command].concat().join(" ");
        let last = format!("`{typed} --help` shows all options and examples.");
        assert_eq!(shown.out.lines().last(), Some(last.as_str()), "{}", shown.out);
        assert!(shown.out.contains("\nUsage: apt-ci") && shown.out.contains("\nExample"), "{}", shown.out);
    }
    // The same is shown for the program alone, and the commands of both forges have examples of their own.
    assert_eq!(site.run(&[]).err, site.ok(&["-h"]));
    assert!(site.ok(&["gitlab", "retry", "-h"]).contains("Example: apt-ci gitlab retry 'GROUP/PROJECT!7'\n"));
    // Everything is in the complete help, which `help` shows as well.
    let complete = site.ok(&["run", "--help"]);
    assert_eq!(site.ok(&["help", "run"]), complete);
    for text in ["Waiting:\n", "--readable-by <USER>", "Global options:\n", "--store <URL>", "--batch -"] {
        assert_eq!(complete.matches(text).count(), 1, "{text}: {complete}");
        assert!(!site.ok(&["run", "-h"]).contains(text), "{text}");
    }
    Ok(())
}
