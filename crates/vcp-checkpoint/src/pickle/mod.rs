//! A reader for the small part of the pickle format that PyTorch and TorchScript use.
//!
//! It builds a graph of inert nodes and executes nothing. Classes and functions come from a short
//! list, see [`global`]; every other one is an error that names it.
//!
//! Memory and time are bounded by the length of the pickle: each operation creates at most one
//! node, nodes refer to each other by index, and nothing is ever copied, so a pickle that refers to
//! the same tuple a million times costs a million indices and no more. There is no recursion.

mod global;
mod machine;
mod node;
mod opcode;

pub(crate) use machine::{MAX_LENGTH, read, read_first};
pub(crate) use node::{Graph, Node, NodeId, StorageReference, TensorReference};
