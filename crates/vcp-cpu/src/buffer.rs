//! Reused, cache-line-aligned memory.
//!
//! A forward pass asks for the same few sizes thousands of times. Fresh pages from the
//! operating system cost about as much as a layer norm, so buffers go back to a pool.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

/// One cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; LINE]);

const LINE: usize = 16;

/// `f32` memory aligned to cache lines; goes back to its pool when dropped.
pub(crate) struct Buffer {
    lines: Vec<Line>,
    length: usize,
    pool: Arc<Pool>,
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // SAFETY: `Line` is a plain array of `f32`, and `length` never exceeds what the
        // lines hold.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.length) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as in `deref`, and `self` is borrowed uniquely.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.length) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let lines = std::mem::take(&mut self.lines);
        self.pool.give_back(lines);
    }
}

/// Buffers waiting to be used again.
#[derive(Default)]
pub(crate) struct Pool {
    free: Mutex<Vec<Vec<Line>>>,
}

impl Pool {
    /// Most buffers that wait at once: a forward pass has fewer alive.
    const MOST: usize = 24;

    /// A buffer of `length` elements with **arbitrary** (but initialised) contents.
    pub(crate) fn take(self: &Arc<Self>, length: usize) -> Buffer {
        let needed = length.div_ceil(LINE);
        let found = {
            let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
            let best = free
                .iter()
                .enumerate()
                // One much too large would be missed by whoever needs its size.
                .filter(|(_, lines)| lines.len() >= needed && lines.len() <= 2 * needed + 64)
                .min_by_key(|(_, lines)| lines.len())
                .map(|(index, _)| index);
            best.map(|index| free.swap_remove(index))
        };
        let lines = found.unwrap_or_else(|| vec![Line([0.0; LINE]); needed]);
        Buffer {
            lines,
            length,
            pool: Arc::clone(self),
        }
    }

    /// As [`Pool::take`], filled with zeros.
    pub(crate) fn take_zeroed(self: &Arc<Self>, length: usize) -> Buffer {
        let mut buffer = self.take(length);
        buffer.fill(0.0);
        buffer
    }

    fn give_back(&self, lines: Vec<Line>) {
        if lines.is_empty() {
            return;
        }
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() >= Self::MOST {
            // The oldest has waited longest without being wanted.
            free.remove(0);
        }
        free.push(lines);
    }
}
