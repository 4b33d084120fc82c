//! Readers of a container: the header `X-Container-Read`, a comma-separated list.

use crate::store::Access;

/// Returns the entries that the list needs for this access. A user's name that the list cannot contain is an error.
pub(super) fn wanted(access: &Access) -> Result<Vec<String>, String> {
    match access {
        Access::Public => Ok(vec![".r:*".to_owned(), ".rlistings".to_owned()]),
        Access::Private(users) => users
            .iter()
            .map(|user| {
                // Such a name would also give access to other readers.
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

/// Maximum length of a list, in bytes: Swift refuses header lines of more than 8192.
const MAX_LIST_BYTES: usize = 8000;

/// Returns the list for this access; `None` when the existing one suffices. Readers stay on it, except for everyone on
/// a list that has to be private. Readers that do not fit are left out: if Swift refused the list, the result would be
/// lost as well.
pub(super) fn changed(existing: &str, wanted: &[String], access: &Access) -> Option<String> {
    let before: Vec<&str> = existing.split(',').map(str::trim).filter(|reader| !reader.is_empty()).collect();
    let mut list = before.clone();
    if matches!(access, Access::Private(_)) {
        list.retain(|reader| !lets_strangers_in(reader));
    }
    let mut length: usize = list.iter().map(|reader| reader.len() + 1).sum();
    for reader in wanted {
        let grown = length + reader.len() + 1;
        if !list.contains(&reader.as_str()) && grown <= MAX_LIST_BYTES {
            list.push(reader);
            length = grown;
        }
    }
    (list != before).then(|| list.join(","))
}

/// Returns the wanted readers that are not on a list.
pub(super) fn left_out<'a>(list: &str, wanted: &'a [String]) -> Vec<&'a str> {
    let on_it: Vec<&str> = list.split(',').map(str::trim).collect();
    wanted.iter().map(String::as_str).filter(|reader| !on_it.contains(reader)).collect()
}

/// Returns whether a list gives access to strangers.
pub(super) fn is_open(list: &str) -> bool {
    list.split(',').any(|reader| lets_strangers_in(reader.trim()))
}

/// Returns whether an entry stands for people whom nobody named: with a certain referrer, which anyone can pretend, or
/// with any account (`*:*`, in Keystone).
fn lets_strangers_in(reader: &str) -> bool {
    // Swift also accepts these names with blanks and in other spellings.
    let reader: String = reader.chars().filter(|c| !c.is_whitespace()).collect();
    let anybody = [".r:", ".ref:", ".referer:", ".referrer:", ".rlistings"];
    anybody.iter().any(|name| reader.starts_with(name)) || matches!(reader.as_str(), "*" | "*:*")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(existing: &str, access: &Access) -> Option<String> {
        changed(existing, &wanted(access).unwrap(), access)
    }

    fn private(users: &[&str]) -> Access {
        Access::Private(users.iter().map(|user| (*user).to_owned()).collect())
    }

    #[test]
    fn a_list_grows() {
        assert_eq!(list("", &Access::Public).as_deref(), Some(".r:*,.rlistings"));
        assert_eq!(list(".rlistings, .r:*", &Access::Public), None);
        assert_eq!(list("*:bob,proj:x", &private(&["ann", "bob"])).as_deref(), Some("*:bob,proj:x,*:ann"));
        assert_eq!(list("*:bob", &private(&[])), None);
        assert!(!is_open("*:bob,proj:x") && !is_open(""));
        assert_eq!(list("", &private(&[])), None);
    }

    #[test]
    fn a_list_never_outgrows_a_header() {
        let mut existing = String::new();
        let mut left_out_of = 0;
        for number in 0..100 {
            let access = private(&[&format!("{number:0>200}")]);
            existing = list(&existing, &access).unwrap_or(existing);
            left_out_of += left_out(&existing, &wanted(&access).unwrap()).len();
        }
        assert!(existing.len() <= MAX_LIST_BYTES && existing.len() > MAX_LIST_BYTES - 250, "{}", existing.len());
        assert_eq!(existing.split(',').count() + left_out_of, 100);
        let short = private(&["ann"]);
        assert!(list(&existing, &short).is_some_and(|list| left_out(&list, &wanted(&short).unwrap()).is_empty()));
    }

    #[test]
    fn what_is_private_is_closed_to_strangers_and_to_nobody_else() {
        for open in [".r:*,.rlistings", ".rlistings", " .r : *", ".r:*.example.com", ".referrer:*", "*:*", ".r:-x.com"]
        {
            assert_eq!(list(&format!("*:bob,{open},p:u"), &private(&["ann"])).as_deref(), Some("*:bob,p:u,*:ann"));
            assert_eq!(list(open, &private(&[])).as_deref(), Some(""));
            assert!(is_open(&format!("*:bob, {open}")));
        }
    }

    #[test]
    fn a_name_cannot_let_others_in() {
        for user in ["", "a,.r:*", "a b", "a\nX-Other: 1", "p:u"] {
            wanted(&Access::Private(vec![user.into()])).unwrap_err();
        }
    }
}
