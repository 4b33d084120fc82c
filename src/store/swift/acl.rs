//! Who may read a container: the header `X-Container-Read`, a list with commas.

use crate::store::Access;

/// What the list must have for this access. An error when a user's name cannot stand in it.
pub(super) fn wanted(access: &Access) -> Result<Vec<String>, String> {
    match access {
        Access::Public => Ok(vec![".r:*".to_owned(), ".rlistings".to_owned()]),
        Access::Private(users) => users
            .iter()
            .map(|user| {
                // Such a name would name other readers too.
                if user.is_empty()
                    || user.chars().any(|c| matches!(c, ',' | ':') || c.is_whitespace() || c.is_control())
                {
                    return Err(format!("{user:?} is no name of a user of the store"));
                }
                Ok(format!("*:{user}"))
            })
            .collect(),
    }
}

/// The list with what is missing added; `None` when nothing is. Who was on it stays on it.
pub(super) fn extended(existing: &str, wanted: &[String]) -> Option<String> {
    let mut list: Vec<&str> = existing.split(',').map(str::trim).filter(|reader| !reader.is_empty()).collect();
    let before = list.len();
    for reader in wanted {
        if !list.contains(&reader.as_str()) {
            list.push(reader);
        }
    }
    (list.len() > before).then(|| list.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_grows_and_never_shrinks() {
        let public = wanted(&Access::Public).unwrap();
        assert_eq!(extended("", &public).as_deref(), Some(".r:*,.rlistings"));
        assert_eq!(extended(".rlistings, .r:*", &public), None);
        let users = wanted(&Access::Private(vec!["ann".into(), "bob".into()])).unwrap();
        assert_eq!(extended("*:bob,proj:x", &users).as_deref(), Some("*:bob,proj:x,*:ann"));
        assert_eq!(extended("*:bob", &[]), None);
    }

    #[test]
    fn a_name_cannot_let_others_in() {
        for user in ["", "a,.r:*", "a b", "a\nX-Other: 1", "p:u"] {
            wanted(&Access::Private(vec![user.into()])).unwrap_err();
        }
    }
}
