//! Moments, as the history keeps and prints them.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A moment to the millisecond, from 1970 to the end of the year 9999. As text it is RFC 3339 in UTC:
/// `2026-11-27T04:05:06.789Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

/// The last millisecond of the year 9999.
const LAST: i64 = 253_402_300_799_999;

impl Time {
    /// This moment.
    #[must_use]
    pub fn now() -> Self {
        SystemTime::now().into()
    }

    /// The moment so many milliseconds after 1970-01-01T00:00:00Z; the nearest that there is.
    #[must_use]
    pub fn from_milliseconds(milliseconds: i64) -> Self {
        Self(milliseconds.clamp(0, LAST))
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn milliseconds(self) -> i64 {
        self.0
    }

    /// The moment so much earlier; 1970 if that is earlier still.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        let milliseconds = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self::from_milliseconds(self.0.saturating_sub(milliseconds))
    }

    /// The day in UTC, `YYYY-MM-DD`.
    #[must_use]
    pub fn day(self) -> String {
        let mut text = self.to_string();
        text.truncate("YYYY-MM-DD".len());
        text
    }
}

impl From<SystemTime> for Time {
    fn from(time: SystemTime) -> Self {
        // A clock before 1970 is wrong anyway.
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::from_milliseconds(i64::try_from(since.as_millis()).unwrap_or(LAST))
    }
}

impl From<Time> for SystemTime {
    fn from(time: Time) -> Self {
        UNIX_EPOCH + Duration::from_millis(time.0.unsigned_abs())
    }
}

impl fmt::Display for Time {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_rfc3339_millis((*self).into()).fmt(formatter)
    }
}

/// A text that is no time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no time; write a day as 2026-11-27, or a moment in UTC as 2026-11-27T16:05:00Z."
)]
pub struct TimeError {
    /// The text.
    text: String,
}

impl FromStr for Time {
    type Err = TimeError;

    /// A day (its beginning), or a moment in UTC with or without `Z`.
    fn from_str(text: &str) -> Result<Self, TimeError> {
        let parsed = if text.len() == "YYYY-MM-DD".len() {
            humantime::parse_rfc3339(&format!("{text}T00:00:00Z"))
        } else {
            humantime::parse_rfc3339_weak(text)
        };
        match parsed.map(|time| time.duration_since(UNIX_EPOCH)) {
            Ok(Ok(_)) if text.is_ascii() => parsed.map(Self::from),
            _ => return Err(TimeError { text: text.into() }),
        }
        .map_err(|_| TimeError { text: text.into() })
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_and_written() {
        for (text, milliseconds, written) in [
            ("1970-01-01", 0, "1970-01-01T00:00:00.000Z"),
            (
                "2026-11-27T04:05:06.789Z",
                1_795_752_306_789,
                "2026-11-27T04:05:06.789Z",
            ),
            (
                "2026-11-27 04:05:06",
                1_795_752_306_000,
                "2026-11-27T04:05:06.000Z",
            ),
        ] {
            let time: Time = text.parse().unwrap();
            assert_eq!(time.milliseconds(), milliseconds, "{text}");
            assert_eq!(time.to_string(), written);
            assert_eq!(time.day(), written[..10]);
        }
        for text in [
            "",
            "today",
            "2026-13-01",
            "2026-11-27T04:05",
            "1969-12-31",
            "２０２６-11",
        ] {
            assert!(text.parse::<Time>().is_err(), "{text}");
        }
        let far = Time::from_milliseconds(i64::MAX);
        assert_eq!(far.to_string(), "9999-12-31T23:59:59.999Z");
        assert_eq!(far.before(Duration::MAX).milliseconds(), 0);
    }
}
