//! The stack machine that runs a pickle's operations.

mod objects;
mod reading;

use std::collections::HashMap;

use super::node::{Graph, Node, NodeId};
use super::opcode;
use crate::error::ErrorKind;

/// A pickle longer than this is none of a model's.
pub(crate) const MAX_LENGTH: usize = 16 << 20;
/// Operations; a model of a thousand tensors needs about 45,000.
const MAX_OPERATIONS: usize = 2_000_000;
const MAX_NODES: usize = 1_000_000;
const MAX_OPEN_MARKS: usize = 1_000;

/// Reads a pickle to its end.
///
/// # Errors
/// [`ErrorKind::Pickle`] with the byte where reading stopped, or [`ErrorKind::ForbiddenGlobal`].
pub(crate) fn read(bytes: &[u8]) -> Result<Graph<'_>, ErrorKind> {
    if bytes.len() > MAX_LENGTH {
        return Err(Machine::new(bytes).error(format!(
            "it has {} bytes, more than the {MAX_LENGTH} supported",
            bytes.len()
        )));
    }
    Ok(Machine::new(bytes).run()?.0)
}

/// Reads the pickle that `bytes` begin with, of at most `longest` bytes, and says how long it is.
///
/// # Errors
/// As [`read`].
pub(crate) fn read_first(bytes: &[u8], longest: usize) -> Result<(Graph<'_>, usize), ErrorKind> {
    Machine::new(&bytes[..bytes.len().min(longest)]).run()
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
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            position: 0,
            operation: 0,
            nodes: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
        }
    }

    /// Runs all operations. Gives what they make, and how many bytes they take.
    fn run(mut self) -> Result<(Graph<'a>, usize), ErrorKind> {
        for _ in 0..MAX_OPERATIONS {
            self.operation = self.position;
            if self.step()? {
                let root = self.pop()?;
                let nodes = self.nodes;
                return Ok((Graph { nodes, root }, self.position));
            }
        }
        Err(self.error(format!("it has more than {MAX_OPERATIONS} operations")))
    }

    /// Runs one operation; `true` at the end of the pickle.
    fn step(&mut self) -> Result<bool, ErrorKind> {
        let code = self.byte()?;
        let is_known = code == opcode::STOP
            || self.run_framing(code)?
            || self.run_constant(code)?
            || self.run_text(code)?
            || self.run_tuple(code)?
            || self.run_list_or_dictionary(code)?
            || self.run_memo(code)?
            || self.run_object(code)?;
        if !is_known {
            return Err(self.error(format!(
                "operation 0x{code:02x} is unknown or not supported"
            )));
        }
        Ok(code == opcode::STOP)
    }

    // Each of these runs one operation, if it is one of its group, and says whether it was.

    fn run_framing(&mut self, code: u8) -> Result<bool, ErrorKind> {
        match code {
            opcode::PROTO => {
                let version = self.byte()?;
                if !(2..=5).contains(&version) {
                    return Err(
                        self.error(format!("protocol {version} is not supported, only 2 to 5"))
                    );
                }
            }
            // Its length only helps readers of streams.
            opcode::FRAME => {
                self.array::<8>()?;
            }
            opcode::MARK => {
                if self.marks.len() == MAX_OPEN_MARKS {
                    return Err(self.error("its values are nested too deeply".to_owned()));
                }
                self.marks.push(self.stack.len());
            }
            opcode::POP => {
                self.pop()?;
            }
            opcode::POP_MARK => {
                self.pop_to_mark()?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn run_constant(&mut self, code: u8) -> Result<bool, ErrorKind> {
        match code {
            opcode::NONE => self.push(Node::None)?,
            opcode::NEWTRUE | opcode::NEWFALSE => {
                self.push(Node::Bool(code == opcode::NEWTRUE))?;
            }
            opcode::BININT1 => {
                let value = self.byte()?;
                self.push(Node::Int(value.into()))?;
            }
            opcode::BININT2 => {
                let value = u16::from_le_bytes(self.array()?);
                self.push(Node::Int(value.into()))?;
            }
            opcode::BININT => {
                let value = i32::from_le_bytes(self.array()?);
                self.push(Node::Int(value.into()))?;
            }
            opcode::LONG1 => {
                let length = self.length1()?;
                self.long(length)?;
            }
            opcode::LONG4 => {
                let length = self.length4()?;
                self.long(length)?;
            }
            opcode::BINFLOAT => {
                self.array::<8>()?;
                self.push(Node::Float)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Text, and bytes, whose content has no meaning here.
    fn run_text(&mut self, code: u8) -> Result<bool, ErrorKind> {
        let length = match code {
            opcode::SHORT_BINUNICODE | opcode::SHORT_BINSTRING | opcode::SHORT_BINBYTES => {
                self.length1()?
            }
            opcode::BINUNICODE | opcode::BINSTRING | opcode::BINBYTES => self.length4()?,
            opcode::BINUNICODE8 | opcode::BINBYTES8 => self.length8()?,
            _ => return Ok(false),
        };
        match code {
            opcode::SHORT_BINUNICODE | opcode::BINUNICODE | opcode::BINUNICODE8 => {
                self.text(length)?;
            }
            _ => {
                self.take(length)?;
                self.push(Node::Bytes)?;
            }
        }
        Ok(true)
    }

    fn run_tuple(&mut self, code: u8) -> Result<bool, ErrorKind> {
        let items = match code {
            opcode::EMPTY_TUPLE => Vec::new(),
            opcode::TUPLE => self.pop_to_mark()?,
            opcode::TUPLE1 => self.pop_many(1)?,
            opcode::TUPLE2 => self.pop_many(2)?,
            opcode::TUPLE3 => self.pop_many(3)?,
            _ => return Ok(false),
        };
        self.push(Node::Tuple(items.into()))?;
        Ok(true)
    }

    fn run_list_or_dictionary(&mut self, code: u8) -> Result<bool, ErrorKind> {
        match code {
            opcode::EMPTY_LIST => self.push(Node::List(Vec::new()))?,
            opcode::LIST => {
                let items = self.pop_to_mark()?;
                self.push(Node::List(items))?;
            }
            opcode::APPEND => {
                let items = self.pop_many(1)?;
                self.extend_list(items)?;
            }
            opcode::APPENDS => {
                let items = self.pop_to_mark()?;
                self.extend_list(items)?;
            }
            opcode::EMPTY_DICT => self.push(Node::Dict(Vec::new()))?,
            opcode::DICT => {
                let items = self.pop_to_mark()?;
                self.push(Node::Dict(Vec::new()))?;
                self.extend_dict(&items)?;
            }
            opcode::SETITEM => {
                let items = self.pop_many(2)?;
                self.extend_dict(&items)?;
            }
            opcode::SETITEMS => {
                let items = self.pop_to_mark()?;
                self.extend_dict(&items)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn run_memo(&mut self, code: u8) -> Result<bool, ErrorKind> {
        match code {
            opcode::BINPUT => {
                let key = self.byte()?.into();
                self.memoize(key)?;
            }
            opcode::LONG_BINPUT => {
                let key = u32::from_le_bytes(self.array()?);
                self.memoize(key)?;
            }
            opcode::MEMOIZE => {
                let key = self.memo.len() as u32;
                self.memoize(key)?;
            }
            opcode::BINGET => {
                let key = self.byte()?.into();
                self.recall(key)?;
            }
            opcode::LONG_BINGET => {
                let key = u32::from_le_bytes(self.array()?);
                self.recall(key)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Names, and what may be done with them.
    fn run_object(&mut self, code: u8) -> Result<bool, ErrorKind> {
        match code {
            opcode::GLOBAL => {
                let module = self.line()?;
                let name = self.line()?;
                self.global(module, name)?;
            }
            opcode::STACK_GLOBAL => {
                let items = self.pop_many(2)?;
                match (self.node(items[0]), self.node(items[1])) {
                    (Node::Text(module), Node::Text(name)) => {
                        let (module, name) = (*module, *name);
                        self.global(module, name)?;
                    }
                    _ => return Err(self.error("a global's name is not text".to_owned())),
                }
            }
            opcode::BINPERSID => self.persistent_id()?,
            opcode::REDUCE => self.reduce()?,
            opcode::NEWOBJ => self.new_object()?,
            opcode::BUILD => self.build()?,
            _ => return Ok(false),
        }
        Ok(true)
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

    fn error(&self, problem: String) -> ErrorKind {
        ErrorKind::Pickle {
            position: self.operation,
            problem,
        }
    }
}
