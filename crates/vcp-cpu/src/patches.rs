//! Images cut into windows.

use rayon::prelude::*;
use vcp_model::Windows;

/// Values that one task writes at least; small results stay on one thread.
const TASK: usize = 1 << 15;

/// Images [batch, channels, height·width] as windows [batch, windows, channels·side²].
pub(crate) fn patches(
    images: &[f32],
    [channels, height, width]: [usize; 3],
    windows: Windows,
    out: &mut [f32],
) {
    let [down, across] = [height, width].map(|length| windows.along(length));
    let (side, margin) = (windows.side, windows.margin());
    let size = channels * side * side;
    // Of no window, nothing is to be written.
    let line_size = (across * size).max(1);
    out.par_chunks_exact_mut(line_size)
        .with_min_len(TASK.div_ceil(line_size))
        .enumerate()
        .for_each(|(index, line)| {
            let (image, top) = (index / down, index % down * windows.stride);
            let planes = &images[image * channels * height * width..][..channels * height * width];
            for part in 0..channels * side {
                let (channel, y) = (part / side, top + part % side);
                let pixels = y.checked_sub(margin).filter(|y| *y < height);
                let pixels = pixels.map(|y| &planes[(channel * height + y) * width..][..width]);
                for (column, window) in line.chunks_exact_mut(size).enumerate() {
                    let to = &mut window[part * side..][..side];
                    let left = column * windows.stride;
                    copy_with_margin(pixels.unwrap_or_default(), left, margin, to);
                }
            }
        });
}

/// Copies pixels from `left` on, which counts from the beginning of the margin. Beyond pixels are zeros.
#[inline]
fn copy_with_margin(pixels: &[f32], left: usize, margin: usize, to: &mut [f32]) {
    let inside = left.checked_sub(margin);
    if let Some(from) = inside.and_then(|left| pixels.get(left..left + to.len())) {
        for (to, from) in to.iter_mut().zip(from) {
            *to = *from;
        }
    } else {
        for (x, to) in to.iter_mut().enumerate() {
            let pixel = (left + x).checked_sub(margin).and_then(|x| pixels.get(x));
            *to = pixel.copied().unwrap_or(0.0);
        }
    }
}
