//! The logits of many windows.

use crate::predictor::Logits;

/// The logits of windows of one model, one after another in one block of memory.
///
/// Hundreds of small vectors that stay, made in turn with large ones that go, would keep the memory of
/// the large ones from being used again: three times as much was seen to be taken.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Kept {
    /// Taps of the two branches.
    taps: [usize; 2],
    /// Values of one tap.
    grid: usize,
    count: usize,
    values: Vec<f32>,
}

impl Kept {
    /// Adds a window's; `total` windows are to be expected.
    pub(super) fn push(&mut self, logits: &Logits, total: usize) {
        if self.count == 0 {
            self.taps = [logits.branch1.len(), logits.branch2.len()];
            self.grid = logits.branch1.first().map_or(0, Vec::len);
            self.values.reserve_exact(total * self.of_window());
        }
        for tap in logits.branch1.iter().chain(&logits.branch2) {
            self.values.extend_from_slice(tap);
        }
        self.count += 1;
        debug_assert_eq!(self.values.len(), self.count * self.of_window());
    }

    /// Number of windows.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// A window's.
    pub(super) fn get(&self, window: usize) -> Logits {
        let values = &self.values[window * self.of_window()..][..self.of_window()];
        let (branch1, branch2) = values.split_at(self.taps[0] * self.grid);
        let taps = |values: &[f32]| {
            let grids = values.chunks_exact(self.grid.max(1));
            grids.map(<[f32]>::to_vec).collect()
        };
        Logits {
            branch1: taps(branch1),
            branch2: taps(branch2),
        }
    }

    /// Values of one window.
    fn of_window(&self) -> usize {
        (self.taps[0] + self.taps[1]) * self.grid
    }
}
