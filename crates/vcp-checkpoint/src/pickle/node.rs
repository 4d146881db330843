//! The graph a pickle is read into.

use super::global::Global;
use crate::ElementType;

/// Index of a node in its graph.
pub(crate) type NodeId = u32;

/// One value. Text is borrowed from the pickle.
#[derive(Debug)]
pub(crate) enum Node<'a> {
    None,
    Bool(bool),
    Int(i64),
    Float,
    Text(&'a str),
    Bytes,
    Tuple(Box<[NodeId]>),
    List(Vec<NodeId>),
    Dict(Vec<(NodeId, NodeId)>),
    Global(Global),
    /// A TorchScript module; its attributes once they have been set.
    Object(Option<NodeId>),
    Storage(Box<StorageReference<'a>>),
    Tensor(Box<TensorReference>),
}

/// A persistent id: the name of an entry that holds elements.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StorageReference<'a> {
    pub(crate) element_type: ElementType,
    pub(crate) key: &'a str,
    /// Number of elements claimed.
    pub(crate) length: usize,
}

/// A tensor as a window onto a storage; lengths in elements.
#[derive(Debug)]
pub(crate) struct TensorReference {
    pub(crate) storage: NodeId,
    pub(crate) offset: usize,
    pub(crate) shape: Vec<usize>,
    pub(crate) strides: Vec<usize>,
}

/// All nodes of a pickle and the one it stands for.
#[derive(Debug)]
pub(crate) struct Graph<'a> {
    pub(crate) nodes: Vec<Node<'a>>,
    pub(crate) root: NodeId,
}

impl<'a> Graph<'a> {
    pub(crate) fn node(&self, id: NodeId) -> &Node<'a> {
        &self.nodes[id as usize]
    }
}
