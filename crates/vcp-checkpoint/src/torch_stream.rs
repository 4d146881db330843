//! torch.save's older format, the default before PyTorch 1.6: pickles one after the other (a magic number, a
//! version, facts about the machine, the values, the keys of their storages), then the storages in the order of
//! those keys, each its number of elements and the elements.
//!
//! Source: `_legacy_save` and `_legacy_load` in PyTorch's `torch/serialization.py`.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use crate::error::{ErrorKind, shorten};
use crate::limits::MAX_TENSORS;
use crate::pickle::{self, Graph, Node, StorageReference};
use crate::tensor::Layout;
use crate::torch;

/// The magic number as a pickle's long integer, and the end of its pickle.
const MAGIC: &[u8] = b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";
/// The only version there is.
const VERSION: i64 = 1001;
/// Bytes of the pickles of the version and of the facts about the machine; these have about 120.
const MAX_FACTS_LENGTH: usize = 1 << 16;
/// Bytes of the pickle of the keys; that of a thousand storages has about 25,000.
const MAX_KEYS_LENGTH: usize = 1 << 19;

/// Whether a file begins like one of this format.
pub(crate) fn looks_like(bytes: &[u8]) -> bool {
    after_magic(bytes).is_some()
}

/// What follows the magic number, if `bytes` begin with it. Its pickle may be of any protocol from 2 on; from
/// protocol 4 on, its length stands in front of it.
fn after_magic(bytes: &[u8]) -> Option<&[u8]> {
    let rest = match bytes {
        [0x80, 2 | 3, rest @ ..] => rest,
        [0x80, 4 | 5, 0x95, rest @ ..] => rest.get(8..)?,
        _ => return None,
    };
    rest.strip_prefix(MAGIC)
}

/// Reads the tensors of a file that [`looks_like`] one, nested names joined with dots.
pub(crate) fn read(bytes: &[u8]) -> Result<BTreeMap<String, Layout>, ErrorKind> {
    let rest = after_magic(bytes).ok_or_else(|| problem("its magic number is missing"))?;
    let mut position = bytes.len() - rest.len();
    let version = next_pickle(bytes, &mut position, MAX_FACTS_LENGTH)?;
    if !matches!(version.node(version.root), Node::Int(VERSION)) {
        return Err(problem(format!("its version is not {VERSION}")));
    }
    if !is_little_endian(&next_pickle(bytes, &mut position, MAX_FACTS_LENGTH)?) {
        return Err(problem("its byte order is not little-endian"));
    }
    let values = next_pickle(bytes, &mut position, pickle::MAX_LENGTH)?;
    let keys = next_pickle(bytes, &mut position, MAX_KEYS_LENGTH)?;
    let storages = storages(bytes, position, &values, &keys)?;
    torch::tensors(&values, |key| {
        let range = storages.get(key).cloned();
        range.ok_or_else(|| problem(format!("it lacks the storage {}", shorten(key))))
    })
}

fn problem(problem: impl Into<String>) -> ErrorKind {
    ErrorKind::Archive {
        problem: problem.into(),
    }
}

/// The pickle of at most `longest` bytes that begins at `position`, which is moved to its end.
fn next_pickle<'a>(
    bytes: &'a [u8],
    position: &mut usize,
    longest: usize,
) -> Result<Graph<'a>, ErrorKind> {
    let start = *position;
    let (graph, length) =
        pickle::read_first(&bytes[start..], longest).map_err(|kind| match kind {
            ErrorKind::Pickle { position, problem } => ErrorKind::Pickle {
                position: start + position,
                problem,
            },
            ErrorKind::ForbiddenGlobal { position, global } => ErrorKind::ForbiddenGlobal {
                position: start + position,
                global,
            },
            other => other,
        })?;
    *position += length;
    Ok(graph)
}

/// Whether the facts about the machine do not state another byte order.
fn is_little_endian(machine: &Graph<'_>) -> bool {
    let Node::Dict(facts) = machine.node(machine.root) else {
        return true;
    };
    !facts.iter().any(|(key, value)| {
        matches!(machine.node(*key), Node::Text("little_endian"))
            && matches!(machine.node(*value), Node::Bool(false))
    })
}

/// The bytes of the elements of each storage, by key. The storages begin at `position`.
fn storages<'a>(
    bytes: &[u8],
    mut position: usize,
    values: &Graph<'a>,
    keys: &Graph<'a>,
) -> Result<HashMap<&'a str, Range<usize>>, ErrorKind> {
    let Node::List(order) = keys.node(keys.root) else {
        return Err(problem("the keys of its storages are not a list"));
    };
    if order.len() > MAX_TENSORS {
        return Err(problem(format!(
            "it holds more than {MAX_TENSORS} storages"
        )));
    }
    let referred = referred(values)?;
    let mut storages = HashMap::new();
    for key in order {
        let Node::Text(key) = *keys.node(*key) else {
            return Err(problem("the key of a storage is not text"));
        };
        let Some(storage) = referred.get(key) else {
            return Err(problem(format!(
                "no tensor is in its storage {}, so the length of that storage is unknown",
                shorten(key)
            )));
        };
        let range = elements(bytes, &mut position, storage)?;
        if storages.insert(key, range).is_some() {
            return Err(problem(format!("it holds two storages {}", shorten(key))));
        }
    }
    Ok(storages)
}

/// The storages that tensors refer to, by key.
fn referred<'g, 'a>(
    values: &'g Graph<'a>,
) -> Result<HashMap<&'a str, &'g StorageReference<'a>>, ErrorKind> {
    let mut referred: HashMap<_, &StorageReference<'_>> = HashMap::new();
    for node in &values.nodes {
        let Node::Storage(storage) = node else {
            continue;
        };
        let earlier = referred.insert(storage.key, storage);
        if let Some(earlier) = earlier
            && (earlier.element_type, earlier.length) != (storage.element_type, storage.length)
        {
            return Err(problem(format!(
                "its tensors contradict each other: storage {} has {} elements of {}, or {} of {}",
                shorten(storage.key),
                earlier.length,
                earlier.element_type,
                storage.length,
                storage.element_type
            )));
        }
    }
    Ok(referred)
}

/// The bytes of the elements of the storage at `position`, which is moved to their end.
fn elements(
    bytes: &[u8],
    position: &mut usize,
    storage: &StorageReference<'_>,
) -> Result<Range<usize>, ErrorKind> {
    const COUNT: usize = 8;
    let name = || shorten(storage.key);
    let rest = &bytes[*position..];
    let Some(count) = rest.first_chunk::<COUNT>() else {
        return Err(problem(format!(
            "it ends before its storage {}; get the file again",
            name()
        )));
    };
    let count = u64::from_le_bytes(*count);
    if usize::try_from(count) != Ok(storage.length) {
        return Err(problem(format!(
            "its storage {} has {count} elements, but according to its tensors {}",
            name(),
            storage.length
        )));
    }
    let length = storage.length.checked_mul(storage.element_type.size());
    let length = length.filter(|length| *length <= rest.len() - COUNT);
    let Some(length) = length else {
        return Err(problem(format!(
            "its storage {} has {count} elements of {}, more than the {} bytes that follow; get the \
             file again",
            name(),
            storage.element_type,
            rest.len() - COUNT
        )));
    };
    let start = *position + COUNT;
    *position = start + length;
    Ok(start..*position)
}
