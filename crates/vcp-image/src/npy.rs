//! Maps as arrays that `NumPy` reads.

use std::io::{self, Write};

use crate::MapRows;

/// Writes a map as a file in `NumPy`'s format: an f32 array `[height, width]`, row by row.
///
/// # Errors
/// Those of `writer`.
pub fn encode_npy(map: &(impl MapRows + ?Sized), mut writer: impl Write) -> io::Result<()> {
    writer.write_all(&header(map.height(), map.width()))?;
    let mut row = vec![0.0_f32; map.width()];
    for y in 0..map.height() {
        map.row(y, &mut row);
        let bytes: Vec<u8> = row.iter().flat_map(|value| value.to_le_bytes()).collect();
        writer.write_all(&bytes)?;
    }
    writer.flush()
}

/// What precedes the values in version 1.0 of the format (`numpy.lib.format`): a mark, the version, the
/// length of what follows, and a Python dictionary that ends in a line feed, with spaces before it so that
/// the values begin at a multiple of 64 bytes. All numbers are little-endian.
fn header(height: usize, width: usize) -> Vec<u8> {
    const START: &[u8] = b"\x93NUMPY\x01\x00";
    const ALIGNMENT: usize = 64;
    let mut dictionary =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({height}, {width}), }}");
    let unpadded = START.len() + size_of::<u16>() + dictionary.len() + 1;
    let padding = unpadded.next_multiple_of(ALIGNMENT) - unpadded;
    dictionary.extend(std::iter::repeat_n(' ', padding));
    dictionary.push('\n');
    let length = dictionary.len() as u16;
    [START, &length.to_le_bytes(), dictionary.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PlainMap;

    #[test]
    fn shape_and_values_are_read_back() {
        let values = [0.0, 0.25, 0.5, 0.75, 1.0, f32::MIN_POSITIVE];
        let mut file = Vec::new();
        encode_npy(&PlainMap::new(&values, 3), &mut file).unwrap();
        let read = npyz::NpyFile::new(&file[..]).unwrap();
        assert_eq!(read.shape(), [2, 3]);
        assert_eq!(read.into_vec::<f32>().unwrap(), values);
        assert_eq!(file.len() - size_of_val(&values), 128);
    }
}
