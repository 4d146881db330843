//! Event files, which `TensorBoard` reads.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::{Error, protobuf};

/// Readers look for this in names, and read the files of a folder in the order of their names.
const PREFIX: &str = "events.out.tfevents.";
/// The last number of a file within one second: four digits sort like numbers.
const LAST_COUNT: u64 = 9999;

/// An event file being written: scalars by step, for `TensorBoard`.
///
/// Every event is one write of one whole record; a process killed at any moment leaves at most half
/// a record at the end of its file, at which readers stop.
#[derive(Debug)]
pub struct EventWriter {
    file: File,
    path: PathBuf,
    /// Length in bytes of the whole records.
    length: u64,
}

impl EventWriter {
    /// Begins an event file in `folder`, which has to exist. Its name is made of the time and comes
    /// after those of all event files there.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn create(folder: &Path) -> Result<Self, Error> {
        let mut writer = Self::open_after_others(folder)?;
        writer.push(&protobuf::version_event(now()))?;
        Ok(writer)
    }

    /// Begins a further event file of a run that goes on after `step`. Its second record tells
    /// readers to forget what the earlier files say of later steps. The earlier files stay as they
    /// are.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Step`].
    pub fn resume(folder: &Path, step: u64) -> Result<Self, Error> {
        let next = signed(step.saturating_add(1))?;
        let mut writer = Self::create(folder)?;
        writer.push(&protobuf::start_event(now(), next))?;
        Ok(writer)
    }

    /// The event file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes scalars, as pairs of a tag and a value, with the time it is now. Values are rounded to
    /// `f32`, which is what the format holds. No scalars write nothing.
    ///
    /// # Errors
    /// [`Error::NotFinite`] (also for what is beyond `f32`), [`Error::Step`], [`Error::Io`]. After
    /// an error the file is as it was before.
    pub fn scalars(&mut self, step: u64, scalars: &[(String, f64)]) -> Result<(), Error> {
        if scalars.is_empty() {
            return Ok(());
        }
        let signed_step = signed(step)?;
        let mut rounded = Vec::with_capacity(scalars.len());
        for (tag, value) in scalars {
            let single = *value as f32;
            if !single.is_finite() {
                return Err(Error::NotFinite {
                    name: tag.clone(),
                    step,
                    value: *value,
                });
            }
            rounded.push((tag.clone(), single));
        }
        self.push(&protobuf::scalar_event(now(), signed_step, &rounded))
    }

    fn push(&mut self, event: &[u8]) -> Result<(), Error> {
        let record = protobuf::frame(event);
        if let Err(error) = self.file.write_all(&record) {
            // Best effort: readers stop at half a record, so nothing may follow one.
            let _ = self.file.set_len(self.length);
            return Err(Error::io(&self.path, "written")(error));
        }
        self.length += record.len() as u64;
        Ok(())
    }

    /// A new file whose name sorts after those of the event files there, even if the clock was set
    /// back or two begin within one second.
    fn open_after_others(folder: &Path) -> Result<Self, Error> {
        let list = || -> std::io::Result<Option<(u64, u64)>> {
            let mut newest = None;
            for entry in std::fs::read_dir(folder)? {
                newest = newest.max(stamp(&entry?.file_name()));
            }
            Ok(newest)
        };
        let newest = list().map_err(Error::io(folder, "listed"))?;
        let seconds = now() as u64;
        let (mut seconds, mut count) = match newest {
            Some((latest, count)) if latest >= seconds => (latest, count.saturating_add(1)),
            _ => (seconds, 0),
        };
        loop {
            if count > LAST_COUNT {
                (seconds, count) = (seconds.saturating_add(1), 0);
            }
            let path = folder.join(format!("{PREFIX}{seconds:010}.vcp-clip.{count:04}"));
            // Appending, so that after a shortened failed write the next starts at the end.
            match OpenOptions::new().append(true).create_new(true).open(&path) {
                Ok(file) => {
                    return Ok(Self {
                        file,
                        path,
                        length: 0,
                    });
                }
                // Another process took the name just now.
                Err(error)
                    if error.kind() == std::io::ErrorKind::AlreadyExists && seconds < u64::MAX =>
                {
                    count += 1;
                }
                Err(error) => return Err(Error::io(&path, "created")(error)),
            }
        }
    }
}

/// Seconds and count in the name of an event file. Another program's has no count and may sort after
/// any of ours of the same second, so it counts as that second's last.
fn stamp(name: &OsStr) -> Option<(u64, u64)> {
    let rest = name.to_str()?.strip_prefix(PREFIX)?;
    let (seconds, rest) = rest.split_once('.').unwrap_or((rest, ""));
    // Ten digits last until the year 2286; a name with another number of them was not made of the
    // time, and would not sort like a number.
    if seconds.len() != 10 {
        return None;
    }
    let count = rest
        .strip_prefix("vcp-clip.")
        .and_then(|count| count.parse().ok());
    Some((seconds.parse().ok()?, count.unwrap_or(LAST_COUNT)))
}

fn signed(step: u64) -> Result<i64, Error> {
    i64::try_from(step).map_err(|_| Error::Step { step })
}

/// Seconds since 1970; zero on a machine whose clock is before that.
fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |duration| duration.as_secs_f64())
}
