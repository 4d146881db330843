//! What stands in the bytes of a pickle after an operation's code.

use super::super::node::Node;
use super::Machine;
use crate::error::ErrorKind;

impl<'a> Machine<'a> {
    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], ErrorKind> {
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

    pub(super) fn byte(&mut self) -> Result<u8, ErrorKind> {
        Ok(self.array::<1>()?[0])
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], ErrorKind> {
        let bytes = self.take(N)?;
        bytes
            .first_chunk()
            .copied()
            .ok_or_else(|| self.error("the pickle ends too early".to_owned()))
    }

    pub(super) fn length1(&mut self) -> Result<usize, ErrorKind> {
        Ok(self.byte()?.into())
    }

    pub(super) fn length4(&mut self) -> Result<usize, ErrorKind> {
        Ok(u32::from_le_bytes(self.array()?) as usize)
    }

    pub(super) fn length8(&mut self) -> Result<usize, ErrorKind> {
        let length = u64::from_le_bytes(self.array()?);
        usize::try_from(length)
            .map_err(|_| self.error(format!("a length of {length} bytes is absurd")))
    }

    pub(super) fn line(&mut self) -> Result<&'a str, ErrorKind> {
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

    pub(super) fn text(&mut self, length: usize) -> Result<(), ErrorKind> {
        let bytes = self.take(length)?;
        let text =
            std::str::from_utf8(bytes).map_err(|_| self.error("text is not UTF-8".to_owned()))?;
        self.push(Node::Text(text))
    }

    /// An integer of any length; those that do not fit 64 bits have no meaning here.
    pub(super) fn long(&mut self, length: usize) -> Result<(), ErrorKind> {
        let bytes = self.take(length)?;
        if length > 8 {
            return Err(self.error(format!("an integer of {length} bytes is absurd")));
        }
        let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
        let mut word = [if negative { 0xff } else { 0 }; 8];
        word[..length].copy_from_slice(bytes);
        self.push(Node::Int(i64::from_le_bytes(word)))
    }
}
