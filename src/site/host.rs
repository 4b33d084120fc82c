//! This machine's release and architecture, which are the defaults without a site.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::release::{Architecture, Release};

/// Returns this host's release with its architecture; empty if the host names no release.
pub(super) fn releases() -> BTreeMap<Release, Vec<Architecture>> {
    let os_release = ["/etc/os-release", "/usr/lib/os-release"].map(|path| std::fs::read_to_string(Path::new(path)));
    let release = os_release.into_iter().find_map(Result::ok).and_then(|text| release(&text));
    release.into_iter().zip(architecture()).map(|(release, architecture)| (release, vec![architecture])).collect()
}

/// Returns the release in an os-release file. In old installations Debian's unstable has no codename there.
fn release(os_release: &str) -> Option<Release> {
    let field = |name: &str| {
        let values = os_release.lines().filter_map(|line| line.trim().strip_prefix(name)?.strip_prefix('='));
        values.map(|value| value.trim().trim_matches(['"', '\''])).rfind(|value| !value.is_empty())
    };
    match field("VERSION_CODENAME") {
        Some(codename) => codename.parse().ok(),
        None if field("ID") == Some("debian") => "sid".parse().ok(),
        None => None,
    }
}

/// Returns this host's architecture: dpkg's, which may differ from the kernel's, or else that of this program.
pub fn architecture() -> Option<Architecture> {
    let dpkg = Command::new("dpkg").arg("--print-architecture").stdin(Stdio::null()).stderr(Stdio::null()).output();
    let printed = dpkg.ok().filter(|output| output.status.success()).and_then(|output| {
        let text = String::from_utf8(output.stdout).ok()?;
        text.trim().parse().ok()
    });
    printed.or_else(|| debian_name(std::env::consts::ARCH).parse().ok())
}

/// Returns Debian's name for an architecture of Rust.
fn debian_name(architecture: &str) -> &str {
    match architecture {
        "x86_64" => "amd64",
        "x86" => "i386",
        "aarch64" => "arm64",
        "arm" => "armhf",
        "powerpc64" => "ppc64el",
        "loongarch64" => "loong64",
        "mips64" => "mips64el",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_is_the_codename() {
        let named = |text: &str| release(text).map(String::from);
        assert_eq!(named("ID=debian\nVERSION_CODENAME=bookworm\n").as_deref(), Some("bookworm"));
        assert_eq!(named("VERSION_CODENAME=\"noble\"\nUBUNTU_CODENAME=noble\nID=ubuntu\n").as_deref(), Some("noble"));
        assert_eq!(named("PRETTY_NAME=\"Debian GNU/Linux\"\nID=debian\n").as_deref(), Some("sid"));
        assert_eq!(named("ID=fedora\nVERSION_CODENAME=\"\"\n"), None);
        assert_eq!(named("VERSION_CODENAME=Not A Release\n"), None);
    }

    #[test]
    fn this_host_has_an_architecture_of_debian() {
        let name = String::from(architecture().unwrap());
        assert!(!name.contains("x86") && name != "aarch64", "{name}");
    }
}
