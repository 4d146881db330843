//! What patches are compared by.

use vcp_cpu::{Cpu, Tensor};

/// Features of one image's patches as they are compared with those of other images: each level averaged over 3 × 3
/// patches, as `PatchCore` does it (arXiv 2106.08265, section 3.1), and brought to length 1, so that their products are
/// cosines.
#[derive(Clone)]
pub(crate) struct PatchFeatures {
    /// [1, patches, channels] each.
    pub(crate) levels: Vec<Tensor>,
}

impl PatchFeatures {
    /// Of each image of a batch, from features as the vision tower gives them, [batch, patches, channels] each.
    pub(crate) fn of_batch(cpu: &Cpu, levels: &[Tensor]) -> Vec<Self> {
        let batch = levels.first().map_or(0, |level| level.shape()[0]);
        let image = |index: usize| Self {
            levels: levels
                .iter()
                .map(|level| {
                    let [_, patches, channels] = level.shape();
                    let values = &level.as_slice()[index * patches * channels..];
                    let averaged = averaged(&values[..patches * channels], channels);
                    cpu.tensor([1, patches, channels], &averaged)
                })
                .collect(),
        };
        (0..batch).map(image).collect()
    }

    /// Patches of the image.
    pub(crate) fn count(&self) -> usize {
        self.levels.first().map_or(0, |level| level.shape()[1])
    }
}

/// Each patch of a square grid [patches, channels] averaged with its neighbours, of those that there are, and
/// brought to length 1.
fn averaged(values: &[f32], channels: usize) -> Vec<f32> {
    let grid = (values.len() / channels.max(1)).isqrt();
    let mut out = vec![0.0; values.len()];
    for (index, row) in out.chunks_exact_mut(channels.max(1)).enumerate() {
        let (x, y) = (index % grid, index / grid);
        for near_y in y.saturating_sub(1)..(y + 2).min(grid) {
            for near_x in x.saturating_sub(1)..(x + 2).min(grid) {
                let near = &values[(near_y * grid + near_x) * channels..][..channels];
                row.iter_mut()
                    .zip(near)
                    .for_each(|(sum, value)| *sum += value);
            }
        }
        // The number of neighbours goes with the length.
        let length = row.iter().map(|value| value * value).sum::<f32>().sqrt();
        if length > 0.0 {
            for value in row {
                *value /= length;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_averaged_and_lengths_are_one() {
        // A grid of 3 × 3 with one patch that differs, at the upper left.
        let mut values = [0.0, 1.0].repeat(9);
        values[..2].copy_from_slice(&[1.0, 0.0]);
        let found = averaged(&values, 2);
        let row = |index: usize| [found[2 * index], found[2 * index + 1]];
        let close = |found: [f32; 2], expected: [f32; 2]| {
            let length = (expected[0] * expected[0] + expected[1] * expected[1]).sqrt();
            for (found, expected) in found.iter().zip(expected) {
                assert!(
                    (found - expected / length).abs() < 1e-6,
                    "{found} {expected}"
                );
            }
        };
        close(row(0), [1.0, 3.0]);
        close(row(1), [1.0, 5.0]);
        close(row(4), [1.0, 8.0]);
        close(row(8), [0.0, 4.0]);
        assert!(
            averaged(&[0.0; 8], 2)
                .iter()
                .all(|value| value.abs() < f32::EPSILON)
        );
    }
}
