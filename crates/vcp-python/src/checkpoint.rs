//! Weight files as arrays.

use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use vcp_checkpoint::{ElementType, Tensor, TensorFile};

use crate::arrays;
use crate::errors::{Failure, Kind};
use crate::work::work;

/// A tensor, read.
struct Read {
    name: String,
    shape: Vec<usize>,
    /// The type of its elements as `NumPy` writes it.
    kind: &'static str,
    bytes: Vec<u8>,
}

/// The tensors of a weight file by name, each an array that owns its memory.
///
/// Reads what `PyTorch` and safetensors write, and bundles, without executing anything in the file. Elements keep
/// their type; bfloat16, which `NumPy` lacks, becomes float32.
#[pyfunction]
pub(crate) fn read_checkpoint(py: Python<'_>, path: PathBuf) -> PyResult<Bound<'_, PyDict>> {
    let read = work(py, move |_| {
        let failed =
            |error: vcp_checkpoint::Error| Failure::new(Kind::Model, vcp_clip::sentence(&error));
        let file = TensorFile::open(&path).map_err(failed)?;
        let tensors = file.names().filter_map(|name| file.tensor(name));
        Ok(tensors.map(read).collect::<Vec<_>>())
    })?;
    let tensors = PyDict::new(py);
    for Read {
        name,
        shape,
        kind,
        bytes,
    } in read
    {
        tensors.set_item(name, arrays::of_bytes(py, bytes, kind, shape)?)?;
    }
    Ok(tensors)
}

fn read(tensor: Tensor<'_>) -> Read {
    let kind = match tensor.element_type() {
        ElementType::F16 => Some("<f2"),
        ElementType::F64 => Some("<f8"),
        ElementType::I64 => Some("<i8"),
        ElementType::I32 => Some("<i4"),
        ElementType::I16 => Some("<i2"),
        ElementType::I8 => Some("|i1"),
        ElementType::U8 => Some("|u1"),
        ElementType::Bool => Some("|b1"),
        _ => None,
    };
    let stored = kind.and_then(|kind| Some((kind, tensor.stored_bytes()?)));
    let (kind, mut bytes) = stored.unwrap_or_else(|| {
        let values = tensor.to_f32();
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        ("<f4", bytes.collect())
    });
    if tensor.element_type() == ElementType::Bool {
        // Other bytes would be neither true nor false.
        for byte in &mut bytes {
            *byte = u8::from(*byte != 0);
        }
    }
    tensor.release();
    Read {
        name: tensor.name().to_owned(),
        shape: tensor.shape().to_vec(),
        kind,
        bytes,
    }
}
