//! Removing: what is beyond the limits, and what processes that were killed have left.

use std::collections::BTreeSet;
use std::time::Duration;

use rusqlite::{Connection, params};

use crate::files;
use crate::{Error, History, ResultId, Time};

/// Nobody takes longer to write the files of one result.
const LONGEST_WRITE: Duration = Duration::from_hours(1);

/// Results that are removed in one transaction.
const AT_ONCE: usize = 500;

impl History {
    /// Notes that there may soon be files of this id.
    pub(crate) fn note_unfinished(&self, id: &ResultId) -> Result<(), Error> {
        self.0
            .database
            .note(|connection| note(connection, id.as_str()))
    }

    /// Removes the files of results that are not in the database (any more).
    pub(crate) fn remove_files(&self, ids: &[ResultId]) -> Result<(), Error> {
        let database = &self.0.database;
        for id in ids {
            files::remove(database.folder(), id)?;
        }
        database.note(|connection| {
            let mut statement = connection.prepare_cached("DELETE FROM unfinished WHERE id = ?")?;
            ids.iter()
                .try_for_each(|id| statement.execute([id.as_str()]).map(drop))
        })
    }

    /// Removes what processes have left that were killed while they added or removed results.
    fn remove_unfinished(&self) -> Result<(), Error> {
        let before = Time::now().before(LONGEST_WRITE).milliseconds();
        let sql = "SELECT id FROM unfinished WHERE time < ?";
        let left = self
            .0
            .database
            .read(|connection| ids(connection, sql, params![before]))?;
        if left.is_empty() {
            return Ok(());
        }
        // Files that have no name yet lie where they were to get one.
        let folder = self.0.database.folder();
        let days: BTreeSet<_> = left
            .iter()
            .map(|id| files::day_folder(folder, id))
            .collect();
        for day in &days {
            vcp_files::remove_leftovers(day);
        }
        self.remove_files(&left)
    }

    /// Removes the results that are beyond the limits, and gives their number; and what processes have left that were
    /// killed more than an hour ago while they added some. Adding a result does so too. Where results have an age limit
    /// and may be long in coming, this is to be called now and then.
    ///
    /// # Errors
    /// When the history cannot be written, or a file cannot be removed.
    pub fn prune(&self) -> Result<usize, Error> {
        self.remove_unfinished()?;
        let mut removed = 0;
        if let Some(age) = self.0.options.max_age {
            let bound = ResultId::bound(Time::now().before(age));
            removed += self.remove_while(|connection| {
                let sql = "SELECT id FROM results WHERE id < ? ORDER BY id LIMIT ?";
                ids(connection, sql, params![bound, AT_ONCE as i64])
            })?;
        }
        if let Some(most) = self.0.options.max_bytes {
            let most = i64::try_from(most).unwrap_or(i64::MAX);
            removed += self.remove_while(|connection| beyond(connection, most))?;
        }
        Ok(removed)
    }

    /// Removes what `find` finds until it finds nothing.
    fn remove_while(
        &self,
        find: impl Fn(&Connection) -> rusqlite::Result<Vec<ResultId>>,
    ) -> Result<usize, Error> {
        let mut removed = 0;
        // Looking is cheap and nearly always all that there is to do.
        while !self.0.database.read(&find)?.is_empty() {
            let gone = self.0.database.write(|connection| {
                let gone = find(connection)?;
                let mut statement =
                    connection.prepare_cached("DELETE FROM results WHERE id = ?")?;
                for id in &gone {
                    note(connection, id.as_str())?;
                    statement.execute([id.as_str()])?;
                }
                Ok(gone)
            })?;
            removed += gone.len();
            self.remove_files(&gone)?;
        }
        Ok(removed)
    }
}

fn note(connection: &Connection, id: &str) -> rusqlite::Result<()> {
    let now = Time::now().milliseconds();
    connection
        .prepare_cached("INSERT OR REPLACE INTO unfinished VALUES (?, ?)")?
        .execute(params![id, now])?;
    Ok(())
}

fn ids(
    connection: &Connection,
    sql: &str,
    values: impl rusqlite::Params,
) -> rusqlite::Result<Vec<ResultId>> {
    let mut statement = connection.prepare_cached(sql)?;
    let texts = statement.query_map(values, |row| row.get::<_, String>(0))?;
    let texts = texts.collect::<Result<Vec<_>, _>>()?;
    // Only ids were put in.
    Ok(texts.iter().filter_map(|text| text.parse().ok()).collect())
}

/// The results to remove so that at most so many bytes are left: the oldest, those without a verdict first.
fn beyond(connection: &Connection, most: i64) -> rusqlite::Result<Vec<ResultId>> {
    let all: i64 = connection.query_row("SELECT bytes FROM total", [], |row| row.get(0))?;
    let mut too_many = all - most;
    if too_many <= 0 {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for condition in ["verdict IS NULL", "verdict IS NOT NULL"] {
        let sql =
            format!("SELECT id, bytes FROM results WHERE {condition} ORDER BY id LIMIT {AT_ONCE}");
        let mut statement = connection.prepare_cached(&sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            if too_many <= 0 {
                return Ok(found);
            }
            if let Ok(id) = row.get::<_, String>(0)?.parse() {
                found.push(id);
            }
            too_many -= row.get::<_, i64>(1)?;
        }
        // Those with a verdict have their turn when there are no others.
        if !found.is_empty() {
            break;
        }
    }
    Ok(found)
}
