//! Many images on one picture, to be seen at a glance.

use vcp_image::{MapRows, Photo, overlay, resize_mask};

use crate::Synthetic;

/// At most so many images are drawn.
pub(super) const MOST: usize = 96;
/// Width and height of an image on the sheet, unless it is smaller.
const TILE: usize = 192;
/// Pixels between images.
const GAP: usize = 4;
const GROUND: u8 = 24;

/// An image with lines around its defects, as small as it is on the sheet. The lines lie outside, so
/// what is inside is seen as it is.
pub(super) fn tile(made: &Synthetic) -> Photo {
    let (width, height) = (made.image.width(), made.image.height());
    let image = if width > TILE {
        made.image.resize_bicubic(TILE, TILE)
    } else {
        made.image.clone()
    };
    let Ok(mask) = Photo::from_grey(width, height, made.mask.clone()) else {
        return image;
    };
    let mask = Mask(resize_mask(&mask, image.width(), image.height()));
    // On a scale that long, the map is too weak to colour the image: only the line is drawn.
    overlay(&image, &mask, (0.0, f32::MAX), 0.5)
        .as_photo()
        .clone()
}

/// Images of one size in rows, half as many again across as down.
pub(super) fn sheet(tiles: &[Photo]) -> Photo {
    let columns = ((tiles.len() as f64 * 1.5).sqrt().ceil() as usize).clamp(1, tiles.len().max(1));
    let rows = tiles.len().div_ceil(columns);
    let side = tiles.first().map_or(1, Photo::width);
    let step = side + GAP;
    let (width, height) = (columns * step + GAP, rows * step + GAP);
    let mut pixels = vec![GROUND; width * height * 3];
    for (index, tile) in tiles.iter().enumerate() {
        let (left, top) = (GAP + index % columns * step, GAP + index / columns * step);
        for y in 0..tile.height() {
            let row = tile.row(y);
            let start = ((top + y) * width + left) * 3;
            pixels[start..start + row.len()].copy_from_slice(row);
        }
    }
    match Photo::from_rgb(width, height, pixels) {
        Ok(sheet) => sheet,
        // Three bytes for each pixel, and at least a gap of them.
        Err(_) => unreachable!("a sheet has width × height × 3 bytes"),
    }
}

/// 1 where a mask is above 0.
struct Mask(Photo);

impl MapRows for Mask {
    fn width(&self) -> usize {
        self.0.width()
    }

    fn height(&self) -> usize {
        self.0.height()
    }

    fn row(&self, y: usize, out: &mut [f32]) {
        for (out, &value) in out.iter_mut().zip(self.0.row(y)) {
            *out = f32::from(u8::from(value > 0));
        }
    }
}
