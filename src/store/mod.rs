//! Stores for results: OpenStack Swift ([`swift`]) or a folder ([`folder`]), with the same containers and object names.

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

/// Error of a store. Addresses in it have no passwords.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The container or object does not exist.
    #[error("{0} does not exist in the store")]
    NotFound(String),
    /// No answer, or an answer that asks to try again later. Another attempt may succeed.
    #[error("cannot reach the store {address}: {reason}")]
    Unreachable {
        /// The store's address.
        address: String,
        /// The cause, as reported by the network or the store.
        reason: String,
    },
    /// The store denies access, or this operation. Another attempt does not help.
    #[error("the store {address} refused to {action}: {reason}")]
    Refused {
        /// The store's address.
        address: String,
        /// The failed operation.
        action: String,
        /// The cause, as reported by the store.
        reason: String,
    },
    /// The settings of the store are incomplete or contradictory; the text says what to set.
    #[error("{0}")]
    Misconfigured(String),
    /// A local file or folder cannot be used.
    #[error("{action}: {source}")]
    Io {
        /// The failed operation, with the path.
        action: String,
        /// The system's error.
        source: std::io::Error,
    },
}

impl StoreError {
    /// Returns whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Io { .. })
    }
}

/// A store for results.
pub enum Store {
    /// OpenStack Swift.
    Swift(Box<swift::SwiftStore>),
    /// A local folder.
    Folder(folder::FolderStore),
}

/// Readers of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Everyone, without credentials.
    Public,
    /// The store's owner and these users of the store.
    Private(Vec<String>),
}

/// Filter of a listing. Names come in ascending byte order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// Prefix of the names.
    pub prefix: String,
    /// Folds names at the first such character after the prefix.
    pub delimiter: Option<char>,
    /// Name after which the listing begins.
    pub marker: String,
}

/// One row of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// An object.
    Object(ObjectInfo),
    /// Objects that are folded at the delimiter: their common prefix, including the delimiter.
    Prefix(String),
}

impl Entry {
    /// Returns the name that the entry is sorted by.
    pub fn name(&self) -> &str {
        match self {
            Self::Object(info) => &info.name,
            Self::Prefix(fold) => fold,
        }
    }
}

/// Number and size of a container's objects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ContainerSize {
    /// Number of objects.
    pub objects: u64,
    /// Size of all objects together, in bytes.
    pub bytes: u64,
}

/// A listing's information about an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Its name in the container.
    pub name: String,
    /// Its size, in bytes.
    pub bytes: u64,
    /// Its Content-Type with all parameters. Swift omits the blanks between them.
    pub content_type: String,
    /// Time when it was stored.
    pub modified: jiff::Timestamp,
}

/// HTTP headers of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectHeaders {
    /// The Content-Type, with parameters.
    pub content_type: String,
    /// The Content-Encoding, such as `gzip`.
    pub content_encoding: Option<&'static str>,
}

/// Reader of an object's stored bytes while they arrive.
pub type ObjectReader = Box<dyn AsyncRead + Send + Unpin>;

impl Store {
    /// Opens the store at a URL. `environment` has the variables `OS_*` and `ST_*` that OpenStack's own clients read.
    /// Connects on first use.
    ///
    /// # Errors
    /// When the settings contradict each other.
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
    /// When the settings contradict each other.
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

    /// Returns the store's address for people, without a password.
    pub fn address(&self) -> String {
        match self {
            Self::Swift(store) => store.address(),
            Self::Folder(store) => store.address(),
        }
    }

    /// Returns an object's URL or path. Swift may have to log in to learn the account's URL.
    ///
    /// # Errors
    /// When logging in fails.
    pub async fn locate(&self, container: &str, object: &str) -> Result<String, StoreError> {
        match self {
            Self::Swift(store) => store.locate(container, object).await,
            Self::Folder(store) => Ok(store.locate(container, object)),
        }
    }

    /// Returns a text that distinguishes this store, as its user sees it, from others, without a password. Not for
    /// people.
    pub fn identity(&self) -> String {
        match self {
            Self::Swift(store) => store.identity(),
            Self::Folder(store) => store.address(),
        }
    }

    /// Returns the names of the containers, in order. Swift lists them only for the account's users.
    ///
    /// # Errors
    /// When the store is unreachable or refuses.
    pub async fn containers(&self) -> Result<Vec<String>, StoreError> {
        match self {
            Self::Swift(store) => store.containers().await,
            Self::Folder(store) => store.containers().await,
        }
    }

    /// Creates the container if it does not exist, and gives access to its readers. Existing readers keep their access,
    /// except when a container has to be private and everyone could read it: then it is closed to everyone else.
    ///
    /// # Errors
    /// When the store refuses or is unreachable. A private container that cannot be closed is therefore never used.
    pub async fn ensure_container(&self, container: &str, access: &Access) -> Result<(), StoreError> {
        match self {
            Self::Swift(store) => store.ensure_container(container, access).await,
            Self::Folder(store) => store.ensure_container(container, access).await,
        }
    }

    /// Returns all entries that match the query, from as many pages as necessary.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the container does not exist, or when the store is unreachable: never a part of
    /// the entries.
    pub async fn list(&self, container: &str, query: &Query) -> Result<Vec<Entry>, StoreError> {
        match self {
            Self::Swift(store) => store.list(container, query).await,
            Self::Folder(store) => store.list(container, query).await,
        }
    }

    /// Returns the first page of these entries, in the store's page size; empty at the end. The next page begins after
    /// the name of the last entry, as a [`Query::marker`].
    ///
    /// # Errors
    /// The same as for [`Store::list`].
    pub async fn page(&self, container: &str, query: &Query) -> Result<Vec<Entry>, StoreError> {
        match self {
            Self::Swift(store) => store.page(container, query).await,
            // Reading half of a folder would be the same work.
            Self::Folder(store) => store.list(container, query).await,
        }
    }

    /// Checks whether results can be written. Only a folder can tell without writing.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub async fn check_writable(&self) -> Result<(), StoreError> {
        match self {
            Self::Swift(_) => Ok(()),
            Self::Folder(store) => store.check_writable().await,
        }
    }

    /// Returns the number and size of a container's objects, if the store knows them without reading all entries.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Refused`], or when the store is unreachable.
    pub async fn amount(&self, container: &str) -> Result<Option<ContainerSize>, StoreError> {
        match self {
            Self::Swift(store) => store.amount(container).await,
            Self::Folder(store) => store.check_exists(container).await.map(|()| None),
        }
    }

    /// Opens an object for reading.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or when the store is unreachable.
    pub async fn get(&self, container: &str, object: &str) -> Result<ObjectReader, StoreError> {
        match self {
            Self::Swift(store) => store.get(container, object).await,
            Self::Folder(store) => store.get(container, object).await,
        }
    }

    /// Stores a file as an object, completely or not at all. Retries a few times, each time from the beginning of the
    /// file.
    ///
    /// # Errors
    /// When the store refuses or stays unreachable.
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

    /// Removes an object. Succeeds if it does not exist.
    ///
    /// # Errors
    /// When the store refuses or is unreachable.
    pub async fn delete(&self, container: &str, object: &str) -> Result<(), StoreError> {
        match self {
            Self::Swift(store) => store.delete(container, object).await,
            Self::Folder(store) => store.delete(container, object).await,
        }
    }

    /// Removes objects of a container. Succeeds for objects that do not exist.
    ///
    /// # Errors
    /// When the store refuses or is unreachable; some of the objects may be removed then.
    pub async fn delete_all(&self, container: &str, objects: &[String]) -> Result<(), StoreError> {
        match self {
            Self::Swift(store) => store.delete_all(container, objects).await,
            Self::Folder(store) => store.delete_all(container, objects).await,
        }
    }

    /// Removes an empty container. Succeeds if it does not exist.
    ///
    /// # Errors
    /// When it is not empty, or the store refuses or is unreachable.
    pub async fn delete_container(&self, container: &str) -> Result<(), StoreError> {
        match self {
            Self::Swift(store) => store.delete_container(container).await,
            Self::Folder(store) => store.delete_container(container).await,
        }
    }
}
