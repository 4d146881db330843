//! What sources that bring each photo once have done with, also when the result has been pruned.

use rusqlite::{Connection, params};

use crate::{Error, History, ResultId, Time};

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

    /// The keys and ids of the results of a source of which [`History::deliver`] has not been said.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub fn undelivered(&self, source: &str) -> Result<Vec<(String, ResultId)>, Error> {
        self.0.database.read(|connection| {
            let sql = "SELECT key, id FROM seen WHERE source = ? AND delivered = 0 ORDER BY id";
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

    /// Forgets the photos that a source has done with before this time and of which `is_there` does not know, and
    /// gives their number.
    ///
    /// # Errors
    /// When the history cannot be written.
    pub fn forget(
        &self,
        source: &str,
        before: Time,
        is_there: impl Fn(&str) -> bool,
    ) -> Result<usize, Error> {
        self.0.database.note(|connection| {
            let sql = "SELECT key FROM seen WHERE source = ? AND time < ?";
            let mut statement = connection.prepare_cached(sql)?;
            let keys = statement.query_map(params![source, before.milliseconds()], |row| {
                row.get::<_, String>(0)
            })?;
            let keys = keys.collect::<Result<Vec<_>, _>>()?;
            let gone: Vec<_> = keys.iter().filter(|key| !is_there(key)).collect();
            let sql = "DELETE FROM seen WHERE source = ? AND key = ?";
            let mut statement = connection.prepare_cached(sql)?;
            for key in &gone {
                statement.execute([source, key.as_str()])?;
            }
            Ok(gone.len())
        })
    }
}
