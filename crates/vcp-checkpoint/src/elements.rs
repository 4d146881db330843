//! Writes the elements of tensors little-endian, through a small buffer.

use std::io::Write;
use std::ops::Range;

use half::{bf16, f16};

use crate::codes::{LARGEST, code_of, is_scale, scale_of};
use crate::error::ErrorKind;
use crate::output::WriteError;
use crate::{ElementType, Tensor};

/// Elements of a buffer, 1 MB of `f32`.
const BLOCK: usize = 1 << 18;

/// The rows of a tensor in blocks that fit the buffer, and the length of a row.
fn row_blocks(tensor: &Tensor<'_>) -> (impl Iterator<Item = Range<usize>> + use<>, usize) {
    let rows = tensor.shape().first().copied().unwrap_or(1);
    let row_length: usize = tensor.shape().iter().skip(1).product();
    let step = (BLOCK / row_length.max(1)).max(1);
    let blocks = (0..rows)
        .step_by(step)
        .map(move |start| start..rows.min(start + step));
    (blocks, row_length)
}

/// That a value is not one of the type asked for.
fn overflow(tensor: &Tensor<'_>, index: usize, value: f32, element_type: ElementType) -> ErrorKind {
    ErrorKind::Overflow {
        tensor: tensor.name().to_owned(),
        index,
        value,
        element_type,
    }
}

/// Writes a tensor's elements in the floating-point type asked for, a block of rows at a time.
///
/// # Errors
/// If a value does not fit.
pub(crate) fn write_elements(
    tensor: &Tensor<'_>,
    element_type: ElementType,
    out: &mut impl Write,
) -> Result<(), WriteError> {
    let mut values = Vec::new();
    let mut bytes = Vec::new();
    let (blocks, row_length) = row_blocks(tensor);
    for rows in blocks {
        values.resize(rows.len() * row_length, 0.0);
        let first = rows.start * row_length;
        tensor.read_rows(rows, &mut values);
        bytes.clear();
        match element_type {
            ElementType::F16 => {
                for (index, value) in (first..).zip(&values) {
                    let half = f16::from_f32(*value);
                    if !half.is_finite() {
                        return Err(overflow(tensor, index, *value, element_type).into());
                    }
                    bytes.extend(half.to_le_bytes());
                }
            }
            ElementType::BF16 => {
                for (index, value) in (first..).zip(&values) {
                    let half = bf16::from_f32(*value);
                    // What is no finite number in the source stays so.
                    if value.is_finite() && !half.is_finite() {
                        return Err(overflow(tensor, index, *value, element_type).into());
                    }
                    bytes.extend(half.to_le_bytes());
                }
            }
            _ => bytes.extend(values.iter().flat_map(|value| value.to_le_bytes())),
        }
        out.write_all(&bytes)?;
    }
    tensor.release();
    Ok(())
}

/// The scale of each row of a tensor whose elements are to become codes.
///
/// # Errors
/// If an element is no finite number, or so large that its code times the scale were none.
pub(crate) fn find_scales(tensor: &Tensor<'_>) -> Result<Vec<f32>, ErrorKind> {
    let mut scales = Vec::new();
    let mut values = Vec::new();
    let (blocks, row_length) = row_blocks(tensor);
    for rows in blocks {
        values.resize(rows.len() * row_length, 0.0);
        let mut first = rows.start * row_length;
        if row_length == 0 {
            scales.resize(rows.end, scale_of(&[]));
            continue;
        }
        tensor.read_rows(rows, &mut values);
        for row in values.chunks_exact(row_length) {
            let scale = scale_of(row);
            let does_not_fit = |value: &f32| {
                !value.is_finite() || !is_scale(scale) && value.abs() / LARGEST >= scale
            };
            if let Some(index) = row.iter().position(does_not_fit) {
                return Err(overflow(tensor, first + index, row[index], ElementType::I8));
            }
            scales.push(scale);
            first += row_length;
        }
    }
    Ok(scales)
}

/// Writes a tensor as codes: those that it has, or else those that `scales` make of its values, one for each row.
pub(crate) fn write_codes(
    tensor: &Tensor<'_>,
    scales: &[f32],
    out: &mut impl Write,
) -> Result<(), WriteError> {
    let mut values = Vec::new();
    let mut codes = Vec::new();
    let mut bytes = Vec::new();
    let (blocks, row_length) = row_blocks(tensor);
    for rows in blocks {
        let scales = &scales[rows.clone()];
        codes.resize(rows.len() * row_length, 0);
        if tensor.codes(rows.clone(), &mut codes).is_none() {
            values.resize(codes.len(), 0.0);
            tensor.read_rows(rows, &mut values);
            for (index, (code, value)) in codes.iter_mut().zip(&values).enumerate() {
                *code = code_of(*value, scales[index / row_length]);
            }
        }
        bytes.clear();
        bytes.extend(codes.iter().map(|code| code.cast_unsigned()));
        out.write_all(&bytes)?;
    }
    tensor.release();
    Ok(())
}

/// Writes values that are in memory.
pub(crate) fn write_each<T: Copy, const N: usize>(
    values: &[T],
    bytes_of: impl Fn(T) -> [u8; N],
    out: &mut impl Write,
) -> Result<(), WriteError> {
    for values in values.chunks(BLOCK) {
        let bytes: Vec<u8> = values.iter().flat_map(|value| bytes_of(*value)).collect();
        out.write_all(&bytes)?;
    }
    Ok(())
}
