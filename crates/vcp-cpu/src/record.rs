//! Where the time goes: what every kind of operation took while a record was kept.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// One kind of operation on one size of operands.
#[derive(Clone, Debug, PartialEq)]
pub struct Timing {
    /// What was done, and to what.
    pub name: String,
    /// How often.
    pub calls: usize,
    /// For how long in all.
    pub seconds: f64,
    /// Multiplications and additions of the matrix products in it, in all; 0 for operations
    /// that only move or map values.
    pub operations: f64,
}

/// The record of a device; off until it is asked for.
#[derive(Default)]
pub(crate) struct Record {
    on: AtomicBool,
    timings: Mutex<Vec<Timing>>,
}

impl Record {
    pub(crate) fn start(&self) {
        self.timings
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        self.on.store(true, Ordering::Relaxed);
    }

    pub(crate) fn stop(&self) -> Vec<Timing> {
        self.on.store(false, Ordering::Relaxed);
        std::mem::take(&mut *self.timings.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Does `work`, and writes down how long it took if a record is kept.
    pub(crate) fn time<R>(
        &self,
        operations: f64,
        name: impl FnOnce() -> String,
        work: impl FnOnce() -> R,
    ) -> R {
        if !self.on.load(Ordering::Relaxed) {
            return work();
        }
        let start = Instant::now();
        let result = work();
        let seconds = start.elapsed().as_secs_f64();
        let name = name();
        let mut timings = self.timings.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = timings.iter_mut().find(|timing| timing.name == name) {
            known.calls += 1;
            known.seconds += seconds;
            known.operations += operations;
        } else {
            timings.push(Timing {
                name,
                calls: 1,
                seconds,
                operations,
            });
        }
        result
    }
}
