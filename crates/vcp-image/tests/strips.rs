//! TIFF files read by strips give what they give when decoded whole.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use tempfile::TempDir;
use tiff::encoder::{Compression, Predictor, TiffEncoder as StripEncoder, colortype};
use vcp_image::{DecodeOptions, PhotoFile, PhotoRows, decode_file};

fn samples(count: usize) -> Vec<u8> {
    let numbers = (0..count as u32).map(|index| index.wrapping_mul(2_654_435_761));
    numbers.map(|number| (number >> 21) as u8).collect()
}

/// Writes a TIFF of `rows` rows in a strip.
fn write<Color: colortype::ColorType>(
    folder: &TempDir,
    (width, height, rows): (u32, u32, u32),
    compression: Compression,
    predictor: Predictor,
    samples: &[Color::Inner],
) -> PathBuf
where
    [Color::Inner]: tiff::encoder::TiffValue,
{
    let path = folder.path().join("photo.tif");
    let file = std::io::BufWriter::new(std::fs::File::create(&path).expect("a file"));
    let mut encoder = StripEncoder::new(file)
        .expect("an encoder")
        .with_compression(compression)
        .with_predictor(predictor);
    let mut image = encoder.new_image::<Color>(width, height).expect("an image");
    image.rows_per_strip(rows).expect("whole rows");
    image.write_data(samples).expect("all rows");
    path
}

fn assert_same(path: &Path, is_streamed: bool) {
    let options = DecodeOptions::default();
    let expected = decode_file(path, &options).expect("a photo");
    let mut file = PhotoFile::open(path, &options).expect("a photo");
    assert_eq!(file.is_streamed(), is_streamed);
    let size = (expected.width(), expected.height());
    assert_eq!((file.width(), file.height()), size);
    let height = expected.height();
    // Downwards with overlaps, over gaps, and upwards again.
    let middle = height / 2;
    for range in [
        0..height,
        0..1,
        0..middle.max(1),
        middle / 2..height,
        height - 1..height,
        0..1,
        middle..middle + 1,
        middle..height,
        0..height,
    ] {
        let rows = file.rows(range.clone()).expect("rows");
        assert!(
            *rows == expected.crop(0..size.0, range.clone()),
            "{range:?}"
        );
    }
    assert!(*file.whole().expect("a photo") == expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn strips_are_the_photo(
        width in 1_u32..40,
        height in 2_u32..60,
        rows in 1_u32..30,
        packed in 0..3_usize,
        differences in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        let size = (width, height, rows);
        let compression =
            [Compression::Uncompressed, Compression::Lzw, Compression::Packbits][packed];
        let predictor = if differences && packed == 1 {
            Predictor::Horizontal
        } else {
            Predictor::None
        };
        let pixels = (width * height) as usize;
        let bytes = samples(pixels * 4);
        let wide: Vec<u16> = samples(pixels * 8)
            .as_chunks()
            .0
            .iter()
            .map(|pair| u16::from_le_bytes(*pair))
            .collect();
        let is_streamed = rows < height;
        let path = write::<colortype::Gray8>(&folder, size, compression, predictor, &bytes[..pixels]);
        assert_same(&path, is_streamed);
        let path = write::<colortype::RGB8>(&folder, size, compression, predictor, &bytes[..3 * pixels]);
        assert_same(&path, is_streamed);
        let path = write::<colortype::RGBA8>(&folder, size, compression, predictor, &bytes);
        assert_same(&path, is_streamed);
        let path = write::<colortype::Gray16>(&folder, size, compression, predictor, &wide[..pixels]);
        assert_same(&path, is_streamed);
        let path = write::<colortype::RGB16>(&folder, size, compression, predictor, &wide[..3 * pixels]);
        assert_same(&path, is_streamed);
    }
}

#[test]
fn other_files_are_decoded_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("photo.tif");
    let photo = image::RgbImage::from_raw(30, 20, samples(30 * 20 * 3)).expect("a photo");
    photo
        .save_with_format(&path, image::ImageFormat::Png)
        .expect("a file");
    assert_same(&path, false);
    // One strip.
    let size = (7, 5, 5);
    let path = write::<colortype::RGB8>(
        &folder,
        size,
        Compression::Uncompressed,
        Predictor::None,
        &samples(105),
    );
    assert_same(&path, false);
    // Other kinds of samples are refused as ever.
    let numbers = vec![7_u32; 40 * 40];
    let (size, none) = ((40, 40, 10), Predictor::None);
    let path = write::<colortype::Gray32>(&folder, size, Compression::Uncompressed, none, &numbers);
    let options = DecodeOptions::default();
    let whole = decode_file(&path, &options)
        .expect_err("no photo")
        .to_string();
    let opened = PhotoFile::open(&path, &options)
        .err()
        .map(|error| error.to_string());
    assert_eq!(opened, Some(whole));
}

#[test]
fn limits_hold_for_strips_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let size = (30, 20, 4);
    let path = write::<colortype::Gray8>(
        &folder,
        size,
        Compression::Uncompressed,
        Predictor::None,
        &samples(600),
    );
    let options = DecodeOptions {
        max_pixels: 599,
        ..DecodeOptions::default()
    };
    let error = PhotoFile::open(&path, &options).err().expect("too large");
    assert!(error.to_string().contains("599"), "{error}");
}

/// A file cut off anywhere gives its first rows or an error, never a panic or made-up rows.
#[test]
fn cut_and_damaged_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let size = (30, 20, 4);
    for compression in [Compression::Uncompressed, Compression::Lzw] {
        let path =
            write::<colortype::RGB8>(&folder, size, compression, Predictor::None, &samples(1800));
        let bytes = std::fs::read(&path).expect("a file");
        let options = DecodeOptions {
            max_pixels: 100_000,
            ..DecodeOptions::default()
        };
        let expected = decode_file(&path, &options).expect("a photo");
        let cut = folder.path().join("cut.tif");
        for length in (0..bytes.len()).step_by(37) {
            std::fs::write(&cut, &bytes[..length]).expect("a file");
            if let Ok(mut file) = PhotoFile::open(&cut, &options)
                && let Ok(rows) = file.rows(0..20)
            {
                assert!(*rows == expected);
            }
        }
        for index in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[index] ^= 0xFF;
            std::fs::write(&cut, &damaged).expect("a file");
            if let Ok(mut file) = PhotoFile::open(&cut, &options) {
                let height = file.height();
                let strips = file.rows(0..height).map(std::borrow::Cow::into_owned);
                // Other tags may have made it another photo; then it is the same other photo.
                if let Ok(whole) = decode_file(&cut, &options) {
                    assert!(strips.is_ok_and(|strips| strips == whole), "byte {index}");
                }
            }
        }
    }
}
