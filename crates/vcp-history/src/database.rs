//! The database: opened, brought to the newest schema, shared among threads and processes.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::Error;

/// What the database is called in the folder.
const FILE: &str = "history.sqlite";

/// Says of a database that it is a history: `vcph`.
const APPLICATION: i64 = 0x7663_7068;

/// How long to wait while another process writes.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long to wait before what met another's lock is tried again.
const PAUSE: Duration = Duration::from_millis(20);

/// Connections that are kept open for readers.
const READERS: usize = 8;

/// The changes that lead to the newest schema, in order. A database says in `user_version` how many of them it has
/// seen. None that has been published is ever changed; a new one is added.
///
/// `results` has what lists are filtered by, so that they need not read the records. `seen` is what sources have done
/// with, also when the result has been pruned; of a result with 0 for `delivered` nobody has been told, and with 2
/// somebody is still to be told. Of an id in `unfinished`, there may be files although there is no
/// result. `total` holds the bytes of all results.
const MIGRATIONS: [&str; 2] = [
    "
    CREATE TABLE results (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        time INTEGER NOT NULL,
        source TEXT NOT NULL,
        name TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        model_name TEXT NOT NULL,
        model_digest TEXT NOT NULL,
        score REAL NOT NULL,
        score_threshold REAL NOT NULL,
        review_threshold REAL,
        pixel_threshold REAL NOT NULL,
        decision TEXT NOT NULL,
        regions INTEGER NOT NULL,
        milliseconds REAL NOT NULL,
        photo TEXT,
        overlay INTEGER NOT NULL,
        thumbnail INTEGER NOT NULL,
        map INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        verdict TEXT,
        verdict_who TEXT,
        verdict_time INTEGER
    ) STRICT;
    CREATE INDEX results_by_decision ON results (decision, id);
    CREATE INDEX results_by_verdict ON results (verdict, id);
    CREATE TABLE records (
        number INTEGER PRIMARY KEY REFERENCES results (number) ON DELETE CASCADE,
        record TEXT NOT NULL,
        durations TEXT NOT NULL
    ) STRICT;
    CREATE TABLE seen (
        source TEXT NOT NULL,
        key TEXT NOT NULL,
        time INTEGER NOT NULL,
        id TEXT,
        delivered INTEGER NOT NULL,
        PRIMARY KEY (source, key)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX seen_undelivered ON seen (source) WHERE delivered = 0;
    CREATE TABLE unfinished (
        id TEXT PRIMARY KEY,
        time INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE total (bytes INTEGER NOT NULL) STRICT;
    INSERT INTO total VALUES (0);
    CREATE TRIGGER results_added AFTER INSERT ON results BEGIN
        UPDATE total SET bytes = bytes + new.bytes;
    END;
    CREATE TRIGGER results_removed AFTER DELETE ON results BEGIN
        UPDATE total SET bytes = bytes - old.bytes;
    END;
",
    "
    CREATE INDEX seen_deferred ON seen (source) WHERE delivered = 2;
",
];

/// One connection that writes, and some that read.
#[derive(Debug)]
pub(crate) struct Database {
    folder: PathBuf,
    writer: Mutex<Connection>,
    readers: Mutex<Vec<Connection>>,
}

impl Database {
    /// Whether there is one in this folder.
    pub(crate) fn is_in(folder: &Path) -> bool {
        folder.join(FILE).is_file()
    }

    /// Opens the database in this folder, which exists, and creates it if need be.
    ///
    /// SQLite's own patience does not reach here: of several that turn a new file to a write-ahead log at a time, all
    /// but one may be told at once that it is busy, as waiting could block them for ever. Each then begins anew.
    pub(crate) fn open(folder: &Path) -> Result<Self, Error> {
        let begin = Instant::now();
        loop {
            match Self::try_open(folder) {
                Err(error) if error.is_busy() && begin.elapsed() < PATIENCE => {
                    std::thread::sleep(PAUSE);
                }
                outcome => return outcome,
            }
        }
    }

    fn try_open(folder: &Path) -> Result<Self, Error> {
        let in_database = |source| Error::Database {
            folder: folder.to_owned(),
            source,
        };
        let file = folder.join(FILE);
        let mut connection = Connection::open(&file).map_err(in_database)?;
        connection.busy_timeout(PATIENCE).map_err(in_database)?;
        let is_foreign =
            is_foreign(&mut connection).or_else(|error| match error.sqlite_error_code() {
                Some(rusqlite::ErrorCode::NotADatabase) => Ok(true),
                _ => Err(in_database(error)),
            })?;
        if is_foreign {
            return Err(Error::Foreign { file });
        }
        let mode: String = connection
            .pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))
            .map_err(in_database)?;
        if mode != "wal" {
            let folder = folder.to_owned();
            return Err(Error::NoLog { folder });
        }
        set_up(&connection).map_err(in_database)?;
        let known = MIGRATIONS.len() as i64;
        let found = migrate(&mut connection).map_err(in_database)?;
        if found > known {
            let folder = folder.to_owned();
            return Err(Error::Newer {
                folder,
                found,
                known,
            });
        }
        Ok(Self {
            folder: folder.to_owned(),
            writer: Mutex::new(connection),
            readers: Mutex::default(),
        })
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Reads; what is read is of one moment if `work` reads in a transaction.
    pub(crate) fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        let hold = || self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        let free = hold().pop();
        let read = || {
            let connection = free.map_or_else(|| self.connect(), Ok)?;
            let found = work(&connection)?;
            let mut readers = hold();
            if readers.len() < READERS {
                readers.push(connection);
            }
            Ok(found)
        };
        read().map_err(|source| self.error(source))
    }

    fn connect(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(self.folder.join(FILE), flags)?;
        connection.busy_timeout(PATIENCE)?;
        set_up(&connection)?;
        connection.pragma_update(None, "query_only", true)?;
        Ok(connection)
    }

    /// Writes in one transaction, which is on the disk when this returns.
    pub(crate) fn write<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        self.write_so("full", work)
    }

    /// Writes in one transaction, which may be lost when the computer loses its power, but not when the process ends.
    pub(crate) fn note<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        self.write_so("normal", work)
    }

    fn write_so<T>(
        &self,
        synchronous: &str,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        // A transaction that a panic has left open was rolled back when it was dropped.
        let mut connection = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let write = || {
            connection.pragma_update(None, "synchronous", synchronous)?;
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok(done)
        };
        write().map_err(|source| self.error(source))
    }

    fn error(&self, source: rusqlite::Error) -> Error {
        Error::Database {
            folder: self.folder.clone(),
            source,
        }
    }
}

fn set_up(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "foreign_keys", true)?;
    // What others have put into the file computes nothing here.
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

fn is_foreign(connection: &mut Connection) -> rusqlite::Result<bool> {
    // Both of one moment: the tables of who makes them just now are not another program's.
    let moment = connection.transaction()?;
    let application: i64 = moment.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 =
        moment.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(application != APPLICATION && (application != 0 || tables > 0))
}

/// Brings the schema up to date; gives the version that it has then.
fn migrate(connection: &mut Connection) -> rusqlite::Result<i64> {
    let version = |connection: &Connection| {
        connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))
    };
    if version(connection)? >= MIGRATIONS.len() as i64 {
        return version(connection);
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have been quicker.
    let found = version(&transaction)?;
    for migration in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or(0)) {
        transaction.execute_batch(migration)?;
    }
    if found < MIGRATIONS.len() as i64 {
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", MIGRATIONS.len() as i64)?;
    }
    let reached = version(&transaction)?;
    transaction.commit()?;
    Ok(reached)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        (folder, path)
    }

    #[test]
    fn the_schema_is_made_once_by_whoever_is_first() {
        for _ in 0..20 {
            let (_folder, path) = fresh();
            std::thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| {
                        let database = Database::open(&path).unwrap();
                        let version = |connection: &Connection| {
                            connection.pragma_query_value(None, "user_version", |row| {
                                row.get::<_, i64>(0)
                            })
                        };
                        assert_eq!(database.read(version).unwrap(), MIGRATIONS.len() as i64);
                    });
                }
            });
        }
    }

    #[test]
    fn databases_of_others_and_of_later_versions_are_left_alone() {
        let (_folder, path) = fresh();
        let file = path.join(FILE);
        let connection = Connection::open(&file).unwrap();
        connection
            .execute_batch("CREATE TABLE recipes (name TEXT)")
            .unwrap();
        drop(connection);
        assert!(matches!(Database::open(&path), Err(Error::Foreign { .. })));
        std::fs::write(&file, "a text of some length ".repeat(100)).unwrap();
        assert!(matches!(Database::open(&path), Err(Error::Foreign { .. })));
        std::fs::remove_file(&file).unwrap();

        drop(Database::open(&path).unwrap());
        let connection = Connection::open(&file).unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        drop(connection);
        let error = Database::open(&path).unwrap_err();
        assert!(matches!(error, Error::Newer { found: 99, .. }), "{error}");
    }

    #[test]
    fn readers_write_nothing() {
        let (_folder, path) = fresh();
        let database = Database::open(&path).unwrap();
        let outcome = database.read(|connection| connection.execute("DELETE FROM results", []));
        assert!(outcome.is_err());
    }
}
