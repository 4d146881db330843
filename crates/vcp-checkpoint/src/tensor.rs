//! Views of tensors: where their elements lie, and how rows are read as `f32`.

use std::ops::Range;
use std::sync::Arc;

use crate::ElementType;
use crate::element::convert;
use crate::generated::Generator;
use crate::scaling::Scaling;
use crate::storage::Storage;

/// What a tensor is made of: blocks of rows, one below the other.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub(crate) shape: Vec<usize>,
    pub(crate) element_type: ElementType,
    /// The rows of all blocks sum to `shape[0]` (to 1 for a scalar).
    pub(crate) blocks: Vec<Block>,
    /// What the elements are multiplied with.
    pub(crate) scaling: Scaling,
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
            scaling: Scaling::default(),
            shape,
        }
    }

    pub(crate) fn rows(&self) -> usize {
        self.shape.first().copied().unwrap_or(1)
    }

    pub(crate) fn row_length(&self) -> usize {
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
    /// floating-point type that holds all of them. [`ElementType::I8`] in a model's weights: codes with a scale for each
    /// row ([`Tensor::codes`], [`Tensor::scales`]).
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
        self.check_rows(&rows, out.len());
        self.read_elements(rows.clone(), row_length, out);
        layout.scale(rows.start, out);
    }

    /// That a call's rows and output fit the tensor.
    pub(crate) fn check_rows(&self, rows: &Range<usize>, out: usize) {
        let layout = self.layout;
        assert!(
            rows.start <= rows.end && rows.end <= layout.rows(),
            "rows {rows:?} of tensor {} of shape {:?}",
            self.name,
            layout.shape
        );
        assert_eq!(
            out,
            rows.len() * layout.row_length(),
            "length of the output for rows {rows:?} of tensor {} of shape {:?}",
            self.name,
            layout.shape
        );
    }

    /// Reads rows as they are stored, before they are multiplied with anything.
    fn read_elements(&self, rows: Range<usize>, row_length: usize, out: &mut [f32]) {
        let layout = self.layout;
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

    /// The elements as they are stored, row-major and little-endian, each of [`Tensor::element_type`]; None of a tensor
    /// that no file holds as a whole, or whose elements are not its values.
    #[must_use]
    pub fn stored_bytes(&self) -> Option<Vec<u8>> {
        let Scaling { rows, columns } = &self.layout.scaling;
        if rows.is_some() || columns.is_some() {
            return None;
        }
        let size = self.element_type().size();
        let mut out = Vec::with_capacity(self.len() * size);
        for block in &self.layout.blocks {
            let Content::View(view) = &block.content else {
                return None;
            };
            if view.element_type != self.element_type() {
                return None;
            }
            let bytes = self.storages[view.storage].bytes();
            // A scalar has one row and no stride.
            let shape = match self.layout.shape.len() {
                0 => Vec::new(),
                _ => [&[block.rows], self.layout.inner_shape()].concat(),
            };
            append_elements(view.start, &shape, &view.strides, size, bytes, &mut out);
        }
        Some(out)
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

/// Appends the elements of a view from the byte `start` on.
fn append_elements(
    start: usize,
    shape: &[usize],
    strides: &[usize],
    size: usize,
    bytes: &[u8],
    out: &mut Vec<u8>,
) {
    let count: usize = shape.iter().product();
    if count == 0 {
        return;
    }
    if is_row_major(shape, strides) {
        out.extend_from_slice(&bytes[start..start + count * size]);
        return;
    }
    let inner = &shape[1..];
    for row in 0..shape[0] {
        let start = start + row * strides[0] * size;
        append_elements(start, inner, &strides[1..], size, bytes, out);
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn stored_bytes_are_those_of_the_elements_in_order() {
        let numbers: Vec<f32> = (0..24_u8).map(f32::from).collect();
        let storages = [Arc::new(Storage::Owned(
            numbers.iter().flat_map(|it| it.to_le_bytes()).collect(),
        ))];
        for (shape, strides) in [
            (vec![], vec![]),
            (vec![0, 3], vec![3, 1]),
            (vec![2, 3, 4], vec![12, 4, 1]),
            (vec![4, 3, 2], vec![1, 4, 12]),
            (vec![3, 2], vec![8, 3]),
            (vec![3, 1, 2], vec![2, 99, 1]),
        ] {
            let view = View::checked(0, ElementType::F32, 0..96, 0, &shape, &strides).unwrap();
            let layout = Layout::of_view(shape.clone(), view);
            let tensor = Tensor {
                name: "",
                layout: &layout,
                storages: &storages,
            };
            let expected: Vec<u8> = tensor
                .to_f32()
                .iter()
                .flat_map(|it| it.to_le_bytes())
                .collect();
            assert_eq!(
                tensor.stored_bytes(),
                Some(expected),
                "{shape:?} {strides:?}"
            );
        }
    }

    /// A tensor over `numbers` counting up from 0, as `f32`.
    fn counting(numbers: usize) -> Arc<Storage> {
        Arc::new(Storage::Owned(
            (0..numbers)
                .flat_map(|n| (n as f32).to_le_bytes())
                .collect(),
        ))
    }

    /// Every index of a shape in row-major order.
    fn indices(shape: &[usize]) -> Vec<Vec<usize>> {
        let mut all = vec![Vec::new()];
        for length in shape {
            all = all
                .into_iter()
                .flat_map(|index: Vec<usize>| {
                    (0..*length).map(move |last| index.iter().copied().chain([last]).collect())
                })
                .collect();
        }
        all
    }

    proptest! {
        #[test]
        fn any_strided_view_reads_what_its_strides_say(
            shape in prop::collection::vec(0usize..5, 0..4),
            seed_strides in prop::collection::vec(0usize..9, 4),
            offset in 0usize..30,
            first in 0usize..5,
            count in 0usize..5,
        ) {
            const ELEMENTS: usize = 120;
            let strides = &seed_strides[..shape.len()];
            let count_of_elements: usize = shape.iter().product();
            let storages = [counting(ELEMENTS)];
            let view = View::checked(0, ElementType::F32, 0..4 * ELEMENTS, offset, &shape, strides);
            let last = indices(&shape)
                .iter()
                .map(|index| offset + index.iter().zip(strides).map(|(i, s)| i * s).sum::<usize>())
                .max();
            let fits = last.is_none_or(|last| last < ELEMENTS) && count_of_elements <= ELEMENTS;
            prop_assert_eq!(view.is_ok(), fits);
            if let Ok(view) = view {
                let layout = Layout::of_view(shape.clone(), view);
                let tensor = Tensor { name: "t", layout: &layout, storages: &storages };
                let expected: Vec<f32> = indices(&shape)
                    .iter()
                    .map(|index| (offset + index.iter().zip(strides).map(|(i, s)| i * s).sum::<usize>()) as f32)
                    .collect();
                prop_assert_eq!(tensor.to_f32(), expected.clone());
                let rows = shape.first().copied().unwrap_or(1);
                let row_length: usize = shape.iter().skip(1).product();
                let range = first.min(rows)..(first + count).min(rows);
                let mut out = vec![-1.0; range.len() * row_length];
                tensor.read_rows(range.clone(), &mut out);
                prop_assert_eq!(&out[..], &expected[range.start * row_length..range.end * row_length]);
                tensor.release();
            }
        }

        #[test]
        fn blocks_lie_one_below_the_other(
            rows in prop::collection::vec(0usize..4, 1..5),
            zeros in 0usize..3,
            cut in (0usize..20, 0usize..20),
        ) {
            let storages = [counting(100)];
            let total: usize = rows.iter().sum::<usize>() + zeros;
            let mut start = 0;
            let mut blocks = Vec::new();
            for rows in &rows {
                let view = View::checked(0, ElementType::F32, 0..400, start, &[*rows, 2], &[2, 1]).unwrap();
                start += 2 * rows;
                blocks.push(Block { rows: *rows, content: Content::View(view) });
            }
            blocks.push(Block { rows: zeros, content: Content::Zeros });
            let layout = Layout { shape: vec![total, 2], element_type: ElementType::F32, blocks, scaling: Scaling::default() };
            let tensor = Tensor { name: "t", layout: &layout, storages: &storages };
            let expected: Vec<f32> = (0..start).map(|n| n as f32).chain(std::iter::repeat_n(0.0, 2 * zeros)).collect();
            let (from, to) = (cut.0.min(cut.1).min(total), cut.0.max(cut.1).min(total));
            let mut out = vec![-1.0; 2 * (to - from)];
            tensor.read_rows(from..to, &mut out);
            prop_assert_eq!(&out[..], &expected[2 * from..2 * to]);
        }
    }

    #[test]
    fn wrong_lengths_of_the_output_are_a_programming_mistake() {
        let storages = [counting(6)];
        let view = View::checked(0, ElementType::F32, 0..24, 0, &[3, 2], &[2, 1]).unwrap();
        let layout = Layout::of_view(vec![3, 2], view);
        for (rows, length) in [(0..2, 3), (2..4, 4), (0..1, 4)] {
            let read = std::panic::catch_unwind(|| {
                let tensor = Tensor {
                    name: "t",
                    layout: &layout,
                    storages: &storages,
                };
                tensor.read_rows(rows.clone(), &mut vec![0.0; length]);
            });
            assert!(read.is_err(), "{rows:?} {length}");
        }
    }
}
