//! Entropy-coded data: Huffman tables, and bits with markers between them.

use super::{Failure, invalid};

/// Bits that are decoded by one look into a table; longer codes are rare.
const LOOKUP_BITS: u32 = 9;
/// As many for a code and the number behind it.
const NUMBER_BITS: u32 = 10;
const LONGEST_CODE: usize = 16;

/// A Huffman table, ready for decoding.
pub(super) struct Table {
    /// Length and symbol by the next [`LOOKUP_BITS`] bits; length 0 for longer codes.
    lookup: [(u8, u8); 1 << LOOKUP_BITS],
    /// By the next [`NUMBER_BITS`] bits.
    numbers: [Number; 1 << NUMBER_BITS],
    /// By length, from 1: the first code that is too large for it, at 16 bits.
    limits: [u32; LONGEST_CODE],
    /// By length: what, added to a code, gives the place of its symbol.
    offsets: [i32; LONGEST_CODE],
    symbols: Vec<u8>,
}

/// A code and the number behind it.
#[derive(Clone, Copy, Default)]
struct Number {
    value: i16,
    /// The upper half of the symbol.
    zeros: u8,
    /// Bits of both; 0 if there are more than were looked at.
    length: u8,
}

impl Table {
    /// A table as it stands in a file: how many codes there are of each length, then their symbols.
    pub(super) fn new(counts: [u8; LONGEST_CODE], symbols: &[u8]) -> Result<Self, Failure> {
        let mut table = Self {
            lookup: [(0, 0); 1 << LOOKUP_BITS],
            numbers: [Number::default(); 1 << NUMBER_BITS],
            limits: [0; LONGEST_CODE],
            offsets: [0; LONGEST_CODE],
            symbols: Vec::new(),
        };
        let (mut code, mut place) = (0_u32, 0_usize);
        for (index, &count) in counts.iter().enumerate() {
            let length = index as u32 + 1;
            table.offsets[index] = place as i32 - code as i32;
            for _ in 0..count {
                let symbol = *symbols.get(place).ok_or_else(too_many)?;
                if code >> length != 0 {
                    return Err(too_many());
                }
                table.add(code, length, symbol);
                code += 1;
                place += 1;
            }
            table.limits[index] = code << (LONGEST_CODE as u32 - length);
            code <<= 1;
        }
        table.symbols = symbols[..place].to_vec();
        Ok(table)
    }

    /// Adds a code to what is looked up.
    fn add(&mut self, code: u32, length: u32, symbol: u8) {
        if length <= LOOKUP_BITS {
            let first = (code << (LOOKUP_BITS - length)) as usize;
            self.lookup[first..first + (1 << (LOOKUP_BITS - length))].fill((length as u8, symbol));
        }
        let size = u32::from(symbol & 15);
        let both = length + size;
        if both <= NUMBER_BITS {
            let first = (code << (NUMBER_BITS - length)) as usize;
            let numbers = &mut self.numbers[first..first + (1 << (NUMBER_BITS - length))];
            for (bits, number) in numbers.iter_mut().enumerate() {
                *number = Number {
                    value: signed(bits as u32 >> (NUMBER_BITS - both), size) as i16,
                    zeros: symbol >> 4,
                    length: both as u8,
                };
            }
        }
    }

    /// Length and symbol of a code that is longer than [`LOOKUP_BITS`], from the next 16 bits.
    #[cold]
    fn long_symbol(&self, code: u32) -> Option<(u32, u8)> {
        let index =
            (LOOKUP_BITS as usize..LONGEST_CODE).find(|&index| code < self.limits[index])?;
        let place = (code >> (LONGEST_CODE - 1 - index)) as i32 + self.offsets[index];
        let symbol = usize::try_from(place).ok();
        let symbol = symbol.and_then(|place| self.symbols.get(place).copied());
        Some((index as u32 + 1, symbol.unwrap_or(0)))
    }

    /// The tables that pictures without any mean (ITU T.81, annex K.3): for direct current and for
    /// alternating current, of brightness (0) and colour (1).
    pub(super) fn standard(is_direct: bool, index: usize) -> Option<Self> {
        let (counts, symbols): (_, &[u8]) = match (is_direct, index) {
            (true, 0) => (DIRECT_COUNTS[0], &DIRECT_SYMBOLS),
            (true, 1) => (DIRECT_COUNTS[1], &DIRECT_SYMBOLS),
            (false, 0) => (ALTERNATING_COUNTS[0], &ALTERNATING_SYMBOLS[0]),
            (false, 1) => (ALTERNATING_COUNTS[1], &ALTERNATING_SYMBOLS[1]),
            _ => return None,
        };
        Self::new(counts, symbols).ok()
    }
}

fn too_many() -> Failure {
    invalid("one of its Huffman tables has more codes than fit")
}

/// The number that `size` bits stand for, at most 15: without its upper bit it is negative. It is 0 only if there
/// are none.
#[inline]
fn signed(bits: u32, size: u32) -> i32 {
    let value = bits as i32;
    if value < (1 << size) >> 1 {
        value - (1 << size) + 1
    } else {
        value
    }
}

/// Bits of entropy-coded data, up to the next marker. Behind that come zeros.
///
/// A loop over bits works on a copy, which the compiler can keep in registers.
#[derive(Clone, Copy)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    /// The next byte that is not in `buffer`; never behind a marker.
    at: usize,
    /// The next bits, at its upper end; zeros below.
    buffer: u64,
    count: u32,
    /// Whether bits were asked for that are not there.
    pub(super) is_exhausted: bool,
    /// Whether there was something that no encoder writes.
    pub(super) is_damaged: bool,
    /// Whether no restart marker follows any more.
    pub(super) is_ended: bool,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self {
            bytes,
            at,
            buffer: 0,
            count: 0,
            is_exhausted: false,
            is_damaged: false,
            is_ended: false,
        }
    }

    /// Where the next marker is to be looked for.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    #[inline]
    fn refill(&mut self) {
        if self.count >= 32 {
            return;
        }
        if let Some(next) = self.bytes.get(self.at..).and_then(<[u8]>::first_chunk) {
            let next = u64::from_be_bytes(*next);
            // No byte is 0xFF: none of the inverted ones is 0.
            let inverted = !next;
            if inverted.wrapping_sub(0x0101_0101_0101_0101) & next & 0x8080_8080_8080_8080 == 0 {
                let taken = (64 - self.count) / 8;
                self.at += taken as usize;
                let whole = (next >> (64 - taken * 8)) << (64 - taken * 8);
                self.buffer |= whole >> self.count;
                self.count += taken * 8;
                return;
            }
        }
        *self = self.refilled();
    }

    /// Byte by byte, up to a marker. By value, so that no address of a copy is known to others.
    #[inline(never)]
    fn refilled(mut self) -> Self {
        while self.count <= 56 {
            let byte = match (self.bytes.get(self.at), self.bytes.get(self.at + 1)) {
                (Some(0xFF), Some(0)) => {
                    self.at += 2;
                    0xFF
                }
                // Fill bytes before a marker.
                (Some(0xFF), Some(0xFF)) => {
                    self.at += 1;
                    continue;
                }
                (Some(0xFF) | None, _) => break,
                (Some(&byte), _) => {
                    self.at += 1;
                    byte
                }
            };
            self.buffer |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
        self
    }

    #[inline]
    fn skip(&mut self, count: u32) {
        if count > self.count {
            self.is_exhausted = true;
            self.count = 64;
        }
        self.buffer <<= count;
        self.count -= count;
    }

    /// The next `count` bits, at most 16, of those that [`Self::refill`] has made ready: a code and
    /// the number behind it are at most 32.
    #[inline]
    fn ready(&mut self, count: u32) -> u32 {
        if count == 0 {
            return 0;
        }
        let value = (self.buffer >> (64 - count)) as u32;
        self.skip(count);
        value
    }

    /// The next `count` bits, at most 16.
    #[inline]
    pub(super) fn take(&mut self, count: u32) -> u32 {
        self.refill();
        self.ready(count)
    }

    /// The next bit.
    #[inline]
    pub(super) fn bit(&mut self) -> bool {
        self.take(1) == 1
    }

    /// The next symbol. A code that stands for none counts as symbol 0.
    #[inline]
    pub(super) fn symbol(&mut self, table: &Table) -> u8 {
        self.refill();
        self.ready_symbol(table)
    }

    /// The next symbol, of bits that were made ready.
    #[inline]
    fn ready_symbol(&mut self, table: &Table) -> u8 {
        let (length, symbol) = table.lookup[(self.buffer >> (64 - LOOKUP_BITS)) as usize];
        if length > 0 {
            self.skip(u32::from(length));
            return symbol;
        }
        let code = (self.buffer >> (64 - LONGEST_CODE)) as u32;
        let Some((length, symbol)) = table.long_symbol(code) else {
            self.is_damaged |= !self.is_exhausted;
            self.skip(LONGEST_CODE as u32);
            return 0;
        };
        self.skip(length);
        symbol
    }

    /// The next symbol's upper half, and the number behind it whose size is its lower half: 0 for size 0 alone.
    #[inline]
    pub(super) fn number(&mut self, table: &Table) -> (usize, i32) {
        self.refill();
        let number = table.numbers[(self.buffer >> (64 - NUMBER_BITS)) as usize];
        if number.length > 0 {
            self.skip(u32::from(number.length));
            return (usize::from(number.zeros), i32::from(number.value));
        }
        let symbol = self.ready_symbol(table);
        let size = u32::from(symbol & 15);
        (usize::from(symbol >> 4), signed(self.ready(size), size))
    }

    /// Goes behind the restart marker with this number (0 to 7). Gives whether data follow; with
    /// markers missing or too many it does what libjpeg does.
    pub(super) fn restart(&mut self, number: u8) -> bool {
        // The rest of the file was searched already; each of a million intervals would do so again.
        if self.is_ended {
            return false;
        }
        (self.buffer, self.count) = (0, 0);
        self.is_exhausted = false;
        loop {
            let Some((marker, behind)) = next_marker(self.bytes, self.at) else {
                self.is_ended = true;
                return false;
            };
            if !matches!(marker, 0xD0..=0xD7) {
                if marker < 0xC0 {
                    self.at = behind;
                    continue;
                }
                self.is_ended = true;
                return false;
            }
            match (marker - 0xD0).wrapping_sub(number) & 7 {
                0 => {
                    self.at = behind;
                    return true;
                }
                // One of the next two: what this one begins with is missing.
                1 | 2 => return false,
                // One of the last two: it is there twice, or too late.
                6 | 7 => self.at = behind,
                _ => {
                    self.is_damaged = true;
                    self.at = behind;
                    return true;
                }
            }
            self.is_damaged = true;
        }
    }
}

/// The next marker at `at` or behind, and the place behind it.
pub(super) fn next_marker(bytes: &[u8], at: usize) -> Option<(u8, usize)> {
    let rest = bytes.get(at..)?;
    let pairs = rest.windows(2);
    let place = pairs
        .into_iter()
        .position(|pair| pair[0] == 0xFF && !matches!(pair[1], 0 | 0xFF))?;
    Some((rest[place + 1], at + place + 2))
}

const DIRECT_COUNTS: [[u8; LONGEST_CODE]; 2] = [
    [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0],
    [0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0],
];
const DIRECT_SYMBOLS: [u8; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
const ALTERNATING_COUNTS: [[u8; LONGEST_CODE]; 2] = [
    [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 0x7D],
    [0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 0x77],
];
#[rustfmt::skip]
const ALTERNATING_SYMBOLS: [[u8; 162]; 2] = [
    [
        0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07,
        0x22, 0x71, 0x14, 0x32, 0x81, 0x91, 0xA1, 0x08, 0x23, 0x42, 0xB1, 0xC1, 0x15, 0x52, 0xD1, 0xF0,
        0x24, 0x33, 0x62, 0x72, 0x82, 0x09, 0x0A, 0x16, 0x17, 0x18, 0x19, 0x1A, 0x25, 0x26, 0x27, 0x28,
        0x29, 0x2A, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3A, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49,
        0x4A, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5A, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69,
        0x6A, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7A, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89,
        0x8A, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9A, 0xA2, 0xA3, 0xA4, 0xA5, 0xA6, 0xA7,
        0xA8, 0xA9, 0xAA, 0xB2, 0xB3, 0xB4, 0xB5, 0xB6, 0xB7, 0xB8, 0xB9, 0xBA, 0xC2, 0xC3, 0xC4, 0xC5,
        0xC6, 0xC7, 0xC8, 0xC9, 0xCA, 0xD2, 0xD3, 0xD4, 0xD5, 0xD6, 0xD7, 0xD8, 0xD9, 0xDA, 0xE1, 0xE2,
        0xE3, 0xE4, 0xE5, 0xE6, 0xE7, 0xE8, 0xE9, 0xEA, 0xF1, 0xF2, 0xF3, 0xF4, 0xF5, 0xF6, 0xF7, 0xF8,
        0xF9, 0xFA,
    ],
    [
        0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07, 0x61, 0x71,
        0x13, 0x22, 0x32, 0x81, 0x08, 0x14, 0x42, 0x91, 0xA1, 0xB1, 0xC1, 0x09, 0x23, 0x33, 0x52, 0xF0,
        0x15, 0x62, 0x72, 0xD1, 0x0A, 0x16, 0x24, 0x34, 0xE1, 0x25, 0xF1, 0x17, 0x18, 0x19, 0x1A, 0x26,
        0x27, 0x28, 0x29, 0x2A, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3A, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48,
        0x49, 0x4A, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5A, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68,
        0x69, 0x6A, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7A, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87,
        0x88, 0x89, 0x8A, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9A, 0xA2, 0xA3, 0xA4, 0xA5,
        0xA6, 0xA7, 0xA8, 0xA9, 0xAA, 0xB2, 0xB3, 0xB4, 0xB5, 0xB6, 0xB7, 0xB8, 0xB9, 0xBA, 0xC2, 0xC3,
        0xC4, 0xC5, 0xC6, 0xC7, 0xC8, 0xC9, 0xCA, 0xD2, 0xD3, 0xD4, 0xD5, 0xD6, 0xD7, 0xD8, 0xD9, 0xDA,
        0xE2, 0xE3, 0xE4, 0xE5, 0xE6, 0xE7, 0xE8, 0xE9, 0xEA, 0xF2, 0xF3, 0xF4, 0xF5, 0xF6, 0xF7, 0xF8,
        0xF9, 0xFA,
    ],
];
