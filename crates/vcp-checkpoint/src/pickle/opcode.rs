//! The operations of pickles that are known here, under the names that Python's `pickletools` gives them. An
//! operation is one byte, and what it says of what follows it is little-endian.

/// The version of the protocol, one byte.
pub(super) const PROTO: u8 = 0x80;
/// The length of what follows, 8 bytes.
pub(super) const FRAME: u8 = 0x95;
/// The end; the value on the stack is the result.
pub(super) const STOP: u8 = b'.';
/// Begins a list of values on the stack.
pub(super) const MARK: u8 = b'(';
/// Drops a value.
pub(super) const POP: u8 = b'0';
/// Drops the values since the mark.
pub(super) const POP_MARK: u8 = b'1';
/// `None`.
pub(super) const NONE: u8 = b'N';
/// `True`.
pub(super) const NEWTRUE: u8 = 0x88;
/// `False`.
pub(super) const NEWFALSE: u8 = 0x89;
/// An integer of one byte.
pub(super) const BININT1: u8 = b'K';
/// An integer of two bytes, without sign.
pub(super) const BININT2: u8 = b'M';
/// An integer of four bytes.
pub(super) const BININT: u8 = b'J';
/// An integer; its length is one byte.
pub(super) const LONG1: u8 = 0x8a;
/// An integer; its length is four bytes.
pub(super) const LONG4: u8 = 0x8b;
/// A float of eight bytes.
pub(super) const BINFLOAT: u8 = b'G';
/// Text; its length is one byte.
pub(super) const SHORT_BINUNICODE: u8 = 0x8c;
/// Text; its length is four bytes.
pub(super) const BINUNICODE: u8 = b'X';
/// Text; its length is eight bytes.
pub(super) const BINUNICODE8: u8 = 0x8d;
/// A string of Python 2; its length is one byte.
pub(super) const SHORT_BINSTRING: u8 = b'U';
/// A string of Python 2; its length is four bytes.
pub(super) const BINSTRING: u8 = b'T';
/// Bytes; their length is one byte.
pub(super) const SHORT_BINBYTES: u8 = b'C';
/// Bytes; their length is four bytes.
pub(super) const BINBYTES: u8 = b'B';
/// Bytes; their length is eight bytes.
pub(super) const BINBYTES8: u8 = 0x8e;
/// A tuple of nothing.
pub(super) const EMPTY_TUPLE: u8 = b')';
/// A tuple of the values since the mark.
pub(super) const TUPLE: u8 = b't';
/// A tuple of one value.
pub(super) const TUPLE1: u8 = 0x85;
/// A tuple of two values.
pub(super) const TUPLE2: u8 = 0x86;
/// A tuple of three values.
pub(super) const TUPLE3: u8 = 0x87;
/// A list of nothing.
pub(super) const EMPTY_LIST: u8 = b']';
/// A list of the values since the mark.
pub(super) const LIST: u8 = b'l';
/// Appends a value to the list below it.
pub(super) const APPEND: u8 = b'a';
/// Appends the values since the mark to the list below it.
pub(super) const APPENDS: u8 = b'e';
/// A dictionary of nothing.
pub(super) const EMPTY_DICT: u8 = b'}';
/// A dictionary of the keys and values since the mark.
pub(super) const DICT: u8 = b'd';
/// Sets a key of the dictionary below it.
pub(super) const SETITEM: u8 = b's';
/// Sets the keys since the mark of the dictionary below it.
pub(super) const SETITEMS: u8 = b'u';
/// Keeps a value under a number of one byte.
pub(super) const BINPUT: u8 = b'q';
/// Keeps a value under a number of four bytes.
pub(super) const LONG_BINPUT: u8 = b'r';
/// Keeps a value under the next number.
pub(super) const MEMOIZE: u8 = 0x94;
/// The value kept under a number of one byte.
pub(super) const BINGET: u8 = b'h';
/// The value kept under a number of four bytes.
pub(super) const LONG_BINGET: u8 = b'j';
/// A name in two lines: module and name.
pub(super) const GLOBAL: u8 = b'c';
/// A name: module and name from the stack.
pub(super) const STACK_GLOBAL: u8 = 0x93;
/// What the persistent id on the stack stands for: a storage.
pub(super) const BINPERSID: u8 = b'Q';
/// A call of a name with a tuple of arguments.
pub(super) const REDUCE: u8 = b'R';
/// An object of a class, made with a tuple of arguments.
pub(super) const NEWOBJ: u8 = 0x81;
/// Sets the attributes of an object.
pub(super) const BUILD: u8 = b'b';
