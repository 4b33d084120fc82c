//! proposed-migration's states of tests.

use std::fmt;
use std::str::FromStr;

/// proposed-migration's state of a test on an architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TestState {
    /// Passed with the new version.
    Pass,
    /// Passed with the new version, at an older version of the tested package.
    OldPass,
    /// Nothing was run.
    Neutral,
    /// Nothing was run, at an older version of the tested package.
    OldNeutral,
    /// Failed; whether it failed before is not known yet.
    Fail,
    /// Failed, at an older version of the tested package.
    OldFail,
    /// Failed, and always did before.
    AlwaysFail,
    /// Failed, and passed before.
    Regression,
    /// Failed, which does not count.
    IgnoreFail,
    /// The result is expected.
    Running,
    /// The result of the baseline is expected.
    RunningReference,
    /// The result is expected; the test always failed before.
    RunningAlwaysFail,
    /// An unknown word.
    Other,
}

/// All known states, with their words.
const WORDS: [(TestState, &str); 12] = [
    (TestState::Pass, "PASS"),
    (TestState::OldPass, "OLD_PASS"),
    (TestState::Neutral, "NEUTRAL"),
    (TestState::OldNeutral, "OLD_NEUTRAL"),
    (TestState::Fail, "FAIL"),
    (TestState::OldFail, "OLD_FAIL"),
    (TestState::AlwaysFail, "ALWAYSFAIL"),
    (TestState::Regression, "REGRESSION"),
    (TestState::IgnoreFail, "IGNORE-FAIL"),
    (TestState::Running, "RUNNING"),
    (TestState::RunningReference, "RUNNING-REFERENCE"),
    (TestState::RunningAlwaysFail, "RUNNING-ALWAYSFAIL"),
];

impl TestState {
    /// Returns the state for a word of the excuses.
    pub fn of_word(word: &str) -> Self {
        WORDS.into_iter().find(|(_, known)| *known == word).map_or(Self::Other, |(state, _)| state)
    }

    /// Returns the word in the excuses.
    pub fn as_str(self) -> &'static str {
        WORDS.into_iter().find(|(state, _)| *state == self).map_or("other", |(_, word)| word)
    }
}

impl fmt::Display for TestState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that is not a state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected one of: {}", WORDS.map(|(_, word)| word).join(", "))]
pub struct InvalidTestState;

/// Parses user input: lower case, and underscores instead of hyphens, are accepted.
impl FromStr for TestState {
    type Err = InvalidTestState;

    fn from_str(text: &str) -> Result<Self, InvalidTestState> {
        let plain = |text: &str| text.to_ascii_uppercase().replace('_', "-");
        let known = WORDS.into_iter().find(|(_, word)| plain(word) == plain(text));
        known.map(|(state, _)| state).ok_or(InvalidTestState)
    }
}
