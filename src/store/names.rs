//! Rules for the names of containers and objects. Both kinds of store have the same rules, so that results can be
//! copied between them.

use super::StoreError;

/// Checks that a container's name is one plain, visible folder name: a folder store keeps its own files in hidden ones.
pub(super) fn check_container(address: &str, container: &str) -> Result<(), StoreError> {
    let reason = if container.is_empty() {
        "the name is empty"
    } else if container.contains('/') {
        "the name holds a /"
    } else if container.starts_with('.') {
        "the name begins with a ."
    } else if container.contains('\0') {
        "the name holds a NUL character"
    } else if container.len() > 256 {
        "the name is longer than 256 bytes"
    } else {
        return Ok(());
    };
    Err(refused(address, &format!("use the container {container:?}"), reason))
}

/// Checks that no part of an object's name has a special meaning in a file system or URL (`.`, `..`, empty).
pub(super) fn check_object(address: &str, object: &str) -> Result<(), StoreError> {
    let reason = if object.split('/').any(|part| matches!(part, "" | "." | "..")) {
        "a part of the name is empty, . or .."
    } else if object.contains('\0') {
        "the name holds a NUL character"
    } else if object.len() > 1024 {
        "the name is longer than 1024 bytes"
    } else {
        return Ok(());
    };
    Err(refused(address, &format!("use the object {object:?}"), reason))
}

fn refused(address: &str, action: &str, reason: &str) -> StoreError {
    StoreError::Refused { address: address.to_owned(), action: action.to_owned(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_layout_are_good() {
        for container in ["autopkgtest-bookworm", "private-autopkgtest-noble-o-p", "a+b~c%41?é"] {
            check_container("x", container).unwrap();
        }
        for object in ["bookworm/amd64/libp/libpng/20260101_120000_ab12c@/log.gz", "...", "a/.b/c..", "%2e%2e"] {
            check_object("x", object).unwrap();
        }
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for container in ["", ".", "..", ".headers", "a/b", "a\0", &"x".repeat(257)] {
            check_container("x", container).unwrap_err();
        }
        for object in ["", "/a", "a/", "a//b", ".", "a/./b", "../a", "a/..", "a\0b", &"x".repeat(1025)] {
            check_object("x", object).unwrap_err();
        }
    }
}
