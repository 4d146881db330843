//! From bytes to the numbers CLIP was trained on.

use crate::Photo;

/// Mean of CLIP's training images per channel (red, green, blue), on a scale of 0 to 1.
pub const MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];

/// Standard deviation of CLIP's training images per channel, on a scale of 0 to 1.
pub const STANDARD_DEVIATION: [f32; 3] = [0.268_629_54, 0.261_302_6, 0.275_777_1];

/// The photo as `[3, height, width]`: (value / 255 − mean) / standard deviation, one plane per
/// channel. Grey goes into all three planes.
#[must_use]
pub fn normalise(photo: &Photo) -> Vec<f32> {
    let count = photo.width() * photo.height();
    let channels = photo.channels();
    let mut planes = vec![0.0; 3 * count];
    for (channel, plane) in planes.chunks_exact_mut(count).enumerate() {
        // 256 values are all there are: a table is quick and rounds as torchvision does.
        let table: [f32; 256] = std::array::from_fn(|value| {
            (value as f32 / 255.0 - MEAN[channel]) / STANDARD_DEVIATION[channel]
        });
        let values = photo.pixels().iter().skip(channel % channels);
        for (to, &value) in plane.iter_mut().zip(values.step_by(channels)) {
            *to = table[usize::from(value)];
        }
    }
    planes
}
