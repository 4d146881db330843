//! What the elements of a tensor are multiplied with when they are read.

use std::ops::Range;
use std::sync::Arc;

use crate::tensor::{Content, Layout, Tensor};

/// Factors of a tensor's rows and columns; none of most tensors.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scaling {
    /// One for each row: the elements are codes, in one view whose elements lie one after the other.
    pub(crate) rows: Option<Arc<[f32]>>,
    /// One for each element of a row.
    pub(crate) columns: Option<Arc<[f32]>>,
}

impl Layout {
    /// Multiplies `values`, the rows from `first` on, with their factors.
    pub(crate) fn scale(&self, first: usize, values: &mut [f32]) {
        let Scaling { rows, columns } = &self.scaling;
        let row_length = self.row_length();
        if row_length == 0 {
            return;
        }
        if let Some(scales) = rows {
            let scales = scales.iter().skip(first);
            for (row, scale) in values.chunks_exact_mut(row_length).zip(scales) {
                for value in row {
                    *value *= scale;
                }
            }
        }
        if let Some(factors) = columns {
            for row in values.chunks_exact_mut(row_length) {
                for (value, factor) in row.iter_mut().zip(factors.iter()) {
                    *value *= factor;
                }
            }
        }
    }
}

impl<'a> Tensor<'a> {
    /// Of a tensor that is stored as 8-bit codes: reads those of rows of dimension 0, row-major, -127 to 127. A code
    /// times its row's [scale](Tensor::scales) is the value. None of other tensors, which leaves `out` as it is.
    ///
    /// # Panics
    /// As [`Tensor::read_rows`].
    #[must_use = "other tensors have no codes"]
    pub fn codes(&self, rows: Range<usize>, out: &mut [i8]) -> Option<()> {
        self.scales()?;
        self.check_rows(&rows, out.len());
        let row_length = self.layout.row_length();
        let [block] = &self.layout.blocks[..] else {
            return None;
        };
        let Content::View(view) = &block.content else {
            return None;
        };
        let bytes = self.storages[view.storage].bytes();
        let start = view.start + rows.start * row_length;
        let codes = &bytes[start..start + out.len()];
        for (out, code) in out.iter_mut().zip(codes) {
            *out = code.cast_signed();
        }
        Some(())
    }

    /// The scales of a tensor that is stored as 8-bit codes, one for each row, each a number above 0. None of other
    /// tensors, and of one that is [smoothed](crate::Weights::smooth).
    #[must_use]
    pub fn scales(&self) -> Option<&'a [f32]> {
        let scaling = &self.layout.scaling;
        match &scaling.columns {
            None => scaling.rows.as_deref(),
            Some(_) => None,
        }
    }
}
