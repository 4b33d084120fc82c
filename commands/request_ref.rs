//! Requests as users name them: by id, by the beginning of the id, or by package.

use crate::ui::error::BadInput;

/// Maximum number of ids that an error lists.
const MAX_LISTED: usize = 10;

/// A request that may be meant.
#[derive(Clone, Copy)]
pub struct Candidate<'a> {
    /// Its id; empty for a request of another program that has none.
    pub id: &'a str,
    /// Its package, where a package's name is understood; `None` for a private request, about which nothing is told.
    pub package: Option<&'a str>,
}

/// Returns the place of the one request that a text means, if any does.
///
/// A whole id comes first. Otherwise the text has to be the beginning of one id only, or the package of one request
/// only.
///
/// # Errors
/// When several requests are meant.
pub fn find<'a>(text: &str, candidates: impl IntoIterator<Item = Candidate<'a>>) -> Result<Option<usize>, BadInput> {
    let mut meant: Vec<(usize, &str)> = Vec::new();
    for (place, Candidate { id, package }) in candidates.into_iter().enumerate() {
        if id == text && !text.is_empty() {
            return Ok(Some(place));
        }
        let is_meant = !text.is_empty() && (id.starts_with(text) || package == Some(text));
        // Requests without an id may be different ones.
        if is_meant && (id.is_empty() || meant.iter().all(|(_, known)| *known != id)) {
            meant.push((place, id));
        }
    }
    match meant.as_slice() {
        [] => Ok(None),
        [(place, _)] => Ok(Some(*place)),
        several => Err(ambiguous(text, several.iter().map(|(_, id)| *id))),
    }
}

/// Returns the place of the one request that a text means, if any does, for a command that reaches requests only by
/// their ids.
///
/// # Errors
/// When several requests are meant, or one without an id.
pub fn find_with_id<'a>(
    text: &str,
    candidates: impl IntoIterator<Item = Candidate<'a>>,
) -> Result<Option<usize>, BadInput> {
    let candidates: Vec<Candidate<'_>> = candidates.into_iter().collect();
    let found = find(text, candidates.iter().copied());
    let is_exact = found.as_ref().is_ok_and(|place| place.is_some_and(|place| candidates[place].id == text));
    let without = candidates.iter().filter(|one| one.id.is_empty() && one.package == Some(text)).count();
    if is_exact || without == 0 || text.is_empty() {
        return found;
    }
    let mut error = match found {
        Err(error) => error,
        Ok(_) => BadInput { message: format!("the request of {text} has no id"), hint: None },
    };
    let removal = format!(
        "run `apt-ci queues remove QUEUE --match package={text}` to remove all queued requests of {text}, also those \
         without an id"
    );
    error.hint = Some(error.hint.map_or_else(|| removal.clone(), |hint| format!("{hint}; or {removal}")));
    Err(error)
}

/// Returns the error of a text that means several requests. Empty ids are those of requests without one.
fn ambiguous<'a>(text: &str, ids: impl IntoIterator<Item = &'a str>) -> BadInput {
    let (ids, without): (Vec<&str>, Vec<&str>) = ids.into_iter().partition(|id| !id.is_empty());
    let more = if ids.len() > MAX_LISTED { ", and others" } else { "" };
    let listed = ids[..ids.len().min(MAX_LISTED)].join(", ");
    let mut message = format!("{text} is ambiguous: it matches {} requests", ids.len() + without.len());
    if !without.is_empty() {
        message.push_str(&format!(", {} of them without an id", without.len()));
    }
    BadInput { message, hint: (!ids.is_empty()).then(|| format!("give the beginning of an id: {listed}{more}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUESTS: [Candidate<'_>; 4] = [
        Candidate { id: "7e89460a-1", package: Some("gzip") },
        Candidate { id: "7e894fff-2", package: Some("bc") },
        Candidate { id: "bcbcbcbc-3", package: Some("glibc") },
        Candidate { id: "0a0a0a0a-4", package: None },
    ];

    #[test]
    fn a_request_is_meant_by_its_id_or_its_package() {
        let place = |text: &str| find(text, REQUESTS).unwrap();
        assert_eq!(place("7e89460a-1"), Some(0));
        assert_eq!(place("7e8946"), Some(0));
        assert_eq!(place("gzip"), Some(0));
        assert_eq!(place("glibc"), Some(2));
        assert_eq!(place("0a"), Some(3));
        assert_eq!((place(""), place("gz"), place("7e89460a-12")), (None, None, None));
    }

    #[test]
    fn requests_without_an_id_count_as_well() {
        let other = Candidate { id: "", package: Some("gzip") };
        let with_others = |count: usize| REQUESTS.into_iter().chain(std::iter::repeat_n(other, count));
        let error = find_with_id("gzip", with_others(2)).unwrap_err();
        assert_eq!(error.message, "gzip is ambiguous: it matches 3 requests, 2 of them without an id");
        let hint = error.hint.unwrap();
        assert!(hint.starts_with(
            "give the beginning of an id: 7e89460a-1; or run `apt-ci queues remove QUEUE --match package=gzip`"
        ));
        let error = find_with_id("gzip", [other]).unwrap_err();
        assert_eq!(error.message, "the request of gzip has no id");
        assert!(find_with_id("gzip", [other, other]).unwrap_err().hint.unwrap().starts_with("run `apt-ci queues"));
        // It can be followed, and the others are meant as before.
        assert_eq!(find("gzip", [other]).unwrap(), Some(0));
        assert_eq!(find_with_id("glibc", with_others(1)).unwrap(), Some(2));
        assert_eq!(find_with_id("7e89460a-1", with_others(1)).unwrap(), Some(0));
        assert_eq!(find_with_id("", with_others(1)).unwrap(), None);
        // A package may have the name of an id.
        let named = Candidate { id: "", package: Some("bcbcbcbc-3") };
        assert_eq!(find_with_id("bcbcbcbc-3", REQUESTS.into_iter().chain([named])).unwrap(), Some(2));
    }

    #[test]
    fn a_text_that_means_several_requests_is_refused_with_their_ids() {
        // A package's name may be the beginning of an id.
        for text in ["7e89", "bc"] {
            let error = find(text, REQUESTS).unwrap_err();
            assert!(error.message.contains("is ambiguous: it matches 2 requests"), "{error:?}");
            assert!(error.hint.unwrap().contains("7e894fff-2"));
        }
        let ids: Vec<String> = (0..20).map(|number| format!("a{number}")).collect();
        let all = || ids.iter().map(|id| Candidate { id, package: None });
        assert!(find("a", all()).unwrap_err().hint.unwrap().ends_with("a9, and others"));
        // A whole id may be the beginning of another one.
        assert_eq!(find("a1", all()).unwrap(), Some(1));
        // A request that is seen twice is one.
        assert_eq!(find("a19", all().chain(all())).unwrap(), Some(19));
        assert_eq!(find("7e89460", [REQUESTS[0], REQUESTS[0]]).unwrap(), Some(0));
    }
}
