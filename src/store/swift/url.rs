//! URLs of accounts, containers and objects. Every reserved byte is escaped in each part of a path: object names have
//! `@`, `+`, `~`, `:`, `%` and `?`, and must arrive unchanged.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

/// All except RFC 3986's unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Escapes one part of a path, or a value of a query.
pub(super) fn escape(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// Returns the escaped path of a container or object below its account; empty for the account itself.
pub(super) fn path(container: &str, object: &str) -> String {
    let mut path = String::new();
    for part in [container].into_iter().chain(object.split('/')).filter(|part| !part.is_empty()) {
        path.push('/');
        path.push_str(&escape(part));
    }
    path
}

/// Returns a query: `?` and its parameters, without those that have no value.
pub(super) fn query(parameters: &[(&str, &str)]) -> String {
    let given: Vec<String> = parameters
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name}={}", escape(value)))
        .collect();
    if given.is_empty() { String::new() } else { format!("?{}", given.join("&")) }
}

/// Returns a URL for people: without user, password, query and fragment, and without a slash at the end.
pub(super) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // These only fail for URLs without a host, which have no user either.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.as_str().trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_of_runs_are_escaped_part_by_part() {
        assert_eq!(
            path("autopkgtest-bookworm", "bookworm/amd64/g/g++-12/20260101_120000_ab12c@/a:b~%41?.gz"),
            "/autopkgtest-bookworm/bookworm/amd64/g/g%2B%2B-12/20260101_120000_ab12c%40/a%3Ab~%2541%3F.gz"
        );
        assert_eq!(path("", ""), "");
    }

    #[test]
    fn a_query_has_only_what_is_asked() {
        assert_eq!(
            query(&[("format", "json"), ("prefix", ""), ("marker", "a b&c=+")]),
            "?format=json&marker=a%20b%26c%3D%2B"
        );
        assert_eq!(query(&[("prefix", "")]), "");
    }

    #[test]
    fn people_see_no_password() {
        let url = Url::parse("https://joe:secret@h.example:5000/v3/?token=secret#secret").unwrap();
        assert_eq!(shown(&url), "https://h.example:5000/v3");
    }

    proptest! {
        #[test]
        fn what_is_escaped_arrives_as_it_was(parts in prop::collection::vec("[^/\0]{1,12}", 1..5)) {
            prop_assume!(parts.iter().all(|part| part != "." && part != ".."));
            let object = parts.join("/");
            // The HTTP client's own parser must not change a byte.
            let url = Url::parse(&format!("http://h/v1/AUTH_x{}", path("c", &object))).unwrap();
            let arrived: Vec<String> = url
                .path_segments()
                .unwrap()
                .skip(3)
                .map(|part| percent_encoding::percent_decode_str(part).decode_utf8().unwrap().into_owned())
                .collect();
            prop_assert_eq!(arrived, parts);
        }
    }
}
