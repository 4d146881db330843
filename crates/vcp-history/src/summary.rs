//! Counts over results.

use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use crate::filter::Conditions;
use crate::{Error, Filter, History, Time};

/// Bins of the histogram of scores.
const SCORES: usize = 20;

/// Most parts that a time is divided into.
const MOST_BUCKETS: usize = 1000;

/// How the results that were asked for came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Summary {
    /// Number of results.
    pub inspected: u64,
    /// Those with the decision `ok`.
    pub ok: u64,
    /// Those with the decision `review`.
    pub review: u64,
    /// Those with the decision `defect`.
    pub defect: u64,
    /// Those with a verdict of `good` or `defect`.
    pub judged: u64,
    /// Those that were decided `defect` and judged `good`.
    pub false_alarms: u64,
    /// Those that were decided `ok` and judged `defect`.
    pub misses: u64,
    /// How many scores lie in each twentieth of 0 to 1.
    pub scores: Vec<u64>,
    /// How many were rejected over time, the earliest first.
    pub rejects: Vec<Rejects>,
}

/// The results of a part of the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Rejects {
    /// When it begins.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub time: Time,
    /// Number of results.
    pub inspected: u64,
    /// Those with the decision `defect`.
    pub defect: u64,
    /// Those with the decision `review`.
    pub review: u64,
}

impl History {
    /// Counts the results that are asked for, and those of each of `buckets` equal parts (at most 1000) of the time
    /// from `filter.after`, or the first of them, to `filter.before`, or the last.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub fn summary(&self, filter: &Filter, buckets: usize) -> Result<Summary, Error> {
        let buckets = buckets.clamp(1, MOST_BUCKETS) as i64;
        self.0.database.read(|connection| {
            // All is counted at one moment.
            let moment = connection.unchecked_transaction()?;
            summary(&moment, filter, buckets)
        })
    }
}

fn summary(connection: &Connection, filter: &Filter, buckets: i64) -> rusqlite::Result<Summary> {
    let conditions = Conditions::of(filter);
    let matching = conditions.sql();
    let sql = format!(
        "SELECT count(*), coalesce(sum(decision = 'ok'), 0), coalesce(sum(decision = 'review'), 0), \
         coalesce(sum(decision = 'defect'), 0), coalesce(sum(coalesce(verdict, '') IN ('good', 'defect')), 0), \
         coalesce(sum(decision = 'defect' AND coalesce(verdict, '') = 'good'), 0), \
         coalesce(sum(decision = 'ok' AND coalesce(verdict, '') = 'defect'), 0), min(time), max(time) \
         FROM results{matching}"
    );
    let (mut summary, first, last) = connection.query_row(&sql, conditions.values(), |row| {
        let summary = Summary {
            inspected: row.get(0)?,
            ok: row.get(1)?,
            review: row.get(2)?,
            defect: row.get(3)?,
            judged: row.get(4)?,
            false_alarms: row.get(5)?,
            misses: row.get(6)?,
            scores: vec![0; SCORES],
            rejects: Vec::new(),
        };
        let times = (row.get::<_, Option<i64>>(7)?, row.get::<_, Option<i64>>(8)?);
        Ok((summary, times.0, times.1))
    })?;

    let sql = format!(
        "SELECT max(0, min({}, CAST(score * {SCORES} AS INTEGER))) AS bin, count(*) FROM results{matching} GROUP BY bin",
        SCORES - 1
    );
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query(conditions.values())?;
    while let Some(row) = rows.next()? {
        summary.scores[row.get::<_, usize>(0)?.min(SCORES - 1)] = row.get(1)?;
    }

    let begin = filter.after.map(Time::milliseconds).or(first);
    let end = filter
        .before
        .map(Time::milliseconds)
        .or(last.map(|it| it + 1));
    let (Some(begin), Some(end)) = (begin, end) else {
        return Ok(summary);
    };
    // Every result lies in one of them, also the last.
    let width = (end - begin + buckets - 1).max(buckets) / buckets;
    let start = |bucket: i64| Time::from_milliseconds(begin.saturating_add(bucket * width));
    summary.rejects = (0..buckets)
        .map(|bucket| Rejects {
            time: start(bucket),
            inspected: 0,
            defect: 0,
            review: 0,
        })
        .collect();
    let sql = format!(
        "SELECT (time - {begin}) / {width} AS bucket, count(*), sum(decision = 'defect'), sum(decision = 'review') \
         FROM results{matching} GROUP BY bucket"
    );
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query(conditions.values())?;
    while let Some(row) = rows.next()? {
        if let Some(rejects) = summary.rejects.get_mut(row.get::<_, usize>(0)?) {
            (rejects.inspected, rejects.defect, rejects.review) =
                (row.get(1)?, row.get(2)?, row.get(3)?);
        }
    }
    Ok(summary)
}
