//! Files that may be photos and are not known to be whole yet.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::identity::Identity;

/// A photo that is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Whole {
    /// Its place below the folder.
    pub(crate) relative: PathBuf,
    pub(crate) identity: Identity,
    /// Whether the system told that it is whole; else it has not changed for a while.
    pub(crate) is_closed: bool,
}

#[derive(Debug)]
struct Candidate {
    identity: Identity,
    /// Since when it is known to be as it is.
    since: Instant,
    is_closed: bool,
}

/// Files that are waited for.
#[derive(Debug)]
pub(crate) struct Candidates {
    settle: Duration,
    waiting: HashMap<PathBuf, Candidate>,
}

impl Candidates {
    /// A file is whole when nothing about it has changed for `settle`, or the system says that it was closed.
    pub(crate) fn new(settle: Duration) -> Self {
        Self {
            settle,
            waiting: HashMap::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// A file was seen like this.
    pub(crate) fn see(&mut self, relative: &Path, identity: Identity, now: Instant) {
        match self.waiting.get_mut(relative) {
            Some(candidate) if candidate.identity == identity => {}
            Some(candidate) => {
                *candidate = Candidate {
                    identity,
                    since: now,
                    is_closed: false,
                };
            }
            None => {
                let candidate = Candidate {
                    identity,
                    since: now,
                    is_closed: false,
                };
                self.waiting.insert(relative.to_owned(), candidate);
            }
        }
    }

    /// Somebody writes to a file.
    pub(crate) fn written(&mut self, relative: &Path, now: Instant) {
        if let Some(candidate) = self.waiting.get_mut(relative) {
            candidate.is_closed = false;
            candidate.since = now;
        }
    }

    /// A file that somebody wrote was closed, or came by its name at once, and is like this.
    pub(crate) fn closed(&mut self, relative: &Path, identity: Identity, now: Instant) {
        self.see(relative, identity, now);
        if let Some(candidate) = self.waiting.get_mut(relative) {
            candidate.is_closed = true;
        }
    }

    /// A file is gone, or need not be waited for.
    pub(crate) fn forget(&mut self, relative: &Path) {
        self.waiting.remove(relative);
    }

    /// Forgets the files that `is_there` does not know.
    pub(crate) fn retain(&mut self, is_there: impl Fn(&Path) -> bool) {
        self.waiting.retain(|relative, _| is_there(relative));
    }

    /// When the next of them may be whole.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        let due = self.waiting.values().map(|it| self.due(it));
        due.min()
    }

    fn due(&self, candidate: &Candidate) -> Instant {
        if candidate.is_closed {
            candidate.since
        } else {
            candidate.since + self.settle
        }
    }

    /// Takes out the files that are whole, the one that was changed first first. `look` says what a file is like now.
    pub(crate) fn take_whole(
        &mut self,
        now: Instant,
        look: impl Fn(&Path) -> Option<Identity>,
    ) -> Vec<Whole> {
        let due: Vec<PathBuf> = self
            .waiting
            .iter()
            .filter(|(_, candidate)| self.due(candidate) <= now)
            .map(|(relative, _)| relative.clone())
            .collect();
        let mut whole = Vec::new();
        for relative in due {
            let Some(identity) = look(&relative) else {
                self.forget(&relative);
                continue;
            };
            self.see(&relative, identity, now);
            let Some(candidate) = self.waiting.get(&relative) else {
                continue;
            };
            if self.due(candidate) <= now {
                let is_closed = candidate.is_closed;
                self.forget(&relative);
                whole.push(Whole {
                    relative,
                    identity,
                    is_closed,
                });
            }
        }
        whole.sort_by(|one, other| {
            let key = |it: &Whole| (it.identity.changed(), it.relative.clone());
            key(one).cmp(&key(other))
        });
        whole
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    struct Place {
        folder: tempfile::TempDir,
        begun: Instant,
    }

    impl Place {
        fn new() -> Self {
            Self {
                folder: tempfile::tempdir().unwrap(),
                begun: Instant::now(),
            }
        }

        fn write(&self, name: &str, content: &str) -> Identity {
            fs::write(self.folder.path().join(name), content).unwrap();
            self.look(Path::new(name)).unwrap()
        }

        fn look(&self, relative: &Path) -> Option<Identity> {
            Identity::at(&self.folder.path().join(relative))
        }

        fn at(&self, seconds: u64) -> Instant {
            self.begun + Duration::from_secs(seconds)
        }

        fn taken(&self, candidates: &mut Candidates, seconds: u64) -> Vec<PathBuf> {
            let whole = candidates.take_whole(self.at(seconds), |it| self.look(it));
            whole.into_iter().map(|it| it.relative).collect()
        }
    }

    #[test]
    fn a_file_is_waited_for_until_it_rests() {
        let place = Place::new();
        let mut candidates = Candidates::new(Duration::from_secs(2));
        let name = Path::new("a.png");
        candidates.see(name, place.write("a.png", "half"), place.at(0));
        assert_eq!(candidates.next_due(), Some(place.at(2)));
        assert!(place.taken(&mut candidates, 1).is_empty());
        // It grew, and nobody told.
        place.write("a.png", "half and half");
        assert!(place.taken(&mut candidates, 2).is_empty());
        assert!(place.taken(&mut candidates, 3).is_empty());
        assert_eq!(place.taken(&mut candidates, 4), [name]);
        assert_eq!((candidates.len(), candidates.next_due()), (0, None));
    }

    #[test]
    fn a_closed_file_is_whole_at_once_unless_it_is_written_again() {
        let place = Place::new();
        let mut candidates = Candidates::new(Duration::from_secs(2));
        let name = Path::new("a.png");
        candidates.closed(name, place.write("a.png", "one"), place.at(0));
        candidates.written(name, place.at(0));
        assert!(place.taken(&mut candidates, 1).is_empty());
        candidates.closed(name, place.look(name).unwrap(), place.at(1));
        assert_eq!(place.taken(&mut candidates, 1), [name]);
        // It changed after it was closed.
        candidates.closed(name, place.look(name).unwrap(), place.at(5));
        place.write("a.png", "longer");
        assert!(place.taken(&mut candidates, 5).is_empty());
        assert_eq!(place.taken(&mut candidates, 7), [name]);
    }

    #[test]
    fn what_is_gone_is_forgotten() {
        let place = Place::new();
        let mut candidates = Candidates::new(Duration::ZERO);
        for name in ["a.png", "b.png"] {
            candidates.see(Path::new(name), place.write(name, name), place.at(0));
        }
        fs::remove_file(place.folder.path().join("a.png")).unwrap();
        candidates.retain(|relative| relative != Path::new("b.png"));
        assert!(place.taken(&mut candidates, 1).is_empty());
        assert_eq!(candidates.len(), 0);
    }
}
