//! Accepting connections, and coming to an end.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::time::sleep;
use vcp_clip::Stop;
use vcp_watch::Watch;

use crate::app::app;
use crate::connection::{Patient, dismiss, turn_away};
use crate::inspect::blocking;
use crate::options::{Loaded, Options};
use crate::state::{Shared, State};
use crate::watching;

/// How often it is asked whether the server should stop, and whether all is done then.
const PATIENCE: Duration = Duration::from_millis(20);

/// Connections that are waited for at a time, so that they hear that they are too many.
const TURNED_AWAY: usize = 64;

/// How long answers that are being sent may take when all requests are answered.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// How often what is beyond the history's limits is removed, besides with each result.
const PRUNE: Duration = Duration::from_hours(1);

/// Threads that decode photos and wait for disks.
const BLOCKING_THREADS: usize = 12;

/// Why a server ended before it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError<E> {
    /// Its models, or what else it needs, could not be had.
    #[error(transparent)]
    Load(E),
    /// The system gives no threads or connections.
    #[error("The server cannot run")]
    System(#[source] std::io::Error),
    /// The folder cannot be watched, or results of its photos would be lost.
    #[error(transparent)]
    Watch(#[from] vcp_watch::Error),
}

/// Answers requests until `stop` is requested and those that have begun are answered, or the time for that has
/// passed ([`Limits::drain`](crate::Limits::drain)); so is a photo of a watched folder that is in the model. Meanwhile, and until `load` has given what is needed, requests for
/// work are refused with the status 503.
///
/// # Errors
/// That of `load`, when the system gives no threads, and what keeps a folder from being watched, at first or later.
pub fn serve<E: Send + 'static>(
    listener: TcpListener,
    options: Options,
    load: impl FnOnce() -> Result<Loaded, E> + Send + 'static,
    stop: &Stop,
) -> Result<(), ServeError<E>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_name("http")
        .enable_io()
        .enable_time()
        .build()
        .map_err(ServeError::System)?;
    let outcome = runtime.block_on(run(listener, options, load, stop));
    // What still runs is nobody's any more.
    runtime.shutdown_timeout(Duration::from_millis(200));
    outcome
}

async fn run<E: Send + 'static>(
    listener: TcpListener,
    options: Options,
    load: impl FnOnce() -> Result<Loaded, E> + Send + 'static,
    stop: &Stop,
) -> Result<(), ServeError<E>> {
    let address = listener.local_addr().map_err(ServeError::System)?;
    listener.set_nonblocking(true).map_err(ServeError::System)?;
    let listener = tokio::net::TcpListener::from_std(listener).map_err(ServeError::System)?;
    let state = Shared::new(options, address).map_err(ServeError::System)?;
    let mut loading = loading(load).map_err(ServeError::System)?;
    let mut is_loaded = false;
    let (close, closing) = watch::channel(false);
    let connections = Connections::new(&state, closing);
    let mut draining: Option<Instant> = None;
    let mut watch: Option<Watch> = None;
    tokio::spawn(prune(Arc::clone(&state)));
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => connections.take(stream),
                // Usually for lack of file descriptors, which others give back.
                Err(_) => sleep(PATIENCE).await,
            },
            loaded = &mut loading, if !is_loaded => {
                is_loaded = true;
                match loaded {
                    Ok(Ok(mut loaded)) => {
                        let folder = loaded.watch.take();
                        let model = state.set_ready(loaded);
                        if let (Some(folder), Some(model)) = (folder, model)
                            && draining.is_none()
                        {
                            watch = Some(watching::start(&state, &model, folder)?);
                        }
                    }
                    Ok(Err(error)) => return Err(ServeError::Load(error)),
                    Err(_) => return Err(ServeError::System(std::io::Error::other(
                        "the thread that loads models ended early",
                    ))),
                }
            }
            () = sleep(PATIENCE) => {}
        }
        let has_watched = watch.as_ref().is_none_or(Watch::has_ended);
        let is_to_end = stop.is_requested() || (watch.is_some() && has_watched);
        if is_to_end && draining.is_none() {
            state.drain();
            draining = Some(Instant::now());
            if let Some(watch) = &watch {
                watch.request_stop();
            }
        }
        let is_over = |begun: Instant| {
            let is_done = state.active() == 0 && has_watched;
            is_done || begun.elapsed() > state.limits.drain
        };
        if draining.is_some_and(is_over) {
            break;
        }
    }
    drop(listener);
    // Connections end after the answer that they are in.
    let _ = close.send(true);
    let left = draining.map_or(Duration::ZERO, |begun| {
        state.limits.drain.saturating_sub(begun.elapsed())
    });
    connections.wait(left.max(LAST_ANSWERS)).await;
    // Of one that takes too long nothing is kept, and its photo comes again.
    match watch.filter(Watch::has_ended) {
        Some(watch) => {
            if let Some(untold) = watch.status().untold() {
                state.tell(&untold);
            }
            Ok(watch.stop()?)
        }
        None => Ok(()),
    }
}

/// Removes what is beyond the history's limits, also when no photos come.
async fn prune(state: State) {
    loop {
        sleep(PRUNE).await;
        if let Some(kept) = state.kept_history() {
            let history = kept.history.clone();
            // What cannot be removed is tried again.
            let _ = blocking(move || Ok(history.prune()?)).await;
        }
    }
}

/// Loads on a thread of its own.
fn loading<E: Send + 'static>(
    load: impl FnOnce() -> Result<Loaded, E> + Send + 'static,
) -> std::io::Result<oneshot::Receiver<Result<Loaded, E>>> {
    let (give, loaded) = oneshot::channel();
    std::thread::Builder::new()
        .name("load".to_owned())
        .spawn(move || {
            // Nobody waits if the server was stopped before.
            let _ = give.send(load());
        })?;
    Ok(loaded)
}

/// The connections that are open.
struct Connections {
    state: State,
    app: Router,
    turned_away: Arc<Semaphore>,
    closing: watch::Receiver<bool>,
}

impl Connections {
    fn new(state: &State, closing: watch::Receiver<bool>) -> Self {
        Self {
            app: app(state),
            turned_away: Arc::new(Semaphore::new(TURNED_AWAY)),
            state: Arc::clone(state),
            closing,
        }
    }

    /// Serves a connection, or says that there are too many.
    fn take(&self, stream: TcpStream) {
        let Ok(place) = Arc::clone(&self.state.connections).try_acquire_owned() else {
            self.state.metrics.turned_away();
            match Arc::clone(&self.turned_away).try_acquire_owned() {
                Ok(place) => {
                    tokio::spawn(async move {
                        turn_away(stream).await;
                        drop(place);
                    });
                }
                Err(_) => dismiss(stream),
            }
            return;
        };
        // Answers are small and awaited.
        let _ = stream.set_nodelay(true);
        let (app, closing) = (self.app.clone(), self.closing.clone());
        let limits = self.state.limits;
        tokio::spawn(async move {
            let stream = TokioIo::new(Patient::new(stream, limits.write));
            let mut builder = hyper::server::conn::http1::Builder::new();
            builder
                .timer(TokioTimer::new())
                .header_read_timeout(limits.head)
                .max_headers(64)
                .max_buf_size(64 << 10);
            serve_connection(builder, stream, app, closing).await;
            drop(place);
        });
    }

    /// Waits until all have ended, but no longer than this.
    async fn wait(&self, patience: Duration) {
        let all = u32::try_from(self.state.limits.connections).unwrap_or(u32::MAX);
        // Those that have not ended are cut.
        let _ = tokio::time::timeout(patience, self.state.connections.acquire_many(all)).await;
    }
}

async fn serve_connection(
    builder: hyper::server::conn::http1::Builder,
    stream: TokioIo<Patient>,
    app: Router,
    mut closing: watch::Receiver<bool>,
) {
    let connection = builder.serve_connection(stream, TowerToHyperService::new(app));
    let mut connection = std::pin::pin!(connection);
    // However a connection ends, there is nobody to be told.
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = closing.changed() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
