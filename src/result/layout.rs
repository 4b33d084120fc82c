//! Locations of results in the store: container, path, run id, and file names.

use super::run_id::RunId;
use crate::release::{Architecture, QueueName, Release};
use crate::request::{Request, SourcePackage};
use crate::store::Access;

/// The file with everything that programs need to know about a run. It is stored last, so that its presence marks a
/// complete result.
pub const RESULT: &str = "result.tar";
/// autopkgtest's log, compressed.
pub const LOG: &str = "log.gz";
/// Everything else that the run left.
pub const ARTIFACTS: &str = "artifacts.tar.gz";

/// Names of users who may read a private run, one per line. Exists only if the request names any.
pub const READABLE_BY: &str = "readable-by";

/// Prefix of the names of private containers.
const PRIVATE: &str = "private-";

/// Returns the public container for the results of a release's own packages.
pub fn container(release: &Release) -> String {
    format!("autopkgtest-{release}")
}

/// Location of a request's results: the container, who may read it, and the path in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultLocation {
    /// `[private-]autopkgtest-RELEASE[-OWNER-PPANAME]`: the last PPA of a request names its container.
    pub container: String,
    /// Readers of the container. When the request of a private run names no user of the store, only the store's owner.
    pub access: Access,
    /// The package's path in the container.
    pub path: PackagePath,
}

impl ResultLocation {
    /// Returns the location for results of a request from this queue.
    pub fn of(request: &Request, queue: &QueueName) -> Self {
        let parameters = request.parameters();
        let mut name = container(&queue.release);
        if let Some(ppa) = parameters.ppas.last() {
            name = format!("{name}-{}-{}", ppa.owner(), ppa.name());
        }
        let access = if request.is_private() {
            name.insert_str(0, PRIVATE);
            Access::Private(parameters.swiftuser.iter().map(ToString::to_string).collect())
        } else {
            Access::Public
        };
        let path = PackagePath {
            release: queue.release.clone(),
            architecture: queue.architecture.clone(),
            package: request.package().clone(),
        };
        Self { container: name, access, path }
    }

    /// Returns the private container of a release, whose name does not reveal whose the run is.
    pub fn anonymous_container(release: &Release) -> String {
        format!("{PRIVATE}{}", container(release))
    }

    /// Returns whether a container is closed to the public, by its name.
    pub fn is_private(name: &str) -> bool {
        name.starts_with(PRIVATE)
    }

    /// Returns the release of the runs in a container and, for tests with packages from a PPA, `OWNER-PPANAME`. `None`
    /// when the name is not that of a container with results.
    pub fn of_container(name: &str) -> Option<(Release, Option<&str>)> {
        let rest = name.strip_prefix(PRIVATE).unwrap_or(name).strip_prefix("autopkgtest-")?;
        let (release, ppa) = rest.split_once('-').map_or((rest, None), |(release, ppa)| (release, Some(ppa)));
        Some((release.parse().ok()?, ppa.filter(|ppa| !ppa.is_empty())))
    }

    /// Returns whether this is the name of a container with results.
    pub fn is_container(name: &str) -> bool {
        name.strip_prefix(PRIVATE).unwrap_or(name).strip_prefix("autopkgtest-").is_some_and(|rest| !rest.is_empty())
    }
}

/// Path of a package's runs on one release and architecture.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackagePath {
    /// The release that the tests ran on.
    pub release: Release,
    /// The architecture that the tests ran on.
    pub architecture: Architecture,
    /// The tested package.
    pub package: SourcePackage,
}

impl PackagePath {
    /// Returns the prefix of the package's object names: `bookworm/amd64/g/gzip/`, `bookworm/amd64/libp/libpng/`.
    pub fn prefix(&self) -> String {
        let Self { release, architecture, package } = self;
        format!("{release}/{architecture}/{}/{package}/", shelf(package.as_str()))
    }

    /// Returns the folder of one run, without a slash at its end: `bookworm/amd64/g/gzip/20261123_084000_0a1b2@`.
    pub fn folder(&self, run: &RunId) -> String {
        format!("{}{run}", self.prefix())
    }

    /// Returns the name of one of a run's objects.
    pub fn object(&self, run: &RunId, file: &str) -> String {
        format!("{}{run}/{file}", self.prefix())
    }
}

/// Returns the archive's usual subfolder of a package: its first letter, or the first four when its name begins with
/// `lib`.
fn shelf(package: &str) -> &str {
    let length = if package.starts_with("lib") { 4 } else { 1 };
    package.get(..length).unwrap_or(package)
}

/// Splits an object's name into package, run, and file name. Returns `None` for an object that does not belong to a
/// run.
pub fn parse_object(name: &str) -> Option<(PackagePath, RunId, &str)> {
    let mut parts = name.splitn(6, '/');
    let path = PackagePath {
        release: parts.next()?.parse().ok()?,
        architecture: parts.next()?.parse().ok()?,
        package: {
            let folder = parts.next()?;
            let package = parts.next()?;
            if shelf(package) != folder {
                return None;
            }
            package.parse().ok()?
        },
    };
    let run = parts.next()?.parse().ok()?;
    let file = parts.next().filter(|file| !file.is_empty())?;
    Some((path, run, file))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(package: &str) -> PackagePath {
        PackagePath {
            release: "bookworm".parse().unwrap(),
            architecture: "amd64".parse().unwrap(),
            package: package.parse().unwrap(),
        }
    }

    #[test]
    fn packages_stand_where_the_archive_would_put_them() {
        for (package, prefix) in [
            ("gzip", "bookworm/amd64/g/gzip/"),
            ("libpng", "bookworm/amd64/libp/libpng/"),
            ("lib3mf", "bookworm/amd64/lib3/lib3mf/"),
            ("lib", "bookworm/amd64/lib/lib/"),
            ("libreoffice", "bookworm/amd64/libr/libreoffice/"),
            ("0ad", "bookworm/amd64/0/0ad/"),
        ] {
            assert_eq!(path(package).prefix(), prefix);
        }
    }

    #[test]
    fn each_request_has_its_container_and_its_readers() {
        let private = |users: &[&str]| Access::Private(users.iter().map(|user| (*user).to_owned()).collect());
        for (parameters, container, access) in [
            ("{}", "autopkgtest-noble", Access::Public),
            (r#"{"ppas": ["first/one", "second/two"]}"#, "autopkgtest-noble-second-two", Access::Public),
            (r#"{"swiftuser": "ann"}"#, "private-autopkgtest-noble", private(&["ann"])),
            (r#"{"ppas": ["u:t@o/n", "o.x/p+q"]}"#, "private-autopkgtest-noble-o.x-p+q", private(&[])),
            (r#"{"swiftuser": "ann", "ppas": ["u:t@o/n"]}"#, "private-autopkgtest-noble-o-n", private(&["ann"])),
            // Readers of web pages are not users of the store.
            (r#"{"swiftuser": "ann", "readable-by": ["bob"]}"#, "private-autopkgtest-noble", private(&["ann"])),
        ] {
            let request = Request::parse(format!("libpng {parameters}").as_bytes()).unwrap();
            let place = ResultLocation::of(&request, &"debci-ppa-noble-amd64".parse().unwrap());
            assert_eq!((place.container.as_str(), &place.access), (container, &access), "{parameters}");
            assert_eq!(place.path.prefix(), "noble/amd64/libp/libpng/");
            assert!(ResultLocation::is_container(container));
        }
        for name in ["", "private-", "autopkgtest-", "private-autopkgtest-", "v1", "private-private-autopkgtest-x"] {
            assert!(!ResultLocation::is_container(name), "{name}");
        }
    }

    #[test]
    fn objects_read_as_they_are_written_with_old_and_new_run_ids() {
        for run in ["20140321_130412@", "20261123_084000_0a1b2@"] {
            let run: RunId = run.parse().unwrap();
            let name = path("libpng").object(&run, LOG);
            assert_eq!(parse_object(&name), Some((path("libpng"), run, LOG)));
        }
    }

    #[test]
    fn what_is_not_a_run_is_no_object_of_one() {
        for name in [
            "",
            "bookworm/amd64/g/gzip/",
            "bookworm/amd64/x/gzip/20140321_130412@/log.gz",
            "bookworm/amd64/g/gzip/20140321_130412@",
            "bookworm/amd64/g/gzip/20140321_130412@/",
            "bookworm/amd64/g/gzip/20140321_130412/log.gz",
            "bookworm/amd64/g/gzip/20141321_130412@/log.gz",
            "bookworm/amd64/g/gzip/20140321_130412_ABCDE@/log.gz",
            "bookworm/amd64/g/gzip/20140321_130412_abcd@/log.gz",
        ] {
            assert_eq!(parse_object(name), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_object_name_makes_the_reader_panic(name in any::<String>(), run in "[0-9_a-f@é]{0,24}") {
            let _ = parse_object(&name);
            let _ = run.parse::<RunId>();
            let _ = parse_object(&format!("a/b/c/cé/{run}/{name}"));
        }
    }
}
