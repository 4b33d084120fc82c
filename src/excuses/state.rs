//! How proposed-migration judges a test.

use std::fmt;
use std::str::FromStr;

/// What proposed-migration says about a test on an architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// It passed with the new version.
    Pass,
    /// It passed with the new version, at an older version of its own.
    OldPass,
    /// There was nothing to run.
    Neutral,
    /// There was nothing to run, at an older version of its own.
    OldNeutral,
    /// It failed, and nobody knows yet whether it did before.
    Fail,
    /// It failed, at an older version of its own.
    OldFail,
    /// It failed, as it always did.
    AlwaysFail,
    /// It failed, and passed before.
    Regression,
    /// It failed, which does not count.
    IgnoreFail,
    /// Its result is waited for.
    Running,
    /// The result of its baseline is waited for.
    RunningReference,
    /// Its result is waited for; it always failed before.
    RunningAlwaysFail,
    /// A word that is not known here.
    Other,
}

/// All that can be asked for, with their words.
const WORDS: [(State, &str); 12] = [
    (State::Pass, "PASS"),
    (State::OldPass, "OLD_PASS"),
    (State::Neutral, "NEUTRAL"),
    (State::OldNeutral, "OLD_NEUTRAL"),
    (State::Fail, "FAIL"),
    (State::OldFail, "OLD_FAIL"),
    (State::AlwaysFail, "ALWAYSFAIL"),
    (State::Regression, "REGRESSION"),
    (State::IgnoreFail, "IGNORE-FAIL"),
    (State::Running, "RUNNING"),
    (State::RunningReference, "RUNNING-REFERENCE"),
    (State::RunningAlwaysFail, "RUNNING-ALWAYSFAIL"),
];

impl State {
    /// The state that a word of the excuses means.
    pub fn of_word(word: &str) -> Self {
        WORDS.into_iter().find(|(_, known)| *known == word).map_or(Self::Other, |(state, _)| state)
    }

    /// The word in the excuses.
    pub fn as_str(self) -> &'static str {
        WORDS.into_iter().find(|(state, _)| *state == self).map_or("other", |(_, word)| word)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that is no state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected one of: {}", WORDS.map(|(_, word)| word).join(", "))]
pub struct InvalidState;

/// Reads what a person asks for: small letters will do, and an underscore is as good as a hyphen.
impl FromStr for State {
    type Err = InvalidState;

    fn from_str(text: &str) -> Result<Self, InvalidState> {
        let plain = |text: &str| text.to_ascii_uppercase().replace('_', "-");
        let known = WORDS.into_iter().find(|(_, word)| plain(word) == plain(text));
        known.map(|(state, _)| state).ok_or(InvalidState)
    }
}
