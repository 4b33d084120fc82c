//! Pages of Swift's listings in JSON.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::Deserialize;

use crate::store::{Entry, ObjectInfo};

/// One row: an object or container, or a fold.
#[derive(Deserialize)]
struct Row {
    name: Option<String>,
    subdir: Option<String>,
    bytes: Option<u64>,
    content_type: Option<String>,
    last_modified: Option<String>,
}

/// Parses a page of a container's listing.
pub(super) fn objects(page: &[u8]) -> Result<Vec<Entry>, String> {
    rows(page)?
        .into_iter()
        .map(|row| match row {
            Row { subdir: Some(fold), .. } => Ok(Entry::Prefix(fold)),
            Row { name: Some(name), bytes: Some(bytes), content_type, last_modified: Some(modified), .. } => {
                let Some(modified) = timestamp(&modified) else {
                    return Err(format!("its listing has the time {modified:?}"));
                };
                let content_type = content_type.unwrap_or_else(|| "application/octet-stream".to_owned());
                Ok(Entry::Object(ObjectInfo { name, bytes, content_type, modified }))
            }
            _ => Err("its listing has a row that is neither an object nor a fold".to_owned()),
        })
        .collect()
}

/// Parses a page of an account's listing.
pub(super) fn containers(page: &[u8]) -> Result<Vec<String>, String> {
    let rows = rows(page)?.into_iter();
    rows.map(|row| row.name.ok_or_else(|| "its listing has a row without a name".to_owned())).collect()
}

fn rows(page: &[u8]) -> Result<Vec<Row>, String> {
    // 204 No Content: no rows.
    if page.is_empty() {
        return Ok(Vec::new());
    }
    serde_json::from_slice(page).map_err(|error| format!("its listing is damaged: {error}"))
}

/// Parses a time. Swift omits the zone and means UTC; compatible servers write it.
fn timestamp(text: &str) -> Option<Timestamp> {
    text.parse().ok().or_else(|| text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok().map(|at| at.timestamp()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_objects_and_folds() {
        let page = br#"[{"subdir": "a@"}, {"name": "b", "hash": "0", "bytes": 3, "last_modified":
            "2026-11-23T08:00:00.123456", "content_type": "application/x-tar; exitcode=4"}]"#;
        let info = ObjectInfo {
            name: "b".into(),
            bytes: 3,
            content_type: "application/x-tar; exitcode=4".into(),
            modified: "2026-11-23T08:00:00.123456Z".parse().unwrap(),
        };
        assert_eq!(objects(page).unwrap(), [Entry::Prefix("a@".into()), Entry::Object(info)]);
        assert_eq!(containers(br#"[{"name": "c", "count": 1, "bytes": 1}]"#).unwrap(), ["c"]);
        assert!(objects(b"").unwrap().is_empty());
    }

    #[test]
    fn a_damaged_page_is_an_error_never_a_part() {
        let page = br#"[{"subdir": "a@"}, {"name": "b", "bytes": 3, "last_modified": "2026-11-23T08:00:00"}]"#;
        assert_eq!(objects(page).unwrap().len(), 2);
        for end in 1..page.len() {
            objects(&page[..end]).unwrap_err();
        }
        objects(br#"[{"name": "b", "bytes": 3, "last_modified": "yesterday"}]"#).unwrap_err();
        objects(b"[{}]").unwrap_err();
        objects(b"<html>Please log in</html>").unwrap_err();
    }
}
