//! The work itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde::Serialize;
use vcp_clip::pipeline::Pipeline;
use vcp_clip::record::{FailureRecord, Line};
use vcp_clip::{Inspection, Stop};
use vcp_files::Lock;
use vcp_history::{FileKind, NewResult, ResultId, Time};

use crate::candidates::Whole;
use crate::finder::Finder;
use crate::identity::Identity;
use crate::inspect::{Inspect, Named, Read, pictures, read};
use crate::memory::{Journal, Memory};
use crate::moves::{self, MoveFolders, Outcome};
use crate::mqtt::Mqtt;
use crate::status::StatusBoard;
use crate::table::{Row, Table};
use crate::{Error, MemoryOptions, WatchOptions};

/// How long messages may take to reach the broker when the work ends.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// What whoever listens is told.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    /// The record, or why there is none.
    pub line: &'a Line,
    /// How it came out.
    pub outcome: Outcome,
    /// What the result is called in the history, if there is one.
    pub id: Option<&'a ResultId>,
    /// Whether the history had the result already, from a process that was killed before it could tell.
    pub is_late: bool,
}

/// Is told of each photo. An error ends the work.
pub type Listener<'a> =
    &'a mut dyn FnMut(Event<'_>) -> Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// The watching of a folder by a thread of its own.
#[derive(Debug)]
pub struct Watch {
    stop: Stop,
    board: StatusBoard,
    thread: JoinHandle<Result<(), Error>>,
}

impl Watch {
    /// Begins to watch. `listener` is told of each photo, on that thread; an error of it ends the work.
    ///
    /// # Errors
    /// What keeps the folder from being watched. What ends that later is told by [`Watch::stop`] and the status.
    pub fn start<I: Inspect>(
        inspect: Arc<I>,
        options: WatchOptions,
        mut listener: impl FnMut(Event<'_>) -> Result<(), Box<dyn std::error::Error + Send + Sync>>
        + Send
        + 'static,
    ) -> Result<Self, Error> {
        let (stop, board) = (Stop::default(), StatusBoard::default());
        let work = Work::new(&options, board.clone())?;
        let (to_stop, to_tell) = (stop.clone(), board.clone());
        let work = move || {
            let outcome = work.and_run(&inspect, &options, &to_stop, &mut listener);
            if let Err(error) = &outcome {
                to_tell.went_wrong(&vcp_clip::sentence(error));
            }
            outcome
        };
        let thread = std::thread::Builder::new()
            .name("watch".to_owned())
            .spawn(work)
            .map_err(|_| Error::Internal)?;
        Ok(Self {
            stop,
            board,
            thread,
        })
    }

    /// How far it is.
    #[must_use]
    pub fn status(&self) -> crate::Status {
        self.board.get()
    }

    /// The status, to be read by others.
    #[must_use]
    pub fn board(&self) -> StatusBoard {
        self.board.clone()
    }

    /// Whether it has ended, which it does by itself only when something is wrong.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Has it end when the photo in work is done, without waiting for that.
    pub fn request_stop(&self) {
        self.stop.request();
    }

    /// Ends it when the photo in work is done.
    ///
    /// # Errors
    /// What ended it before.
    pub fn stop(self) -> Result<(), Error> {
        self.stop.request();
        self.thread.join().unwrap_or(Err(Error::Internal))
    }
}

/// Watches a folder on this thread until `stop` is requested; `board` says how far it is.
///
/// # Errors
/// What keeps it from being watched, or results from going where they should.
pub fn watch<I: Inspect>(
    inspect: &Arc<I>,
    options: &WatchOptions,
    stop: &Stop,
    board: &StatusBoard,
    listener: Listener<'_>,
) -> Result<(), Error> {
    Work::new(options, board.clone())?.and_run(inspect, options, stop, listener)
}

/// Where results go.
struct Work {
    board: StatusBoard,
    named: Named,
    /// The folder's real path.
    folder: PathBuf,
    memory: Arc<Memory>,
    /// What the history shows as the source.
    source: String,
    moves: MoveFolders,
    table: Option<Table>,
    mqtt: Option<Mqtt>,
    _lock: Option<Lock>,
}

impl Work {
    fn new(options: &WatchOptions, board: StatusBoard) -> Result<Self, Error> {
        let fail = |source| Error::Folder {
            folder: options.folder.clone(),
            source,
        };
        let folder = options.folder.canonicalize().map_err(fail)?;
        fs::read_dir(&folder).map_err(fail)?;
        let known_as = format!("watch:{}", folder.display());
        let name = options.name.as_ref();
        let source = name.map_or_else(|| known_as.clone(), |name| format!("watch:{name}"));
        let (memory, lock) = match &options.memory {
            MemoryOptions::History(history) => {
                // Two that watch one folder would both inspect each photo.
                let place = vcp_files::sha256(&known_as);
                let place = history.folder().join(format!("watch-{}", &place[..16]));
                let lock = Lock::of_place(&place)?;
                (Memory::History(history.clone(), known_as), Some(lock))
            }
            MemoryOptions::Journal(path) => {
                (Memory::Journal(Mutex::new(Journal::open(path)?)), None)
            }
        };
        let shown = name.map_or_else(|| options.folder.clone(), PathBuf::from);
        board.change(|status| status.folder = shown.display().to_string());
        let moves = moves::create_folders(&options.moves, &folder)?;
        let table = options.table.as_deref().map(Table::open).transpose()?;
        // Last, as it tells others that there is somebody.
        let memory = Arc::new(memory);
        let mqtt = options.mqtt.as_ref().map(|mqtt| {
            let memory = Arc::clone(&memory);
            // What cannot be noted is sent again at the next start.
            let settled = move |key: &str| drop(memory.delivered(key));
            Mqtt::start(mqtt, board.clone(), settled)
        });
        Ok(Self {
            mqtt: mqtt.transpose()?,
            board,
            named: Named {
                folder: options.folder.clone(),
                shown,
            },
            memory,
            source,
            moves,
            table,
            folder,
            _lock: lock,
        })
    }

    fn and_run<I: Inspect>(
        mut self,
        inspect: &Arc<I>,
        options: &WatchOptions,
        stop: &Stop,
        listener: Listener<'_>,
    ) -> Result<(), Error> {
        let outcome = self.run(inspect, options, stop, listener);
        self.board.change(|status| status.running = false);
        if let Some(mqtt) = &self.mqtt {
            mqtt.stop(LAST_WORDS);
        }
        outcome
    }

    fn run<I: Inspect>(
        &mut self,
        inspect: &Arc<I>,
        options: &WatchOptions,
        stop: &Stop,
        listener: Listener<'_>,
    ) -> Result<(), Error> {
        let mut excluded: Vec<PathBuf> = self.moves.values().cloned().collect();
        if let Memory::History(history, _) = &*self.memory {
            // The folder may hold the watched one.
            excluded.extend(history.folder().canonicalize().map(|it| it.join("files")));
        }
        let memory = Arc::clone(&self.memory);
        let board = self.board.clone();
        let (finder, failures) =
            Finder::new(options, &self.folder, excluded, memory, board, stop.clone());
        // In this order: what is late is told with the rest, and counts as deferred until that is acknowledged.
        self.publish_deferred()?;
        self.deliver_late(&finder, listener)?;
        let (decoder, model) = (Arc::clone(inspect), Arc::clone(inspect));
        let (named, stopped) = (self.named.clone(), stop.clone());
        let decode = move |whole: Whole| read(&*decoder, &named, whole);
        let compute = move |read: Read<I::Decoded>| read.inspected(&*model, &stopped);
        let mut photos = Pipeline::start(finder, decode, compute, stop)?;
        for photo in photos.by_ref() {
            let outcome = self.finish(&**inspect, photo, listener);
            if outcome.is_err() {
                stop.request();
                return outcome;
            }
        }
        if let Ok(error) = failures.try_recv() {
            return Err(error);
        }
        Ok(photos.finish()?)
    }

    /// Says what the history has from a process that was killed before it could.
    fn deliver_late(&mut self, finder: &Finder, listener: Listener<'_>) -> Result<(), Error> {
        let late = self.memory.all_undelivered()?;
        if late.is_empty() {
            return Ok(());
        }
        let there = finder.keys();
        for (key, id) in late {
            let Memory::History(history, _) = &*self.memory else {
                return Ok(());
            };
            let entry = history.get(&id)?;
            let line = entry
                .as_ref()
                .and_then(|it| serde_json::from_value(it.record.clone()).ok());
            if let (Some(entry), Some(line)) = (entry, line) {
                let relative = there.get(&key).cloned();
                let relative = relative.as_deref();
                self.deliver(&line, entry.time, Some(&id), relative, true, listener)?;
                self.delivered(&key, &line, entry.time, Some(&id))?;
            } else {
                // It has been removed for its age meanwhile.
                self.memory.delivered(&key)?;
            }
        }
        Ok(())
    }

    /// Tells the broker what it was not told before an earlier process ended.
    fn publish_deferred(&self) -> Result<(), Error> {
        let (Some(mqtt), Memory::History(history, _)) = (&self.mqtt, &*self.memory) else {
            return Ok(());
        };
        for (key, id) in self.memory.all_deferred()? {
            let entry = history.get(&id)?;
            let line = entry
                .as_ref()
                .and_then(|it| serde_json::from_value(it.record.clone()).ok());
            if let (Some(entry), Some(line)) = (entry, line) {
                let outcome = outcome(&line);
                mqtt.publish(message(&line, outcome, entry.time, Some(&id)), Some(key));
            } else {
                self.memory.delivered(&key)?;
            }
        }
        Ok(())
    }

    /// A result has gone everywhere but to the broker.
    fn delivered(
        &self,
        key: &str,
        line: &Line,
        time: Time,
        id: Option<&ResultId>,
    ) -> Result<(), Error> {
        let Some(mqtt) = &self.mqtt else {
            return self.memory.delivered(key);
        };
        // Noted before, so that what is acknowledged is noted afterwards.
        let is_kept = self.memory.deferred(key)?;
        let message = message(line, outcome(line), time, id);
        mqtt.publish(message, is_kept.then(|| key.to_owned()));
        Ok(())
    }

    /// Adds a result to the history, and passes it on.
    fn finish<I: Inspect>(
        &mut self,
        inspect: &I,
        photo: Read<Inspection>,
        listener: Listener<'_>,
    ) -> Result<(), Error> {
        let begun = Instant::now();
        let (whole, path) = (&photo.whole, self.named.shown.join(&photo.whole.relative));
        let (key, path) = (
            whole.identity.key(&whole.relative),
            path.display().to_string(),
        );
        let inspected = photo.outcome.as_ref().ok().map(|inspection| {
            let mut record = inspection.record(path.as_str());
            let spent = photo.durations[0] + photo.durations[1] + begun.elapsed();
            record.milliseconds = (spent.as_secs_f64() * 1e4).round() / 10.0;
            (inspection, record, self.pictures(inspection))
        });
        let place = self.folder.join(&whole.relative);
        let identity = Identity::at(&place);
        let is_as_it_was = identity == Some(whole.identity);
        let may_be_mixed = photo.outcome.is_err() || !whole.is_closed || inspect.reads_later();
        // Somebody was still writing it, so it comes again.
        if !photo.is_as_found || (identity.is_some() && !is_as_it_was && may_be_mixed) {
            return Ok(());
        }
        if let Err(vcp_clip::Error::Predict(vcp_clip::predict::Error::Stopped)) = photo.outcome {
            return Ok(());
        }
        // There is nothing to say of a photo that went away before it was read; it comes again if it comes back.
        if identity.is_none() && photo.outcome.is_err() {
            return Ok(());
        }
        let relative = is_as_it_was.then_some(whole.relative.as_path());
        let now = Time::now();
        let Some((inspection, record, pictures)) = inspected else {
            let error = photo.outcome.err().unwrap_or(vcp_clip::Error::Internal);
            let line = Line::Failed(FailureRecord::new(path, None, &error));
            self.deliver(&line, now, None, relative, false, listener)?;
            self.memory.remember(&key)?;
            if let Some(mqtt) = &self.mqtt {
                mqtt.publish(message(&line, Outcome::Failed, now, None), None);
            }
            return Ok(());
        };
        let line = Line::Done(Box::new(record));
        let id = match &*self.memory {
            Memory::Journal(_) => None,
            Memory::History(history, known_as) => {
                let model = inspect.model();
                let (overlay, thumbnail) = pictures.unzip();
                let map = inspection.model_map();
                let added = history.add(&NewResult {
                    time: Some(now),
                    source: &self.source,
                    key: Some(&key),
                    known_as: Some(known_as),
                    name: &path,
                    photo: &photo.content,
                    record: &serde_json::to_string(&line).unwrap_or_default(),
                    model_name: &model.name,
                    model_digest: &model.digest,
                    overlay: overlay.as_deref(),
                    thumbnail: thumbnail.as_deref().unwrap_or_default(),
                    map: Some((&map, inspection.image_size())),
                    durations: &[
                        ("decode", photo.durations[0]),
                        ("model", photo.durations[1]),
                    ],
                });
                match added {
                    // It went away and came back while it was inspected.
                    Err(vcp_history::Error::Known { .. }) => return Ok(()),
                    added => Some(added?),
                }
            }
        };
        // Another may have taken its place meanwhile, which comes by itself.
        let relative = relative.filter(|_| Identity::at(&place) == Some(whole.identity));
        self.deliver(&line, now, id.as_ref(), relative, false, listener)?;
        self.delivered(&key, &line, now, id.as_ref())
    }

    /// The overlay and the thumbnail, for a history.
    fn pictures(&self, inspection: &Inspection) -> Option<(Vec<u8>, Vec<u8>)> {
        if matches!(*self.memory, Memory::Journal(_)) {
            return None;
        }
        let pictures = pictures(inspection);
        pictures
            .inspect_err(|error| self.board.went_wrong(&vcp_clip::sentence(error)))
            .ok()
    }

    /// Passes a result on to everybody but the history and the broker. `relative` is where the photo lies in the folder, if it does.
    fn deliver(
        &mut self,
        line: &Line,
        time: Time,
        id: Option<&ResultId>,
        relative: Option<&Path>,
        is_late: bool,
        listener: Listener<'_>,
    ) -> Result<(), Error> {
        let outcome = outcome(line);
        let (path, error) = match line {
            Line::Done(record) => (&record.path, None),
            Line::Failed(failure) => (&failure.path, Some(failure.error.as_str())),
        };
        self.board.count(outcome, error);
        let event = Event {
            line,
            outcome,
            id,
            is_late,
        };
        listener(event).map_err(Error::Listener)?;
        let within = Path::new(path).strip_prefix(&self.named.shown);
        let named = relative.or(within.ok());
        let mut photo = named.map_or_else(|| PathBuf::from(path), |it| self.named.folder.join(it));
        if let (Some(relative), Some(to)) = (relative, self.moves.get(&outcome)) {
            let from = self.folder.join(relative);
            match moves::move_photo(&from, relative, to) {
                Ok(place) => photo = place,
                Err(error) => self.board.went_wrong(&format!(
                    "{path} cannot be moved to the folder for {}: {error}.",
                    outcome.word()
                )),
            }
        }
        let overlay = match (&*self.memory, id) {
            (Memory::History(history, _), Some(id)) => history.file(id, FileKind::Overlay)?,
            _ => None,
        };
        let Some(table) = &mut self.table else {
            return Ok(());
        };
        if is_late
            && let Some(id) = id
            && table.contains(id)?
        {
            return Ok(());
        }
        table.add(&Row {
            time,
            line,
            outcome,
            photo: &photo,
            overlay: overlay.as_deref(),
            id,
        })
    }
}

/// How the photo of a line came out.
fn outcome(line: &Line) -> Outcome {
    match line {
        Line::Done(record) => record.decision.into(),
        Line::Failed(_) => Outcome::Failed,
    }
}

/// What a broker is told: the record, and what it does not say.
fn message(line: &Line, outcome: Outcome, time: Time, id: Option<&ResultId>) -> Vec<u8> {
    #[derive(Serialize)]
    struct Message<'a> {
        id: Option<&'a ResultId>,
        time: Time,
        outcome: &'a str,
        #[serde(flatten)]
        line: &'a Line,
    }
    let message = Message {
        id,
        time,
        outcome: outcome.word(),
        line,
    };
    // Only maps with keys that are no texts cannot be written, and there are none.
    serde_json::to_vec(&message).unwrap_or_default()
}
