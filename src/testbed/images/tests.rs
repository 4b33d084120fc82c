//! Images on disk, without a builder.

use std::fs;

use jiff::Timestamp;

use super::*;

fn name() -> ImageName {
    ImageName { release: "noble".parse().unwrap(), architecture: "amd64".parse().unwrap() }
}

/// Puts an image there, as a build would.
fn build(store: &ImageStore, text: &str) -> Image {
    let lock = store.lock(&name()).unwrap();
    lock.begin().unwrap();
    fs::write(lock.unfinished_tarball(), text).unwrap();
    let record = ImageRecord {
        release: "noble".to_owned(),
        architecture: "amd64".to_owned(),
        mirror: "http://m/ubuntu".to_owned(),
        sources: vec!["deb http://m/ubuntu noble main".to_owned()],
        built: Timestamp::UNIX_EPOCH,
        bytes: text.len() as u64,
    };
    lock.commit(&record).unwrap()
}

fn content(image: &Image) -> String {
    fs::read_to_string(&image.tarball).unwrap()
}

#[test]
fn an_image_is_replaced_whole_and_an_older_one_stays_while_it_is_held() {
    let folder = tempfile::tempdir().unwrap();
    let store = ImageStore::new(folder.path().join("testbeds"));
    assert_eq!(store.list().unwrap(), []);
    assert_eq!(store.find(&name()).unwrap(), None);
    let old = build(&store, "old");
    assert_eq!(store.find(&name()).unwrap().as_ref(), Some(&old));
    let hold = old.hold().unwrap().unwrap();
    let new = build(&store, "new");
    assert_eq!(content(&store.find(&name()).unwrap().unwrap()), "new");
    assert_eq!(content(&old), "old", "a test goes on with the one that it began with");
    assert_eq!(store.list().unwrap(), std::slice::from_ref(&new));
    drop(hold);
    build(&store, "newest");
    assert!(!old.tarball.exists() && !new.tarball.exists());
    assert_eq!(old.hold().unwrap().map(drop), None);
}

#[test]
fn an_unfinished_build_is_no_image_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = ImageStore::new(folder.path().to_owned());
    let lock = store.lock(&name()).unwrap();
    assert!(matches!(store.lock(&name()), Err(ImageError::Busy { .. })));
    let unfinished = lock.begin().unwrap();
    fs::write(lock.unfinished_tarball(), "half").unwrap();
    fs::write(unfinished.join("more"), "").unwrap();
    drop(lock);
    assert_eq!(store.list().unwrap(), []);
    let lock = store.lock(&name()).unwrap();
    assert_eq!(fs::read_dir(lock.begin().unwrap()).unwrap().count(), 0);
}

#[test]
fn a_held_image_is_not_removed() {
    let folder = tempfile::tempdir().unwrap();
    let store = ImageStore::new(folder.path().to_owned());
    assert!(!store.lock(&name()).unwrap().remove().unwrap(), "there is none");
    let image = build(&store, "text");
    let hold = image.hold().unwrap();
    assert!(matches!(store.lock(&name()).unwrap().remove(), Err(ImageError::Busy { .. })));
    assert_eq!(store.find(&name()).unwrap(), Some(image));
    drop(hold);
    assert!(store.lock(&name()).unwrap().remove().unwrap());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_damaged_record_is_no_image() {
    let folder = tempfile::tempdir().unwrap();
    let store = ImageStore::new(folder.path().to_owned());
    let older = build(&store, "older");
    let hold = older.hold().unwrap();
    let image = build(&store, "text");
    fs::write(image.tarball.with_file_name("image.json"), "{").unwrap();
    assert_eq!(store.find(&name()).unwrap(), Some(older));
    drop(hold);
    fs::write(folder.path().join("other"), "").unwrap();
    fs::create_dir(folder.path().join("empty")).unwrap();
    assert_eq!(store.list().unwrap().len(), 1);
}
