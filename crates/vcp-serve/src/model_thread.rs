//! The thread that runs the models. They use all cores themselves, so one call at a time is quickest.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tokio::sync::{mpsc, oneshot};

use crate::refusal::Refusal;

type Job = Box<dyn FnOnce() + Send>;

/// The way to the thread; it ends when all of them are dropped.
#[derive(Debug, Clone)]
pub(crate) struct ModelThread(mpsc::Sender<Job>);

/// Whether anybody still waits for the outcome of a job.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted(Arc<AtomicBool>);

impl Wanted {
    pub(crate) fn is_gone(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Says that nobody waits any more when it is dropped.
struct Waiting(Wanted);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

impl ModelThread {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives none.
    pub(crate) fn start() -> std::io::Result<Self> {
        let (give, mut jobs) = mpsc::channel::<Job>(1);
        thread::Builder::new()
            .name("model".to_owned())
            .spawn(move || {
                while let Some(job) = jobs.blocking_recv() {
                    job();
                }
            })?;
        Ok(Self(give))
    }

    /// Runs `work` on the thread. If the future is dropped, work that has not begun is not begun, and work that asks
    /// may end early.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Wanted) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let (reply, outcome) = oneshot::channel();
        let wanted = Wanted::default();
        let _waiting = Waiting(wanted.clone());
        let job = Box::new(move || {
            if wanted.is_gone() {
                return;
            }
            // The thread outlives whatever a job does.
            let outcome = vcp_panics::caught(|| work(&wanted));
            // Nobody may wait any more.
            let _ = reply.send(outcome);
        });
        if self.0.send(job).await.is_err() {
            return Err(Refusal::internal("The model's thread has ended."));
        }
        match outcome.await {
            Ok(Ok(outcome)) => Ok(outcome),
            Ok(Err(panic)) => Err(Refusal::internal(format!("The model failed: {panic}."))),
            Err(_) => Err(Refusal::internal("The model's thread has ended.")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_time()
            .build()
            .unwrap()
    }

    #[test]
    fn what_nobody_waits_for_is_not_begun() {
        runtime().block_on(async {
            let thread = ModelThread::start().unwrap();
            let (open, gate) = std::sync::mpsc::channel::<()>();
            let (tell, begun) = oneshot::channel();
            let busy = tokio::spawn({
                let thread = thread.clone();
                let work = move |_: &_| {
                    let _ = tell.send(());
                    gate.recv().is_ok()
                };
                async move { thread.run(work).await }
            });
            begun.await.unwrap();
            let has_run = Arc::new(AtomicBool::new(false));
            let flag = Arc::clone(&has_run);
            let abandoned = thread.run(move |_| flag.store(true, Ordering::SeqCst));
            let short = std::time::Duration::from_millis(20);
            assert!(tokio::time::timeout(short, abandoned).await.is_err());
            open.send(()).unwrap();
            assert_eq!(busy.await.unwrap(), Ok(true));
            assert_eq!(thread.run(|_| 7).await, Ok(7));
            assert!(!has_run.load(Ordering::SeqCst));
        });
    }

    #[test]
    fn the_thread_outlives_a_panic() {
        vcp_panics::hush_caught();
        runtime().block_on(async {
            let thread = ModelThread::start().unwrap();
            let failed = thread
                .run(|_| -> u8 { panic!("index out of bounds") })
                .await;
            assert_eq!(failed.unwrap_err().status().as_u16(), 500);
            assert_eq!(thread.run(|_| 7).await, Ok(7));
        });
    }
}
