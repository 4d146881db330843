//! The few protobuf messages of an event file, and the frame around each.
//!
//! From TensorFlow's `core/util/event.proto`, `core/framework/summary.proto` and
//! `core/lib/io/record_writer.h`:
//!
//! | message | field | number | wire type |
//! |---|---|---|---|
//! | `Event` | `wall_time` (`double`, seconds since 1970) | 1 | 1, eight bytes |
//! | | `step` (`int64`) | 2 | 0, varint |
//! | | `file_version` (`string`) | 3 | 2, length and bytes |
//! | | `summary` (`Summary`) | 5 | 2 |
//! | | `session_log` (`SessionLog`) | 7 | 2 |
//! | `Summary` | `value` (`Summary.Value`, repeated) | 1 | 2 |
//! | `Summary.Value` | `tag` (`string`) | 1 | 2 |
//! | | `simple_value` (`float`) | 2 | 5, four bytes |
//! | `SessionLog` | `status` (enumeration, `START` = 1) | 1 | 0 |
//!
//! A field begins with the varint of `number << 3 | wire type`. A varint is a number in groups of
//! seven bits, lowest first, with the top bit of each byte set except in the last. All fixed widths
//! are little endian.

/// What `Event.file_version` says in the first record of a file.
const FILE_VERSION: &str = "brain.Event:2";

const VARINT: u64 = 0;
const EIGHT_BYTES: u64 = 1;
const LENGTH_AND_BYTES: u64 = 2;
const FOUR_BYTES: u64 = 5;

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn key(out: &mut Vec<u8>, number: u64, wire_type: u64) {
    varint(out, number << 3 | wire_type);
}

fn bytes(out: &mut Vec<u8>, number: u64, content: &[u8]) {
    key(out, number, LENGTH_AND_BYTES);
    varint(out, content.len() as u64);
    out.extend_from_slice(content);
}

/// An `Event` with its time and step; a step of zero is protobuf's default and not written.
fn event(wall_time: f64, step: i64) -> Vec<u8> {
    let mut out = Vec::new();
    key(&mut out, 1, EIGHT_BYTES);
    out.extend_from_slice(&wall_time.to_le_bytes());
    if step != 0 {
        key(&mut out, 2, VARINT);
        // Negative numbers, which do not occur, would be written as their two's complement.
        varint(&mut out, step as u64);
    }
    out
}

/// The `Event` that every file begins with.
pub(super) fn version_event(wall_time: f64) -> Vec<u8> {
    let mut out = event(wall_time, 0);
    bytes(&mut out, 3, FILE_VERSION.as_bytes());
    out
}

/// The `Event` after which readers forget what earlier files say of `step` and later ones.
pub(super) fn start_event(wall_time: f64, step: i64) -> Vec<u8> {
    let mut session_log = Vec::new();
    key(&mut session_log, 1, VARINT);
    varint(&mut session_log, 1);
    let mut out = event(wall_time, step);
    bytes(&mut out, 7, &session_log);
    out
}

/// An `Event` with scalars.
pub(super) fn scalar_event(wall_time: f64, step: i64, scalars: &[(String, f32)]) -> Vec<u8> {
    let mut summary = Vec::new();
    for (tag, number) in scalars {
        let mut value = Vec::new();
        bytes(&mut value, 1, tag.as_bytes());
        key(&mut value, 2, FOUR_BYTES);
        value.extend_from_slice(&number.to_le_bytes());
        bytes(&mut summary, 1, &value);
    }
    let mut out = event(wall_time, step);
    bytes(&mut out, 5, &summary);
    out
}

/// A `TFRecord`: the length in eight bytes, its checksum in four, the data, its checksum in four.
pub(super) fn frame(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut out = Vec::with_capacity(data.len() + 16);
    out.extend_from_slice(&length);
    out.extend_from_slice(&masked_crc(&length).to_le_bytes());
    out.extend_from_slice(data);
    out.extend_from_slice(&masked_crc(data).to_le_bytes());
    out
}

/// CRC-32C, turned by 15 bits and shifted by a constant, because the checksum of data that contains
/// its own checksum is a poor one.
fn masked_crc(data: &[u8]) -> u32 {
    crc32c::crc32c(data)
        .rotate_right(15)
        .wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_are_those_of_the_protobuf_manual() {
        for (value, expected) in [
            (0, vec![0]),
            (1, vec![1]),
            (127, vec![0x7f]),
            (128, vec![0x80, 1]),
            (150, vec![0x96, 1]),
            (300, vec![0xac, 2]),
            (u64::MAX, [vec![0xff; 9], vec![1]].concat()),
        ] {
            let mut out = Vec::new();
            varint(&mut out, value);
            assert_eq!(out, expected, "{value}");
        }
    }

    #[test]
    fn checksum_is_crc_32c_with_the_mask_undone() {
        // The check value of CRC-32C, as catalogues of checksums give it.
        let unmasked = masked_crc(b"123456789")
            .wrapping_sub(0xa282_ead8)
            .rotate_left(15);
        assert_eq!(unmasked, 0xe306_9283);
    }
}
