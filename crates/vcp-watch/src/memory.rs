//! Which photos of a folder have been done with, also before this process.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use vcp_files::{Durability, Lock};
use vcp_history::{History, ResultId, Time};

use crate::Error;

/// Photos that are gone are forgotten after this: a network folder may be away for a while.
const LONG_GONE: Duration = Duration::from_hours(30 * 24);

/// How exactly it is known until when a photo was there.
const LATELY: Duration = Duration::from_hours(24);

/// Where photos that have been done with are remembered.
#[derive(Debug)]
pub(crate) enum Memory {
    History(History, String),
    Journal(Mutex<Journal>),
}

impl Memory {
    pub(crate) fn contains(&self, key: &str) -> Result<bool, Error> {
        match self {
            Self::History(history, source) => Ok(history.contains(source, key)?),
            Self::Journal(journal) => Ok(hold(journal).keys.contains_key(key)),
        }
    }

    /// A photo has been done with that gave no result that is kept.
    pub(crate) fn remember(&self, key: &str) -> Result<(), Error> {
        match self {
            Self::History(history, source) => Ok(history.remember(source, key)?),
            Self::Journal(journal) => hold(journal).add(key),
        }
    }

    /// A result that was added to the history has gone everywhere else too.
    pub(crate) fn delivered(&self, key: &str) -> Result<(), Error> {
        match self {
            Self::History(history, source) => Ok(history.deliver(source, key)?),
            Self::Journal(journal) => hold(journal).add(key),
        }
    }

    /// The same, but the broker is still to be told. Whether that is remembered.
    pub(crate) fn deferred(&self, key: &str) -> Result<bool, Error> {
        match self {
            Self::History(history, source) => history.defer(source, key)?,
            Self::Journal(journal) => hold(journal).add(key)?,
        }
        Ok(matches!(self, Self::History(..)))
    }

    /// Results in the history of which neither is known.
    pub(crate) fn all_undelivered(&self) -> Result<Vec<(String, ResultId)>, Error> {
        match self {
            Self::History(history, source) => Ok(history.undelivered(source)?),
            Self::Journal(_) => Ok(Vec::new()),
        }
    }

    /// Results in the history of which the broker is still to be told.
    pub(crate) fn all_deferred(&self) -> Result<Vec<(String, ResultId)>, Error> {
        match self {
            Self::History(history, source) => Ok(history.deferred(source)?),
            Self::Journal(_) => Ok(Vec::new()),
        }
    }

    /// Removes what is beyond the limits of a history, also when no photos come. What cannot be removed is tried again.
    pub(crate) fn prune(&self) {
        if let Self::History(history, _) = self {
            let _ = history.prune();
        }
    }

    /// Forgets photos that have long been gone; `is_there` knows those that are there now.
    pub(crate) fn tidy(&self, is_there: impl Fn(&str) -> bool) -> Result<(), Error> {
        let before = Time::now().before(LONG_GONE);
        match self {
            Self::History(history, source) => {
                history.forget(source, before, is_there)?;
            }
            Self::Journal(journal) => hold(journal).forget(before, is_there)?,
        }
        Ok(())
    }
}

fn hold(journal: &Mutex<Journal>) -> MutexGuard<'_, Journal> {
    journal.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file with a line for each photo that has been done with: its key, and when that was in milliseconds since 1970.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    keys: HashMap<String, i64>,
    file: File,
    _lock: Lock,
}

impl Journal {
    /// Reads the journal, or begins one.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(cannot_use(path))?;
        }
        let lock = Lock::of_place(path)?;
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            outcome => outcome,
        };
        let text = text.map_err(cannot_use(path))?;
        // A line that a process was killed in has no end, and the photo is not done with.
        let lines = text
            .split_inclusive('\n')
            .filter_map(|line| line.strip_suffix('\n'));
        let keys = lines.filter_map(|line| {
            let (key, time) = line.split_once(' ')?;
            Some((key.to_owned(), time.parse().ok()?))
        });
        let keys = keys.collect();
        let file = Self::write(path, &keys).map_err(cannot_use(path))?;
        Ok(Self {
            path: path.to_owned(),
            keys,
            file,
            _lock: lock,
        })
    }

    /// Writes it anew, and opens it to add lines.
    fn write(path: &Path, keys: &HashMap<String, i64>) -> io::Result<File> {
        vcp_files::write(path, Durability::Synced, |file| {
            keys.iter()
                .try_for_each(|(key, time)| writeln!(file, "{key} {time}"))
        })?;
        File::options().append(true).open(path)
    }

    fn add(&mut self, key: &str) -> Result<(), Error> {
        let now = Time::now().milliseconds();
        // One write, which a killed process has done or not.
        self.file
            .write_all(format!("{key} {now}\n").as_bytes())
            .map_err(cannot_use(&self.path))?;
        self.keys.insert(key.to_owned(), now);
        Ok(())
    }

    fn forget(&mut self, before: Time, is_there: impl Fn(&str) -> bool) -> Result<(), Error> {
        let (known, now) = (self.keys.len(), Time::now());
        let lately = now.before(LATELY).milliseconds();
        let mut is_changed = false;
        self.keys.retain(|key, time| {
            // Those that are lately known to be there need not be noted each time.
            if *time < lately && is_there(key) {
                *time = now.milliseconds();
                is_changed = true;
            }
            *time >= before.milliseconds()
        });
        if is_changed || self.keys.len() < known {
            self.file = Self::write(&self.path, &self.keys).map_err(cannot_use(&self.path))?;
        }
        Ok(())
    }
}

fn cannot_use(file: &Path) -> impl FnOnce(io::Error) -> Error + use<> {
    let file = file.to_owned();
    move |source| Error::Journal { file, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_survives_and_forgets_what_is_long_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("below/photos.journal");
        let open = || Memory::Journal(Mutex::new(Journal::open(&path).unwrap()));
        let memory = open();
        memory.remember("failed").unwrap();
        memory.delivered("done").unwrap();
        assert!(matches!(Journal::open(&path), Err(Error::Busy(_))));
        drop(memory);
        let mut text = fs::read_to_string(&path).unwrap();
        text.push_str("old 5\nhere 5\ncut 17");
        fs::write(&path, text).unwrap();
        let memory = open();
        for (key, expected) in [
            ("failed", true),
            ("done", true),
            ("old", true),
            ("cut", false),
        ] {
            assert_eq!(memory.contains(key).unwrap(), expected, "{key}");
        }
        memory.tidy(|key| key == "here").unwrap();
        memory.remember("more").unwrap();
        drop(memory);
        let memory = open();
        for (key, expected) in [
            ("done", true),
            ("old", false),
            ("here", true),
            ("more", true),
        ] {
            assert_eq!(memory.contains(key).unwrap(), expected, "{key}");
        }
        // What was there lately is not long gone.
        memory.tidy(|_| false).unwrap();
        assert!(memory.contains("here").unwrap());
    }
}
