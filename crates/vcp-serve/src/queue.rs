//! Places before the model.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::refusal::{Reason, Refusal};

/// The one bounded queue: whoever has a place in it is served in turn.
#[derive(Debug)]
pub(crate) struct Queue {
    places: Arc<Semaphore>,
    length: usize,
    /// Time that a photo takes in the model, a running mean: the bits of seconds as an f64.
    seconds: AtomicU64,
}

/// A place in the queue, free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
}

impl Queue {
    pub(crate) fn new(length: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(length)),
            length,
            seconds: AtomicU64::new(0.1_f64.to_bits()),
        }
    }

    /// Photos that have a place.
    pub(crate) fn taken(&self) -> usize {
        self.length - self.places.available_permits()
    }

    /// Whether a request would be refused now, which is asked before its body is read.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        if self.places.available_permits() > 0 {
            return Ok(());
        }
        Err(self.full())
    }

    /// Takes a place.
    pub(crate) fn enter(&self) -> Result<Place, Refusal> {
        let permit = Arc::clone(&self.places).try_acquire_owned();
        let permit = permit.map_err(|_| self.full())?;
        Ok(Place { _permit: permit })
    }

    /// Waits for a place, for work that nobody asks for twice.
    pub(crate) async fn wait(&self) -> Result<Place, Refusal> {
        let permit = Arc::clone(&self.places).acquire_owned().await;
        let permit = permit.map_err(|_| Refusal::draining())?;
        Ok(Place { _permit: permit })
    }

    /// Learns how long a photo took.
    pub(crate) fn took(&self, time: Duration) {
        let old = f64::from_bits(self.seconds.load(Ordering::Relaxed));
        let new = 0.8 * old + 0.2 * time.as_secs_f64();
        self.seconds.store(new.to_bits(), Ordering::Relaxed);
    }

    fn full(&self) -> Refusal {
        let seconds = f64::from_bits(self.seconds.load(Ordering::Relaxed));
        // Until half of those who wait are served.
        let wait = (seconds * self.length as f64 / 2.0)
            .ceil()
            .clamp(1.0, 600.0);
        Refusal {
            retry_after: Some(wait as u64),
            ..Refusal::new(
                Reason::QueueFull,
                format!(
                    "{} photos are waiting already, and no more are taken; try again later.",
                    self.length
                ),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_free_again() {
        let queue = Queue::new(2);
        let places = [queue.enter().unwrap(), queue.enter().unwrap()];
        assert_eq!(queue.taken(), 2);
        let refusal = queue.enter().unwrap_err();
        assert_eq!(refusal.status().as_u16(), 429);
        assert_eq!(refusal.retry_after, Some(1));
        assert!(queue.check().is_err());
        drop(places);
        assert!(queue.check().is_ok());
        assert_eq!(queue.taken(), 0);
    }

    #[test]
    fn slow_models_ask_for_more_patience() {
        let queue = Queue::new(10);
        for _ in 0..100 {
            queue.took(Duration::from_secs(3));
        }
        assert_eq!(queue.full().retry_after, Some(15));
    }
}
