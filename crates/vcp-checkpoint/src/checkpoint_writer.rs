//! Writes the learned tensors in the official layout, as `torch.save` does.
//!
//! A zip archive of stored entries: `data.pkl` with the names and shapes, `data/N` with the
//! elements of the N-th tensor, `byteorder` and `version`. The pickle has protocol 2 and needs no
//! memo. Everything is `f32`, on the CPU and contiguous. Output depends on the weights only, so
//! equal weights give equal files.

use std::io::{Seek, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::elements::write_elements;
use crate::error::ErrorKind;
use crate::names::VCP;
use crate::output::WriteError;
use crate::tensor::row_major_strides;
use crate::{ElementType, Tensor, Weights};

/// Modules whose state dictionaries stand in the checkpoint; all other tensors are parameters of
/// the text prompts and stand beside them.
const MODULES: [&str; 3] = ["trainable_linearlayer", "New_Lan_Embed", "Zero_try"];

/// Writes the `.pth` file.
pub(crate) fn write(weights: &Weights, out: &mut (impl Write + Seek)) -> Result<(), WriteError> {
    let tensors: Vec<(&str, Tensor<'_>)> = weights
        .tensors()
        .filter_map(|tensor| Some((tensor.name().strip_prefix(VCP)?, tensor)))
        .collect();

    let mut archive = ZipWriter::new(out);
    let mut entry =
        |name: &str, content: &mut dyn FnMut(&mut dyn Write) -> Result<(), WriteError>| {
            // PyTorch aligns elements to 64 bytes, so that they can be used where they are mapped.
            let options = SimpleFileOptions::default()
                .compression_method(CompressionMethod::Stored)
                .with_alignment(64);
            archive
                .start_file(format!("archive/{name}"), options)
                .map_err(|error| WriteError::Io(error.into()))?;
            content(&mut archive)
        };
    entry(
        "data.pkl",
        &mut |out| Ok(out.write_all(&pickle(&tensors)?)?),
    )?;
    entry("byteorder", &mut |out| Ok(out.write_all(b"little")?))?;
    for (key, (_, tensor)) in tensors.iter().enumerate() {
        entry(&format!("data/{key}"), &mut |mut out| {
            write_elements(tensor, ElementType::F32, &mut out)
        })?;
    }
    entry("version", &mut |out| Ok(out.write_all(b"3\n")?))?;
    archive
        .finish()
        .map_err(|error| WriteError::Io(error.into()))?;
    Ok(())
}

/// The pickle: `{module: OrderedDict(name → tensor), …, name: Parameter, …}`.
fn pickle(tensors: &[(&str, Tensor<'_>)]) -> Result<Vec<u8>, ErrorKind> {
    let mut pickle = Pickle(vec![0x80, 2]);
    pickle.op(b"}(");
    for module in MODULES {
        pickle.text(module);
        pickle.ordered_dict();
        pickle.op(b"(");
        for (key, (name, tensor)) in tensors.iter().enumerate() {
            if let Some(name) = name
                .strip_prefix(module)
                .and_then(|rest| rest.strip_prefix('.'))
            {
                pickle.text(name);
                pickle.tensor(key, tensor)?;
            }
        }
        pickle.op(b"u");
    }
    for (key, (name, tensor)) in tensors.iter().enumerate() {
        let in_module = MODULES
            .iter()
            .any(|module| name.split('.').next() == Some(module));
        if !in_module {
            pickle.text(name);
            pickle.op(b"ctorch._utils\n_rebuild_parameter\n");
            pickle.tensor(key, tensor)?;
            // requires_grad = True, no hooks
            pickle.op(b"\x88");
            pickle.ordered_dict();
            pickle.op(b"\x87R");
        }
    }
    pickle.op(b"u.");
    Ok(pickle.0)
}

/// Bytes of a pickle in the making.
struct Pickle(Vec<u8>);

impl Pickle {
    fn op(&mut self, code: &[u8]) {
        self.0.extend(code);
    }

    fn text(&mut self, text: &str) {
        self.op(b"X");
        self.0.extend((text.len() as u32).to_le_bytes());
        self.0.extend(text.bytes());
    }

    fn integer(&mut self, value: usize) -> Result<(), ErrorKind> {
        let value = i32::try_from(value).map_err(|_| ErrorKind::Geometry {
            problem: format!("a tensor with a length of {value} cannot be written"),
        })?;
        self.op(b"J");
        self.0.extend(value.to_le_bytes());
        Ok(())
    }

    fn integers(&mut self, values: &[usize]) -> Result<(), ErrorKind> {
        self.op(b"(");
        for value in values {
            self.integer(*value)?;
        }
        self.op(b"t");
        Ok(())
    }

    fn ordered_dict(&mut self) {
        self.op(b"ccollections\nOrderedDict\n)R");
    }

    /// `_rebuild_tensor_v2(storage, offset, shape, strides, requires_grad, hooks)`
    fn tensor(&mut self, key: usize, tensor: &Tensor<'_>) -> Result<(), ErrorKind> {
        self.op(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        self.text("storage");
        self.op(b"ctorch\nFloatStorage\n");
        self.text(&key.to_string());
        self.text("cpu");
        self.integer(tensor.len())?;
        self.op(b"tQ");
        self.integer(0)?;
        self.integers(tensor.shape())?;
        self.integers(&row_major_strides(tensor.shape()))?;
        self.op(b"\x89");
        self.ordered_dict();
        self.op(b"tR");
        Ok(())
    }
}
