//! A history: adding, finding, judging.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::Serialize;

use crate::database::Database;
use crate::entry::Facts;
use crate::files::{self, FileKind, Keep, Written};
use crate::filter::Conditions;
use crate::id::IdSource;
use crate::{
    Cursor, Entry, Error, Filter, GivenVerdict, Has, ModelEntry, NewResult, ResultId, Time, Verdict,
};

/// What a history keeps, and how much of it. The default keeps everything for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryOptions {
    /// Whether photos are kept.
    pub photos: bool,
    /// Whether overlays are kept.
    pub overlays: bool,
    /// Whether maps are kept.
    pub maps: bool,
    /// Results that are older are removed.
    pub max_age: Option<Duration>,
    /// While files and records have more bytes, the oldest results are removed, those without a verdict first.
    pub max_bytes: Option<u64>,
}

impl Default for HistoryOptions {
    fn default() -> Self {
        Self {
            photos: true,
            overlays: true,
            maps: true,
            max_age: None,
            max_bytes: None,
        }
    }
}

/// What was inspected, in a folder: a database in SQLite, and photos and pictures beside it.
///
/// Cloning is cheap, and many threads and processes may use the history of one folder at a time.
#[derive(Debug, Clone)]
pub struct History(pub(crate) Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) database: Database,
    pub(crate) options: HistoryOptions,
    ids: IdSource,
}

/// Some results, newest first, and where the list goes on.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Page {
    /// The results.
    pub results: Vec<Entry>,
    /// What to give [`History::list`] for those that follow; none after the last.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub next_cursor: Option<Cursor>,
}

/// Most results that are given at once.
const MOST: usize = 1000;

/// What [`entry`] reads.
const ENTRY: &str = "SELECT id, time, source, name, sha256, model_name, model_digest, photo IS NOT NULL, overlay, map, \
    verdict, verdict_who, verdict_time, record, durations FROM results JOIN records USING (number)";

impl History {
    /// Opens the history in this folder; folder and history are created if there are none. A history that an earlier
    /// version has written is brought up to date. What a process that was killed has left unfinished is removed, and
    /// what is beyond the limits.
    ///
    /// # Errors
    /// When the folder or the database cannot be created or used, or is another program's or a later version's.
    pub fn open(folder: &Path, options: HistoryOptions) -> Result<Self, Error> {
        fs::create_dir_all(folder).map_err(|source| Error::Folder {
            folder: folder.to_owned(),
            source,
        })?;
        let history = Self(Arc::new(Inner {
            database: Database::open(folder)?,
            options,
            ids: IdSource::new(),
        }));
        history.prune()?;
        Ok(history)
    }

    /// Opens a history that is there, to read it and to judge; nothing is removed.
    ///
    /// # Errors
    /// [`Error::Missing`] when there is none, and those of [`History::open`].
    pub fn open_existing(folder: &Path) -> Result<Self, Error> {
        if !Database::is_in(folder) {
            let folder = folder.to_owned();
            return Err(Error::Missing { folder });
        }
        Ok(Self(Arc::new(Inner {
            database: Database::open(folder)?,
            options: HistoryOptions::default(),
            ids: IdSource::new(),
        })))
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.0.database.folder()
    }

    /// Adds a result. When this returns, it and its files are on the disk, whatever happens then; if it fails, nothing
    /// of it is there. Afterwards, what is beyond the limits is removed.
    ///
    /// # Errors
    /// When the record is none, the source has a result of that key already, or something cannot be written.
    pub fn add(&self, new: &NewResult<'_>) -> Result<ResultId, Error> {
        let facts: Facts = serde_json::from_str(new.record).map_err(Error::Record)?;
        let time = new.time.unwrap_or_else(Time::now);
        let id = self.0.ids.next(time);
        let added = self.add_as(&id, new, &facts);
        if added.is_err() {
            // What is left is removed when the history is opened again.
            let _ = self.remove_files(std::slice::from_ref(&id));
        }
        added?;
        // The result is in; what cannot be removed now is tried again with the next.
        let _ = self.prune();
        Ok(id)
    }

    fn add_as(&self, id: &ResultId, new: &NewResult<'_>, facts: &Facts) -> Result<(), Error> {
        let Inner {
            database, options, ..
        } = &*self.0;
        self.note_unfinished(id)?;
        let keep = Keep {
            photo: options.photos,
            overlay: options.overlays,
            map: options.maps,
        };
        let written = files::write(database.folder(), id, keep, new)?;
        let sha256 = vcp_files::sha256(new.photo);
        let source = new.known_as.unwrap_or(new.source);
        let is_new = database.write(|connection| {
            if let Some(key) = new.key
                && !crate::seen::insert(connection, source, key, Some(id))?
            {
                return Ok(false);
            }
            insert(connection, id, new, facts, &sha256, &written)?;
            connection.execute("DELETE FROM unfinished WHERE id = ?", [id.as_str()])?;
            Ok(true)
        })?;
        if is_new {
            return Ok(());
        }
        Err(Error::Known {
            source_name: source.to_owned(),
        })
    }

    /// A result; none if there is none of that id.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub fn get(&self, id: &ResultId) -> Result<Option<Entry>, Error> {
        self.0.database.read(|connection| get(connection, id))
    }

    /// At most `limit` of the results that are asked for (from 1 to 1000), the newest first, from behind the cursor.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub fn list(
        &self,
        filter: &Filter,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, Error> {
        let limit = limit.clamp(1, MOST);
        let mut conditions = Conditions::of(filter);
        if let Some(Cursor(id)) = cursor {
            conditions.add("results.id < ?", id.as_str().to_owned());
        }
        let mut results = self.entries(&conditions, "DESC", limit + 1)?;
        let has_more = results.len() > limit;
        results.truncate(limit);
        let last = results.last().filter(|_| has_more);
        Ok(Page {
            next_cursor: last.map(|entry| Cursor(entry.id.clone())),
            results,
        })
    }

    /// At most so many results in the order of their ids.
    pub(crate) fn entries(
        &self,
        conditions: &Conditions,
        order: &str,
        limit: usize,
    ) -> Result<Vec<Entry>, Error> {
        let sql = format!(
            "{ENTRY}{} ORDER BY results.id {order} LIMIT {limit}",
            conditions.sql()
        );
        self.0.database.read(|connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            statement.query_map(conditions.values(), entry)?.collect()
        })
    }

    /// Says of a photo what a person says, or takes back what was said; gives the result as it is then, or none if
    /// there is none of that id. `who` is that person, in their own words.
    ///
    /// # Errors
    /// When the history cannot be written.
    pub fn set_verdict(
        &self,
        id: &ResultId,
        verdict: Option<Verdict>,
        who: &str,
    ) -> Result<Option<Entry>, Error> {
        let time = verdict.map(|_| Time::now().milliseconds());
        let who = verdict.map(|_| who);
        self.0.database.write(|connection| {
            connection.execute(
                "UPDATE results SET verdict = ?2, verdict_who = ?3, verdict_time = ?4 WHERE id = ?1",
                params![id.as_str(), verdict.map(Verdict::word), who, time],
            )?;
            get(connection, id)
        })
    }

    /// Where a file of a result lies; none if there is no such result, or the file was not kept. Its ending says
    /// what kind of file a photo is (`bin` if that is unknown).
    ///
    /// # Errors
    /// When the history cannot be read.
    pub fn file(&self, id: &ResultId, kind: FileKind) -> Result<Option<PathBuf>, Error> {
        let ending = self.0.database.read(|connection| {
            let column = match kind {
                FileKind::Photo => "photo",
                FileKind::Overlay => "iif(overlay, '', NULL)",
                FileKind::Thumbnail => "iif(thumbnail, '', NULL)",
                FileKind::Map => "iif(map, '', NULL)",
            };
            let sql = format!("SELECT {column} FROM results WHERE id = ?");
            let mut statement = connection.prepare_cached(&sql)?;
            let found = statement.query_row([id.as_str()], |row| row.get::<_, Option<String>>(0));
            Ok(found.optional()?.flatten())
        })?;
        Ok(ending.map(|ending| files::place(self.folder(), id, kind, &ending)))
    }

    /// The names of the models that have inspected photos, in alphabetical order.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub fn models(&self) -> Result<Vec<String>, Error> {
        self.texts("SELECT DISTINCT model_name FROM results ORDER BY model_name")
    }

    /// The sources of the results, in alphabetical order.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub fn sources(&self) -> Result<Vec<String>, Error> {
        self.texts("SELECT DISTINCT source FROM results ORDER BY source")
    }

    fn texts(&self, sql: &str) -> Result<Vec<String>, Error> {
        self.0.database.read(|connection| {
            let mut statement = connection.prepare_cached(sql)?;
            statement.query_map([], |row| row.get(0))?.collect()
        })
    }
}

fn insert(
    connection: &Connection,
    id: &ResultId,
    new: &NewResult<'_>,
    facts: &Facts,
    sha256: &str,
    written: &Written,
) -> rusqlite::Result<()> {
    let durations = new
        .durations
        .iter()
        .map(|(stage, duration)| (*stage, duration.as_secs_f64()));
    let durations: serde_json::Map<_, _> = durations
        .map(|(stage, seconds)| (stage.to_owned(), seconds.into()))
        .collect();
    let durations = serde_json::Value::Object(durations).to_string();
    let bytes = written.bytes + (new.record.len() + durations.len()) as u64;
    connection
        .prepare_cached(
            "INSERT INTO results (id, time, source, name, sha256, model_name, model_digest, score, score_threshold, \
             review_threshold, pixel_threshold, decision, regions, milliseconds, photo, overlay, thumbnail, map, bytes) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            id.as_str(),
            id.time().milliseconds(),
            new.source,
            new.name,
            sha256,
            new.model_name,
            new.model_digest,
            facts.score,
            facts.score_threshold,
            facts.review_threshold,
            facts.pixel_threshold,
            facts.decision.word(),
            facts.regions.len() as i64,
            facts.milliseconds,
            written.photo,
            written.overlay,
            written.thumbnail,
            written.map,
            i64::try_from(bytes).unwrap_or(i64::MAX),
        ])?;
    let number = connection.last_insert_rowid();
    connection
        .prepare_cached("INSERT INTO records (number, record, durations) VALUES (?, ?, ?)")?
        .execute(params![number, new.record, durations])?;
    Ok(())
}

fn get(connection: &Connection, id: &ResultId) -> rusqlite::Result<Option<Entry>> {
    let sql = format!("{ENTRY} WHERE id = ?");
    let mut statement = connection.prepare_cached(&sql)?;
    statement.query_row([id.as_str()], entry).optional()
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let parsed = |column: usize, error: Box<dyn std::error::Error + Send + Sync>| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error)
    };
    let text = |column: usize| row.get::<_, String>(column);
    let verdict = row.get::<_, Option<String>>(10)?;
    let verdict = verdict.map(|word| {
        Ok::<_, rusqlite::Error>(GivenVerdict {
            verdict: word.parse().map_err(|error| parsed(10, Box::new(error)))?,
            who: row.get::<_, Option<String>>(11)?.unwrap_or_default(),
            time: Time::from_milliseconds(row.get::<_, Option<i64>>(12)?.unwrap_or(0)),
        })
    });
    Ok(Entry {
        id: text(0)?
            .parse()
            .map_err(|error| parsed(0, Box::new(error)))?,
        time: Time::from_milliseconds(row.get(1)?),
        source: text(2)?,
        name: text(3)?,
        sha256: text(4)?,
        model: ModelEntry {
            name: text(5)?,
            digest: text(6)?,
        },
        has: Has {
            photo: row.get(7)?,
            overlay: row.get(8)?,
            map: row.get(9)?,
        },
        verdict: verdict.transpose()?,
        record: serde_json::from_str(&text(13)?).map_err(|error| parsed(13, Box::new(error)))?,
        durations: serde_json::from_str(&text(14)?).map_err(|error| parsed(14, Box::new(error)))?,
    })
}

/// Servers share one among their threads.
const _: () = {
    const fn shared<T: Send + Sync + 'static>() {}
    shared::<History>();
};
