//! What a test takes from the proposed pocket.

use super::{DEBIAN, Run};
use crate::testbed::decision::{Origin, Refusal};

/// The option for the proposed pocket, and what decided about it: everything from there, or the triggers' packages, each once.
///
/// Debian's releases have no such pocket, and apt would refuse to look for it: there the triggers are taken from where the testbed's
/// sources have them. A request for all of a pocket that is not there fails, rather than testing something else. The triggers of a
/// request with PPAs come from there, and those of a git or Bazaar branch are only what caused it.
pub(super) fn pocket(run: &Run<'_>) -> Result<(Option<String>, Origin), Refusal> {
    let parameters = run.request.parameters();
    let abilities = run.autopkgtest.abilities;
    let none = |origin| Ok((None, origin));
    let sources = if parameters.all_proposed {
        None
    } else if parameters.source.is_some() {
        return none(Origin::Request("test-git, build-git or test-bzr"));
    } else if !parameters.ppas.is_empty() {
        return none(Origin::Request("ppas"));
    } else if DEBIAN.contains(&run.queue.release.as_str()) {
        return none(Origin::Queue);
    } else {
        let mut sources: Vec<String> = Vec::new();
        for trigger in parameters.triggers.iter().filter(|trigger| !trigger.is_baseline()) {
            let source = format!("src:{}", trigger.package());
            if !sources.contains(&source) {
                sources.push(source);
            }
        }
        if sources.is_empty() {
            return none(Origin::Request("triggers"));
        }
        Some(sources)
    };
    if !abilities.pockets {
        return Err(Refusal("this autopkgtest has no --apt-pocket: it cannot test packages from proposed".to_owned()));
    }
    Ok(match sources {
        None => (Some("--apt-pocket=proposed".to_owned()), Origin::Request("all-proposed")),
        // Without pinning, more than asked for is better than nothing of it.
        Some(_) if !abilities.pins => (Some("--apt-pocket=proposed".to_owned()), Origin::Autopkgtest),
        Some(sources) => (Some(format!("--apt-pocket=proposed={}", sources.join(","))), Origin::Request("triggers")),
    })
}
