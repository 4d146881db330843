//! Views of tensors: where their elements lie, and how rows are read as `f32`.

use std::ops::Range;
use std::sync::Arc;

use crate::ElementType;
use crate::element::convert;
use crate::generated::Generator;
use crate::storage::Storage;

/// What a tensor is made of: blocks of rows, one below the other.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub(crate) shape: Vec<usize>,
    pub(crate) element_type: ElementType,
    /// The rows of all blocks sum to `shape[0]` (to 1 for a scalar).
    pub(crate) blocks: Vec<Block>,
}

#[derive(Debug, Clone)]
pub(crate) struct Block {
    pub(crate) rows: usize,
    pub(crate) content: Content,
}

#[derive(Debug, Clone)]
pub(crate) enum Content {
    /// Elements in a file.
    View(View),
    /// Rows that no file holds and that are zero.
    Zeros,
    /// Pseudo-random rows.
    Generated(Generator),
    /// Values set by the program; `Arc` because layouts are copied.
    Values(Arc<[f32]>),
}

/// Strided elements within a storage. Constructed by [`View::checked`] only, which proves that
/// every element lies inside the storage.
#[derive(Debug, Clone)]
pub(crate) struct View {
    /// Index into the owner's storages.
    pub(crate) storage: usize,
    pub(crate) element_type: ElementType,
    /// Byte offset of the first element.
    pub(crate) start: usize,
    /// In elements, one per dimension.
    pub(crate) strides: Vec<usize>,
}

impl View {
    /// A view of `shape` whose elements lie within `bytes`, a range of the storage.
    ///
    /// # Errors
    /// Says what leaves the range. Shapes that name more elements than the range holds (expanded
    /// tensors with stride 0) are refused too, because they would let a small file ask for any
    /// amount of memory.
    pub(crate) fn checked(
        storage: usize,
        element_type: ElementType,
        bytes: Range<usize>,
        offset: usize,
        shape: &[usize],
        strides: &[usize],
    ) -> Result<Self, String> {
        let available = bytes.len() / element_type.size();
        let too_large = || {
            format!(
                "shape {} with strides {strides:?} from element {offset} leaves the {available} elements stored",
                crate::error::Shape(shape)
            )
        };
        let count = element_count(shape).ok_or_else(too_large)?;
        if count > available {
            return Err(too_large());
        }
        if count > 0 {
            let last = shape
                .iter()
                .zip(strides)
                .try_fold(offset, |sum, (length, stride)| {
                    sum.checked_add((length - 1).checked_mul(*stride)?)
                })
                .ok_or_else(too_large)?;
            if last >= available {
                return Err(too_large());
            }
        } else if offset > available {
            return Err(too_large());
        }
        Ok(Self {
            storage,
            element_type,
            start: bytes.start + offset * element_type.size(),
            strides: strides.to_vec(),
        })
    }
}

/// Number of elements, `None` on overflow.
pub(crate) fn element_count(shape: &[usize]) -> Option<usize> {
    shape
        .iter()
        .try_fold(1usize, |count, length| count.checked_mul(*length))
}

/// Strides of a row-major tensor of this shape, in elements.
pub(crate) fn row_major_strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1usize; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis].saturating_mul(shape[axis]);
    }
    strides
}

impl Layout {
    /// A tensor that is one view.
    pub(crate) fn of_view(shape: Vec<usize>, view: View) -> Self {
        Self {
            element_type: view.element_type,
            blocks: vec![Block {
                rows: shape.first().copied().unwrap_or(1),
                content: Content::View(view),
            }],
            shape,
        }
    }

    fn rows(&self) -> usize {
        self.shape.first().copied().unwrap_or(1)
    }

    fn row_length(&self) -> usize {
        self.shape.iter().skip(1).product()
    }

    fn inner_shape(&self) -> &[usize] {
        self.shape.get(1..).unwrap_or_default()
    }
}

/// A view of one tensor.
///
/// It may be strided, assembled from several stored tensors, extended by zero rows, or generated;
/// reading looks the same. Cheap to copy, and can be read from many threads at once.
#[derive(Debug, Clone, Copy)]
pub struct Tensor<'a> {
    pub(crate) name: &'a str,
    pub(crate) layout: &'a Layout,
    pub(crate) storages: &'a [Arc<Storage>],
}

impl<'a> Tensor<'a> {
    /// The name it was asked for by.
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// Lengths of the dimensions; empty for a scalar.
    #[must_use]
    pub fn shape(&self) -> &'a [usize] {
        &self.layout.shape
    }

    /// How the elements are stored. For a tensor assembled from several, the narrowest
    /// floating-point type that holds all of them.
    #[must_use]
    pub fn element_type(&self) -> ElementType {
        self.layout.element_type
    }

    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.layout.shape.iter().product()
    }

    /// Whether the tensor has no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads rows of dimension 0, row-major, converted to `f32`. A scalar has one row.
    ///
    /// # Panics
    /// If `rows` leaves the tensor or `out.len()` is not `rows.len() × product(shape[1..])`: both
    /// are mistakes of the calling program, never of the file.
    pub fn read_rows(&self, rows: Range<usize>, out: &mut [f32]) {
        let layout = self.layout;
        let row_length = layout.row_length();
        assert!(
            rows.start <= rows.end && rows.end <= layout.rows(),
            "rows {rows:?} of tensor {} of shape {:?}",
            self.name,
            layout.shape
        );
        assert_eq!(
            out.len(),
            rows.len() * row_length,
            "length of the output for rows {rows:?} of tensor {} of shape {:?}",
            self.name,
            layout.shape
        );
        let mut first = 0;
        let mut out = out;
        for block in &layout.blocks {
            let end = first + block.rows;
            let from = rows.start.clamp(first, end) - first;
            let to = rows.end.clamp(first, end) - first;
            first = end;
            if from == to {
                continue;
            }
            let (part, rest) = out.split_at_mut((to - from) * row_length);
            out = rest;
            match &block.content {
                Content::Zeros => part.fill(0.0),
                Content::Generated(generator) => generator.rows(from..to, row_length, part),
                Content::Values(values) => {
                    part.copy_from_slice(&values[from * row_length..to * row_length]);
                }
                Content::View(view) => {
                    let bytes = self.storages[view.storage].bytes();
                    read_view(view, bytes, layout.inner_shape(), from..to, part);
                }
            }
        }
    }

    /// The whole tensor, row-major.
    #[must_use]
    pub fn to_f32(&self) -> Vec<f32> {
        let mut out = vec![0.0; self.len()];
        self.read_rows(0..self.layout.rows(), &mut out);
        out
    }

    /// Lets the mapped pages of this tensor leave memory. The contents stay readable: the next
    /// read brings the pages back from the file.
    pub fn release(&self) {
        for block in &self.layout.blocks {
            if let Content::View(view) = &block.content {
                let span = block_span(view, block.rows, self.layout.inner_shape());
                let end = view.start + span * view.element_type.size();
                self.storages[view.storage].release(view.start..end);
            }
        }
    }
}

/// Elements from the first to the last of a block, both included.
fn block_span(view: &View, rows: usize, inner: &[usize]) -> usize {
    if rows == 0 || inner.contains(&0) {
        return 0;
    }
    let lengths = std::iter::once(rows).chain(inner.iter().copied());
    1 + lengths
        .zip(&view.strides)
        .map(|(length, stride)| (length - 1) * stride)
        .sum::<usize>()
}

fn read_view(view: &View, bytes: &[u8], inner: &[usize], rows: Range<usize>, out: &mut [f32]) {
    if out.is_empty() {
        return;
    }
    let size = view.element_type.size();
    let row_length: usize = inner.iter().product();
    // A scalar has one row and no stride.
    let row_stride = view.strides.first().copied().unwrap_or(0);
    let inner_strides = view.strides.get(1..).unwrap_or_default();
    let start = |row: usize| view.start + row * row_stride * size;

    if is_row_major(inner, inner_strides) {
        if row_stride == row_length || rows.len() == 1 {
            let first = start(rows.start);
            let bytes = &bytes[first..first + out.len() * size];
            convert(view.element_type, bytes, out);
        } else {
            for (row, out) in rows.zip(out.chunks_exact_mut(row_length)) {
                let first = start(row);
                convert(
                    view.element_type,
                    &bytes[first..first + row_length * size],
                    out,
                );
            }
        }
        return;
    }

    let mut index = vec![0usize; inner.len()];
    for (row, out) in rows.zip(out.chunks_exact_mut(row_length)) {
        index.fill(0);
        let mut position = start(row);
        for value in out {
            convert(
                view.element_type,
                &bytes[position..position + size],
                std::slice::from_mut(value),
            );
            // Counts up the index like an odometer, last dimension first.
            for axis in (0..inner.len()).rev() {
                index[axis] += 1;
                position += inner_strides[axis] * size;
                if index[axis] < inner[axis] {
                    break;
                }
                position -= inner[axis] * inner_strides[axis] * size;
                index[axis] = 0;
            }
        }
    }
}

/// Whether elements of this shape lie one after the other. Strides of dimensions of length 1 are
/// never used and may be anything.
fn is_row_major(shape: &[usize], strides: &[usize]) -> bool {
    let mut expected = 1;
    for (length, stride) in shape.iter().zip(strides).rev() {
        if *length != 1 && *stride != expected {
            return false;
        }
        expected *= length;
    }
    true
}
