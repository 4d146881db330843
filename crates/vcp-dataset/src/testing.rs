//! Small data sets on disk, for tests.

use std::fs;
use std::path::{Path, PathBuf};

use image::{DynamicImage, GrayImage, ImageBuffer, Luma, RgbImage, RgbaImage};
use tempfile::TempDir;

use crate::{Dataset, Options, files, layout};

/// A temporary folder to build a data set in.
pub(crate) struct Fixture {
    folder: TempDir,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        let path = self.folder.path();
        if name.is_empty() {
            path.to_owned()
        } else {
            path.join(name)
        }
    }

    /// Where a file is to be written, with its folders made.
    fn place(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    pub(crate) fn text(&self, name: &str, text: &str) {
        fs::write(self.place(name), text).unwrap();
    }

    pub(crate) fn save(&self, name: &str, picture: &DynamicImage) {
        let place = self.place(name);
        picture.save(place).unwrap();
    }

    /// A colour photo. The pixels depend on nothing but their place.
    pub(crate) fn picture(&self, name: &str, width: u32, height: u32) {
        let photo = RgbImage::from_fn(width, height, |x, y| {
            [(x * 9 % 256) as u8, (y * 7 % 256) as u8, 99].into()
        });
        self.save(name, &photo.into());
    }

    /// A grey mask whose first `defects` pixels are 255, the others 0.
    pub(crate) fn mask(&self, name: &str, width: u32, height: u32, defects: u32) {
        self.mask_of(name, width, height, defects, 255);
    }

    /// A grey mask whose first `defects` pixels have this value, the others 0.
    pub(crate) fn mask_of(&self, name: &str, width: u32, height: u32, defects: u32, value: u8) {
        let mask = GrayImage::from_fn(width, height, |x, y| {
            Luma([if y * width + x < defects { value } else { 0 }])
        });
        self.save(name, &mask.into());
    }

    /// As [`Fixture::mask_of`], with 16 bits.
    pub(crate) fn mask_16(&self, name: &str, width: u32, height: u32, defects: u32, value: u16) {
        let mask = ImageBuffer::from_fn(width, height, |x, y| {
            Luma([if y * width + x < defects { value } else { 0 }])
        });
        self.save(name, &DynamicImage::ImageLuma16(mask));
    }

    /// A picture with alpha, each pixel from its number.
    pub(crate) fn rgba(&self, name: &str, width: u32, height: u32, pixel: impl Fn(u32) -> [u8; 4]) {
        let picture = RgbaImage::from_fn(width, height, |x, y| pixel(y * width + x).into());
        self.save(name, &picture.into());
    }

    pub(crate) fn read(&self, name: &str) -> Dataset {
        self.read_with(name, &Options::default())
    }

    pub(crate) fn read_with(&self, name: &str, options: &Options) -> Dataset {
        layout(name).unwrap().read(self.root(), options).unwrap()
    }
}

/// The samples, one per line: split, category, defect type, id, and the mask's id, `-` for none or
/// `?` for an unknown one. Indented like the text in the tests it is compared with.
pub(crate) fn summary(dataset: &Dataset) -> String {
    let lines: Vec<String> = dataset
        .samples
        .iter()
        .map(|sample| {
            let mask = match sample.mask.path() {
                Some(path) => files::id(&dataset.root, path),
                None if sample.mask == crate::MaskSource::None => "-".to_owned(),
                None => "?".to_owned(),
            };
            let crate::Sample {
                id,
                category,
                defect,
                split,
                ..
            } = sample;
            format!("{split} {category} {defect} {id} {mask}")
        })
        .collect();
    lines.join("\n             ")
}

/// Number of pixels of a mask that are defect.
pub(crate) fn defect_pixels(mask: &[u8]) -> usize {
    mask.iter().map(|&pixel| usize::from(pixel == 255)).sum()
}
