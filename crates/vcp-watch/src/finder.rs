//! Finding photos that are whole and new.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, ModifyKind, RenameMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use vcp_clip::{Stop, photos};
use vcp_files::FoldersOnce;
use walkdir::WalkDir;

use crate::candidates::{Candidates, Whole};
use crate::identity::Identity;
use crate::memory::Memory;
use crate::status::StatusBoard;
use crate::{Error, WatchOptions};

/// How often the folder is looked through though the system tells of changes: a network does not tell of all.
const RESCAN: Duration = Duration::from_secs(30);

/// The same where the system refuses to tell.
const POLL: Duration = Duration::from_secs(2);

/// How often it is asked whether the work should end.
const PATIENCE: Duration = Duration::from_millis(100);

/// What the system told that was not looked at yet. Of more, the folder is looked through.
const TOLD: usize = 8192;

/// Photos that have long been gone are forgotten this often, and results that are beyond the history's limits.
const TIDY: Duration = Duration::from_hours(1);

/// What the system tells of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    /// Somebody wrote to it, or it is there.
    Written,
    /// Somebody who wrote to it has closed it, or it was renamed.
    Closed,
}

/// Photos as they become whole: an iterator that waits for each, and ends when the work is to stop.
pub(crate) struct Finder {
    folder: PathBuf,
    is_recursive: bool,
    /// Folders in it that hold no photos to inspect.
    excluded: Vec<PathBuf>,
    memory: Arc<Memory>,
    board: StatusBoard,
    stop: Stop,
    candidates: Candidates,
    ready: VecDeque<Whole>,
    /// Files that are there and have been handed out or done with, in this state.
    done: HashMap<PathBuf, Identity>,
    told: Receiver<(PathBuf, Change)>,
    has_missed: Arc<AtomicBool>,
    interval: Duration,
    next_scan: Instant,
    /// Whether the folder could not be read when it was last looked through.
    is_away: bool,
    next_tidy: Instant,
    next_prune: Instant,
    /// Tells as long as it lives.
    _watcher: Option<RecommendedWatcher>,
    /// Why the work cannot go on, for whoever waits for photos.
    failure: SyncSender<Error>,
}

impl Finder {
    pub(crate) fn new(
        options: &WatchOptions,
        folder: &Path,
        excluded: Vec<PathBuf>,
        memory: Arc<Memory>,
        board: StatusBoard,
        stop: Stop,
    ) -> (Self, Receiver<Error>) {
        let (tell, told) = sync_channel(TOLD);
        let has_missed = Arc::new(AtomicBool::new(false));
        let mut watcher = None;
        let mut interval = options.poll.unwrap_or(RESCAN);
        if options.poll.is_none() {
            match watch(folder, options.recursive, tell, Arc::clone(&has_missed)) {
                Ok(made) => watcher = Some(made),
                Err(error) => {
                    interval = POLL;
                    // Without the paths, which it would name.
                    let error = notify::Error::new(error.kind);
                    board.went_wrong(&format!(
                        "The system does not tell of changes in the folder ({error}), so it is looked through every \
                         {} seconds.", POLL.as_secs()
                    ));
                }
            }
        }
        let (failure, failures) = sync_channel(1);
        let now = Instant::now();
        let finder = Self {
            folder: folder.to_owned(),
            is_recursive: options.recursive,
            excluded,
            memory,
            board,
            stop,
            candidates: Candidates::new(options.settle),
            ready: VecDeque::new(),
            done: HashMap::new(),
            told,
            has_missed,
            interval,
            next_scan: now,
            is_away: false,
            next_tidy: now,
            next_prune: now,
            _watcher: watcher,
            failure,
        };
        (finder, failures)
    }

    /// Looks through the folder.
    fn scan(&mut self) -> Result<(), Error> {
        let now = Instant::now();
        if let Err(error) = std::fs::read_dir(&self.folder) {
            if !self.is_away {
                let folder = self.board.get().folder;
                let said = format!("The folder {folder} cannot be read any more: {error}.");
                self.board.went_wrong(&said);
            }
            self.is_away = true;
            // What could not be read meanwhile counts when it is there again.
            self.done.clear();
            self.next_scan = now + self.interval;
            return Ok(());
        }
        if std::mem::take(&mut self.is_away) {
            // What told of changes told of the folder that was there before.
            self.interval = self.interval.min(POLL);
        }
        let mut there = HashMap::new();
        let (files, is_complete) = self.files();
        for (relative, identity) in files {
            self.consider(&relative, identity, false, now)?;
            there.insert(relative, identity);
        }
        self.done.retain(|relative, _| there.contains_key(relative));
        self.candidates
            .retain(|relative| there.contains_key(relative));
        if now >= self.next_prune {
            self.next_prune = now + TIDY;
            self.memory.prune();
        }
        // An empty folder may be one that is not mounted, and nobody knows what is in one that cannot be read.
        if now >= self.next_tidy && !there.is_empty() && is_complete {
            self.next_tidy = now + TIDY;
            let keys: std::collections::HashSet<String> = there
                .iter()
                .map(|(relative, identity)| identity.key(relative))
                .collect();
            self.memory.tidy(|key| keys.contains(key))?;
        }
        self.next_scan = Instant::now() + self.interval;
        Ok(())
    }

    /// The photos that are in the folder now, by their keys.
    pub(crate) fn keys(&self) -> HashMap<String, PathBuf> {
        let (files, _) = self.files();
        files
            .into_iter()
            .map(|(relative, identity)| (identity.key(&relative), relative))
            .collect()
    }

    /// The photos in the folder, and whether all of it could be read.
    fn files(&self) -> (Vec<(PathBuf, Identity)>, bool) {
        let mut is_complete = true;
        let mut once = FoldersOnce::below([self.folder.as_path()]);
        let depth = if self.is_recursive { usize::MAX } else { 1 };
        let files = WalkDir::new(&self.folder)
            .follow_links(true)
            .max_depth(depth)
            .into_iter()
            .filter_entry(|entry| {
                let leads_out = || {
                    let real = entry.path().canonicalize();
                    real.is_ok_and(|real| self.is_excluded(&real))
                };
                once.enters(entry)
                    && !self.is_excluded(entry.path())
                    && !(entry.file_type().is_dir() && leads_out())
            })
            .filter_map(|entry| {
                // A link that leads nowhere hides nothing.
                is_complete &= entry.as_ref().err().is_none_or(is_gone);
                entry.ok()
            })
            .filter_map(|entry| {
                if !photos::is_photo(entry.path()) {
                    return None;
                }
                let identity = Identity::of(&entry.metadata().ok()?)?;
                let relative = entry.path().strip_prefix(&self.folder).ok()?;
                Some((relative.to_owned(), identity))
            })
            .collect();
        (files, is_complete)
    }

    fn is_excluded(&self, path: &Path) -> bool {
        self.excluded.iter().any(|folder| path.starts_with(folder))
    }

    /// A file of that state is there.
    fn consider(
        &mut self,
        relative: &Path,
        identity: Identity,
        is_closed: bool,
        now: Instant,
    ) -> Result<(), Error> {
        if self.done.get(relative) == Some(&identity) {
            return Ok(());
        }
        if self.memory.contains(&identity.key(relative))? {
            self.done.insert(relative.to_owned(), identity);
            self.candidates.forget(relative);
        } else if is_closed {
            self.candidates.closed(relative, identity, now);
        } else {
            self.candidates.see(relative, identity, now);
        }
        Ok(())
    }

    /// What the system told of a file.
    fn hear(&mut self, path: &Path, change: Change) -> Result<(), Error> {
        let Ok(relative) = path.strip_prefix(&self.folder) else {
            return Ok(());
        };
        let is_hidden = relative
            .components()
            .any(|part| part.as_os_str().as_encoded_bytes().starts_with(b"."));
        if is_hidden || self.is_excluded(path) {
            return Ok(());
        }
        if !self.is_recursive && relative.components().count() > 1 {
            return Ok(());
        }
        if path.is_dir() {
            // Files may have come into it before anybody listened there.
            self.next_scan = Instant::now();
            return Ok(());
        }
        let now = Instant::now();
        let identity = Identity::at(path).filter(|_| photos::is_photo(path));
        let Some(identity) = identity else {
            self.candidates.forget(relative);
            self.done.remove(relative);
            return Ok(());
        };
        if change == Change::Written {
            self.candidates.written(relative, now);
        }
        self.consider(relative, identity, change == Change::Closed, now)
    }

    /// Waits for the next photo.
    fn find(&mut self) -> Result<Option<Whole>, Error> {
        loop {
            while let Ok((path, change)) = self.told.try_recv() {
                self.hear(&path, change)?;
            }
            let has_missed = self.has_missed.swap(false, Ordering::Relaxed);
            if has_missed || Instant::now() >= self.next_scan {
                self.scan()?;
            }
            let now = Instant::now();
            if self.candidates.next_due().is_some_and(|due| due <= now) {
                let folder = &self.folder;
                let look = |relative: &Path| Identity::at(&folder.join(relative));
                for whole in self.candidates.take_whole(now, look) {
                    // From here on it is a candidate only if it changes.
                    self.done.insert(whole.relative.clone(), whole.identity);
                    self.ready.push_back(whole);
                }
            }
            let waiting = (self.candidates.len() + self.ready.len()) as u64;
            self.board.change(|status| {
                status.waiting = waiting;
                status.running = true;
            });
            if self.stop.is_requested() {
                return Ok(None);
            }
            if let Some(whole) = self.ready.pop_front() {
                // It may have changed, or gone, while others had their turn.
                match Identity::at(&self.folder.join(&whole.relative)) {
                    Some(identity) if identity == whole.identity => {}
                    Some(identity) => {
                        self.consider(&whole.relative, identity, false, now)?;
                        continue;
                    }
                    None => {
                        // It counts when it is there again, though it is as it was: its folder may be away.
                        self.done.remove(&whole.relative);
                        continue;
                    }
                }
                return Ok(Some(whole));
            }
            let mut pause = PATIENCE.min(self.next_scan.saturating_duration_since(now));
            if let Some(due) = self.candidates.next_due() {
                pause = pause.min(due.saturating_duration_since(now));
            }
            match self.told.recv_timeout(pause.max(Duration::from_millis(1))) {
                Ok((path, change)) => self.hear(&path, change)?,
                Err(RecvTimeoutError::Timeout) => {}
                // Nobody tells when the folder is polled.
                Err(RecvTimeoutError::Disconnected) => std::thread::sleep(pause),
            }
        }
    }
}

impl Iterator for Finder {
    type Item = Whole;

    fn next(&mut self) -> Option<Whole> {
        self.find().unwrap_or_else(|error| {
            let _ = self.failure.try_send(error);
            None
        })
    }
}

/// Whether something could not be read because it is not there, or is a link to a folder that holds it.
fn is_gone(error: &walkdir::Error) -> bool {
    if error.loop_ancestor().is_some() {
        return true;
    }
    let error = error.io_error();
    error.is_some_and(|error| error.kind() == std::io::ErrorKind::NotFound)
}

/// Asks the system to tell of changes in a folder.
fn watch(
    folder: &Path,
    is_recursive: bool,
    tell: SyncSender<(PathBuf, Change)>,
    has_missed: Arc<AtomicBool>,
) -> notify::Result<RecommendedWatcher> {
    let hear = move |event: notify::Result<notify::Event>| {
        let Ok(event) = event else {
            has_missed.store(true, Ordering::Relaxed);
            return;
        };
        if event.need_rescan() {
            has_missed.store(true, Ordering::Relaxed);
        }
        let change = match event.kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write))
            | EventKind::Modify(ModifyKind::Name(RenameMode::To | RenameMode::Both)) => {
                Change::Closed
            }
            EventKind::Access(_) => return,
            _ => Change::Written,
        };
        for path in event.paths {
            if tell.try_send((path, change)).is_err() {
                has_missed.store(true, Ordering::Relaxed);
            }
        }
    };
    let mut watcher = notify::recommended_watcher(hear)?;
    let mode = if is_recursive {
        RecursiveMode::Recursive
    } else {
        RecursiveMode::NonRecursive
    };
    watcher.watch(folder, mode)?;
    Ok(watcher)
}
