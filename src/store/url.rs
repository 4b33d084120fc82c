//! URLs of stores: `swift:`, `swift:URL` or `folder:PATH`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use url::Url;

/// A store URL that cannot be used, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a store URL: {0}")]
pub struct InvalidStoreUrl(String);

/// The address of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// Swift: at this storage URL (`https://HOST/v1/AUTH_x`), or at the one that logging in returns.
    Swift(Option<Url>),
    /// A local folder.
    Folder(PathBuf),
}

impl FromStr for StoreUrl {
    type Err = InvalidStoreUrl;

    fn from_str(text: &str) -> Result<Self, InvalidStoreUrl> {
        let invalid = |why: &str| Err(InvalidStoreUrl(why.to_owned()));
        match text.split_once(':') {
            Some(("folder", "")) => invalid("folder: needs a path, as in folder:/var/lib/apt-ci/results"),
            Some(("folder", path)) => Ok(Self::Folder(PathBuf::from(path))),
            Some(("swift", "")) => Ok(Self::Swift(None)),
            Some(("swift", url)) => {
                let url = Url::parse(url).map_err(|error| InvalidStoreUrl(error.to_string()))?;
                if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
                    return invalid("swift: must be followed by a storage URL, as in swift:https://HOST/v1/AUTH_x");
                }
                if !url.username().is_empty() || url.password().is_some() {
                    return invalid("a storage URL must not contain a user or password: use the OS_ or ST_ variables");
                }
                Ok(Self::Swift(Some(url)))
            }
            _ => invalid("it must begin with swift: or folder:"),
        }
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Swift(None) => f.write_str("swift:"),
            Self::Swift(Some(url)) => write!(f, "swift:{url}"),
            Self::Folder(path) => write!(f, "folder:{}", path.display()),
        }
    }
}
