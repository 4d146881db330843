//! Which results are asked for.

use std::fmt;
use std::str::FromStr;

use rusqlite::ToSql;

use crate::entry::WordError;
use crate::{Outcome, ResultId, Time, Verdict};

/// Which results are asked for: those for which all that is said here holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Inspected at this time or later.
    pub after: Option<Time>,
    /// Inspected earlier than this.
    pub before: Option<Time>,
    /// With this decision.
    pub outcome: Option<Outcome>,
    /// With this verdict, or none.
    pub verdict: Option<VerdictFilter>,
    /// Inspected by the model of this name.
    pub model: Option<String>,
    /// From this source.
    pub source: Option<String>,
}

/// Which verdict results are to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VerdictFilter {
    /// This one.
    Is(Verdict),
    /// None.
    None,
}

impl fmt::Display for VerdictFilter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(verdict) => verdict.fmt(formatter),
            Self::None => formatter.write_str("none"),
        }
    }
}

impl FromStr for VerdictFilter {
    type Err = WordError;

    fn from_str(text: &str) -> Result<Self, WordError> {
        if text == "none" {
            return Ok(Self::None);
        }
        text.parse().map(Self::Is).map_err(|error| WordError {
            expected: "good, defect, unsure, none",
            ..error
        })
    }
}

/// Where a list goes on: behind this result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(pub(crate) ResultId);

impl fmt::Display for Cursor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl FromStr for Cursor {
    type Err = crate::IdError;

    fn from_str(text: &str) -> Result<Self, crate::IdError> {
        text.parse().map(Self)
    }
}

impl serde::Serialize for Cursor {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A condition in SQL with the values of its parameters, in their order.
#[derive(Default)]
pub(crate) struct Conditions {
    sql: String,
    values: Vec<Box<dyn ToSql>>,
}

impl Conditions {
    pub(crate) fn of(filter: &Filter) -> Self {
        let mut conditions = Self::default();
        if let Some(time) = filter.after {
            conditions.add("results.id >= ?", ResultId::bound(time));
        }
        if let Some(time) = filter.before {
            conditions.add("results.id < ?", ResultId::bound(time));
        }
        if let Some(outcome) = filter.outcome {
            conditions.add("decision = ?", outcome.word());
        }
        match filter.verdict {
            Some(VerdictFilter::Is(verdict)) => conditions.add("verdict = ?", verdict.word()),
            Some(VerdictFilter::None) => conditions.begin("verdict IS NULL"),
            None => {}
        }
        if let Some(model) = &filter.model {
            conditions.add("model_name = ?", model.clone());
        }
        if let Some(source) = &filter.source {
            conditions.add("source = ?", source.clone());
        }
        conditions
    }

    fn begin(&mut self, condition: &str) {
        self.sql.push_str(if self.sql.is_empty() {
            " WHERE "
        } else {
            " AND "
        });
        self.sql.push_str(condition);
    }

    /// Adds a condition with one parameter.
    pub(crate) fn add(&mut self, condition: &str, value: impl ToSql + 'static) {
        self.begin(condition);
        self.values.push(Box::new(value));
    }

    /// ` WHERE …`, or nothing.
    pub(crate) fn sql(&self) -> &str {
        &self.sql
    }

    pub(crate) fn values(&self) -> impl rusqlite::Params + '_ {
        rusqlite::params_from_iter(self.values.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_verdicts_are_read() {
        for (text, expected) in [
            ("good", VerdictFilter::Is(Verdict::Good)),
            ("unsure", VerdictFilter::Is(Verdict::Unsure)),
            ("none", VerdictFilter::None),
        ] {
            assert_eq!(text.parse(), Ok(expected));
            assert_eq!(expected.to_string(), text);
        }
        let error = "bad".parse::<VerdictFilter>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "\"bad\" is not one of good, defect, unsure, none."
        );
    }
}
