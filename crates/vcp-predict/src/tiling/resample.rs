//! Maps of large photos at the model's size.

use vcp_image::MapRows;

/// A map of any size as [side, side]: antialiased bilinear interpolation, as masks are brought to
/// that size. The map is read once, from the top down.
#[must_use]
pub fn resampled(map: &dyn MapRows, side: usize) -> Vec<f32> {
    let columns = windows(map.width(), side);
    let rows = windows(map.height(), side);
    let mut sums = vec![0.0_f64; side * side];
    let mut values = vec![0.0; map.width()];
    let mut line = vec![0.0_f64; side];
    // Output rows begin and end in order, so those that a row belongs to lie side by side.
    let mut first = 0;
    for y in 0..map.height() {
        map.row(y, &mut values);
        for (sum, window) in line.iter_mut().zip(&columns) {
            let values = values[window.start..].iter();
            let products = values.zip(&window.weights);
            *sum = products
                .map(|(value, weight)| f64::from(*value) * weight)
                .sum();
        }
        while first < side && rows[first].end() <= y {
            first += 1;
        }
        let reached = rows.iter().enumerate().skip(first);
        for (row, window) in reached.take_while(|(_, window)| window.start <= y) {
            // Not all windows are equally long: at the lower border one may have ended before.
            let Some(weight) = window.weights.get(y - window.start) else {
                continue;
            };
            for (sum, value) in sums[row * side..][..side].iter_mut().zip(&line) {
                *sum += weight * value;
            }
        }
    }
    sums.into_iter().map(|sum| sum as f32).collect()
}

/// The values that one resampled value is made of.
struct Window {
    start: usize,
    /// Their sum is 1.
    weights: Vec<f64>,
}

impl Window {
    fn end(&self) -> usize {
        self.start + self.weights.len()
    }
}

/// One for each of `side` values evenly spread over `size` ones: triangles that reach to their
/// neighbours' middles, and no less far than one of the `size` values.
fn windows(size: usize, side: usize) -> Vec<Window> {
    let scale = size as f64 / side as f64;
    let reach = scale.max(1.0);
    let window = |at: usize| {
        let middle = (at as f64 + 0.5) * scale;
        let weight = |from: usize| (1.0 - (from as f64 + 0.5 - middle).abs() / reach).max(0.0);
        let start = (middle - reach).max(0.0) as usize;
        let end = ((middle + reach).ceil() as usize).min(size);
        let weights: Vec<f64> = (start..end).map(weight).collect();
        let sum: f64 = weights.iter().sum();
        Window {
            start,
            weights: weights.iter().map(|weight| weight / sum).collect(),
        }
    };
    (0..side).map(window).collect()
}

#[cfg(test)]
mod tests {
    use vcp_image::PlainMap;

    use super::*;

    const SIZES: [(usize, usize, usize); 7] = [
        (1, 1, 3),
        (7, 5, 7),
        (40, 30, 70),
        (101, 57, 12),
        (12, 200, 20),
        (64, 64, 16),
        (3, 90, 1),
    ];

    /// Each value from all values of the map, with the triangle's weights in both directions.
    #[test]
    fn equals_the_plain_statement() {
        for (width, height, side) in SIZES {
            let value = |at: usize| ((at * 7919) % 1009) as f32 / 1009.0;
            let values: Vec<f32> = (0..width * height).map(value).collect();
            let weight = |size: usize, to: usize, from: usize| {
                let scale = size as f64 / side as f64;
                let middle = (to as f64 + 0.5) * scale;
                let distance = (from as f64 + 0.5 - middle).abs() / scale.max(1.0);
                (1.0 - distance).max(0.0)
            };
            let found = resampled(&PlainMap::new(&values, width), side);
            assert_eq!(found.len(), side * side);
            for (at, found) in found.iter().enumerate() {
                let (mut sum, mut total) = (0.0, 0.0);
                for (from, value) in values.iter().enumerate() {
                    let weight = weight(width, at % side, from % width)
                        * weight(height, at / side, from / width);
                    sum += weight * f64::from(*value);
                    total += weight;
                }
                let difference = (f64::from(*found) - sum / total).abs();
                assert!(difference < 1e-6, "{width} × {height} to {side}: {at}");
            }
        }
    }

    #[test]
    fn what_is_constant_stays_so() {
        for (width, height, side) in SIZES {
            let values = vec![0.625; width * height];
            let found = resampled(&PlainMap::new(&values, width), side);
            assert!(
                found.iter().all(|value| (value - 0.625).abs() < 1e-6),
                "{width} × {height} to {side}"
            );
        }
    }
}
