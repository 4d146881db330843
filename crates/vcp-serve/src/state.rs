//! What all requests share.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use tokio::sync::Semaphore;
use vcp_history::{History, ResultId};
use vcp_watch::{Status, StatusBoard};

use crate::body::Memory;
use crate::calibrate::Proposals;
use crate::events::{Event, Events};
use crate::limits::{ANSWERS_BYTES, DECODED, EXPORTS, JSON_BYTES, Limits};
use crate::metrics::Metrics;
use crate::model_thread::ModelThread;
use crate::models::{Models, ServedModel};
use crate::options::{KeptHistory, Loaded, Options};
use crate::queue::Queue;
use crate::recent::Recent;
use crate::refusal::Refusal;

/// What all requests share.
pub(crate) type State = Arc<Shared>;

pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) limits: Limits,
    pub(crate) address: SocketAddr,
    /// Of requests.
    pub(crate) memory: Memory,
    /// The memory of answers.
    pub(crate) answers: Memory,
    pub(crate) queue: Queue,
    /// Photos that may be decoded at a time.
    pub(crate) decoded: Arc<Semaphore>,
    pub(crate) thread: ModelThread,
    pub(crate) recent: Recent,
    pub(crate) events: Events,
    pub(crate) metrics: Metrics,
    pub(crate) proposals: Proposals,
    /// Held until a verdict was told to all who listen, so that they hear of verdicts in their order.
    pub(crate) judging: Mutex<()>,
    /// Held while reference photos of a model are changed.
    pub(crate) changing: tokio::sync::Mutex<()>,
    /// Exports that may be under way at a time.
    pub(crate) exports: Arc<Semaphore>,
    /// Connections that may be open at a time.
    pub(crate) connections: Arc<Semaphore>,
    ready: OnceLock<Ready>,
    /// How far the watching of a folder is, where one is watched.
    watched: OnceLock<StatusBoard>,
    is_draining: AtomicBool,
    /// Requests that are being answered.
    active: AtomicUsize,
}

/// What there is once all is loaded.
pub(crate) struct Ready {
    pub(crate) models: Models,
    history: Option<KeptHistory>,
}

impl Ready {
    /// The history, if there is one.
    pub(crate) fn history(&self) -> Option<&History> {
        self.history.as_ref().map(|kept| &kept.history)
    }
}

impl Shared {
    pub(crate) fn new(options: Options, address: SocketAddr) -> std::io::Result<State> {
        let limits = options.limits;
        Ok(Arc::new(Self {
            address,
            memory: Memory::new(limits.held_bytes.max(limits.body_bytes).max(8 * JSON_BYTES)),
            answers: Memory::new(ANSWERS_BYTES),
            queue: Queue::new(limits.queue),
            decoded: Arc::new(Semaphore::new(DECODED)),
            thread: ModelThread::start()?,
            recent: Recent::default(),
            events: Events::default(),
            metrics: Metrics::new(limits.queue),
            proposals: Proposals::default(),
            judging: Mutex::default(),
            changing: tokio::sync::Mutex::default(),
            exports: Arc::new(Semaphore::new(EXPORTS)),
            connections: Arc::new(Semaphore::new(limits.connections)),
            ready: OnceLock::new(),
            watched: OnceLock::new(),
            is_draining: AtomicBool::new(false),
            active: AtomicUsize::new(0),
            limits,
            options,
        }))
    }

    /// Begins to answer; gives the model that is meant where none is named.
    pub(crate) fn set_ready(&self, loaded: Loaded) -> Option<Arc<ServedModel>> {
        let ready = Ready {
            models: Models::new(loaded.models),
            history: loaded.history,
        };
        for model in ready.models.iter() {
            self.metrics.serves(model.name(), model.digest());
        }
        let first = ready.models.iter().next().map(Arc::clone);
        // It happens once.
        let _ = self.ready.set(ready);
        first
    }

    /// Notes that a folder is watched.
    pub(crate) fn watches(&self, board: StatusBoard) {
        // It happens once.
        let _ = self.watched.set(board);
    }

    /// How far the watching of a folder is, where one is watched.
    pub(crate) fn watched(&self) -> Option<Status> {
        self.watched.get().map(StatusBoard::get)
    }

    /// What there is, unless it is being loaded or the server is about to stop.
    pub(crate) fn ready(&self) -> Result<&Ready, Refusal> {
        if self.is_draining() {
            return Err(Refusal::draining());
        }
        self.loaded()
    }

    /// What there is, also for what is finished while the server is about to stop.
    pub(crate) fn loaded(&self) -> Result<&Ready, Refusal> {
        self.ready.get().ok_or_else(Refusal::loading)
    }

    /// The history and what it keeps, also for what is finished while the server is about to stop.
    pub(crate) fn kept_history(&self) -> Option<&KeptHistory> {
        self.ready.get()?.history.as_ref()
    }

    /// The history, for what cannot be done without.
    pub(crate) fn history(&self) -> Result<&History, Refusal> {
        self.ready()?.history().ok_or_else(|| {
            Refusal::not_found("The server keeps no history; it is started with --history none.")
        })
    }

    /// Tells those who listen of a result. Not for the threads of connections: it reads the history.
    pub(crate) fn announce(&self, id: &ResultId) {
        if self.events.are_heard()
            && let Some(kept) = self.kept_history()
            // It is in the history all the same.
            && let Ok(Some(entry)) = kept.history.get(id)
        {
            self.events.send(Event::Result, &entry);
        }
    }

    pub(crate) fn drain(&self) {
        self.is_draining.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::SeqCst)
    }

    /// Requests that are being answered.
    pub(crate) fn active(&self) -> usize {
        self.active.load(Ordering::SeqCst)
    }

    pub(crate) fn tell(&self, sentence: &str) {
        (self.options.tell)(sentence);
    }
}

/// A request that is being answered, until this is dropped.
pub(crate) struct Active(State);

impl Active {
    pub(crate) fn new(state: &State) -> Self {
        state.active.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(state))
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Ordering::SeqCst);
    }
}
