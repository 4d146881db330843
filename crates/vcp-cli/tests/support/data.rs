//! Data sets made by the tests, laid out as MVTec-AD is.

use std::fs;
use std::path::Path;

use super::cli::Workplace;
use super::photos;

/// Size of the images.
pub(crate) const WIDTH: usize = 40;
pub(crate) const HEIGHT: usize = 30;

/// A mask for an image of the usual size: white in a rectangle that depends on `seed`.
pub(crate) fn mask(path: &Path, seed: usize) {
    scaled_mask(path, seed, 1);
}

/// The same for an image `scale` times as wide and as high.
fn scaled_mask(path: &Path, seed: usize, scale: usize) {
    let inside = |x: usize, y: usize| {
        (4 + seed % 5..18 + seed % 7).contains(&x) && (6..14 + seed % 9).contains(&y)
    };
    drawn_mask(path, WIDTH * scale, HEIGHT * scale, |x, y| {
        if inside(x / scale, y / scale) { 255 } else { 0 }
    });
}

/// A mask of any size with the values that a function of column and row gives.
pub(crate) fn drawn_mask(
    path: &Path,
    width: usize,
    height: usize,
    value: impl Fn(usize, usize) -> u8,
) {
    let stride = (width * 3).next_multiple_of(4);
    // The header of a photo of this size, then other pixels.
    photos::write(path, width, height, 0);
    let mut file = fs::read(path).unwrap();
    for y in 0..height {
        for x in 0..width {
            file[54 + y * stride + x * 3..][..3].fill(value(x, y));
        }
    }
    fs::write(path, file).unwrap();
}

/// Adds a category: `good` normal images and two of each type of defect.
pub(crate) fn category(workplace: &Workplace, name: &str, good: usize, defects: &[&str]) {
    scaled_category(workplace, name, good, defects, 1);
}

/// The same with images `scale` times as wide and as high.
pub(crate) fn scaled_category(
    workplace: &Workplace,
    name: &str,
    good: usize,
    defects: &[&str],
    scale: usize,
) {
    let photo = |place: &str, seed: usize| {
        photos::write(&workplace.path(place), WIDTH * scale, HEIGHT * scale, seed);
    };
    let mut seed = name.len();
    // The layout wants to see a folder of training images.
    photo(&format!("set/{name}/train/good/000.png"), 99);
    for number in 0..good {
        seed += 1;
        photo(&format!("set/{name}/test/good/{number:03}.png"), seed);
    }
    for defect in defects {
        for number in 0..2 {
            seed += 1;
            photo(&format!("set/{name}/test/{defect}/{number:03}.png"), seed);
            let place = format!("set/{name}/ground_truth/{defect}/{number:03}_mask.png");
            scaled_mask(&workplace.path(&place), seed, scale);
        }
    }
}

/// Two categories with two types of defect each.
pub(crate) fn mvtec() -> Workplace {
    let workplace = Workplace::new();
    category(&workplace, "bolt", 3, &["bent", "rust"]);
    category(&workplace, "nut", 2, &["crack", "rust"]);
    workplace
}
