//! What a test takes from the proposed pocket.

use super::{DEBIAN, Run};
use crate::release::Release;
use crate::request::Request;
use crate::testbed::decision::{Origin, Refusal};

/// What a request wants from the proposed pocket.
pub(in crate::testbed) enum Wanted {
    /// Nothing; what decided that.
    Nothing(Origin),
    /// Every package that is there.
    Everything,
    /// The packages of the triggers: `src:NAME`, each once.
    Sources(Vec<String>),
}

impl Wanted {
    /// Debian's releases have no such pocket, and apt would refuse to look for it: there the triggers are taken from where the testbed's
    /// sources have them. A request for all of a pocket that is not there fails, rather than testing something else. The triggers of a
    /// request with PPAs come from there, and those of a git or Bazaar branch are only what caused it.
    pub(in crate::testbed) fn of(request: &Request, release: &Release) -> Self {
        let parameters = request.parameters();
        if parameters.all_proposed {
            return Self::Everything;
        } else if parameters.source.is_some() {
            return Self::Nothing(Origin::Request("test-git, build-git or test-bzr"));
        } else if !parameters.ppas.is_empty() {
            return Self::Nothing(Origin::Request("ppas"));
        } else if DEBIAN.contains(&release.as_str()) {
            return Self::Nothing(Origin::Queue);
        }
        let mut sources: Vec<String> = Vec::new();
        for trigger in parameters.triggers.iter().filter(|trigger| !trigger.is_baseline()) {
            let source = format!("src:{}", trigger.package());
            if !sources.contains(&source) {
                sources.push(source);
            }
        }
        if sources.is_empty() { Self::Nothing(Origin::Request("triggers")) } else { Self::Sources(sources) }
    }
}

/// The option for the proposed pocket, and what decided about it: everything from there, or the triggers' packages.
pub(super) fn pocket(run: &Run<'_>) -> Result<(Option<String>, Origin), Refusal> {
    let abilities = run.autopkgtest.abilities;
    let wanted = Wanted::of(run.request, &run.queue.release);
    if !abilities.pockets && !matches!(wanted, Wanted::Nothing(_)) {
        return Err(Refusal("this autopkgtest has no --apt-pocket: it cannot test packages from proposed".to_owned()));
    }
    Ok(match wanted {
        Wanted::Nothing(origin) => (None, origin),
        Wanted::Everything => (Some("--apt-pocket=proposed".to_owned()), Origin::Request("all-proposed")),
        // Without pinning, more than asked for is better than nothing of it.
        Wanted::Sources(_) if !abilities.pins => (Some("--apt-pocket=proposed".to_owned()), Origin::Autopkgtest),
        Wanted::Sources(sources) => {
            (Some(format!("--apt-pocket=proposed={}", sources.join(","))), Origin::Request("triggers"))
        }
    })
}
