//! Resizing as multiplication by a constant matrix.

/// A matrix [to, from] that resamples a line of `from` values to `to` values.
#[derive(Clone, Debug, PartialEq)]
pub struct Resampling {
    from: usize,
    to: usize,
    matrix: Vec<f32>,
}

impl Resampling {
    /// Linear interpolation whose first and last values coincide with the line's ends
    /// (PyTorch's `interpolate(mode="bilinear", align_corners=True)` in one dimension).
    #[must_use]
    pub fn linear_aligned(from: usize, to: usize) -> Self {
        let mut matrix = vec![0.0; from * to];
        // PyTorch computes the positions in f32; so must this, or the last bits differ.
        let step = if to > 1 {
            (from - 1) as f32 / (to - 1) as f32
        } else {
            0.0
        };
        for (i, row) in matrix.chunks_exact_mut(from).enumerate() {
            let position = step * i as f32;
            let left = (position as usize).min(from - 1);
            let right = (left + 1).min(from - 1);
            let fraction = position - left as f32;
            row[left] += 1.0 - fraction;
            row[right] += fraction;
        }
        Self { from, to, matrix }
    }

    /// Cubic convolution (a = −0.5) with antialiasing, pixel centres at halves (PyTorch's
    /// `interpolate(mode="bicubic", antialias=True)` in one dimension).
    #[must_use]
    pub fn cubic_antialiased(from: usize, to: usize) -> Self {
        let mut matrix = vec![0.0; from * to];
        // PyTorch computes positions and weights in f32; so must this, or the last digits
        // differ.
        let scale = from as f32 / to as f32;
        let stretch = scale.max(1.0);
        let support = 2.0 * stretch;
        for (i, row) in matrix.chunks_exact_mut(from).enumerate() {
            let centre = scale * (i as f32 + 0.5);
            let first = (centre - support + 0.5).max(0.0) as usize;
            let end = ((centre + support + 0.5) as usize).min(from);
            for (j, weight) in row.iter_mut().enumerate().take(end).skip(first) {
                *weight = cubic((j as f32 - centre + 0.5) * (1.0 / stretch));
            }
            let total: f32 = row.iter().sum();
            for weight in row {
                *weight /= total;
            }
        }
        Self { from, to, matrix }
    }

    /// From features with a stride of `stride` pixels to cells of `cell` pixels: linear interpolation between
    /// the middles of the pixels that each stands for, with antialiasing where features are finer than
    /// cells.
    #[must_use]
    pub fn features_to_cells(from: usize, stride: usize, to: usize, cell: usize) -> Self {
        let mut matrix = vec![0.0; from * to];
        let stretch = (cell as f64 / stride as f64).max(1.0);
        for (j, row) in matrix.chunks_exact_mut(from.max(1)).enumerate() {
            let middle = cell as f64 * (j as f64 + 0.5);
            let centre = middle / stride as f64 - 0.5;
            let centre = centre.clamp(0.0, from.saturating_sub(1) as f64);
            let weight = |i: usize| (1.0 - (i as f64 - centre).abs() / stretch).max(0.0);
            let total: f64 = (0..from).map(weight).sum();
            for (i, out) in row.iter_mut().enumerate() {
                *out = (weight(i) / total) as f32;
            }
        }
        Self { from, to, matrix }
    }

    /// Length of the line that comes in.
    #[must_use]
    pub fn from(&self) -> usize {
        self.from
    }

    /// Length of the line that goes out.
    #[must_use]
    pub fn to(&self) -> usize {
        self.to
    }

    /// The matrix [to, from], row-major.
    #[must_use]
    pub fn matrix(&self) -> &[f32] {
        &self.matrix
    }

    /// Resamples a square table [from·from, width] to [to·to, width].
    #[must_use]
    pub fn apply_to_square(&self, table: &[f32], width: usize) -> Vec<f32> {
        let (from, to) = (self.from, self.to);
        let mut horizontal = vec![0.0_f64; from * to * width];
        for y in 0..from {
            for (x, weights) in self.matrix.chunks_exact(from).enumerate() {
                let line = &mut horizontal[(y * to + x) * width..][..width];
                accumulate(line, weights, |j, c| {
                    f64::from(table[(y * from + j) * width + c])
                });
            }
        }
        let mut out = vec![0.0_f32; to * to * width];
        let mut line = vec![0.0_f64; width];
        for (y, weights) in self.matrix.chunks_exact(from).enumerate() {
            for x in 0..to {
                line.fill(0.0);
                accumulate(&mut line, weights, |j, c| {
                    horizontal[(j * to + x) * width + c]
                });
                for (out, value) in out[(y * to + x) * width..][..width].iter_mut().zip(&line) {
                    *out = *value as f32;
                }
            }
        }
        out
    }
}

fn accumulate(line: &mut [f64], weights: &[f32], value: impl Fn(usize, usize) -> f64) {
    for (j, &weight) in weights
        .iter()
        .enumerate()
        .filter(|(_, weight)| **weight != 0.0)
    {
        for (channel, sum) in line.iter_mut().enumerate() {
            *sum += f64::from(weight) * value(j, channel);
        }
    }
}

/// Keys's cubic convolution kernel with a = −0.5.
fn cubic(x: f32) -> f32 {
    const A: f32 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CELL: usize = 8;

    /// What becomes of a line.
    fn resampled(resampling: &Resampling, line: &[f32]) -> Vec<f32> {
        let rows = resampling.matrix().chunks_exact(line.len());
        let terms = |row: &[f32]| row.iter().zip(line).map(|(a, b)| a * b).sum();
        rows.map(terms).collect()
    }

    #[test]
    fn cells_get_what_lies_at_their_middles() {
        let side = 288;
        for stride in [4, 8, 16, 32] {
            let (from, to) = (side / stride, side / CELL);
            let resampling = Resampling::features_to_cells(from, stride, to, CELL);
            for row in resampling.matrix().chunks_exact(from) {
                assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6);
            }
            // The pixel in the middle of each feature becomes that in the middle of each cell.
            let middle = |count: usize, size: usize| -> Vec<f32> {
                (0..count).map(|i| (i as f32 + 0.5) * size as f32).collect()
            };
            let found = resampled(&resampling, &middle(from, stride));
            let expected = middle(to, CELL);
            let border = stride.max(CELL) / CELL;
            for place in border..to - border {
                let difference = (found[place] - expected[place]).abs();
                assert!(
                    difference < 1e-3,
                    "stride {stride}, cell {place}: {difference}"
                );
            }
            let line: Vec<f32> = (0..from).map(|i| ((i * i) as f32 * 0.7).sin()).collect();
            let mirrored: Vec<f32> = line.iter().rev().copied().collect();
            let mut back = resampled(&resampling, &mirrored);
            back.reverse();
            for (one, other) in resampled(&resampling, &line).iter().zip(&back) {
                assert!((one - other).abs() < 1e-5, "stride {stride}");
            }
            if stride == CELL {
                assert_eq!(resampled(&resampling, &line), line);
            }
        }
    }
}
