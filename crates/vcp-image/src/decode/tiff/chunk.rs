//! From the bytes of a strip or tile in the file to rows of samples.

use std::io::{Cursor, ErrorKind, Read, Seek};

use ::tiff::TiffError;
use ::tiff::decoder::{Decoder, DecodingResult, Limits};

use super::Fault;
use super::directory::Source;
use super::page::{Colour, FAX4, JPEG, Page, UNCOMPRESSED};
use crate::decode::jpeg::jpeg_is_complete;

/// The rows of a chunk as they were before they were packed: [`Page::row_bytes`] for each row, in the
/// byte order of the file.
pub(super) fn unpacked<R: Read + Seek>(
    source: &mut Source<R>,
    page: &Page,
    index: u64,
    rows: u64,
) -> Result<Vec<u8>, Fault> {
    let is_subsampled = page.subsampling != (1, 1) && page.compression != JPEG;
    let row_bytes = page.row_bytes();
    let expected = if is_subsampled {
        subsampled_bytes(page, rows)
    } else {
        row_bytes.saturating_mul(rows)
    };
    let (offset, length) = page
        .place(index, expected)
        .ok_or_else(|| Fault::invalid("it does not say where all of its pixels are"))?;
    let length = length.unwrap_or_else(|| source.bytes_after(offset));
    // What compresses nothing still makes data little longer than they are; many strips that all claim
    // the whole file would be read for ever.
    let length = if page.compression == UNCOMPRESSED {
        length
    } else {
        length.min(expected.saturating_mul(4).saturating_add(1 << 16))
    };
    let mut bytes = source.read(offset, length)?;
    // JPEG knows one order of bits only, whatever the tag says.
    if page.is_reversed && page.compression != JPEG {
        for byte in &mut bytes {
            *byte = byte.reverse_bits();
        }
    }
    if page.compression != UNCOMPRESSED {
        // Asked for as a question: to allocate what there is not ends the process.
        let size = usize::try_from(expected).unwrap_or(usize::MAX);
        if Vec::<u8>::new().try_reserve_exact(size).is_err() {
            return Err(Fault::NoMemory {
                width: page.width,
                height: page.height,
                bytes: expected,
            });
        }
        let (width, bits) = if page.compression == FAX4 {
            (page.chunk.0, 1)
        } else if is_subsampled {
            (expected, 8)
        } else {
            (row_bytes, 8)
        };
        let height = if is_subsampled { 1 } else { rows };
        if page.compression == JPEG {
            check_jpeg(&bytes, page, rows)?;
        }
        bytes = decompressed(page, &bytes, (width, height), bits)?;
    }
    if bytes.len() as u64 != expected {
        return Err(Fault::invalid(
            "one of its strips or tiles has another size than it says",
        ));
    }
    if is_subsampled {
        return Ok(full_resolution(page, &bytes, rows as usize));
    }
    if row_bytes > 0 {
        for row in bytes.chunks_exact_mut(row_bytes as usize) {
            undo_differences(page, row);
        }
    }
    Ok(bytes)
}

/// Unpacks a chunk with the decoder of the crate `tiff`, which is given the chunk as if it were a
/// picture of bytes: it knows the packings, but of their meaning only some.
fn decompressed(
    page: &Page,
    bytes: &[u8],
    (width, height): (u64, u64),
    bits: u32,
) -> Result<Vec<u8>, Fault> {
    let number = |value: u64| u32::try_from(value).map_err(|_| Fault::Memory);
    let tables = page.jpeg_tables.as_deref();
    let tables = tables.filter(|tables| page.compression == JPEG && tables.len() > 4);
    let count: u32 = if tables.is_some() { 10 } else { 9 };
    let after_directory = 8 + 2 + count * 12 + 4;
    let table_length = number(tables.map_or(0, <[u8]>::len) as u64)?;
    let length = number(bytes.len() as u64)?;
    let (short, long, undefined) = (3_u16, 4_u16, 7_u16);
    let mut entries = vec![
        (256_u16, long, 1, number(width)?),
        (257, long, 1, number(height)?),
        (258, short, 1, bits),
        (259, short, 1, number(page.compression)?),
        (262, short, 1, 1),
        (273, long, 1, after_directory + table_length),
        (277, short, 1, 1),
        (278, long, 1, number(height)?),
        (279, long, 1, length),
    ];
    if tables.is_some() {
        entries.push((347, undefined, table_length, after_directory));
    }
    let mut file = Vec::with_capacity((after_directory + table_length) as usize + bytes.len());
    file.extend(*b"II\x2a\0\x08\0\0\0");
    file.extend((count as u16).to_le_bytes());
    for (tag, kind, values, value) in entries {
        file.extend(tag.to_le_bytes());
        file.extend(kind.to_le_bytes());
        file.extend(values.to_le_bytes());
        file.extend(value.to_le_bytes());
    }
    file.extend([0; 4]);
    file.extend(tables.unwrap_or_default());
    file.extend(bytes);

    let mut limits = Limits::unlimited();
    limits.decoding_buffer_size =
        usize::try_from(width.saturating_mul(height)).unwrap_or(usize::MAX);
    let outcome = Decoder::new(Cursor::new(file))
        .map(|decoder| decoder.with_limits(limits))
        .and_then(|mut decoder| decoder.read_image());
    match outcome {
        Ok(DecodingResult::U8(bytes)) => Ok(bytes),
        Ok(_) => Err(Fault::invalid(
            "its pixels are of another kind than it says",
        )),
        Err(TiffError::IoError(error)) if error.kind() == ErrorKind::UnexpectedEof => {
            Err(Fault::Read(error))
        }
        Err(error) => Err(Fault::invalid(error.to_string())),
    }
}

/// A JPEG strip must have the size that the file gives it, before memory for it is asked for, and its
/// end, since the decoder fills what is missing with grey.
fn check_jpeg(bytes: &[u8], page: &Page, rows: u64) -> Result<(), Fault> {
    let wrong = || Fault::invalid("one of its strips or tiles has another size than it says");
    let mut rest = bytes.get(2..).ok_or_else(wrong)?;
    let (height, width, components) = loop {
        let [0xFF, marker, high, low, ..] = *rest else {
            return Err(wrong());
        };
        if marker == 0xFF {
            rest = &rest[1..];
            continue;
        }
        if matches!(marker, 0xC0..=0xCF) && !matches!(marker, 0xC4 | 0xC8 | 0xCC) {
            let number = |at: usize| {
                let bytes = rest.get(at..at + 2)?;
                Some(u64::from(u16::from_be_bytes([bytes[0], bytes[1]])))
            };
            let components = rest.get(9).copied().map(u64::from);
            break number(5)
                .zip(number(7))
                .zip(components)
                .map(|((height, width), components)| (height, width, components))
                .ok_or_else(wrong)?;
        }
        let length = usize::from(u16::from_be_bytes([high, low]));
        rest = rest.get(2 + length.max(2)..).ok_or_else(wrong)?;
    };
    // The last strip may be as tall as the others.
    let fits = (rows..=page.chunk.1.max(rows)).contains(&height);
    if width != page.chunk.0 || !fits || components != page.samples_together() {
        return Err(wrong());
    }
    if jpeg_is_complete(bytes) {
        Ok(())
    } else {
        Err(Fault::Read(ErrorKind::UnexpectedEof.into()))
    }
}

/// Bytes of a chunk whose colours have a lower resolution.
fn subsampled_bytes(page: &Page, rows: u64) -> u64 {
    let (across, down) = page.subsampling;
    let units = page
        .chunk
        .0
        .div_ceil(across)
        .saturating_mul(rows.div_ceil(down));
    units.saturating_mul(across * down + 2)
}

/// Brightness and colour of each pixel, from units of some brightnesses and the colour they share.
fn full_resolution(page: &Page, bytes: &[u8], rows: usize) -> Vec<u8> {
    let (across, down) = (page.subsampling.0 as usize, page.subsampling.1 as usize);
    let width = page.chunk.0 as usize;
    let units = width.div_ceil(across);
    let unit = across * down + 2;
    let mut pixels = Vec::with_capacity(rows * width * 3);
    for y in 0..rows {
        for x in 0..width {
            let at = (y / down * units + x / across) * unit;
            let unit = &bytes[at..at + unit];
            pixels.push(unit[y % down * across + x % across]);
            pixels.extend_from_slice(&unit[across * down..]);
        }
    }
    pixels
}

/// Makes samples of the differences that a predictor stored, in the byte order of the file.
fn undo_differences(page: &Page, row: &mut [u8]) {
    debug_assert!(!matches!(page.colour, Colour::YCbCr) || page.predictor == 1);
    let samples = page.samples_together() as usize;
    match (page.predictor, page.bits) {
        (2, 8) => {
            for at in samples..row.len() {
                row[at] = row[at].wrapping_add(row[at - samples]);
            }
        }
        (2, 16) => {
            let (values, _) = row.as_chunks_mut::<2>();
            for at in samples..values.len() {
                let sum = page
                    .order
                    .u16(values[at])
                    .wrapping_add(page.order.u16(values[at - samples]));
                values[at] = page.order.u16_bytes(sum);
            }
        }
        (2, _) => {
            let (values, _) = row.as_chunks_mut::<4>();
            for at in samples..values.len() {
                let sum = page
                    .order
                    .u32(values[at])
                    .wrapping_add(page.order.u32(values[at - samples]));
                values[at] = page.order.u32_bytes(sum);
            }
        }
        (3, _) => {
            // The bytes of all numbers apart, the highest first, and then their differences.
            for at in samples..row.len() {
                row[at] = row[at].wrapping_add(row[at - samples]);
            }
            let size = (page.bits / 8) as usize;
            let count = row.len() / size;
            let planes = row.to_vec();
            for (index, number) in row.chunks_exact_mut(size).enumerate() {
                for (byte, to) in number.iter_mut().enumerate() {
                    *to = planes[byte * count + index];
                }
                if page.order == super::directory::Order::Little {
                    number.reverse();
                }
            }
        }
        _ => {}
    }
}
