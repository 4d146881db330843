//! The names that a pickle may use, and the few things that may be done with them.

use super::super::global::{self, Global};
use super::super::node::{Node, NodeId, StorageReference, TensorReference};
use super::Machine;
use crate::error::{ErrorKind, shorten};
use crate::limits::MAX_RANK;

impl Machine<'_> {
    pub(super) fn global(&mut self, module: &str, name: &str) -> Result<(), ErrorKind> {
        match global::find(module, name) {
            Some(global) => self.push(Node::Global(global)),
            None => Err(ErrorKind::ForbiddenGlobal {
                position: self.operation,
                global: shorten(&format!("{module}.{name}")),
            }),
        }
    }

    /// `('storage', class, key, location, number of elements)`. torch.save's older format has a sixth part: None,
    /// or of which other storage this one is a part, which only early versions of PyTorch made.
    pub(super) fn persistent_id(&mut self) -> Result<(), ErrorKind> {
        let id = self.pop()?;
        let parts = match self.node(id) {
            Node::Tuple(parts)
                if parts.len() == 5
                    || parts.len() == 6 && matches!(self.node(parts[5]), Node::None) =>
            {
                [parts[0], parts[1], parts[2], parts[3], parts[4]]
            }
            Node::Tuple(parts) if parts.len() == 6 => {
                return Err(
                    self.error("a storage that is a part of another is not read".to_owned())
                );
            }
            _ => return Err(self.error("a persistent id is not a tuple of five".to_owned())),
        };
        let storage = match parts.map(|part| self.node(part)) {
            [
                Node::Text("storage"),
                Node::Global(Global::Storage(element_type)),
                Node::Text(key),
                Node::Text(_device),
                Node::Int(length),
            ] => match usize::try_from(*length) {
                Ok(length) => StorageReference {
                    element_type: *element_type,
                    key,
                    length,
                },
                Err(_) => {
                    return Err(self.error(format!("a storage of {length} elements is absurd")));
                }
            },
            [Node::Bytes, ..] => {
                return Err(self.error(
                    "Python 2 wrote it, whose text is not read; load it in Python 3 and save it again: \
                     torch.save(torch.load(FILE, map_location=\"cpu\"), NEW)"
                        .to_owned(),
                ));
            }
            _ => return Err(self.error("a persistent id does not name a storage".to_owned())),
        };
        self.push(Node::Storage(Box::new(storage)))
    }

    pub(super) fn reduce(&mut self) -> Result<(), ErrorKind> {
        let items = self.pop_many(2)?;
        let (Node::Global(function), Node::Tuple(arguments)) =
            (self.node(items[0]), self.node(items[1]))
        else {
            return Err(self.error("a call needs a name and a tuple of arguments".to_owned()));
        };
        match (function, &**arguments) {
            (Global::OrderedDict, []) => self.push(Node::Dict(Vec::new())),
            (Global::RebuildTensor, &[storage, offset, shape, strides, _grad, _hooks, ..]) => {
                let tensor = self.tensor(storage, offset, shape, strides)?;
                self.push(Node::Tensor(Box::new(tensor)))
            }
            (Global::RebuildParameter, &[tensor, ..])
                if matches!(self.node(tensor), Node::Tensor(_)) =>
            {
                self.stack.push(tensor);
                Ok(())
            }
            (Global::ScriptList, &[list]) if matches!(self.node(list), Node::List(_)) => {
                self.stack.push(list);
                Ok(())
            }
            _ => Err(self.error(format!(
                "{function:?} cannot be called with these arguments"
            ))),
        }
    }

    fn tensor(
        &self,
        storage: NodeId,
        offset: NodeId,
        shape: NodeId,
        strides: NodeId,
    ) -> Result<TensorReference, ErrorKind> {
        if !matches!(self.node(storage), Node::Storage(_)) {
            return Err(self.error("a tensor has no storage".to_owned()));
        }
        let shape = self.lengths(shape)?;
        let strides = self.lengths(strides)?;
        if shape.len() != strides.len() {
            return Err(self.error("a tensor's shape and strides differ in number".to_owned()));
        }
        Ok(TensorReference {
            storage,
            offset: self.length(offset)?,
            shape,
            strides,
        })
    }

    fn lengths(&self, id: NodeId) -> Result<Vec<usize>, ErrorKind> {
        match self.node(id) {
            Node::Tuple(items) if items.len() <= MAX_RANK => {
                items.iter().map(|item| self.length(*item)).collect()
            }
            _ => Err(self.error(format!(
                "a shape is not a tuple of at most {MAX_RANK} integers"
            ))),
        }
    }

    fn length(&self, id: NodeId) -> Result<usize, ErrorKind> {
        match self.node(id) {
            Node::Int(value) => usize::try_from(*value)
                .map_err(|_| self.error(format!("a length of {value} is absurd"))),
            _ => Err(self.error("a length is not an integer".to_owned())),
        }
    }

    pub(super) fn new_object(&mut self) -> Result<(), ErrorKind> {
        let items = self.pop_many(2)?;
        match (self.node(items[0]), self.node(items[1])) {
            (Node::Global(Global::ScriptClass), Node::Tuple(arguments)) if arguments.is_empty() => {
                self.push(Node::Object(None))
            }
            (Node::Global(Global::OrderedDict), Node::Tuple(arguments)) if arguments.is_empty() => {
                self.push(Node::Dict(Vec::new()))
            }
            _ => Err(self.error("an object of this class cannot be made".to_owned())),
        }
    }

    pub(super) fn build(&mut self) -> Result<(), ErrorKind> {
        let state = self.pop()?;
        let target = self.top()?;
        let is_dict = matches!(self.node(state), Node::Dict(_));
        match &mut self.nodes[target as usize] {
            Node::Object(attributes @ None) if is_dict => *attributes = Some(state),
            // Attributes of an ordered dictionary: `_metadata` of a state dictionary.
            Node::Dict(_) => {}
            _ => return Err(self.error("attributes are set on what cannot have them".to_owned())),
        }
        Ok(())
    }
}
