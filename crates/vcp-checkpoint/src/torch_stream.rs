//! torch.save's older format, of PyTorch 0.4 to 1.5 and of newer ones on request: pickles one after the other
//! (a magic number, a version, facts about the machine, the values, the keys of their storages), then the
//! storages in the order of those keys, each its number of elements and the elements.
//!
//! Source: `_legacy_save` and `_legacy_load` in PyTorch's `torch/serialization.py`.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use crate::error::{ErrorKind, shorten};
use crate::limits::MAX_TENSORS;
use crate::pickle::{self, Graph, Node, StorageReference};
use crate::tensor::Layout;
use crate::torch;

/// The magic number and the version, 1001, as protocol 2 pickles them, which is what PyTorch does unless it is
/// told otherwise.
const START: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.";

/// Whether a file begins like one of this format.
pub(crate) fn looks_like(bytes: &[u8]) -> bool {
    bytes.starts_with(START)
}

/// Reads the tensors of a file that [`looks_like`] one, nested names joined with dots.
pub(crate) fn read(bytes: &[u8]) -> Result<BTreeMap<String, Layout>, ErrorKind> {
    let mut position = START.len();
    let machine = next_pickle(bytes, &mut position)?;
    if !is_little_endian(&machine) {
        return Err(problem("its byte order is not little-endian"));
    }
    let values = next_pickle(bytes, &mut position)?;
    let keys = next_pickle(bytes, &mut position)?;
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

/// The pickle that begins at `position`, which then stands behind it.
fn next_pickle<'a>(bytes: &'a [u8], position: &mut usize) -> Result<Graph<'a>, ErrorKind> {
    let start = *position;
    let (graph, length) = pickle::read_first(&bytes[start..]).map_err(|kind| match kind {
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

/// What the facts about the machine say; where they say nothing, it is one of today's.
fn is_little_endian(machine: &Graph<'_>) -> bool {
    let Node::Dict(facts) = machine.node(machine.root) else {
        return true;
    };
    let is_named = |key: &u32| matches!(machine.node(*key), Node::Text("little_endian"));
    let fact = facts.iter().find(|(key, _)| is_named(key));
    fact.is_none_or(|(_, value)| !matches!(machine.node(*value), Node::Bool(false)))
}

/// The bytes of the elements of each storage, by key.
fn storages<'a>(
    bytes: &[u8],
    mut position: usize,
    values: &Graph<'a>,
    keys: &Graph<'a>,
) -> Result<HashMap<&'a str, Range<usize>>, ErrorKind> {
    let mut referred: HashMap<&str, &StorageReference<'a>> = HashMap::new();
    for node in &values.nodes {
        let Node::Storage(storage) = node else {
            continue;
        };
        let earlier = referred.insert(storage.key, storage);
        if earlier.is_some_and(|earlier| {
            (earlier.element_type, earlier.length) != (storage.element_type, storage.length)
        }) {
            return Err(problem(format!(
                "it speaks of two storages {}",
                shorten(storage.key)
            )));
        }
    }
    let Node::List(order) = keys.node(keys.root) else {
        return Err(problem("its storages are not listed"));
    };
    if order.len() > MAX_TENSORS {
        return Err(problem(format!(
            "it holds more than {MAX_TENSORS} storages"
        )));
    }
    let mut storages = HashMap::new();
    for key in order {
        let Node::Text(key) = *keys.node(*key) else {
            return Err(problem("the key of a storage is not text"));
        };
        let Some(storage) = referred.get(key) else {
            return Err(problem(format!(
                "no tensor has its storage {}, so that its length is not known",
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

/// The bytes of the elements of the storage at `position`, which then stands behind them.
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
            "its storage {} has {count} elements, but its tensors speak of {}",
            name(),
            storage.length
        )));
    }
    let length = storage.length.checked_mul(storage.element_type.size());
    let length = length.filter(|length| *length <= rest.len() - COUNT);
    let Some(length) = length else {
        return Err(problem(format!(
            "its storage {} has {count} elements of {}, more than the {} bytes that follow; get the file again",
            name(),
            storage.element_type,
            rest.len() - COUNT
        )));
    };
    let start = *position + COUNT;
    *position = start + length;
    Ok(start..start + length)
}
