//! Where the results of a product go: their place, and what is done to them on the way.

use crate::finish::Finish;
use crate::pointer::SharedMut;
use vcp_simd::{Register as _, Simd};

/// How the result is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// [rows, outputs].
    Rows,
    /// [batch, outputs / 64, rows of the image, 64]: every attention head's rows together.
    Heads { rows_per_image: usize },
}

/// Bytes of a cache line.
pub(super) const LINE: usize = 64;

/// Width of an attention head in every CLIP tower.
pub(crate) const HEAD: usize = 64;

/// Elements of the widest row of a tile.
const WIDEST: usize = 64;

/// Where elements of a column are, row by row: without a division for each.
#[derive(Clone, Copy)]
struct Places {
    at: usize,
    step: usize,
    /// Rows of the image that are left.
    left: usize,
    rows_per_image: usize,
    /// From the end of a head to the same head of the next image.
    skip: usize,
}

impl Places {
    #[inline(always)]
    fn next(&mut self) -> usize {
        let at = self.at;
        self.at += self.step;
        self.left -= 1;
        if self.left == 0 {
            self.at += self.skip;
            self.left = self.rows_per_image;
        }
        at
    }
}

/// The result of a product.
#[derive(Clone, Copy)]
pub(super) struct Output<'a> {
    pub(super) rows: usize,
    pub(super) outputs: usize,
    /// One value per output, padded to whole panels.
    pub(super) bias: &'a [f32],
    pub(super) finish: Finish<'a>,
    pub(super) layout: Layout,
    /// `rows · outputs` elements.
    pub(super) to: SharedMut,
}

impl Output<'_> {
    /// Where the elements of a column are, from a row on.
    #[inline(always)]
    fn places(&self, row: usize, column: usize) -> Places {
        match self.layout {
            Layout::Rows => Places {
                at: row * self.outputs + column,
                step: self.outputs,
                left: usize::MAX,
                rows_per_image: 0,
                skip: 0,
            },
            Layout::Heads { rows_per_image } => {
                let (image, row) = (row / rows_per_image, row % rows_per_image);
                let heads = self.outputs / HEAD;
                let head = image * heads + column / HEAD;
                Places {
                    at: (head * rows_per_image + row) * HEAD + column % HEAD,
                    step: HEAD,
                    left: rows_per_image - row,
                    rows_per_image,
                    skip: (heads - 1) * rows_per_image * HEAD,
                }
            }
        }
    }

    /// Asks for the lines that a tile will be written to, and for the residual's.
    #[inline(always)]
    pub(super) fn prefetch<S: Simd, const MR: usize, const NV: usize>(
        &self,
        simd: S,
        first_row: usize,
        first_column: usize,
    ) {
        let mut places = self.places(first_row, first_column);
        for _ in first_row..(first_row + MR).min(self.rows) {
            let at = places.next();
            for j in (0..NV * S::LANES).step_by(LINE / size_of::<f32>()) {
                simd.prefetch(self.to.get().wrapping_add(at + j));
                if let Finish::Add(residual) = self.finish {
                    simd.prefetch(residual.as_ptr().wrapping_add(at + j));
                }
            }
        }
    }

    /// Adds bias, activation or residual, and writes the part of the tile that exists.
    ///
    /// # Safety
    /// `first_row` and `first_column` must be inside the result, the bias readable for a whole tile from there, and no
    /// other thread may write the tile.
    #[inline(always)]
    pub(super) unsafe fn write<S: Simd, const MR: usize, const NV: usize>(
        &self,
        simd: S,
        first_row: usize,
        first_column: usize,
        sums: &[[S::F32; NV]; MR],
    ) {
        const { assert!(NV * S::LANES <= WIDEST) };
        // Else two tasks would write parts of one head.
        const { assert!(HEAD.is_multiple_of(NV * S::LANES)) };
        let width = NV * S::LANES;
        let rows = MR.min(self.rows - first_row);
        let columns = width.min(self.outputs - first_column);
        // SAFETY: `row < rows` and `first_column + columns <= outputs`, so every address is
        // inside the output (and the residual, which has its shape); the bias is padded to whole
        // panels; `added` is only read where there is a residual.
        unsafe {
            let bias = self.bias.as_ptr().add(first_column);
            let mut places = self.places(first_row, first_column);
            for row in sums.iter().take(rows) {
                let at = places.next();
                let mut spare = [0.0_f32; WIDEST];
                let to = if columns == width {
                    self.to.get().add(at)
                } else {
                    spare.as_mut_ptr()
                };
                let added = match self.finish {
                    Finish::Add(residual) if columns == width => residual.as_ptr().add(at),
                    Finish::Add(residual) => {
                        let present = residual.get_unchecked(at..at + columns);
                        spare[..columns].copy_from_slice(present);
                        spare.as_ptr()
                    }
                    _ => core::ptr::null(),
                };
                for (j, element) in row.iter().enumerate() {
                    let sum = *element + simd.load(bias.add(j * S::LANES));
                    let value = (self.finish).apply(simd, sum, added.wrapping_add(j * S::LANES));
                    value.store(to.add(j * S::LANES));
                }
                if columns != width {
                    core::ptr::copy_nonoverlapping(spare.as_ptr(), self.to.get().add(at), columns);
                }
            }
        }
    }
}
