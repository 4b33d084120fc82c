//! Declared hooks: the file `hooks.toml` of a site, with one `[[hook]]` for each.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Deserialize;
use toml::Spanned;
use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, value};

use super::error::SiteError;
use super::{Site, repository};
use crate::forge::hook::Hook;
use crate::forge::{Forge, Project};
use crate::small_file;

pub(super) const FILE: &str = "hooks.toml";

/// The first lines of a new file.
const HEAD: &str = "\
# The projects whose pull requests are tested: one [[hook]] for each set of tests.
# `apt-ci github add-hook` and `apt-ci gitlab add-hook` write it; the secrets are among `apt-ci credentials`.
";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HooksFile {
    #[serde(default)]
    hook: Vec<Spanned<HookEntry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct HookEntry {
    forge: String,
    api: Option<String>,
    project: String,
    release: String,
    architectures: Vec<String>,
    package: String,
    build_git: Option<String>,
    #[serde(default)]
    ppas: Vec<String>,
    #[serde(default)]
    env: Vec<String>,
    #[serde(default)]
    env_allowed: Vec<String>,
    testname: Option<String>,
    #[serde(default)]
    legacy: bool,
}

impl Site {
    /// Returns the declared hooks; none without a file.
    ///
    /// # Errors
    /// When the file cannot be read or is invalid.
    pub fn hooks(&self) -> Result<Vec<Hook>, SiteError> {
        let Some(path) = self.hooks_file() else { return Ok(Vec::new()) };
        match small_file::read(&path) {
            Ok(text) => read(&path, &text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(SiteError::io("read", &path, error)),
        }
    }

    /// Returns the path of the file; none without a site.
    pub fn hooks_file(&self) -> Option<PathBuf> {
        self.root.as_ref().map(|root| root.join(FILE))
    }

    /// Declares a hook after the others, and commits that. A known hook is only committed, in case it was not.
    ///
    /// # Errors
    /// When the file cannot be changed, or git fails.
    pub fn declare_hook(&self, hook: &Hook) -> Result<(), SiteError> {
        let message = format!("Test {} {}s: {}", hook.project, hook.forge.change(), hook.title());
        self.change_hooks(&message, |tables, hooks| {
            if !hooks.contains(hook) {
                tables.push(written(hook));
            }
        })
    }

    /// Removes the declaration of a hook, and commits that.
    ///
    /// # Errors
    /// When the file cannot be changed, or git fails.
    pub fn forget_hook(&self, hook: &Hook) -> Result<(), SiteError> {
        let message = format!("Test {} {}s no more: {}", hook.project, hook.forge.change(), hook.title());
        self.change_hooks(&message, |tables, hooks| {
            // Another process may have removed it, or added others, in the meantime.
            if let Some(place) = hooks.iter().position(|other| other == hook) {
                tables.remove(place);
            }
        })
    }

    /// Returns the hooks in the last commit; none without git.
    ///
    /// # Errors
    /// When git fails, or the committed file is invalid.
    pub fn committed_hooks(&self) -> Result<Vec<Hook>, SiteError> {
        let (Some(root), Some(path)) = (&self.root, self.hooks_file()) else { return Ok(Vec::new()) };
        let text = repository::committed(root, &path)?;
        text.map_or(Ok(Vec::new()), |text| read(&path, &text))
    }

    fn change_hooks(&self, message: &str, change: impl FnOnce(&mut ArrayOfTables, &[Hook])) -> Result<(), SiteError> {
        let (Some(root), Some(path)) = (&self.root, self.hooks_file()) else {
            let source = std::io::Error::other("there is no site here");
            return Err(SiteError::Io { action: "declare a hook".to_owned(), source });
        };
        let failed = |error| SiteError::io("change", &path, error);
        // The folder is locked, because the file itself is replaced.
        let folder = std::fs::File::open(root).map_err(failed)?;
        folder.lock().map_err(failed)?;
        let text = match small_file::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            other => other.map_err(failed)?,
        };
        let declared = read(&path, &text)?;
        let mut document: DocumentMut =
            text.parse().map_err(|error: toml_edit::TomlError| fault(&path, &text, 0, error.message()))?;
        let hooks = document.entry("hook").or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
        let Some(hooks) = hooks.as_array_of_tables_mut() else {
            return Err(fault(&path, &text, 0, "a hook must begin with [[hook]] on a line of its own"));
        };
        change(hooks, &declared);
        // Files of processes that have died.
        for entry in std::fs::read_dir(root).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(&format!(".{FILE}.new-")) {
                std::fs::remove_file(entry.path()).map_err(failed)?;
            }
        }
        let aside = root.join(format!(".{FILE}.new-{}", std::process::id()));
        let head = if text.is_empty() { HEAD } else { "" };
        let new = format!("{head}{document}");
        let written = std::fs::write(&aside, &new)
            .and_then(|()| std::fs::File::open(&aside)?.sync_all())
            .and_then(|()| std::fs::rename(&aside, &path));
        written.map_err(|error| {
            let _ = std::fs::remove_file(&aside);
            failed(error)
        })?;
        repository::commit(root, &[&path], message)
    }
}

fn fault(path: &Path, text: &str, offset: usize, message: impl Into<String>) -> SiteError {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
    let line = before.matches('\n').count() + 1;
    SiteError::InvalidFile { path: path.to_owned(), line, column, message: message.into(), hint: None }
}

fn read(path: &Path, text: &str) -> Result<Vec<Hook>, SiteError> {
    let written: HooksFile = toml::from_str(text)
        .map_err(|error| fault(path, text, error.span().map_or(0, |span| span.start), error.message()))?;
    let mut hooks: Vec<Hook> = Vec::new();
    for written in written.hook {
        let offset = written.span().start;
        let hook = hook(written.into_inner()).map_err(|message| fault(path, text, offset, message))?;
        if hooks.iter().any(|other| other.collides(&hook)) {
            let message = format!("another hook of {} also requests {}", hook.project, hook.title());
            return Err(fault(path, text, offset, message));
        }
        let is_elsewhere = |other: &&Hook| other.forge == hook.forge && other.project.is(hook.project.as_str());
        if let Some(other) = hooks.iter().find(is_elsewhere).filter(|other| other.api != hook.api) {
            return Err(fault(path, text, offset, elsewhere(other, &hook)));
        }
        hooks.push(hook);
    }
    Ok(hooks)
}

/// Returns why a project cannot be declared at two servers.
fn elsewhere(one: &Hook, other: &Hook) -> String {
    format!(
        "{} is declared at {} and at {}; its secret and token are stored under its name and would go to both",
        one.project, one.api, other.api
    )
}

fn hook(written: HookEntry) -> Result<Hook, String> {
    let forge: Forge = one("forge", &written.forge)?;
    let api = written.api.as_deref().map(|text| one("api", text)).transpose()?.unwrap_or_else(|| forge.api());
    let project: Project = one("project", &written.project)?;
    if forge == Forge::GitHub && project.as_str().matches('/').count() != 1 {
        return Err(format!("project: {project} is not a project of GitHub; it must be OWNER/REPO"));
    }
    if written.architectures.is_empty() {
        return Err("architectures: the list is empty".to_owned());
    }
    let ppas: Vec<crate::request::Ppa> = all("ppas", &written.ppas)?;
    if ppas.iter().any(|ppa| ppa.login().is_some()) {
        return Err("ppas: a private PPA's token must not be stored here, where everybody can see it".to_owned());
    }
    let hook = Hook {
        forge,
        api,
        project,
        release: one("release", &written.release)?,
        architectures: all("architectures", &written.architectures)?,
        package: one("package", &written.package)?,
        build_git: written.build_git.as_deref().map(|text| one("build-git", text)).transpose()?,
        ppas,
        env: all("env", &written.env)?,
        env_allowed: all("env-allowed", &written.env_allowed)?,
        testname: written.testname.as_deref().map(|text| one("testname", text)).transpose()?,
        legacy: written.legacy,
    };
    hook.fault().map_or(Ok(hook), Err)
}

fn one<T: FromStr<Err: std::fmt::Display>>(key: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|error| format!("{key}: {error}"))
}

fn all<T: FromStr<Err: std::fmt::Display>>(key: &str, texts: &[String]) -> Result<Vec<T>, String> {
    texts.iter().map(|text| one(key, text)).collect()
}

fn written(hook: &Hook) -> Table {
    let mut table = Table::new();
    table.decor_mut().set_prefix("\n");
    let mut put = |key: &str, text: &str| table[key] = value(text);
    put("forge", hook.forge.as_str());
    if hook.api != hook.forge.api() {
        put("api", &hook.api.to_string());
    }
    put("project", hook.project.as_str());
    put("release", hook.release.as_str());
    table["architectures"] = value(hook.architectures.iter().map(|one| one.as_str()).collect::<Array>());
    table["package"] = value(hook.package.as_str());
    if let Some(source) = &hook.build_git {
        table["build-git"] = value(source.to_string());
    }
    let mut put = |key: &str, texts: Vec<String>| {
        if !texts.is_empty() {
            table[key] = value(texts.into_iter().collect::<Array>());
        }
    };
    put("ppas", hook.ppa_texts());
    put("env", hook.env.iter().map(ToString::to_string).collect());
    put("env-allowed", hook.env_allowed.iter().map(ToString::to_string).collect());
    if let Some(name) = &hook.testname {
        table["testname"] = value(name.as_str());
    }
    if hook.legacy {
        table["legacy"] = value(true);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"# ours
[[hook]]
forge = "github"
project = "systemd/systemd" # the well-known one
release = "xenial"
architectures = ["amd64"]
package = "systemd-upstream"
env = ["TEST_UPSTREAM=1"]

# theirs
[[hook]]
forge = "gitlab"
api = "https://salsa.debian.org/api/v4"
project = "group/sub/thing"
release = "bookworm"
architectures = ["amd64", "arm64"]
package = "thing"
"#;

    fn site(folder: &Path) -> Site {
        let lookup = crate::site::Lookup {
            site: Some(folder),
            queue: None,
            store: None,
            environment: &crate::environment::Environment::default(),
            working_dir: folder,
        };
        Site::find(&lookup).unwrap()
    }

    fn parsed(text: &str) -> Vec<Hook> {
        read(Path::new("hooks.toml"), text).unwrap()
    }

    #[test]
    fn hooks_are_read() {
        let hooks = parsed(TEXT);
        assert_eq!(hooks[0].title(), "systemd-upstream on xenial amd64");
        assert_eq!(hooks[1].api.to_string(), "https://salsa.debian.org/api/v4");
        assert_eq!(parsed(&toml_edit::DocumentMut::from(document(&hooks)).to_string()), hooks);
    }

    fn document(hooks: &[Hook]) -> Table {
        let mut tables = ArrayOfTables::new();
        hooks.iter().for_each(|hook| tables.push(written(hook)));
        let mut table = Table::new();
        table.insert("hook", Item::ArrayOfTables(tables));
        table
    }

    #[test]
    fn what_is_wrong_has_its_line() {
        let wrong =
            |from: &str, to: &str| read(Path::new("hooks.toml"), &TEXT.replace(from, to)).unwrap_err().to_string();
        assert!(
            wrong("\"xenial\"", "\"Xenial\"").starts_with("hooks.toml:2:"),
            "{}",
            wrong("\"xenial\"", "\"Xenial\"")
        );
        assert!(wrong("[\"amd64\"]", "[]").contains("architectures: the list is empty"));
        assert!(wrong("release = \"xenial\"", "relaese = \"xenial\"").starts_with("hooks.toml:5:1: unknown field"));
        assert!(wrong("TEST_UPSTREAM=1", "A=1;B=2").contains("has a semicolon"));
        assert!(wrong("systemd/systemd\"", "a/b/c\"").contains("OWNER/REPO"));
        assert!(wrong("\"TEST_UPSTREAM=1\"", "\"A=1\", \"A=2\"").contains("env: A is given twice"));
        assert!(wrong("TEST_UPSTREAM=1", "A=1 ").contains("ends with a space"));
        assert!(wrong("[\"amd64\"]", "[\"amd64\", \"amd64\"]").contains("an architecture or PPA is there twice"));
        let mirror = TEXT.replace(
            "gitlab\"\napi = \"https://salsa.debian.org/api/v4\"\nproject = \"group/sub/thing",
            "github\"\napi = \"https://ghe.example/api/v3\"\nproject = \"Systemd/systemd",
        );
        let error = read(Path::new("hooks.toml"), &mirror).unwrap_err().to_string();
        assert!(error.contains("is declared at https://api.github.com and at https://ghe.example/api/v3"), "{error}");
        let twice = format!("{TEXT}{}", &TEXT[7..TEXT.find("\n# theirs").unwrap()]);
        let error = read(Path::new("hooks.toml"), &twice).unwrap_err().to_string();
        assert!(
            error.contains("another hook of systemd/systemd also requests systemd-upstream on xenial amd64"),
            "{error}"
        );
    }

    #[test]
    fn what_people_wrote_stays() {
        let folder = tempfile::TempDir::new().unwrap();
        std::fs::write(folder.path().join("apt-ci.toml"), "").unwrap();
        std::fs::write(folder.path().join(FILE), TEXT).unwrap();
        let site = site(folder.path());
        let mut hook = site.hooks().unwrap().remove(0);
        hook.release = "noble".parse().unwrap();
        site.declare_hook(&hook).unwrap();
        let hooks = site.hooks().unwrap();
        assert_eq!(hooks.len(), 3);
        site.declare_hook(&hook).unwrap();
        assert_eq!(site.hooks().unwrap().len(), 3, "it is declared once");
        site.forget_hook(&hooks[2]).unwrap();
        site.forget_hook(&hooks[2]).unwrap();
        assert_eq!(std::fs::read_to_string(folder.path().join(FILE)).unwrap(), TEXT);
    }

    #[test]
    fn a_first_hook_makes_the_file() {
        let folder = tempfile::TempDir::new().unwrap();
        std::fs::write(folder.path().join("apt-ci.toml"), "").unwrap();
        let site = site(folder.path());
        assert_eq!(site.hooks().unwrap(), []);
        for hook in parsed(TEXT) {
            site.declare_hook(&hook).unwrap();
        }
        let text = std::fs::read_to_string(folder.path().join(FILE)).unwrap();
        assert!(text.starts_with(HEAD) && text.matches("# The projects").count() == 1, "{text}");
        assert_eq!(site.hooks().unwrap(), parsed(TEXT));
        site.forget_hook(&parsed(TEXT)[0]).unwrap();
        site.forget_hook(&parsed(TEXT)[1]).unwrap();
        assert_eq!(site.hooks().unwrap(), []);
    }
}
