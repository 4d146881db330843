//! Where the results of a product go: their place, and what is done to them on the way.

use crate::finish::Finish;
use crate::pointer::SharedMut;
use vcp_simd::{Register as _, Simd};

/// How the result is laid out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Layout {
    /// [rows, outputs].
    Rows,
    /// [batch, outputs / 64, rows of the image, 64]: every attention head's rows together. The first third are queries,
    /// which are multiplied with the softmax's scale.
    Heads {
        rows_per_image: usize,
        query_scale: f32,
    },
}

/// What elements of the result are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Numbers {
    F32,
    /// For whoever rounds them anyway: half the memory to go through.
    Bf16,
}

impl Numbers {
    /// Words of 32 bits that so many take.
    pub(crate) fn words(self, count: usize) -> usize {
        match self {
            Self::F32 => count,
            Self::Bf16 => count.div_ceil(2),
        }
    }
}

/// What a result is like in memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Form {
    pub(crate) layout: Layout,
    pub(crate) numbers: Numbers,
}

impl Form {
    /// What most results are.
    pub(crate) const ROWS: Self = Self {
        layout: Layout::Rows,
        numbers: Numbers::F32,
    };
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
    pub(super) form: Form,
    /// `rows · outputs` numbers.
    pub(super) to: SharedMut,
}

impl Output<'_> {
    /// The result, where its numbers are bf16.
    #[inline(always)]
    fn halves(&self) -> *mut u16 {
        self.to.get().cast()
    }

    /// What the columns of a tile are multiplied with.
    #[inline(always)]
    fn scale(&self, first_column: usize) -> f32 {
        match self.form.layout {
            Layout::Heads { query_scale, .. } if first_column < self.outputs / 3 => query_scale,
            _ => 1.0,
        }
    }

    /// Where the elements of a column are, from a row on.
    #[inline(always)]
    fn places(&self, row: usize, column: usize) -> Places {
        match self.form.layout {
            Layout::Rows => Places {
                at: row * self.outputs + column,
                step: self.outputs,
                left: usize::MAX,
                rows_per_image: 0,
                skip: 0,
            },
            Layout::Heads { rows_per_image, .. } => {
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
    pub(super) fn prefetch<S: Simd, const NV: usize>(
        &self,
        simd: S,
        first_row: usize,
        rows: std::ops::Range<usize>,
        first_column: usize,
    ) {
        let first = (first_row + rows.start).min(self.rows - 1);
        let mut places = self.places(first, first_column);
        for _ in first..(first_row + rows.end).min(self.rows) {
            let at = places.next();
            if let Numbers::Bf16 = self.form.numbers {
                for j in (0..NV * S::LANES).step_by(LINE / size_of::<u16>()) {
                    simd.prefetch(self.halves().wrapping_add(at + j));
                }
            }
            for j in (0..NV * S::LANES).step_by(LINE / size_of::<f32>()) {
                if let Numbers::F32 = self.form.numbers {
                    simd.prefetch(self.to.get().wrapping_add(at + j));
                }
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
            let scale = simd.splat(self.scale(first_column));
            for row in sums.iter().take(rows) {
                let at = places.next();
                let mut spare = [0.0_f32; WIDEST];
                let added = match self.finish {
                    Finish::Add(residual) if columns == width => residual.as_ptr().add(at),
                    Finish::Add(residual) => {
                        let present = residual.get_unchecked(at..at + columns);
                        spare[..columns].copy_from_slice(present);
                        spare.as_ptr()
                    }
                    _ => core::ptr::null(),
                };
                let mut values = *row;
                for (j, value) in values.iter_mut().enumerate() {
                    let sum = *value + simd.load(bias.add(j * S::LANES));
                    let added = added.wrapping_add(j * S::LANES);
                    *value = match self.form.numbers {
                        Numbers::F32 => self.finish.apply(simd, sum, added),
                        Numbers::Bf16 => self.finish.apply_to_bf16(simd, sum, added),
                    };
                    if let Layout::Heads { .. } = self.form.layout {
                        *value = *value * scale;
                    }
                }
                match self.form.numbers {
                    Numbers::F32 => {
                        let store = |value: S::F32, to| value.store(to);
                        put(simd, &values, self.to.get().add(at), columns, store);
                    }
                    Numbers::Bf16 => {
                        let store = |value, to| simd.store_bf16(value, to);
                        put(simd, &values, self.halves().add(at), columns, store);
                    }
                }
            }
        }
    }
}

/// Stores the first `columns` elements of a row of a tile.
///
/// # Safety
/// `to` must be writable for `columns` elements; `store` writes a register's lanes from where it is told to on.
#[inline(always)]
unsafe fn put<S: Simd, T: Copy + Default, const NV: usize>(
    _: S,
    row: &[S::F32; NV],
    to: *mut T,
    columns: usize,
    store: impl Fn(S::F32, *mut T),
) {
    let mut spare = [T::default(); WIDEST];
    let is_whole = columns == NV * S::LANES;
    let place = if is_whole { to } else { spare.as_mut_ptr() };
    for (j, value) in row.iter().enumerate() {
        store(*value, place.wrapping_add(j * S::LANES));
    }
    if !is_whole {
        // SAFETY: the caller's promise; a row of a tile has at most as many elements as `spare`.
        unsafe { core::ptr::copy_nonoverlapping(spare.as_ptr(), to, columns) };
    }
}
