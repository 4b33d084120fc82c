//! Requests that are unnecessary because of another waiting one: duplicates, and older versions.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};

use debversion::Version;

use super::{Parameters, Request};

/// Variables with the address for reporting the status of the tested commit. They differ between commits.
const STATUSES_URLS: [&str; 2] = ["GITHUB_STATUSES_URL", "GITLAB_STATUSES_URL"];

/// Returns the indexes of requests for the same test as an earlier one; see [`Request::same_test`]. `None` entries are
/// ignored.
pub fn repeated(requests: &[Option<Request>]) -> Vec<usize> {
    let mut seen: HashMap<(&str, String), Vec<&Request>> = HashMap::new();
    let mut repeated = Vec::new();
    for (place, request) in requests.iter().enumerate() {
        let Some(request) = request else { continue };
        let triggers: Vec<String> = request.parameters.triggers.iter().map(ToString::to_string).collect();
        let alike = seen.entry((request.package.as_str(), triggers.join(" "))).or_default();
        if alike.iter().any(|earlier| earlier.same_test(request)) {
            repeated.push(place);
        } else {
            alike.push(request);
        }
    }
    repeated
}

/// Returns the indexes of requests that another one supersedes: it is for the same test with a newer version of the
/// same trigger (of several triggers, none older), or, for a pull request, for another commit that was submitted later.
///
/// Versions are compared as dpkg does. Requests that differ in anything else do not supersede each other.
pub fn superseded(requests: &[Option<Request>]) -> Vec<usize> {
    let mut groups: HashMap<String, Vec<Group<'_>>> = HashMap::new();
    for (place, request) in requests.iter().enumerate() {
        let Some(request) = request else { continue };
        let member = Member::of(place, request);
        let groups = groups.entry(member.label(request)).or_default();
        match groups.iter_mut().find(|group| group.rest == member.rest) {
            Some(group) => group.members.push((member.place, request, member.versions)),
            None => {
                let Member { place, rest, versions } = member;
                groups.push(Group { rest, members: vec![(place, request, versions)] });
            }
        }
    }
    let mut superseded: Vec<usize> = groups.into_values().flatten().flat_map(Group::superseded).collect();
    superseded.sort_unstable();
    superseded
}

type Versions = BTreeMap<String, Option<Version>>;

/// A request, split into the parts that make it newer than others, and those that have to be the same.
struct Member {
    place: usize,
    rest: Parameters,
    versions: Versions,
}

/// Requests that differ only in their versions or commits.
struct Group<'a> {
    rest: Parameters,
    members: Vec<(usize, &'a Request, Versions)>,
}

impl Member {
    fn of(place: usize, request: &Request) -> Self {
        let mut rest = Parameters {
            requester: None,
            submit_time: None,
            uuid: None,
            from_web: false,
            ..request.parameters.clone()
        };
        let mut versions = Versions::new();
        if rest.is_of_pull_request() {
            rest.env.retain(|variable| !STATUSES_URLS.contains(&variable.name()));
        } else {
            for trigger in std::mem::take(&mut rest.triggers) {
                versions.insert(trigger.package().to_string(), trigger.version().parse().ok());
            }
        }
        Self { place, rest, versions }
    }

    /// Returns a key that is quick to compare.
    fn label(&self, request: &Request) -> String {
        let sources: Vec<&str> = self.versions.keys().map(String::as_str).collect();
        format!("{} {}", request.package, sources.join(" "))
    }
}

impl Group<'_> {
    fn superseded(self) -> Vec<usize> {
        if self.rest.is_of_pull_request() {
            return self.older_commits();
        }
        let is_needless = |(_, _, versions): &&(usize, &Request, Versions)| {
            self.members.iter().any(|(_, _, other)| is_newer(other, versions))
        };
        self.members.iter().filter(is_needless).map(|(place, ..)| *place).collect()
    }

    fn older_commits(&self) -> Vec<usize> {
        let times: Option<Vec<_>> = self.members.iter().map(|(_, request, _)| request.submitted()).collect();
        let newest = match times {
            // Of two in the same second, the later one in the queue is newer.
            Some(times) => (0..times.len()).max_by_key(|index| (times[*index], *index)),
            None => self.members.len().checked_sub(1),
        };
        let members = self.members.iter().enumerate();
        members.filter(|(index, _)| Some(*index) != newest).map(|(_, (place, ..))| *place).collect()
    }
}

/// Returns whether `one` has a newer version of some package, and an older version of none. Both have the same
/// packages.
fn is_newer(one: &Versions, other: &Versions) -> bool {
    let orders: Option<Vec<Ordering>> =
        one.iter().map(|(package, version)| Some(version.as_ref()?.cmp(other.get(package)?.as_ref()?))).collect();
    // An invalid version is not newer than anything.
    orders.is_some_and(|orders| orders.contains(&Ordering::Greater) && !orders.contains(&Ordering::Less))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests(texts: &[&str]) -> Vec<Option<Request>> {
        texts.iter().map(|text| Request::parse(text.as_bytes()).ok()).collect()
    }

    #[test]
    fn the_first_of_the_same_stays() {
        let list = requests(&[
            r#"gzip {"triggers": ["a/1"], "uuid": "x1", "requester": "me"}"#,
            r#"gzip {"triggers": ["a/1"], "uuid": "x2"}"#,
            r#"gzip {"triggers": ["a/1"], "all-proposed": "1"}"#,
            "not a request {",
            r#"gzip {"triggers": ["a/1"], "uuid": "x3", "submit-time": "2026-01-01 00:00:00+0000"}"#,
            "not a request {",
            r#"bzip2 {"triggers": ["a/1"]}"#,
        ]);
        assert_eq!(repeated(&list), [1, 4]);
    }

    #[test]
    fn an_older_version_of_the_same_trigger_is_superseded() {
        let list = requests(&[
            r#"gzip {"triggers": ["glibc/2.9-1"], "uuid": "x1"}"#,
            r#"gzip {"triggers": ["glibc/2.39-1"], "uuid": "x2"}"#,
            r#"gzip {"triggers": ["glibc/2.39-1~rc1"]}"#,
            r#"gzip {"triggers": ["glibc/1:1-1"], "all-proposed": "1"}"#,
            r#"bzip2 {"triggers": ["glibc/2.9-1"]}"#,
            r#"gzip {"triggers": ["glibc/2.39-1"], "uuid": "x7"}"#,
            r#"gzip {"triggers": ["zlib/1", "glibc/2.9-1"]}"#,
            r#"gzip {"triggers": ["glibc/2.9-1", "zlib/2"]}"#,
            r#"gzip {"triggers": ["glibc/2.8-1", "zlib/3"]}"#,
        ]);
        assert_eq!(superseded(&list), [0, 2, 6]);
    }

    #[test]
    fn of_a_pull_request_the_newest_commit_stays() {
        let pull = |number: u32, commit: &str, second: u32| {
            format!(
                r#"x {{"build-git": "https://host/x#refs/pull/{number}/head", "submit-time": "2026-01-01 00:00:0{second}+0000",
                "env": ["UPSTREAM_PULL_REQUEST={number}", "GITHUB_STATUSES_URL=https://host/statuses/{commit}"]}}"#
            )
        };
        let texts = [pull(7, "aa", 2), pull(8, "bb", 3), pull(7, "cc", 5), pull(7, "dd", 4)];
        let list = requests(&texts.each_ref().map(String::as_str));
        assert_eq!(superseded(&list), [0, 3]);
    }

    #[test]
    fn a_request_without_triggers_supersedes_nothing() {
        assert_eq!(superseded(&requests(&["gzip", "gzip"])), [] as [usize; 0]);
    }
}
