//! Maps as arrays that NumPy reads.

use std::io::{self, Write};

use npyz::WriterBuilder as _;

use crate::MapRows;

/// Writes a map as a file in NumPy's format: an f32 array `[height, width]`, row by row.
///
/// # Errors
/// Those of `writer`.
pub fn encode_npy(map: &(impl MapRows + ?Sized), writer: impl Write) -> io::Result<()> {
    let mut writer = npyz::WriteOptions::new()
        .default_dtype()
        .shape(&[map.height() as u64, map.width() as u64])
        .writer(writer)
        .begin_nd()?;
    let mut row = vec![0.0_f32; map.width()];
    for y in 0..map.height() {
        map.row(y, &mut row);
        writer.extend(row.iter().copied())?;
    }
    writer.finish()
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
    }
}
