//! What sources that bring each photo once have done with, also when the result has been pruned.

use std::time::Duration;

use rusqlite::{Connection, params};

use crate::{Error, History, ResultId, Time};

/// How exactly it is known until when a photo was there.
const LATELY: Duration = Duration::from_hours(24);

/// Notes that a source has done with a photo; false if it had before.
pub(crate) fn insert(
    connection: &Connection,
    source: &str,
    key: &str,
    id: Option<&ResultId>,
) -> rusqlite::Result<bool> {
    let inserted = connection
        .prepare_cached("INSERT OR IGNORE INTO seen VALUES (?, ?, ?, ?, ?)")?
        .execute(params![
            source,
            key,
            Time::now().milliseconds(),
            id.map(ResultId::as_str),
            id.is_none()
        ])?;
    Ok(inserted == 1)
}

impl History {
    /// Whether a source has done with a photo: a result with this key was added, or it was remembered.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub fn contains(&self, source: &str, key: &str) -> Result<bool, Error> {
        self.0.database.read(|connection| {
            connection
                .prepare_cached("SELECT 1 FROM seen WHERE source = ? AND key = ?")?
                .exists([source, key])
        })
    }

    /// Remembers that a source has done with a photo that gave no result.
    ///
    /// # Errors
    /// When the history cannot be written.
    pub fn remember(&self, source: &str, key: &str) -> Result<(), Error> {
        let insert = |connection: &Connection| insert(connection, source, key, None).map(drop);
        self.0.database.write(insert)
    }

    /// The keys and ids of the results of a source of which neither [`History::deliver`] nor [`History::defer`] has been
    /// said, the oldest first.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub fn undelivered(&self, source: &str) -> Result<Vec<(String, ResultId)>, Error> {
        let sql = "SELECT key, id FROM seen WHERE source = ? AND delivered = 0 ORDER BY id";
        self.keys_and_ids(sql, source)
    }

    /// The keys and ids of the results of a source of which [`History::defer`] has been said and not yet
    /// [`History::deliver`], the oldest first.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub fn deferred(&self, source: &str) -> Result<Vec<(String, ResultId)>, Error> {
        let sql = "SELECT key, id FROM seen WHERE source = ? AND delivered = 2 ORDER BY id";
        self.keys_and_ids(sql, source)
    }

    fn keys_and_ids(&self, sql: &str, source: &str) -> Result<Vec<(String, ResultId)>, Error> {
        self.0.database.read(|connection| {
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map([source], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?))
            })?;
            let rows = rows.collect::<Result<Vec<_>, _>>()?;
            let with_id = rows
                .into_iter()
                .filter_map(|(key, id)| Some((key, id?.parse().ok()?)));
            Ok(with_id.collect())
        })
    }

    /// Notes that whoever is to hear of a result of a source has been told. It may be forgotten when the computer
    /// loses its power.
    ///
    /// # Errors
    /// When the history cannot be written.
    pub fn deliver(&self, source: &str, key: &str) -> Result<(), Error> {
        self.0.database.note(|connection| {
            connection
                .prepare_cached("UPDATE seen SET delivered = 1 WHERE source = ? AND key = ?")?
                .execute([source, key])
                .map(drop)
        })
    }

    /// Notes that all but somebody who cannot be reached now have been told of a result of a source. It may be forgotten
    /// when the computer loses its power.
    ///
    /// # Errors
    /// When the history cannot be written.
    pub fn defer(&self, source: &str, key: &str) -> Result<(), Error> {
        self.0.database.note(|connection| {
            connection
                .prepare_cached("UPDATE seen SET delivered = 2 WHERE source = ? AND key = ?")?
                .execute([source, key])
                .map(drop)
        })
    }

    /// Forgets the photos of a source that have been gone for long, and gives their number: those that `is_there` does
    /// not know and that were neither done with nor there, when this was called, since `before`.
    ///
    /// # Errors
    /// When the history cannot be written.
    pub fn forget(
        &self,
        source: &str,
        before: Time,
        is_there: impl Fn(&str) -> bool,
    ) -> Result<usize, Error> {
        let now = Time::now();
        // What was there lately need not be noted each time.
        let lately = now.before(LATELY).max(before);
        self.0.database.note(|connection| {
            let sql = "SELECT key, time FROM seen WHERE source = ? AND time < ?";
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map(params![source, lately.milliseconds()], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))
            })?;
            let rows = rows.collect::<Result<Vec<_>, _>>()?;
            let sql = "UPDATE seen SET time = ? WHERE source = ? AND key = ?";
            let mut see = connection.prepare_cached(sql)?;
            let sql = "DELETE FROM seen WHERE source = ? AND key = ?";
            let mut forget = connection.prepare_cached(sql)?;
            let mut gone = 0;
            for (key, time) in rows {
                if is_there(&key) {
                    see.execute(params![now.milliseconds(), source, key])?;
                } else if time < before.milliseconds() {
                    gone += forget.execute([source, key.as_str()])?;
                }
            }
            Ok(gone)
        })
    }
}
