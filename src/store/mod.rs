//! Where results live: OpenStack Swift ([`swift`]) or a folder ([`folder`]), with the same containers and object names.

pub mod folder;
mod listing;
mod names;
pub mod swift;
mod url;

use std::path::Path;

use secrecy::SecretString;
use tokio::io::AsyncRead;

use crate::environment::Environment;

pub use self::url::{InvalidStoreUrl, StoreUrl};

/// What can go wrong between us and a store. Addresses carry no passwords.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The container or object does not exist.
    #[error("{0} does not exist in the store")]
    NotFound(String),
    /// No answer, or an answer that asks to come again later. Trying again may help.
    #[error("cannot reach the store {address}: {reason}")]
    Unreachable {
        /// The store's address.
        address: String,
        /// Why, in the words of the network or the store.
        reason: String,
    },
    /// The store does not let us in, or not do this. Trying again does not help.
    #[error("the store {address} refused to {action}: {reason}")]
    Refused {
        /// The store's address.
        address: String,
        /// What was tried.
        action: String,
        /// Why it failed.
        reason: String,
    },
    /// The settings of the store are incomplete or contradict each other; the text says what to set.
    #[error("{0}")]
    Misconfigured(String),
    /// A file or folder of this machine cannot be used.
    #[error("{action}: {source}")]
    Io {
        /// What was tried, with the path.
        action: String,
        /// Why it failed.
        source: std::io::Error,
    },
}

impl StoreError {
    /// Whether the same call may succeed later.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Io { .. })
    }
}

/// A place for results.
pub enum Store {
    /// OpenStack Swift.
    Swift(Box<swift::SwiftStore>),
    /// A folder of this machine.
    Folder(folder::FolderStore),
}

/// Who may read a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Everybody, without credentials.
    Public,
    /// These users of the store only, beside its owner.
    Private(Vec<String>),
}

/// Which objects to list. Names come in ascending byte order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// Only names that begin so.
    pub prefix: String,
    /// Fold names at the first such character after the prefix.
    pub delimiter: Option<char>,
    /// Only names after this one.
    pub marker: String,
}

/// One line of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// An object.
    Object(ObjectInfo),
    /// Objects folded at the delimiter: their common beginning, the delimiter included.
    Prefix(String),
}

impl Entry {
    /// The name that it is sorted by.
    pub fn name(&self) -> &str {
        match self {
            Self::Object(info) => &info.name,
            Self::Prefix(fold) => fold,
        }
    }
}

/// How much a container holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    /// How many objects.
    pub objects: u64,
    /// How many bytes they have together.
    pub bytes: u64,
}

/// What a listing tells about an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Its name in the container.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// Its Content-Type with all parameters. Swift leaves out the blanks between them.
    pub content_type: String,
    /// When it was stored.
    pub modified: jiff::Timestamp,
}

/// How an object presents itself to who reads it over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectHeaders {
    /// The Content-Type, with parameters.
    pub content_type: String,
    /// The Content-Encoding, such as `gzip`.
    pub content_encoding: Option<&'static str>,
}

/// An object's bytes, as they are stored, while they arrive.
pub type ObjectReader = Box<dyn AsyncRead + Send + Unpin>;

impl Store {
    /// The store at an address. `environment` holds the variables `OS_*` and `ST_*` that OpenStack's own clients read.
    /// Connects only when it is used.
    ///
    /// # Errors
    /// When the settings do not fit together.
    pub fn open(
        url: &StoreUrl,
        settings: &swift::SwiftSettings,
        environment: &Environment,
    ) -> Result<Self, StoreError> {
        Self::open_with(url, settings, environment, None)
    }

    /// Opens a store as [`Store::open`] does, with a password for the user that [`swift::login`] names without one.
    ///
    /// # Errors
    /// When the settings do not fit together.
    pub fn open_with(
        url: &StoreUrl,
        settings: &swift::SwiftSettings,
        environment: &Environment,
        password: Option<&SecretString>,
    ) -> Result<Self, StoreError> {
        match url {
            StoreUrl::Swift(url) => swift::SwiftStore::new(url.as_ref(), settings, environment, password)
                .map(|store| Self::Swift(Box::new(store))),
            StoreUrl::Folder(path) => Ok(Self::Folder(folder::FolderStore::new(path))),
        }
    }

    /// Where the store is, for people: no password in it.
    pub fn address(&self) -> String {
        match self {
            Self::Swift(store) => store.address(),
            Self::Folder(store) => store.address(),
        }
    }

    /// Where an object is: its URL, or its path. Swift may have to be asked where the account is.
    ///
    /// # Errors
    /// When nobody can log in.
    pub async fn locate(&self, container: &str, object: &str) -> Result<String, StoreError> {
        match self {
            Self::Swift(store) => store.locate(container, object).await,
            Self::Folder(store) => Ok(store.locate(container, object)),
        }
    }

    /// Tells this store, as its user sees it, from others; no password is in it. Not for people.
    pub fn identity(&self) -> String {
        match self {
            Self::Swift(store) => store.identity(),
            Self::Folder(store) => store.address(),
        }
    }

    /// The names of the containers, in order. Swift tells them only to its account's users.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn containers(&self) -> Result<Vec<String>, StoreError> {
        match self {
            Self::Swift(store) => store.containers().await,
            Self::Folder(store) => store.containers().await,
        }
    }

    /// Makes the container exist and readable for who may read it. Readers who could read before still can, with one exception: a
    /// container that is to be private and that everybody could read is closed to everybody else.
    ///
    /// # Errors
    /// When the store refuses or is away; so a private container that cannot be closed is never used.
    pub async fn ensure_container(&self, container: &str, access: &Access) -> Result<(), StoreError> {
        match self {
            Self::Swift(store) => store.ensure_container(container, access).await,
            Self::Folder(store) => store.ensure_container(container, access).await,
        }
    }

    /// All entries that the query asks for, however many pages that takes.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the container does not exist; or when the store is away: a part is never returned.
    pub async fn list(&self, container: &str, query: &Query) -> Result<Vec<Entry>, StoreError> {
        match self {
            Self::Swift(store) => store.list(container, query).await,
            Self::Folder(store) => store.list(container, query).await,
        }
    }

    /// The first of these entries: as many as the store tells at a time. None when there is no more; the next ones come after the last
    /// one's name, as a [`Query::marker`].
    ///
    /// # Errors
    /// As for [`Store::list`].
    pub async fn page(&self, container: &str, query: &Query) -> Result<Vec<Entry>, StoreError> {
        match self {
            Self::Swift(store) => store.page(container, query).await,
            // Reading half of a folder would be no less work.
            Self::Folder(store) => store.list(container, query).await,
        }
    }

    /// How much a container holds, if the store knows without looking at everything.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or when the store is away.
    pub async fn amount(&self, container: &str) -> Result<Option<Amount>, StoreError> {
        match self {
            Self::Swift(store) => store.amount(container).await,
            Self::Folder(store) => store.look_at(container).await.map(|()| None),
        }
    }

    /// Opens an object for reading.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or when the store is away.
    pub async fn get(&self, container: &str, object: &str) -> Result<ObjectReader, StoreError> {
        match self {
            Self::Swift(store) => store.get(container, object).await,
            Self::Folder(store) => store.get(container, object).await,
        }
    }

    /// Stores a file as an object, whole or not at all. Tries again a few times, each time from the beginning of the file.
    ///
    /// # Errors
    /// When the store refuses or stays away.
    pub async fn put(
        &self,
        container: &str,
        object: &str,
        file: &Path,
        headers: &ObjectHeaders,
    ) -> Result<(), StoreError> {
        match self {
            Self::Swift(store) => store.put(container, object, file, headers).await,
            Self::Folder(store) => store.put(container, object, file, headers).await,
        }
    }

    /// Removes an object; one that is not there is no error.
    ///
    /// # Errors
    /// When the store refuses or is away.
    pub async fn delete(&self, container: &str, object: &str) -> Result<(), StoreError> {
        match self {
            Self::Swift(store) => store.delete(container, object).await,
            Self::Folder(store) => store.delete(container, object).await,
        }
    }

    /// Removes objects of a container; those that are not there are no error.
    ///
    /// # Errors
    /// When the store refuses or is away; some of them may be removed then.
    pub async fn delete_all(&self, container: &str, objects: &[String]) -> Result<(), StoreError> {
        match self {
            Self::Swift(store) => store.delete_all(container, objects).await,
            Self::Folder(store) => store.delete_all(container, objects).await,
        }
    }

    /// Removes an empty container; one that is not there is no error.
    ///
    /// # Errors
    /// When it is not empty, or the store refuses or is away.
    pub async fn delete_container(&self, container: &str) -> Result<(), StoreError> {
        match self {
            Self::Swift(store) => store.delete_container(container).await,
            Self::Folder(store) => store.delete_container(container).await,
        }
    }
}
