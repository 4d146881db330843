//! AMX's tiles in plain loops.

use vcp_simd::Dot;
use vcp_simd::dot::amx::{SIDE, STEP, Tiles};

/// What AMX's tiles compute, with the products of a token.
#[derive(Clone, Copy)]
pub(crate) struct PlainTiles<D>(pub(crate) D);

impl<D: Dot> Tiles for PlainTiles<D> {
    fn set_up(self) {}

    fn release(self) {}

    unsafe fn multiply(
        self,
        rows: *const u32,
        step: usize,
        columns: *const u32,
        count: usize,
        out: *mut u32,
    ) {
        for row in 0..SIDE {
            for column in (0..SIDE).step_by(D::LANES) {
                let mut sums = self.0.zero();
                for group in 0..STEP * count {
                    // SAFETY: the caller's promise: the row has as many groups, and each of them 32 columns.
                    unsafe {
                        let left = self.0.splat(*rows.add(row * step + group));
                        let right = self.0.load(columns.add(group * SIDE + column));
                        sums = self.0.multiply_add(left, right, sums);
                    }
                }
                // SAFETY: the caller's promise: 32 rows of 32 sums.
                unsafe { self.0.store_sums(sums, out.add(row * SIDE + column)) };
            }
        }
    }
}
