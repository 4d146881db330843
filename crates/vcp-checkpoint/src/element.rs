//! Element types of stored tensors and their conversion to `f32`.

use half::slice::HalfFloatSliceExt as _;
use half::{bf16, f16};
use serde::{Deserialize, Serialize};

/// How one element of a tensor is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ElementType {
    /// IEEE 754 half precision.
    F16,
    /// bfloat16: the upper half of an `f32`.
    BF16,
    /// IEEE 754 single precision.
    F32,
    /// IEEE 754 double precision.
    F64,
    /// Signed 64-bit integer.
    I64,
    /// Signed 32-bit integer.
    I32,
    /// Signed 16-bit integer.
    I16,
    /// Signed 8-bit integer.
    I8,
    /// Unsigned 8-bit integer.
    U8,
    /// One byte, zero or one.
    Bool,
}

impl ElementType {
    /// Bytes per element.
    #[must_use]
    pub const fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::BF16 | Self::I16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }

    /// Whether the type is one of the floating-point types weights are stored in.
    #[must_use]
    pub const fn is_float(self) -> bool {
        matches!(self, Self::F16 | Self::BF16 | Self::F32 | Self::F64)
    }

    /// The narrowest floating-point type of the two that holds every value of both.
    pub(crate) const fn widest(self, other: Self) -> Self {
        match (self, other) {
            (Self::F16, Self::F16) => Self::F16,
            (Self::BF16, Self::BF16) => Self::BF16,
            (Self::F64, _) | (_, Self::F64) => Self::F64,
            _ => Self::F32,
        }
    }
}

impl std::fmt::Display for ElementType {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = match self {
            Self::F16 => "f16",
            Self::BF16 => "bf16",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::I64 => "i64",
            Self::I32 => "i32",
            Self::I16 => "i16",
            Self::I8 => "i8",
            Self::U8 => "u8",
            Self::Bool => "bool",
        };
        formatter.pad(name)
    }
}

/// Converts little-endian elements that lie one after the other.
///
/// `bytes` holds exactly `out.len()` elements; both sides come from checked layouts.
pub(crate) fn convert(element_type: ElementType, bytes: &[u8], out: &mut [f32]) {
    debug_assert_eq!(bytes.len(), out.len() * element_type.size());
    match element_type {
        ElementType::F32 => each(bytes, out, f32::from_le_bytes),
        ElementType::F16 => convert_f16(bytes, out),
        ElementType::BF16 => each(bytes, out, |b| bf16::from_le_bytes(b).to_f32()),
        ElementType::F64 => each(bytes, out, |b| f64::from_le_bytes(b) as f32),
        ElementType::I64 => each(bytes, out, |b| i64::from_le_bytes(b) as f32),
        ElementType::I32 => each(bytes, out, |b| i32::from_le_bytes(b) as f32),
        ElementType::I16 => each(bytes, out, |b| f32::from(i16::from_le_bytes(b))),
        ElementType::I8 => each(bytes, out, |b| f32::from(i8::from_le_bytes(b))),
        ElementType::U8 | ElementType::Bool => each(bytes, out, |[b]| f32::from(b)),
    }
}

fn each<const N: usize>(bytes: &[u8], out: &mut [f32], value: impl Fn([u8; N]) -> f32) {
    let (elements, _) = bytes.as_chunks::<N>();
    for (out, element) in out.iter_mut().zip(elements) {
        *out = value(*element);
    }
}

/// The slice conversion of `half` uses the processor's instructions but needs aligned input, which
/// a file does not promise; a small buffer in between keeps the speed.
fn convert_f16(bytes: &[u8], out: &mut [f32]) {
    const BLOCK: usize = 1024;
    let mut buffer = [f16::ZERO; BLOCK];
    for (bytes, out) in bytes.chunks(2 * BLOCK).zip(out.chunks_mut(BLOCK)) {
        let buffer = &mut buffer[..out.len()];
        let (elements, _) = bytes.as_chunks::<2>();
        for (half, element) in buffer.iter_mut().zip(elements) {
            *half = f16::from_le_bytes(*element);
        }
        buffer.convert_to_f32_slice(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_converts_extreme_values() {
        let cases: &[(ElementType, &[u8], f32)] = &[
            (ElementType::F16, &[0xff, 0x7b], 65504.0),
            (ElementType::F16, &[0x01, 0x00], 5.960_464_5e-8),
            (ElementType::BF16, &[0x80, 0xbf], -1.0),
            (ElementType::F32, &[0, 0, 0x80, 0x3f], 1.0),
            (ElementType::F64, &[0, 0, 0, 0, 0, 0, 0xf8, 0x3f], 1.5),
            (
                ElementType::I64,
                &[0xfe, 255, 255, 255, 255, 255, 255, 255],
                -2.0,
            ),
            (ElementType::I32, &[0xfd, 255, 255, 255], -3.0),
            (ElementType::I16, &[0x00, 0x80], -32768.0),
            (ElementType::I8, &[0x80], -128.0),
            (ElementType::U8, &[0xff], 255.0),
            (ElementType::Bool, &[1], 1.0),
        ];
        for (element_type, bytes, expected) in cases {
            let mut out = [0.0];
            convert(*element_type, bytes, &mut out);
            assert_eq!(out[0].to_bits(), expected.to_bits(), "{element_type}");
        }
    }

    #[test]
    fn long_unaligned_f16_slices_equal_element_by_element() {
        let mut bytes = vec![0u8];
        let halves: Vec<f16> = (0..5000u16)
            .map(|i| f16::from_bits(i.wrapping_mul(11) & 0x7bff))
            .collect();
        bytes.extend(halves.iter().flat_map(|h| h.to_le_bytes()));
        let mut out = vec![0.0; halves.len()];
        convert(ElementType::F16, &bytes[1..], &mut out);
        for (out, half) in out.iter().zip(&halves) {
            assert_eq!(out.to_bits(), half.to_f32().to_bits());
        }
    }
}
