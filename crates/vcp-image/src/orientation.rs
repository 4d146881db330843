//! Turning pixels upright.

use image::metadata::Orientation;

use crate::Photo;

/// Side of the square tiles in which pixels are moved, so that reading along rows and writing along
/// columns both stay in the cache.
const TILE: usize = 32;

/// The photo turned as its metadata ask for; if there is no memory for a second one, how many bytes it
/// needs.
pub(crate) fn upright(photo: Photo, orientation: Orientation) -> Result<Photo, u64> {
    if orientation == Orientation::NoTransforms {
        return Ok(photo);
    }
    let bytes = photo.pixels().len();
    // Asked for and given back at once: the allocation itself would end the process instead.
    if Vec::<u8>::new().try_reserve_exact(bytes).is_err() {
        return Err(bytes as u64);
    }
    Ok(if photo.is_grey() {
        turn::<1>(&photo, orientation)
    } else {
        turn::<3>(&photo, orientation)
    })
}

fn turn<const CHANNELS: usize>(photo: &Photo, orientation: Orientation) -> Photo {
    let (width, height) = (photo.width(), photo.height());
    let swaps_sides = matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    );
    let (new_width, new_height) = if swaps_sides {
        (height, width)
    } else {
        (width, height)
    };
    let (source, _) = photo.pixels().as_chunks::<CHANNELS>();
    let mut output = vec![0; photo.pixels().len()];
    let (target, _) = output.as_chunks_mut::<CHANNELS>();
    for top in (0..height).step_by(TILE) {
        for left in (0..width).step_by(TILE) {
            for y in top..(top + TILE).min(height) {
                for x in left..(left + TILE).min(width) {
                    let (right, bottom) = (width - 1 - x, height - 1 - y);
                    let (new_x, new_y) = match orientation {
                        Orientation::NoTransforms => (x, y),
                        Orientation::FlipHorizontal => (right, y),
                        Orientation::Rotate180 => (right, bottom),
                        Orientation::FlipVertical => (x, bottom),
                        Orientation::Rotate90FlipH => (y, x),
                        Orientation::Rotate90 => (bottom, x),
                        Orientation::Rotate270FlipH => (bottom, right),
                        Orientation::Rotate270 => (y, right),
                    };
                    target[new_y * new_width + new_x] = source[y * width + x];
                }
            }
        }
    }
    Photo::from_parts(new_width, new_height, CHANNELS, output)
        .with_warnings(photo.warnings().iter().cloned())
}
