//! The work itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde::Serialize;
use vcp_clip::photos::{Decoding, PhotoPath};
use vcp_clip::pipeline::Pipeline;
use vcp_clip::record::{FailureRecord, Line};
use vcp_clip::{DecodedPhoto, Inspection, Inspector, Stop};
use vcp_files::Lock;
use vcp_history::{FileKind, History, ModelEntry, NewResult, ResultId, Time};

use crate::Error;
use crate::candidates::Whole;
use crate::finder::Finder;
use crate::identity::Identity;
use crate::memory::{Journal, Memory};
use crate::moves::{self, MoveFolders, Outcome};
use crate::mqtt::{Mqtt, MqttOptions};
use crate::status::StatusBoard;
use crate::table::{Row, Table};

/// How long messages may take to reach the broker when the work ends.
const LAST_WORDS: Duration = Duration::from_millis(400);

/// No file that is longer is read: it is in memory whole, and part of the history.
const LONGEST: u64 = 4 << 30;

/// How a folder is watched, and where results go besides to the listener.
#[derive(Debug, Clone)]
pub struct WatchOptions {
    /// The folder.
    pub folder: PathBuf,
    /// Whether folders in it are watched too.
    pub recursive: bool,
    /// A photo is whole when nothing about its file has changed for so long; on Linux also as soon as whoever wrote it
    /// has closed it.
    pub settle: Duration,
    /// Look through the folder this often, instead of asking the system to tell of changes: for network folders.
    pub poll: Option<Duration>,
    /// Where it is remembered which photos have been done with.
    pub memory: MemoryOptions,
    /// A table in CSV to which a row is added for each photo.
    pub table: Option<PathBuf>,
    /// Where photos are moved to.
    pub moves: MoveFolders,
    /// A broker that is told.
    pub mqtt: Option<MqttOptions>,
}

/// Where it is remembered which photos have been done with.
#[derive(Debug, Clone)]
pub enum MemoryOptions {
    /// In a history, to which results are added as from this source; none is `watch:` and the folder.
    History(History, Option<String>),
    /// In a file with a line for each photo.
    Journal(PathBuf),
}

/// What inspects photos. Decoding and the model run at a time, on two threads.
pub trait Inspect: Send + Sync + 'static {
    /// A photo between the two.
    type Decoded: Send + 'static;

    /// Decodes a photo. `content` is that of its file, which has just been read.
    ///
    /// # Errors
    /// When it cannot be read.
    fn decode(&self, photo: &PhotoPath, content: &[u8]) -> Result<Self::Decoded, vcp_clip::Error>;

    /// Inspects it.
    ///
    /// # Errors
    /// When it cannot go through the model.
    fn inspect(&self, photo: Self::Decoded, stop: &Stop) -> Result<Inspection, vcp_clip::Error>;

    /// The model that inspects.
    fn model(&self) -> ModelEntry;
}

/// An [`Inspector`] for a watched folder.
#[derive(Debug)]
pub struct FolderInspector {
    /// What inspects.
    pub inspector: Inspector,
    /// How photos are decoded.
    pub decoding: Decoding,
    /// The model, as the history names it.
    pub model: ModelEntry,
}

impl Inspect for FolderInspector {
    type Decoded = DecodedPhoto;

    fn decode(&self, photo: &PhotoPath, content: &[u8]) -> Result<DecodedPhoto, vcp_clip::Error> {
        let options = self.decoding.of(photo);
        if self.inspector.tiling().is_some() {
            // Windows come from the file, so that a large photo is not in memory whole.
            return self.inspector.decode_file(&photo.path, &options);
        }
        let label = photo.path.display().to_string();
        self.inspector.decode_bytes(content, &label, &options)
    }

    fn inspect(&self, photo: DecodedPhoto, stop: &Stop) -> Result<Inspection, vcp_clip::Error> {
        self.inspector
            .inspect_decoded(photo, &mut |_, _| stop.flow())
    }

    fn model(&self) -> ModelEntry {
        self.model.clone()
    }
}

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
    /// When no thread can be started. What else keeps a folder from being watched is told by [`Watch::stop`] and
    /// the status.
    pub fn start<I: Inspect>(
        inspect: Arc<I>,
        options: WatchOptions,
        mut listener: impl FnMut(Event<'_>) -> Result<(), Box<dyn std::error::Error + Send + Sync>>
        + Send
        + 'static,
    ) -> Result<Self, Error> {
        let (stop, board) = (Stop::default(), StatusBoard::default());
        let (to_stop, to_tell) = (stop.clone(), board.clone());
        let work = move || {
            let outcome = watch(&inspect, &options, &to_stop, &to_tell, &mut listener);
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
    Work::new(options, board)?.and_run(inspect, options, stop, listener)
}

/// A photo, read and decoded or not.
struct Read<T> {
    whole: Whole,
    content: Vec<u8>,
    outcome: Result<T, vcp_clip::Error>,
    durations: [Duration; 2],
}

/// Where results go.
struct Work<'a> {
    board: &'a StatusBoard,
    /// The folder as it was named, and its real path.
    named: PathBuf,
    folder: PathBuf,
    memory: Arc<Memory>,
    moves: MoveFolders,
    table: Option<Table>,
    mqtt: Option<Mqtt>,
    _lock: Option<Lock>,
}

impl<'a> Work<'a> {
    fn new(options: &WatchOptions, board: &'a StatusBoard) -> Result<Self, Error> {
        let fail = |source| Error::Folder {
            folder: options.folder.clone(),
            source,
        };
        let folder = options.folder.canonicalize().map_err(fail)?;
        fs::read_dir(&folder).map_err(fail)?;
        let (memory, lock) = match &options.memory {
            MemoryOptions::History(history, source) => {
                let source = source.clone();
                let source = source.unwrap_or_else(|| format!("watch:{}", folder.display()));
                // Two that watch one folder would both inspect each photo.
                let place = vcp_files::sha256(&source);
                let place = history.folder().join(format!("watch-{}", &place[..16]));
                let lock = Lock::of_place(&place)?;
                (Memory::History(history.clone(), source), Some(lock))
            }
            MemoryOptions::Journal(path) => {
                (Memory::Journal(Mutex::new(Journal::open(path)?)), None)
            }
        };
        board.change(|status| status.folder = options.folder.display().to_string());
        let mqtt = options.mqtt.as_ref();
        let mqtt = mqtt.map(|mqtt| Mqtt::start(mqtt, board.clone()));
        Ok(Self {
            board,
            named: options.folder.clone(),
            moves: moves::create_folders(&options.moves, &folder)?,
            table: options.table.as_deref().map(Table::open).transpose()?,
            memory: Arc::new(memory),
            mqtt: mqtt.transpose()?,
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
        self.deliver_late(&finder, listener)?;
        let (decoder, model) = (Arc::clone(inspect), Arc::clone(inspect));
        let (folder, named) = (self.folder.clone(), self.named.clone());
        let decode = move |whole: Whole| read(&*decoder, &folder, &named, whole);
        let stopped = stop.clone();
        let compute = move |read: Read<I::Decoded>| {
            let begun = Instant::now();
            let outcome = read.outcome.and_then(|it| model.inspect(it, &stopped));
            Read {
                outcome,
                durations: [read.durations[0], begun.elapsed()],
                whole: read.whole,
                content: read.content,
            }
        };
        let mut photos = Pipeline::start(finder, decode, compute, stop)?;
        for photo in photos.by_ref() {
            let outcome = self.finish(&inspect.model(), photo, listener);
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
        let late = self.memory.undelivered()?;
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
                self.deliver(
                    &line,
                    entry.time,
                    Some(&id),
                    relative.as_deref(),
                    true,
                    listener,
                )?;
            }
            // Else it has been removed for its age meanwhile.
            self.memory.delivered(&key)?;
        }
        Ok(())
    }

    /// Adds a result to the history, and passes it on.
    fn finish(
        &mut self,
        model: &ModelEntry,
        photo: Read<Inspection>,
        listener: Listener<'_>,
    ) -> Result<(), Error> {
        let Read {
            whole,
            content,
            outcome,
            durations,
        } = photo;
        let begun = Instant::now();
        let place = self.folder.join(&whole.relative);
        let identity = Identity::at(&place);
        let is_as_it_was = identity == Some(whole.identity);
        // Somebody was still writing it, so it comes again.
        if identity.is_some() && !is_as_it_was && (outcome.is_err() || !whole.is_closed) {
            return Ok(());
        }
        if let Err(vcp_clip::Error::Predict(vcp_clip::predict::Error::Stopped)) = outcome {
            return Ok(());
        }
        // There is nothing to say of a photo that went away before it was read; it comes again if it comes back.
        if identity.is_none() && outcome.is_err() {
            return Ok(());
        }
        let key = whole.identity.key(&whole.relative);
        let path = self.named.join(&whole.relative).display().to_string();
        let relative = is_as_it_was.then_some(whole.relative.as_path());
        let now = Time::now();
        let inspection = match outcome {
            Ok(inspection) => inspection,
            Err(error) => {
                let line = Line::Failed(FailureRecord::new(path, None, &error));
                self.deliver(&line, now, None, relative, false, listener)?;
                return self.memory.remember(&key);
            }
        };
        let mut record = inspection.record(path.as_str());
        let spent = durations[0] + durations[1] + begun.elapsed();
        record.milliseconds = (spent.as_secs_f64() * 1e4).round() / 10.0;
        let line = Line::Done(Box::new(record));
        let id = match &*self.memory {
            Memory::Journal(_) => None,
            Memory::History(history, source) => {
                let pictures = pictures(&inspection);
                let (overlay, thumbnail) = match &pictures {
                    Ok((overlay, thumbnail)) => (Some(overlay.as_slice()), thumbnail.as_slice()),
                    Err(error) => {
                        self.board.went_wrong(&vcp_clip::sentence(error));
                        (None, &[][..])
                    }
                };
                let map = inspection.model_map();
                let added = history.add(&NewResult {
                    time: Some(now),
                    source,
                    key: Some(&key),
                    name: &path,
                    photo: &content,
                    record: &serde_json::to_string(&line).unwrap_or_default(),
                    model_name: &model.name,
                    model_digest: &model.digest,
                    overlay,
                    thumbnail,
                    map: Some((&map, inspection.image_size())),
                    durations: &[("decode", durations[0]), ("model", durations[1])],
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
        self.memory.delivered(&key)
    }

    /// Passes a result on to everybody but the history. `relative` is where the photo lies in the folder, if it does.
    fn deliver(
        &mut self,
        line: &Line,
        time: Time,
        id: Option<&ResultId>,
        relative: Option<&Path>,
        is_late: bool,
        listener: Listener<'_>,
    ) -> Result<(), Error> {
        let (outcome, path, error) = match line {
            Line::Done(record) => (Outcome::from(record.decision), &record.path, None),
            Line::Failed(failure) => (Outcome::Failed, &failure.path, Some(failure.error.as_str())),
        };
        self.board.count(outcome, error);
        let event = Event {
            line,
            outcome,
            id,
            is_late,
        };
        listener(event).map_err(Error::Listener)?;
        let mut photo = relative.map_or_else(|| PathBuf::from(path), |it| self.named.join(it));
        if let (Some(relative), Some(to)) = (relative, self.moves.get(&outcome)) {
            let from = self.folder.join(relative);
            match moves::move_photo(&from, relative, to) {
                Ok(place) => photo = place,
                Err(error) => self.board.went_wrong(&format!(
                    "{path} cannot be moved to {}: {error}.",
                    to.display()
                )),
            }
        }
        let overlay = match (&*self.memory, id) {
            (Memory::History(history, _), Some(id)) => history.file(id, FileKind::Overlay)?,
            _ => None,
        };
        if let Some(mqtt) = &self.mqtt {
            mqtt.publish(message(line, outcome, time, id));
        }
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

/// Reads and decodes a photo.
fn read<I: Inspect>(inspect: &I, folder: &Path, named: &Path, whole: Whole) -> Read<I::Decoded> {
    let begun = Instant::now();
    let photo = PhotoPath {
        path: folder.join(&whole.relative),
        relative: whole.relative.clone(),
        page: None,
    };
    let shown = named.join(&whole.relative);
    let mut content = Vec::new();
    let outcome = match vcp_files::read_at_most(&photo.path, LONGEST) {
        Ok(None) => {
            let shown = shown.display();
            Err(vcp_clip::Error::Unreadable(format!(
                "{shown} is longer than {} GiB, so it is not read.",
                LONGEST >> 30
            )))
        }
        Ok(Some(bytes)) => {
            content = bytes;
            let photo = PhotoPath {
                path: shown,
                ..photo
            };
            vcp_clip::pipeline::guarded(|| inspect.decode(&photo, &content))
        }
        Err(error) => {
            let shown = shown.display();
            Err(vcp_clip::Error::Unreadable(format!(
                "{shown} could not be read: {error}."
            )))
        }
    };
    Read {
        whole,
        content,
        outcome,
        durations: [begun.elapsed(), Duration::ZERO],
    }
}

/// The overlay as PNG and the thumbnail as JPEG.
fn pictures(inspection: &Inspection) -> Result<(Vec<u8>, Vec<u8>), vcp_clip::image::Error> {
    let overlay = inspection.overlay()?.to_png_bytes()?;
    let thumbnail = vcp_history::thumbnail(&*inspection.photo()?)?;
    Ok((overlay, thumbnail))
}
