//! The tensors of a TorchScript archive or torch.save file: the pickle says which tensors there
//! are, entries of the archive hold their elements.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::archive::Archive;
use crate::error::{ErrorKind, shorten};
use crate::format::Format;
use crate::limits::{MAX_NAME_LENGTH, MAX_TENSORS};
use crate::pickle::{self, Graph, Node, NodeId, TensorReference};
use crate::tensor::{Layout, View};

/// Levels of dictionaries and modules within each other; CLIP has 6.
const MAX_DEPTH: usize = 64;
/// Values looked at, which also ends graphs that refer to themselves in many ways.
const MAX_VISITS: usize = 2_000_000;

/// Reads the tensors of the zip archive `bytes`, nested names joined with dots.
pub(crate) fn read(bytes: &[u8]) -> Result<(Format, BTreeMap<String, Layout>), ErrorKind> {
    let archive = Archive::read(bytes)?;
    let format = if archive.contains("constants.pkl") || archive.contains_folder("code/") {
        Format::TorchScript
    } else {
        Format::TorchSave
    };
    if archive.contains("byteorder") && bytes[archive.range("byteorder")?] != *b"little" {
        return Err(ErrorKind::Archive {
            problem: "its byte order is not little-endian".to_owned(),
        });
    }
    let graph = pickle::read(&bytes[archive.range("data.pkl")?])?;
    let tensors = tensors(&graph, |key| archive.range(&format!("data/{key}")))?;
    Ok((format, tensors))
}

/// The tensors of the values that a pickle stands for. `storage` finds the bytes of a storage in the file by
/// its key.
pub(crate) fn tensors(
    graph: &Graph<'_>,
    storage: impl Fn(&str) -> Result<Range<usize>, ErrorKind>,
) -> Result<BTreeMap<String, Layout>, ErrorKind> {
    let mut tensors = BTreeMap::new();
    walk(graph, |name, tensor| {
        let layout = resolve(&storage, graph, tensor).map_err(|kind| match kind {
            Resolve::Tensor(problem) => ErrorKind::Tensor {
                tensor: shorten(&name),
                problem,
            },
            Resolve::Archive(kind) => kind,
        })?;
        if tensors.len() == MAX_TENSORS {
            return Err(ErrorKind::Archive {
                problem: format!("it holds more than {MAX_TENSORS} tensors"),
            });
        }
        match tensors.insert(name.clone(), layout) {
            None => Ok(()),
            Some(_) => Err(ErrorKind::Tensor {
                tensor: shorten(&name),
                problem: "the file holds two of that name".to_owned(),
            }),
        }
    })?;
    Ok(tensors)
}

enum Resolve {
    Tensor(String),
    Archive(ErrorKind),
}

/// Finds a tensor's elements in the file and proves that they are inside their entry.
fn resolve(
    storage_bytes: impl Fn(&str) -> Result<Range<usize>, ErrorKind>,
    graph: &Graph<'_>,
    tensor: &TensorReference,
) -> Result<Layout, Resolve> {
    let Node::Storage(storage) = graph.node(tensor.storage) else {
        return Err(Resolve::Tensor("it has no storage".to_owned()));
    };
    let entry = storage_bytes(storage.key).map_err(Resolve::Archive)?;
    let length = storage
        .length
        .checked_mul(storage.element_type.size())
        .filter(|length| *length <= entry.len())
        .ok_or_else(|| {
            Resolve::Tensor(format!(
                "its storage claims {} elements of {}, but its entry has {} bytes",
                storage.length,
                storage.element_type,
                entry.len()
            ))
        })?;
    let view = View::checked(
        0,
        storage.element_type,
        entry.start..entry.start + length,
        tensor.offset,
        &tensor.shape,
        &tensor.strides,
    )
    .map_err(Resolve::Tensor)?;
    Ok(Layout::of_view(tensor.shape.clone(), view))
}

/// Visits every tensor reachable from the root with its dotted name.
///
/// Plain values (numbers, text, None) are passed over. The walk keeps one open level per nesting
/// depth instead of recursing, and one buffer for the name.
fn walk(
    graph: &Graph<'_>,
    mut found: impl FnMut(String, &TensorReference) -> Result<(), ErrorKind>,
) -> Result<(), ErrorKind> {
    struct Level {
        node: NodeId,
        next: usize,
        name_length: usize,
    }
    let refuse = |problem: &str| ErrorKind::Archive {
        problem: problem.to_owned(),
    };

    let mut name = String::new();
    let mut levels: Vec<Level> = Vec::new();
    let mut entering = Some(graph.root);
    for _ in 0..MAX_VISITS {
        if let Some(id) = entering.take() {
            match graph.node(id) {
                Node::Tensor(tensor) => found(name.clone(), tensor)?,
                Node::Dict(_) | Node::List(_) | Node::Tuple(_) | Node::Object(Some(_)) => {
                    if levels.len() == MAX_DEPTH {
                        return Err(refuse(
                            "its values are nested too deeply or within themselves",
                        ));
                    }
                    // A module stands for its attributes.
                    let node = match graph.node(id) {
                        Node::Object(Some(attributes)) => *attributes,
                        _ => id,
                    };
                    levels.push(Level {
                        node,
                        next: 0,
                        name_length: name.len(),
                    });
                }
                _ => {}
            }
        }
        let Some(level) = levels.last_mut() else {
            return Ok(());
        };
        name.truncate(level.name_length);
        let index = level.next;
        level.next += 1;
        let child = match graph.node(level.node) {
            Node::Dict(items) => items.get(index).map(|(key, value)| (Some(*key), *value)),
            Node::List(items) => items.get(index).map(|value| (None, *value)),
            Node::Tuple(items) => items.get(index).map(|value| (None, *value)),
            _ => None,
        };
        let Some((key, value)) = child else {
            levels.pop();
            continue;
        };
        if !name.is_empty() {
            name.push('.');
        }
        match key.map(|key| graph.node(key)) {
            None => name.push_str(&index.to_string()),
            Some(Node::Text(key)) => {
                if key.len() > MAX_NAME_LENGTH {
                    return Err(refuse("it holds a name that is absurdly long"));
                }
                name.push_str(key);
            }
            Some(Node::Int(key)) => name.push_str(&key.to_string()),
            Some(_) => {
                return Err(refuse(
                    "a dictionary has a key that is neither text nor an integer",
                ));
            }
        }
        if name.len() > MAX_NAME_LENGTH {
            return Err(refuse("it holds a name that is absurdly long"));
        }
        entering = Some(value);
    }
    Err(refuse("it holds too many values"))
}
