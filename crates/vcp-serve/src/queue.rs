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

/// Places in the queue, free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Places {
    permits: OwnedSemaphorePermit,
    /// Photos that are not done.
    left: usize,
}

impl Places {
    /// One of the photos is done.
    pub(crate) fn one_is_done(&mut self) {
        self.left = self.left.saturating_sub(1);
        let unneeded = self.permits.num_permits().saturating_sub(self.left);
        drop(self.permits.split(unneeded));
    }
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

    /// Takes a place for each of so many photos, or all that there are: more photos than those are inspected when
    /// nothing else waits.
    pub(crate) fn enter(&self, photos: usize) -> Result<Places, Refusal> {
        let wanted = u32::try_from(photos.min(self.length)).unwrap_or(u32::MAX);
        let permits = Arc::clone(&self.places).try_acquire_many_owned(wanted);
        let permits = permits.map_err(|_| self.full())?;
        Ok(Places {
            permits,
            left: photos,
        })
    }

    /// Waits for a place, for work that nobody asks for twice.
    pub(crate) async fn wait(&self) -> Result<Places, Refusal> {
        let permits = Arc::clone(&self.places).acquire_owned().await;
        let permits = permits.map_err(|_| Refusal::draining())?;
        Ok(Places { permits, left: 1 })
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
                    "The queue has places for {} photos, of which too few are free; try again later.",
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
        let places = [queue.enter(1).unwrap(), queue.enter(1).unwrap()];
        assert_eq!(queue.taken(), 2);
        let refusal = queue.enter(1).unwrap_err();
        assert_eq!(refusal.status().as_u16(), 429);
        assert_eq!(refusal.retry_after, Some(1));
        assert!(queue.check().is_err());
        drop(places);
        assert!(queue.check().is_ok());
        assert_eq!(queue.taken(), 0);
    }

    #[test]
    fn each_photo_takes_a_place_until_it_is_done() {
        let queue = Queue::new(3);
        let mut two = queue.enter(2).unwrap();
        assert_eq!(queue.taken(), 2);
        assert!(queue.enter(2).is_err());
        two.one_is_done();
        assert_eq!(queue.taken(), 1);
        two.one_is_done();
        assert_eq!(queue.taken(), 0);
        // More than there are take all of them, and keep them as long as they are needed.
        let mut five = queue.enter(5).unwrap();
        assert!(queue.enter(1).is_err());
        for taken in [3, 3, 2, 1, 0] {
            five.one_is_done();
            assert_eq!(queue.taken(), taken);
        }
        five.one_is_done();
        drop(five);
        assert_eq!(queue.taken(), 0);
        assert!(queue.enter(3).is_ok());
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
