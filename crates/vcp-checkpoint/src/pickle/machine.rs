//! The stack machine that runs a pickle's operations.

use std::collections::HashMap;

use super::global::{self, Global};
use super::node::{Graph, Node, NodeId, StorageReference, TensorReference};
use crate::error::{ErrorKind, shorten};
use crate::file::MAX_RANK;

/// A pickle longer than this is none of a model's.
const MAX_LENGTH: usize = 16 << 20;
/// Operations; a model of a thousand tensors needs about 45,000.
const MAX_OPERATIONS: usize = 2_000_000;
const MAX_NODES: usize = 1_000_000;
const MAX_OPEN_MARKS: usize = 1_000;

/// Reads a pickle to its end.
///
/// # Errors
/// [`ErrorKind::Pickle`] with the byte where reading stopped, or [`ErrorKind::ForbiddenGlobal`].
pub(crate) fn read(bytes: &[u8]) -> Result<Graph<'_>, ErrorKind> {
    let mut machine = Machine {
        bytes,
        position: 0,
        operation: 0,
        nodes: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
    };
    if bytes.len() > MAX_LENGTH {
        return Err(machine.error(format!(
            "it has {} bytes, more than the {MAX_LENGTH} supported",
            bytes.len()
        )));
    }
    for _ in 0..MAX_OPERATIONS {
        machine.operation = machine.position;
        if machine.step()? {
            let root = machine.pop()?;
            return Ok(Graph {
                nodes: machine.nodes,
                root,
            });
        }
    }
    Err(machine.error(format!("it has more than {MAX_OPERATIONS} operations")))
}

struct Machine<'a> {
    bytes: &'a [u8],
    position: usize,
    /// Where the operation being run starts.
    operation: usize,
    nodes: Vec<Node<'a>>,
    stack: Vec<NodeId>,
    /// Lengths of the stack when each open mark was set.
    marks: Vec<usize>,
    memo: HashMap<u32, NodeId>,
}

impl<'a> Machine<'a> {
    /// Runs one operation; `true` at the end of the pickle.
    #[expect(
        clippy::too_many_lines,
        reason = "one arm per operation reads best as one table"
    )]
    fn step(&mut self) -> Result<bool, ErrorKind> {
        match self.byte()? {
            // PROTO
            0x80 => {
                let version = self.byte()?;
                if !(2..=5).contains(&version) {
                    return Err(
                        self.error(format!("protocol {version} is not supported, only 2 to 5"))
                    );
                }
            }
            // FRAME: its length only helps readers of streams.
            0x95 => {
                self.array::<8>()?;
            }
            b'.' => return Ok(true),

            // MARK and what undoes it
            b'(' => {
                if self.marks.len() == MAX_OPEN_MARKS {
                    return Err(self.error("its values are nested too deeply".to_owned()));
                }
                self.marks.push(self.stack.len());
            }
            b'0' => {
                self.pop()?;
            }
            b'1' => {
                self.pop_to_mark()?;
            }

            // Constants
            b'N' => self.push(Node::None)?,
            0x88 | 0x89 => self.push(Node::Bool)?,
            b'K' => {
                let value = self.byte()?;
                self.push(Node::Int(value.into()))?;
            }
            b'M' => {
                let value = u16::from_le_bytes(self.array()?);
                self.push(Node::Int(value.into()))?;
            }
            b'J' => {
                let value = i32::from_le_bytes(self.array()?);
                self.push(Node::Int(value.into()))?;
            }
            0x8a => {
                let length = usize::from(self.byte()?);
                self.long(length)?;
            }
            0x8b => {
                let length = self.length4()?;
                self.long(length)?;
            }
            b'G' => {
                self.array::<8>()?;
                self.push(Node::Float)?;
            }

            // Text and bytes
            b'X' => {
                let length = self.length4()?;
                self.text(length)?;
            }
            0x8c => {
                let length = usize::from(self.byte()?);
                self.text(length)?;
            }
            0x8d => {
                let length = self.length8()?;
                self.text(length)?;
            }
            b'T' | b'B' => {
                let length = self.length4()?;
                self.take(length)?;
                self.push(Node::Bytes)?;
            }
            b'U' | b'C' => {
                let length = usize::from(self.byte()?);
                self.take(length)?;
                self.push(Node::Bytes)?;
            }
            0x8e => {
                let length = self.length8()?;
                self.take(length)?;
                self.push(Node::Bytes)?;
            }

            // Tuples, lists and dictionaries
            b')' => self.push(Node::Tuple(Box::default()))?,
            b't' => {
                let items = self.pop_to_mark()?;
                self.push(Node::Tuple(items.into()))?;
            }
            code @ 0x85..=0x87 => {
                let items = self.pop_many(usize::from(code - 0x84))?;
                self.push(Node::Tuple(items.into()))?;
            }
            b']' => self.push(Node::List(Vec::new()))?,
            b'l' => {
                let items = self.pop_to_mark()?;
                self.push(Node::List(items))?;
            }
            b'a' => {
                let items = self.pop_many(1)?;
                self.extend_list(items)?;
            }
            b'e' => {
                let items = self.pop_to_mark()?;
                self.extend_list(items)?;
            }
            b'}' => self.push(Node::Dict(Vec::new()))?,
            b'd' => {
                let items = self.pop_to_mark()?;
                self.push(Node::Dict(Vec::new()))?;
                self.extend_dict(&items)?;
            }
            b's' => {
                let items = self.pop_many(2)?;
                self.extend_dict(&items)?;
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                self.extend_dict(&items)?;
            }

            // The memo
            b'q' => {
                let key = self.byte()?.into();
                self.memoize(key)?;
            }
            b'r' => {
                let key = u32::from_le_bytes(self.array()?);
                self.memoize(key)?;
            }
            0x94 => {
                let key = self.memo.len() as u32;
                self.memoize(key)?;
            }
            b'h' => {
                let key = self.byte()?.into();
                self.recall(key)?;
            }
            b'j' => {
                let key = u32::from_le_bytes(self.array()?);
                self.recall(key)?;
            }

            // Names, and what may be done with them
            b'c' => {
                let module = self.line()?;
                let name = self.line()?;
                self.global(module, name)?;
            }
            0x93 => {
                let items = self.pop_many(2)?;
                match (self.node(items[0]), self.node(items[1])) {
                    (Node::Text(module), Node::Text(name)) => {
                        let (module, name) = (*module, *name);
                        self.global(module, name)?;
                    }
                    _ => return Err(self.error("a global's name is not text".to_owned())),
                }
            }
            b'Q' => self.persistent_id()?,
            b'R' => self.reduce()?,
            0x81 => self.new_object()?,
            b'b' => self.build()?,

            code => {
                return Err(self.error(format!(
                    "operation 0x{code:02x} is unknown or not supported"
                )));
            }
        }
        Ok(false)
    }

    // Reading bytes

    fn take(&mut self, length: usize) -> Result<&'a [u8], ErrorKind> {
        let end = self.position.checked_add(length);
        let bytes = end.and_then(|end| self.bytes.get(self.position..end));
        match bytes {
            Some(bytes) => {
                self.position += length;
                Ok(bytes)
            }
            None => Err(self.error(format!(
                "{length} bytes are expected, but the pickle ends after {}",
                self.bytes.len() - self.position
            ))),
        }
    }

    fn byte(&mut self) -> Result<u8, ErrorKind> {
        Ok(self.array::<1>()?[0])
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ErrorKind> {
        let bytes = self.take(N)?;
        bytes
            .first_chunk()
            .copied()
            .ok_or_else(|| self.error("the pickle ends too early".to_owned()))
    }

    fn length4(&mut self) -> Result<usize, ErrorKind> {
        Ok(u32::from_le_bytes(self.array()?) as usize)
    }

    fn length8(&mut self) -> Result<usize, ErrorKind> {
        let length = u64::from_le_bytes(self.array()?);
        usize::try_from(length)
            .map_err(|_| self.error(format!("a length of {length} bytes is absurd")))
    }

    fn line(&mut self) -> Result<&'a str, ErrorKind> {
        let rest = &self.bytes[self.position..];
        let length = rest
            .iter()
            .take(1 << 12)
            .position(|byte| *byte == b'\n')
            .ok_or_else(|| self.error("a name has no end".to_owned()))?;
        let line = self.take(length)?;
        self.position += 1;
        std::str::from_utf8(line).map_err(|_| self.error("a name is not UTF-8".to_owned()))
    }

    fn text(&mut self, length: usize) -> Result<(), ErrorKind> {
        let bytes = self.take(length)?;
        let text =
            std::str::from_utf8(bytes).map_err(|_| self.error("text is not UTF-8".to_owned()))?;
        self.push(Node::Text(text))
    }

    /// An integer of any length; those that do not fit 64 bits have no meaning here.
    fn long(&mut self, length: usize) -> Result<(), ErrorKind> {
        let bytes = self.take(length)?;
        if length > 8 {
            return Err(self.error(format!("an integer of {length} bytes is absurd")));
        }
        let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
        let mut word = [if negative { 0xff } else { 0 }; 8];
        word[..length].copy_from_slice(bytes);
        self.push(Node::Int(i64::from_le_bytes(word)))
    }

    // The stack

    fn node(&self, id: NodeId) -> &Node<'a> {
        &self.nodes[id as usize]
    }

    fn push(&mut self, node: Node<'a>) -> Result<(), ErrorKind> {
        if self.nodes.len() == MAX_NODES {
            return Err(self.error(format!("it builds more than {MAX_NODES} values")));
        }
        self.stack.push(self.nodes.len() as NodeId);
        self.nodes.push(node);
        Ok(())
    }

    /// Height below which the innermost open mark keeps the stack from being popped.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn pop(&mut self) -> Result<NodeId, ErrorKind> {
        if self.stack.len() > self.floor()
            && let Some(id) = self.stack.pop()
        {
            return Ok(id);
        }
        Err(self.error("a value is expected on the stack".to_owned()))
    }

    fn pop_many(&mut self, count: usize) -> Result<Vec<NodeId>, ErrorKind> {
        match self.stack.len().checked_sub(count) {
            Some(start) if start >= self.floor() => Ok(self.stack.split_off(start)),
            _ => Err(self.error(format!("{count} values are expected on the stack"))),
        }
    }

    fn pop_to_mark(&mut self) -> Result<Vec<NodeId>, ErrorKind> {
        match self.marks.pop() {
            Some(start) => Ok(self.stack.split_off(start)),
            None => Err(self.error("a mark is expected on the stack".to_owned())),
        }
    }

    fn top(&self) -> Result<NodeId, ErrorKind> {
        match self.stack.last() {
            Some(id) if self.stack.len() > self.floor() => Ok(*id),
            _ => Err(self.error("a value is expected on the stack".to_owned())),
        }
    }

    fn extend_list(&mut self, items: Vec<NodeId>) -> Result<(), ErrorKind> {
        let target = self.top()?;
        match &mut self.nodes[target as usize] {
            Node::List(list) => list.extend(items),
            _ => return Err(self.error("items are appended to what is not a list".to_owned())),
        }
        Ok(())
    }

    fn extend_dict(&mut self, items: &[NodeId]) -> Result<(), ErrorKind> {
        let target = self.top()?;
        let (pairs, rest) = items.as_chunks::<2>();
        match &mut self.nodes[target as usize] {
            Node::Dict(dict) if rest.is_empty() => {
                dict.extend(pairs.iter().map(|[key, value]| (*key, *value)));
            }
            Node::Dict(_) => return Err(self.error("a key has no value".to_owned())),
            _ => return Err(self.error("keys are set on what is not a dictionary".to_owned())),
        }
        Ok(())
    }

    fn memoize(&mut self, key: u32) -> Result<(), ErrorKind> {
        let id = self.top()?;
        self.memo.insert(key, id);
        Ok(())
    }

    fn recall(&mut self, key: u32) -> Result<(), ErrorKind> {
        match self.memo.get(&key) {
            Some(id) => {
                self.stack.push(*id);
                Ok(())
            }
            None => Err(self.error(format!("memo entry {key} was never set"))),
        }
    }

    // Names and objects

    fn global(&mut self, module: &str, name: &str) -> Result<(), ErrorKind> {
        match global::find(module, name) {
            Some(global) => self.push(Node::Global(global)),
            None => Err(ErrorKind::ForbiddenGlobal {
                position: self.operation,
                global: shorten(&format!("{module}.{name}")),
            }),
        }
    }

    /// `('storage', class, key, location, number of elements)`
    fn persistent_id(&mut self) -> Result<(), ErrorKind> {
        let id = self.pop()?;
        let parts = match self.node(id) {
            Node::Tuple(parts) if parts.len() == 5 => {
                [parts[0], parts[1], parts[2], parts[3], parts[4]]
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
            _ => return Err(self.error("a persistent id does not name a storage".to_owned())),
        };
        self.push(Node::Storage(Box::new(storage)))
    }

    fn reduce(&mut self) -> Result<(), ErrorKind> {
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

    fn new_object(&mut self) -> Result<(), ErrorKind> {
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

    fn build(&mut self) -> Result<(), ErrorKind> {
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

    fn error(&self, problem: String) -> ErrorKind {
        ErrorKind::Pickle {
            position: self.operation,
            problem,
        }
    }
}
