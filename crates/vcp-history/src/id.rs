//! Names of results.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::str::FromStr;
use std::sync::atomic::{AtomicU32, Ordering};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Time;

/// Digits of the time, of the count within a process, and of the process.
const TIME: usize = 12;
const COUNT: usize = 8;
const PROCESS: usize = 8;

/// What a result is called in a history: 28 of the characters `0` to `9` and `a` to `f`. Ids sort by time, and by the
/// order of adding within a millisecond of one process.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResultId(String);

impl ResultId {
    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The time of the result.
    #[must_use]
    pub fn time(&self) -> Time {
        let milliseconds = i64::from_str_radix(&self.0[..TIME], 16);
        Time::from_milliseconds(milliseconds.unwrap_or(0))
    }

    /// What is not after any id of this time or later, and after all ids of earlier times.
    pub(crate) fn bound(time: Time) -> String {
        format!("{:0TIME$x}", time.milliseconds())
    }
}

/// Makes ids that no other process makes.
#[derive(Debug)]
pub(crate) struct IdSource {
    process: u32,
    count: AtomicU32,
}

impl IdSource {
    pub(crate) fn new() -> Self {
        // What the standard library keys its hash maps with is random for each of them.
        let process = RandomState::new().hash_one(std::process::id());
        Self {
            process: process as u32,
            count: AtomicU32::new(0),
        }
    }

    pub(crate) fn next(&self, time: Time) -> ResultId {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let (milliseconds, process) = (time.milliseconds(), self.process);
        ResultId(format!(
            "{milliseconds:0TIME$x}{count:0COUNT$x}{process:0PROCESS$x}"
        ))
    }
}

impl fmt::Display for ResultId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A text that is no id of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("This is no id of a result, which has 28 of the characters 0 to 9 and a to f.")]
pub struct IdError;

impl FromStr for ResultId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() == TIME + COUNT + PROCESS && text.bytes().all(is_digit) {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdError)
        }
    }
}

impl Serialize for ResultId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ResultId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_order() {
        let source = IdSource::new();
        let other = IdSource::new();
        let times = [0, 1, 1, 1_795_752_306_789].map(Time::from_milliseconds);
        let ids = times.map(|time| source.next(time));
        assert!(ids.is_sorted());
        for (id, time) in ids.iter().zip(times) {
            assert_eq!(id.time(), time);
            assert_eq!(id.to_string().parse(), Ok(id.clone()));
            assert!(*id.as_str() >= *ResultId::bound(time));
            let later = Time::from_milliseconds(time.milliseconds() + 1);
            assert!(*id.as_str() < *ResultId::bound(later));
            assert_ne!(*id, other.next(time));
        }
        for text in ["", "../../../../../../etc/passwd.", &"A".repeat(28)] {
            assert_eq!(text.parse::<ResultId>(), Err(IdError));
        }
    }
}
