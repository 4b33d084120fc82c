//! Published versions of a source package in a release of Ubuntu's primary archive.
//!
//! Source: the operation `getPublishedSources` of an archive, in Launchpad's API documentation.

use reqwest::StatusCode;
use serde::Deserialize;

use super::fetch::{self, FetchError};
use super::{Launchpad, LaunchpadError};
use crate::release::Release;
use crate::request::SourcePackage;

/// The distribution of the primary archive.
const DISTRIBUTION: &str = "ubuntu";

/// A version that can be installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// The version.
    pub version: String,
    /// The pocket: `Release`, `Proposed`, `Updates`, `Security` or `Backports`.
    pub pocket: String,
}

#[derive(Deserialize)]
struct Answer {
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    source_package_version: String,
    pocket: String,
    status: String,
}

impl Launchpad {
    /// Returns the versions of the package that are published in the release, or about to be; newest first, in
    /// Launchpad's order.
    ///
    /// # Errors
    /// [`LaunchpadError::NoRelease`] when Launchpad does not know the release; [`LaunchpadError::is_transient`] is true
    /// for a server's failure.
    pub async fn published(
        &self,
        package: &SourcePackage,
        release: &Release,
    ) -> Result<Vec<Publication>, LaunchpadError> {
        let api = &self.settings.api;
        let mut url = api.below(&[DISTRIBUTION, "+archive", "primary"]);
        url.query_pairs_mut()
            .append_pair("ws.op", "getPublishedSources")
            .append_pair("source_name", package.as_str())
            .append_pair("exact_match", "true")
            .append_pair("distro_series", api.below(&[DISTRIBUTION, release.as_str()]).as_str());
        let address = api.to_string();
        let refused = |reason: String| LaunchpadError::InvalidPublications { address: address.clone(), reason };
        let text = fetch::get(&self.client, &url, "application/json").await.map_err(|fault| match fault {
            // The answers for a series that does not exist.
            FetchError::Answer(StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND) => {
                LaunchpadError::NoRelease { address: address.clone(), release: release.clone() }
            }
            FetchError::Answer(status) => refused(format!("it answered {status}")),
            FetchError::Transient { reason, .. } => {
                LaunchpadError::PublicationsUnreachable { address: address.clone(), reason }
            }
            FetchError::Unusable(reason) => refused(reason),
        })?;
        let answer: Answer =
            serde_json::from_str(&text).map_err(|_| refused("its answer lists no packages".to_owned()))?;
        let is_there = |entry: &Entry| matches!(entry.status.as_str(), "Published" | "Pending");
        let publication = |entry: Entry| Publication { version: entry.source_package_version, pocket: entry.pocket };
        Ok(answer.entries.into_iter().filter(is_there).map(publication).collect())
    }
}
