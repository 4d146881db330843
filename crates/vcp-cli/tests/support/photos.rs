//! Photos made by the tests.

use std::fs;
use std::path::Path;

/// Writes a photo of this size with some structure that depends on `seed`, creating the folders
/// above it. It is a BMP whatever it is called: formats are judged by content.
pub(crate) fn write(path: &Path, width: usize, height: usize, seed: usize) {
    let stride = (width * 3).next_multiple_of(4);
    let size = stride * height;
    let mut file = Vec::with_capacity(54 + size);
    file.extend(b"BM");
    file.extend((54 + size as u32).to_le_bytes());
    file.extend([0; 4]);
    file.extend(54_u32.to_le_bytes());
    file.extend(40_u32.to_le_bytes());
    file.extend((width as u32).to_le_bytes());
    file.extend((height as u32).to_le_bytes());
    file.extend([1, 0, 24, 0]);
    file.extend([0; 24]);
    for y in 0..height {
        let row = file.len();
        for x in 0..width {
            let value = |scale: usize| ((x * scale + y * (seed + 3)) % 256) as u8;
            file.extend([value(1), value(2 + seed), value(5)]);
        }
        file.resize(row + stride, 0);
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).unwrap();
    }
    fs::write(path, file).unwrap();
}

/// Writes a grey TIFF of 16-bit samples, a page for each list of `width` times `height` of them.
pub(crate) fn write_tiff16(path: &Path, width: usize, height: usize, pages: &[Vec<u16>]) {
    let mut file = b"II\x2a\0\0\0\0\0".to_vec();
    let mut link = 4;
    for samples in pages {
        let offset = file.len() as u32;
        file.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
        let directory = (file.len() as u32).to_le_bytes();
        file[link..link + 4].copy_from_slice(&directory);
        let entries = [
            (256_u16, width as u32),
            (257, height as u32),
            (258, 16),
            (259, 1),
            (262, 1),
            (273, offset),
            (277, 1),
            (278, height as u32),
            (279, 2 * (width * height) as u32),
        ];
        file.extend((entries.len() as u16).to_le_bytes());
        for (tag, value) in entries {
            file.extend(tag.to_le_bytes());
            file.extend([4, 0, 1, 0, 0, 0]);
            file.extend(value.to_le_bytes());
        }
        link = file.len();
        file.extend([0; 4]);
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).unwrap();
    }
    fs::write(path, file).unwrap();
}
