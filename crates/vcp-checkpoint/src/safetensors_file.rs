//! The tensors and the metadata of a safetensors file.

use std::collections::{BTreeMap, HashMap};

use safetensors::tensor::Dtype;
use safetensors::{SafeTensorError, SafeTensors};

use crate::ElementType;
use crate::error::{ErrorKind, shorten};
use crate::limits::{MAX_NAME_LENGTH, MAX_RANK, MAX_TENSORS};
use crate::tensor::{Layout, View, row_major_strides};

/// Bytes of the length in front of the header.
const LENGTH_BYTES: usize = 8;
/// The header of a ViT-L/14 has 80 KB; parsing takes about twenty times the header in memory.
const MAX_HEADER: u64 = 4 << 20;
/// Keys of the metadata; a bundle has one.
const MAX_METADATA: usize = 1_000;

/// Tensors and metadata.
pub(crate) type Content = (BTreeMap<String, Layout>, HashMap<String, String>);

/// Whether these bytes begin as a safetensors file does: a length that fits the file, then `{`.
pub(crate) fn looks_like(bytes: &[u8]) -> bool {
    let Some((length, rest)) = bytes.split_first_chunk::<LENGTH_BYTES>() else {
        return false;
    };
    rest.first() == Some(&b'{') && u64::from_le_bytes(*length) >> 48 == 0
}

/// Reads the header of `bytes`.
pub(crate) fn read(bytes: &[u8]) -> Result<Content, ErrorKind> {
    let refuse = |problem: String| ErrorKind::Safetensors { problem };
    let header = bytes
        .first_chunk::<LENGTH_BYTES>()
        .map_or(0, |length| u64::from_le_bytes(*length));
    if header > MAX_HEADER {
        return Err(refuse(format!(
            "its header claims {header} bytes, more than the {MAX_HEADER} supported"
        )));
    }
    // The crate checks that header and tensors cover the file exactly, without gap or overlap.
    let (header, metadata) = SafeTensors::read_metadata(bytes).map_err(|error| match error {
        SafeTensorError::MetadataIncompleteBuffer | SafeTensorError::InvalidHeaderLength => {
            refuse(format!(
                "its header speaks of more or fewer bytes than the file's {} ({error}), as in one \
                     of which the end is missing; get it again",
                bytes.len()
            ))
        }
        error => refuse(shorten(&error.to_string())),
    })?;
    let start = LENGTH_BYTES + header;
    let infos = metadata.tensors();
    if infos.len() > MAX_TENSORS {
        return Err(refuse(format!("it holds more than {MAX_TENSORS} tensors")));
    }
    let texts = metadata.metadata().clone().unwrap_or_default();
    if texts.len() > MAX_METADATA {
        return Err(refuse(format!(
            "it holds {} entries of metadata, more than the {MAX_METADATA} supported",
            texts.len()
        )));
    }
    let mut tensors = BTreeMap::new();
    for (name, info) in infos {
        let refuse = |problem: String| ErrorKind::Tensor {
            tensor: shorten(&name),
            problem,
        };
        if name.len() > MAX_NAME_LENGTH {
            return Err(refuse("its name is absurdly long".to_owned()));
        }
        if info.shape.len() > MAX_RANK {
            return Err(refuse(format!(
                "it has {} dimensions, more than the {MAX_RANK} supported",
                info.shape.len()
            )));
        }
        let element_type = element_type(info.dtype).ok_or_else(|| {
            refuse(format!(
                "its element type {:?} is not supported",
                info.dtype
            ))
        })?;
        let range = start + info.data_offsets.0..start + info.data_offsets.1;
        let strides = row_major_strides(&info.shape);
        let view =
            View::checked(0, element_type, range, 0, &info.shape, &strides).map_err(refuse)?;
        tensors.insert(name, Layout::of_view(info.shape.clone(), view));
    }
    Ok((tensors, texts))
}

fn element_type(dtype: Dtype) -> Option<ElementType> {
    Some(match dtype {
        Dtype::F16 => ElementType::F16,
        Dtype::BF16 => ElementType::BF16,
        Dtype::F32 => ElementType::F32,
        Dtype::F64 => ElementType::F64,
        Dtype::I64 => ElementType::I64,
        Dtype::I32 => ElementType::I32,
        Dtype::I16 => ElementType::I16,
        Dtype::I8 => ElementType::I8,
        Dtype::U8 => ElementType::U8,
        Dtype::BOOL => ElementType::Bool,
        _ => return None,
    })
}
