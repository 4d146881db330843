//! Masks as lengths of runs.

use std::iter;

use vcp_clip::Inspection;

/// The pixels of a mask as lengths of runs, in the convention of COCO's uncompressed counts (`pycocotools.mask`).
///
/// The mask is read column by column, each from the top down, from left to right. The counts are of pixels outside and
/// inside in turn and begin with those outside, so with 0 where the first pixel is inside; they sum up to the number
/// of pixels. `pixels` is row by row, each row `width` long; what is not 0 is inside. Values behind the last whole row
/// are not part of it.
#[must_use]
pub fn run_lengths(pixels: &[u8], width: usize) -> Vec<i64> {
    let height = pixels.len().checked_div(width).unwrap_or(0);
    // Row by row, as the pixels lie in memory: where each column changes from outside to inside or back, beginning
    // from outside at its top.
    let mut changes = vec![Vec::new(); width.min(pixels.len())];
    for (y, row) in pixels.chunks_exact(width.max(1)).enumerate() {
        for (changes, &pixel) in iter::zip(&mut changes, row) {
            let was_inside = changes.len() % 2 == 1;
            if (pixel != 0) != was_inside {
                changes.push(y);
            }
        }
    }
    let mut counts = Vec::new();
    let mut begin = 0;
    for (x, changes) in changes.iter().enumerate() {
        let top = x * height;
        let (mut ends, mut rest) = (changes.iter().map(|y| top + y), None);
        // The column begins from outside; if the run before it is inside, it goes on or ends here.
        if counts.len() % 2 == 1 {
            match ends.next() {
                Some(end) if end == top => {}
                other => {
                    rest = other;
                    counts.push((top - begin) as i64);
                    begin = top;
                }
            }
        }
        for end in rest.into_iter().chain(ends) {
            counts.push((end - begin) as i64);
            begin = end;
        }
    }
    let all = height * changes.len();
    if begin < all || counts.is_empty() {
        counts.push((all - begin) as i64);
    }
    counts
}

/// The regions that are reported of a photo, as `mask_rle` of a table has them: see [`run_lengths`].
#[must_use]
pub fn mask_run_lengths(inspection: &Inspection) -> Vec<i64> {
    let mask = inspection.mask();
    let mask = mask.as_photo();
    run_lengths(mask.pixels(), mask.width())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Column by column, pixel by pixel.
    fn plainly(pixels: &[u8], width: usize) -> Vec<i64> {
        let height = pixels.len() / width;
        let (mut counts, mut inside) = (vec![0], false);
        for x in 0..width {
            for y in 0..height {
                if (pixels[y * width + x] != 0) != inside {
                    inside = !inside;
                    counts.push(0);
                }
                *counts.last_mut().unwrap() += 1;
            }
        }
        counts
    }

    #[test]
    fn counts_are_those_of_coco() {
        // As pycocotools counts it: columns first.
        assert_eq!(run_lengths(&[0, 1, 0, 0, 1, 1], 3), [2, 2, 1, 1]);
        assert_eq!(run_lengths(&[255, 255], 1), [0, 2]);
        assert_eq!(run_lengths(&[0, 0], 2), [2]);
        assert_eq!(run_lengths(&[], 0), [0]);
    }

    #[test]
    fn every_small_mask_is_counted() {
        for (width, height) in [(1, 1), (1, 5), (5, 1), (2, 3), (3, 2), (3, 4), (4, 3)] {
            for bits in 0..1_u32 << (width * height) {
                let pixels: Vec<u8> = (0..width * height)
                    .map(|it| (bits >> it & 1) as u8)
                    .collect();
                assert_eq!(
                    run_lengths(&pixels, width),
                    plainly(&pixels, width),
                    "{width} x {height}: {bits:b}"
                );
            }
        }
    }
}
