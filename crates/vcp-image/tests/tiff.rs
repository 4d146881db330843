//! Kinds of TIFF file (`fixtures/make_tiff.py` makes them), and samples of fewer bits than they take.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tiff::encoder::{TiffEncoder, colortype};
use vcp_image::{
    Bits, DecodeOptions, PageChoice, Photo, PhotoFile, PhotoRows, SampleDepth, Warning,
    decode_bytes, decode_file, decode_mask_file, photo_pages, settle_bits,
};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/tiff")
        .join(name)
}

fn decode(path: &Path) -> Photo {
    decode_file(path, &DecodeOptions::default()).expect("a photo")
}

fn by_rows(path: &Path, options: &DecodeOptions) -> Photo {
    let mut file = PhotoFile::open(path, options).expect("a photo");
    let height = file.height();
    file.rows(0..height).expect("rows").into_owned()
}

fn largest_difference(found: &Photo, expected: &Photo) -> u8 {
    assert_eq!(
        (found.width(), found.height()),
        (expected.width(), expected.height())
    );
    let expected = expected.to_rgb();
    let found = found.to_rgb();
    let pairs = found.pixels().iter().zip(expected.pixels());
    pairs.map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0)
}

#[test]
fn every_kind_is_read() {
    let mut count = 0;
    for entry in std::fs::read_dir(fixture("")).expect("a folder") {
        let name = entry.expect("a file").file_name();
        let name = name.to_str().expect("a plain name");
        if Path::new(name)
            .extension()
            .is_none_or(|ending| ending != "tif")
        {
            continue;
        }
        let expected = decode(&fixture(&format!("{name}.png")));
        let found = decode(&fixture(name));
        // Decoders of JPEG round differently, and so do conversions of its colours.
        let allowed = match &name[..4] {
            "jpeg" => 3,
            "ycbc" => 1,
            _ => 0,
        };
        let difference = largest_difference(&found, &expected);
        assert!(difference <= allowed, "{name}: {difference} levels");
        assert_eq!(found.is_grey(), expected.is_grey(), "{name}");
        let rows = by_rows(&fixture(name), &DecodeOptions::default());
        assert!(rows == found, "{name} by rows");
        count += 1;
    }
    assert_eq!(count, 49);
}

/// A grey file of 16-bit samples, three rows to a strip.
fn write16(folder: &TempDir, name: &str, samples: &[u16]) -> PathBuf {
    let path = folder.path().join(name);
    let file = std::fs::File::create(&path).expect("a file");
    let mut encoder = TiffEncoder::new(file).expect("an encoder");
    let mut image = encoder
        .new_image::<colortype::Gray16>(8, samples.len() as u32 / 8)
        .expect("an image");
    image.rows_per_strip(3).expect("whole rows");
    image.write_data(samples).expect("all rows");
    path
}

/// A grey PNG of 16-bit samples.
fn write_png16(folder: &TempDir, name: &str, samples: &[u16]) -> PathBuf {
    let path = folder.path().join(name);
    let height = samples.len() as u32 / 8;
    let picture = image::ImageBuffer::<image::Luma<u16>, _>::from_raw(8, height, samples.to_vec());
    let picture = picture.expect("all samples");
    picture
        .save_with_format(&path, image::ImageFormat::Png)
        .expect("a file");
    path
}

/// 64 samples from 0 to `largest`.
fn ramp(largest: u16) -> Vec<u16> {
    let step = |index: u32| (index * u32::from(largest) / 63) as u16;
    (0..64).map(step).collect()
}

#[test]
fn samples_of_fewer_bits_are_scaled_by_what_is_there() {
    let folder = tempfile::tempdir().expect("a folder");
    for (largest, shift) in [
        (255, 0),
        (256, 2),
        (1023, 2),
        (1024, 4),
        (4095, 4),
        (4096, 8),
        (16_383, 8),
        (65_535, 8),
    ] {
        let samples = ramp(largest);
        let expected: Vec<u8> = samples
            .iter()
            .map(|sample| (sample >> shift) as u8)
            .collect();
        for path in [
            write16(&folder, "photo.tif", &samples),
            write_png16(&folder, "photo.png", &samples),
        ] {
            assert_eq!(
                decode(&path).pixels(),
                expected,
                "{largest} in {}",
                path.display()
            );
            let rows = by_rows(&path, &DecodeOptions::default());
            assert_eq!(rows.pixels(), expected, "{largest} by rows");
        }
    }
    let black = write16(&folder, "black.tif", &[0; 64]);
    assert_eq!(decode(&black).pixels(), [0; 64]);
}

#[test]
fn a_depth_that_is_given_holds() {
    let folder = tempfile::tempdir().expect("a folder");
    let samples = ramp(900);
    let tiff = write16(&folder, "photo.tif", &samples);
    let png = write_png16(&folder, "photo.png", &samples);
    for depth in SampleDepth::ALL {
        assert_eq!(SampleDepth::of(depth.bits()), Some(depth));
        let options = DecodeOptions {
            bits: Bits::Fixed(depth),
            ..DecodeOptions::default()
        };
        let narrowed = |sample: &u16| (sample >> (depth.bits() - 8)).min(255) as u8;
        let expected: Vec<u8> = samples.iter().map(narrowed).collect();
        for path in [&tiff, &png] {
            let found = decode_file(path, &options).expect("a photo");
            assert_eq!(found.pixels(), expected, "{depth:?}");
            // What was said needs no word, unless it cannot be.
            assert_eq!(
                found.warnings().is_empty(),
                depth.white() >= 900,
                "{depth:?}"
            );
            assert_eq!(
                by_rows(path, &options).pixels(),
                expected,
                "{depth:?} by rows"
            );
        }
    }
}

/// A single brighter pixel must not change how bright the other photos of a run are.
#[test]
fn a_run_settles_on_one_depth() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = DecodeOptions::default();
    let dark = write16(&folder, "dark.tif", &ramp(700));
    let mut one_more = ramp(700);
    one_more[10] = 1100;
    let spotted = write_png16(&folder, "spotted.png", &one_more);
    let rgb = fixture("big_little.tif");
    let none = folder.path().join("missing.tif");

    let settled = |paths: &[&PathBuf]| settle_bits(paths, &options);
    assert_eq!(settled(&[&rgb, &none]), None);
    assert_eq!(settled(&[]), None);
    let alone = settled(&[&dark]).expect("16 bits");
    assert_eq!((alone.depth, alone.largest), (SampleDepth::Ten, 700));
    for order in [
        [&rgb, &dark, &none, &spotted],
        [&spotted, &none, &dark, &rgb],
    ] {
        let both = settled(&order).expect("16 bits");
        assert_eq!((both.depth, both.largest), (SampleDepth::Twelve, 1100));
        assert_eq!((both.looked_at, both.photos), (2, 2));
    }

    let options = DecodeOptions {
        bits: Bits::Settled(SampleDepth::Twelve),
        ..options
    };
    let deep = |name: &str| write16(&folder, name, &ramp(9000));
    let above = decode_file(&deep("deep.tif"), &options).expect("a photo");
    let expected = [Warning::AboveWhite {
        bits: 12,
        white: 4095,
    }];
    assert_eq!(above.warnings(), expected);
    let mut file = PhotoFile::open(&deep("deep.tif"), &options).expect("a photo");
    assert_eq!(file.warnings(), [Warning::FewerBits { bits: 12 }]);
    file.rows(0..8).expect("rows");
    assert_eq!(file.warnings(), expected);
    let [dark, spotted] =
        [dark, spotted].map(|path| decode_file(&path, &options).expect("a photo"));
    let pairs = dark.pixels().iter().zip(spotted.pixels());
    assert_eq!(pairs.filter(|(a, b)| a != b).count(), 1);
    assert_eq!(dark.warnings(), [Warning::FewerBits { bits: 12 }]);
    assert_eq!(spotted.warnings(), dark.warnings());
}

/// Photos beyond the first 32 with 16 bits are spread over the list.
#[test]
fn photos_are_looked_at_all_over_the_list() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut paths: Vec<PathBuf> = (0..64)
        .map(|index| write16(&folder, &format!("{index}.tif"), &ramp(700)))
        .collect();
    paths[62] = write16(&folder, "brighter.tif", &ramp(3000));
    let settled = settle_bits(&paths, &DecodeOptions::default()).expect("16 bits");
    assert_eq!(
        (settled.depth, settled.looked_at, settled.photos),
        (SampleDepth::Twelve, 32, 64)
    );
}

#[test]
fn alpha_says_nothing_of_the_depth() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("photo.tif");
    let file = std::fs::File::create(&path).expect("a file");
    let samples: Vec<u16> = (0..64)
        .flat_map(|index| [index * 60, 5, 9, 65_535])
        .collect();
    TiffEncoder::new(file)
        .and_then(|mut encoder| encoder.write_image::<colortype::RGBA16>(8, 8, &samples))
        .expect("a file");
    let found = decode(&path);
    let expected: Vec<u8> = (0..64)
        .flat_map(|index: u32| [((index * 60) >> 4) as u8, 0, 0])
        .collect();
    assert_eq!(found.pixels(), expected);
}

#[test]
fn masks_have_no_depth() {
    let folder = tempfile::tempdir().expect("a folder");
    let samples: Vec<u16> = (0..64)
        .map(|index| [0, 1, 256, 65_535][index % 4])
        .collect();
    let expected: Vec<u8> = samples
        .iter()
        .map(|sample| if *sample > 0 { 255 } else { 0 })
        .collect();
    for path in [
        write16(&folder, "mask.tif", &samples),
        write_png16(&folder, "mask.png", &samples),
    ] {
        for bits in [Bits::Auto, Bits::Fixed(SampleDepth::Sixteen)] {
            let options = DecodeOptions {
                bits,
                ..DecodeOptions::default()
            };
            let mask = decode_mask_file(&path, &options).expect("a mask");
            assert_eq!(mask.pixels(), expected, "{}", path.display());
        }
    }
}

#[test]
fn what_should_be_known_is_said() {
    let warnings = |name: &str| decode(&fixture(name)).warnings().to_vec();
    assert_eq!(
        warnings("stack.tif"),
        [Warning::Pages { page: 1, pages: 3 }]
    );
    for name in ["thumbnail_marked.tif", "thumbnail_unmarked.tif"] {
        assert_eq!(warnings(name), [Warning::Thumbnail { page: 2 }]);
    }
    for (name, white) in [("float_unit.tif", 1), ("float_255.tif", 255)] {
        assert_eq!(warnings(name), [Warning::FloatingPoint { white }]);
    }
    for name in ["pyramid.tif", "grey12_packed.tif", "rgb16_big.tif"] {
        assert_eq!(warnings(name), []);
    }
}

#[test]
fn pages_can_be_chosen() {
    let stack = fixture("stack.tif");
    assert_eq!(photo_pages(&stack), Some(vec![1, 2, 3]));
    assert_eq!(photo_pages(&fixture("thumbnail_marked.tif")), None);
    assert_eq!(photo_pages(&fixture("thumbnail_unmarked.tif")), None);
    assert_eq!(photo_pages(&fixture("stack.tif.png")), None);
    let page = |path: &Path, number| {
        let options = DecodeOptions {
            page: PageChoice::Number(number),
            ..DecodeOptions::default()
        };
        decode_file(path, &options)
    };
    let first = page(&stack, 1).expect("a page");
    let third = page(&stack, 3).expect("a page");
    let inverted: Vec<u8> = first.pixels().iter().map(|value| 255 - value).collect();
    assert_eq!(third.pixels(), inverted);
    // Whoever asks for a thumbnail gets it.
    assert_eq!(
        page(&fixture("thumbnail_marked.tif"), 1)
            .expect("a page")
            .width(),
        12
    );
    for number in [0, 4] {
        let error = page(&stack, number).expect_err("no such page").to_string();
        assert!(
            error.contains(&format!("page {number} was asked for, and it has 3")),
            "{error}"
        );
    }
}

/// What is not read says what it is, in words.
#[test]
fn other_kinds_say_what_they_are() {
    // (tag, value) of a grey file of 8 bits that are put in place of what is there.
    let cases: [(&[(u16, u16)], &str); 10] = [
        (&[(258, 24)], "whole numbers of 24 bits"),
        (&[(259, 6)], "old kind of JPEG"),
        (&[(259, 50_000)], "Zstandard"),
        (&[(259, 7_777)], "compression 7777 is not known"),
        (&[(262, 8)], "CIE L*a*b*"),
        (&[(262, 32_803)], "raw data"),
        (&[(262, 777)], "photometric interpretation 777"),
        (&[(339, 2)], "signed numbers of 8 bits"),
        (&[(277, 20)], "20 samples a pixel"),
        (&[(259, 7), (277, 2)], "JPEG of 2 samples"),
    ];
    for (changes, expected) in cases {
        let mut file = b"II\x2a\0\x08\0\0\0".to_vec();
        let entries = [
            (256_u16, 4_u16),
            (257, 4),
            (258, 8),
            (259, 1),
            (262, 1),
            (273, 200),
            (277, 1),
            (279, 16),
            (339, 1),
        ];
        file.extend((entries.len() as u16).to_le_bytes());
        for (known, usual) in entries {
            let change = changes.iter().find(|(tag, _)| *tag == known);
            let value = change.map_or(usual, |(_, value)| *value);
            file.extend(
                [known, 3, 1, 0, value, 0]
                    .iter()
                    .flat_map(|half| half.to_le_bytes()),
            );
        }
        file.resize(216, 77);
        let error = decode_bytes(&file, "it", &DecodeOptions::default()).expect_err("refused");
        let error = error.to_string();
        assert!(error.contains(expected), "{error}");
        assert!(error.contains("Convert it to an 8-bit RGB PNG"), "{error}");
    }
}

/// Whatever is changed in a file, it is a photo or an error that is no panic's, and by rows the same
/// photo.
#[test]
fn damaged_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("damaged.tif");
    let options = DecodeOptions {
        max_pixels: 100_000,
        ..DecodeOptions::default()
    };
    let (mut photos, mut errors) = (0, 0);
    for name in [
        "big_little.tif",
        "rgb_tiles.tif",
        "rgb_tiles_planar.tif",
        "rgb16_predictor_big.tif",
        "grey12_packed.tif",
        "palette4.tif",
        "ycbcr_halved.tif",
        "float_predictor.tif",
        "jpeg_ycbcr.tif",
        "thumbnail_marked.tif",
        "fax4.tif",
        "cmyk_planar.tif",
    ] {
        let whole = std::fs::read(fixture(name)).expect("a file");
        // The header, and the directory, which is at the end in most.
        let places = (0..16).chain(whole.len().saturating_sub(420)..whole.len());
        for (place, change) in places.flat_map(|place| [(place, 0xFF), (place, 0x01)]) {
            let mut bytes = whole.clone();
            bytes[place] ^= change;
            let decoded = decode_bytes(&bytes, "damaged.tif", &options);
            match decoded {
                Err(error) => {
                    let text = error.to_string();
                    assert!(text.contains("damaged.tif"), "{name}, byte {place}: {text}");
                    // A panic would be this; TIFF is read by code of this project.
                    assert!(!text.contains("gave up"), "{name}, byte {place}: {text}");
                    errors += 1;
                }
                Ok(photo) => {
                    std::fs::write(&path, &bytes).expect("a file");
                    assert!(by_rows(&path, &options) == photo, "{name}, byte {place}");
                    photos += 1;
                }
            }
        }
    }
    assert!(
        photos > 1000 && errors > 1000,
        "{photos} photos, {errors} errors"
    );
}

/// White under transparent alpha is no defect; alpha that is the same everywhere says nothing.
#[test]
fn masks_are_no_brighter_than_their_alpha() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("mask.tif");
    let write = |alpha: fn(usize) -> u8| {
        let samples: Vec<u8> = (0..64).flat_map(|at| [255, 255, 255, alpha(at)]).collect();
        let file = std::fs::File::create(&path).expect("a file");
        TiffEncoder::new(file)
            .and_then(|mut encoder| encoder.write_image::<colortype::RGBA8>(8, 8, &samples))
            .expect("a file");
        decode_mask_file(&path, &DecodeOptions::default()).expect("a mask")
    };
    let cut = write(|at| if at < 10 { 255 } else { 0 });
    let expected: Vec<u8> = (0..64).map(|at| if at < 10 { 255 } else { 0 }).collect();
    assert_eq!(cut.pixels(), expected);
    assert_eq!(write(|_| 0).pixels(), [255; 64]);
}
