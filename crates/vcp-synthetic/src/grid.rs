//! Square fields of numbers and colours.

use std::ops::{Index, IndexMut};

/// What a grid may hold: numbers that can be weighed against each other.
pub(crate) trait Value: Copy + Send + Sync {
    const ZERO: Self;
    /// `self + other × weight`.
    #[must_use]
    fn plus(self, other: Self, weight: f32) -> Self;
}

impl Value for f32 {
    const ZERO: Self = 0.0;
    fn plus(self, other: Self, weight: f32) -> Self {
        self + other * weight
    }
}

/// Red, green and blue, 0 to 1.
pub(crate) type Colour = [f32; 3];

impl Value for Colour {
    const ZERO: Self = [0.0; 3];
    fn plus(self, other: Self, weight: f32) -> Self {
        std::array::from_fn(|channel| self[channel] + other[channel] * weight)
    }
}

/// From one value (share 0) to the other (share 1).
pub(crate) fn blend<T: Value>(from: T, to: T, share: f32) -> T {
    T::ZERO.plus(from, 1.0 - share).plus(to, share)
}

/// 0 below `low`, 1 above `high`, smooth in between. `low` may be above `high`: then it falls.
pub(crate) fn step(low: f32, high: f32, value: f32) -> f32 {
    let share = ((value - low) / (high - low)).clamp(0.0, 1.0);
    share * share * (3.0 - 2.0 * share)
}

/// `size` × `size` values, row by row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Grid<T> {
    pub(crate) size: usize,
    pub(crate) cells: Vec<T>,
}

/// Numbers.
pub(crate) type Field = Grid<f32>;
/// Colours.
pub(crate) type Canvas = Grid<Colour>;

impl<T: Value> Grid<T> {
    pub(crate) fn new(size: usize, value: T) -> Self {
        Self {
            size,
            cells: vec![value; size * size],
        }
    }

    pub(crate) fn from_fn(size: usize, mut value: impl FnMut(usize, usize) -> T) -> Self {
        let mut cells = Vec::with_capacity(size * size);
        for y in 0..size {
            for x in 0..size {
                cells.push(value(x, y));
            }
        }
        Self { size, cells }
    }

    pub(crate) fn map<U: Value>(&self, value: impl FnMut(T) -> U) -> Grid<U> {
        Grid {
            size: self.size,
            cells: self.cells.iter().copied().map(value).collect(),
        }
    }

    /// Changes every value from itself and the value at the same place of another grid.
    pub(crate) fn combine<U: Copy>(&mut self, other: &Grid<U>, value: impl Fn(T, U) -> T) {
        for (cell, &other) in self.cells.iter_mut().zip(&other.cells) {
            *cell = value(*cell, other);
        }
    }

    /// The value between pixels, mirrored outside.
    pub(crate) fn at(&self, x: f32, y: f32) -> T {
        let (left, right) = (x.floor(), y.floor());
        let (share_x, share_y) = (x - left, y - right);
        let place = |at: f32| mirror(at as i64, self.size as i64);
        let (x0, x1) = (place(left), place(left + 1.0));
        let (y0, y1) = (place(right) * self.size, place(right + 1.0) * self.size);
        let above = blend(self.cells[y0 + x0], self.cells[y0 + x1], share_x);
        let below = blend(self.cells[y1 + x0], self.cells[y1 + x1], share_x);
        blend(above, below, share_y)
    }

    /// Gaussian blur (three box filters where that is close enough), repeated at the border.
    #[must_use]
    pub(crate) fn blurred(&self, sigma: f32) -> Self {
        if sigma < 0.2 {
            return self.clone();
        }
        if sigma < 2.0 {
            let radius = (3.0 * sigma).ceil() as usize;
            let weight = |at: usize| (-0.5 * (at as f32 / sigma).powi(2)).exp();
            let mut weights: Vec<f32> = (0..=radius).map(weight).collect();
            let sum = weights[0] + 2.0 * weights[1..].iter().sum::<f32>();
            for weight in &mut weights {
                *weight /= sum;
            }
            return self
                .filtered_rows(|row, output| weighted(row, &weights, output))
                .transposed()
                .filtered_rows(|row, output| weighted(row, &weights, output))
                .transposed();
        }
        let radius = (((4.0 * sigma * sigma + 1.0).sqrt() - 1.0) / 2.0).round() as usize;
        let radius = radius.clamp(1, self.size);
        let boxes = |grid: &Self| {
            let mut grid = grid.filtered_rows(|row, output| boxed(row, radius, output));
            for _ in 0..2 {
                grid = grid.filtered_rows(|row, output| boxed(row, radius, output));
            }
            grid
        };
        boxes(&boxes(self).transposed()).transposed()
    }

    fn transposed(&self) -> Self {
        Self::from_fn(self.size, |x, y| self.cells[x * self.size + y])
    }

    fn filtered_rows(&self, filter: impl Fn(&[T], &mut [T])) -> Self {
        let mut cells = vec![T::ZERO; self.cells.len()];
        let rows = self.cells.chunks_exact(self.size);
        for (row, output) in rows.zip(cells.chunks_exact_mut(self.size)) {
            filter(row, output);
        }
        Self {
            size: self.size,
            cells,
        }
    }
}

impl<T> Index<(usize, usize)> for Grid<T> {
    type Output = T;
    fn index(&self, (x, y): (usize, usize)) -> &T {
        &self.cells[y * self.size + x]
    }
}

impl<T> IndexMut<(usize, usize)> for Grid<T> {
    fn index_mut(&mut self, (x, y): (usize, usize)) -> &mut T {
        &mut self.cells[y * self.size + x]
    }
}

impl Field {
    /// Stretched to 0…1.
    #[must_use]
    pub(crate) fn normalised(mut self) -> Self {
        let low = self.cells.iter().copied().fold(f32::INFINITY, f32::min);
        let high = self.cells.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let scale = 1.0 / (high - low).max(1e-6);
        for cell in &mut self.cells {
            *cell = (*cell - low) * scale;
        }
        self
    }

    /// The largest value within `radius` pixels (in a square).
    #[must_use]
    pub(crate) fn dilated(&self, radius: usize) -> Self {
        let widest = |row: &[f32], output: &mut [f32]| {
            for (x, output) in output.iter_mut().enumerate() {
                let range = x.saturating_sub(radius)..(x + radius + 1).min(row.len());
                *output = row[range].iter().copied().fold(f32::NEG_INFINITY, f32::max);
            }
        };
        self.filtered_rows(widest)
            .transposed()
            .filtered_rows(widest)
            .transposed()
    }

    /// The smallest value within `radius` pixels (in a square).
    #[must_use]
    pub(crate) fn eroded(&self, radius: usize) -> Self {
        self.map(|value| -value).dilated(radius).map(|value| -value)
    }

    pub(crate) fn mean(&self) -> f32 {
        self.cells.iter().sum::<f32>() / self.cells.len() as f32
    }
}

fn mirror(at: i64, size: i64) -> usize {
    let period = 2 * size;
    let at = at.rem_euclid(period);
    at.min(period - 1 - at) as usize
}

fn weighted<T: Value>(row: &[T], weights: &[f32], output: &mut [T]) {
    let last = row.len() - 1;
    for (x, output) in output.iter_mut().enumerate() {
        let mut sum = T::ZERO.plus(row[x], weights[0]);
        for (distance, &weight) in weights.iter().enumerate().skip(1) {
            sum = sum.plus(row[x.saturating_sub(distance)], weight);
            sum = sum.plus(row[(x + distance).min(last)], weight);
        }
        *output = sum;
    }
}

fn boxed<T: Value>(row: &[T], radius: usize, output: &mut [T]) {
    let last = row.len() - 1;
    let scale = 1.0 / (2 * radius + 1) as f32;
    let mut sum = T::ZERO.plus(row[0], (radius + 1) as f32);
    for distance in 1..=radius {
        sum = sum.plus(row[distance.min(last)], 1.0);
    }
    for (x, output) in output.iter_mut().enumerate() {
        *output = T::ZERO.plus(sum, scale);
        sum = sum.plus(row[(x + radius + 1).min(last)], 1.0);
        sum = sum.plus(row[x.saturating_sub(radius)], -1.0);
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "these values are exact")]
mod tests {
    use super::*;
    use vcp_random::Random;

    fn noise(size: usize) -> Field {
        let mut random = Random::new(5);
        Field::from_fn(size, |_, _| random.unit())
    }

    #[test]
    fn blurs_keep_constants_and_have_their_deviation() {
        for sigma in [0.5, 1.5, 3.0, 6.0] {
            let flat = Field::new(41, 0.7).blurred(sigma);
            assert!(
                flat.cells.iter().all(|it| (it - 0.7).abs() < 1e-4),
                "{sigma}"
            );
            let mut point = Field::new(81, 0.0);
            point[(40, 40)] = 1.0;
            let spread = point.blurred(sigma);
            let (mut sum, mut square) = (0.0, 0.0);
            for y in 0..81 {
                for x in 0..81 {
                    sum += spread[(x, y)];
                    square += spread[(x, y)] * (x as f32 - 40.0).powi(2);
                }
            }
            assert!((sum - 1.0).abs() < 1e-3, "{sigma} {sum}");
            // Boxes are of whole widths.
            assert!(
                (square.sqrt() / sigma - 1.0).abs() < 0.2,
                "{sigma} {}",
                square.sqrt()
            );
        }
    }

    #[test]
    fn dilation_and_erosion_are_the_extremes_of_squares() {
        let field = noise(13);
        let (wide, narrow) = (field.dilated(2), field.eroded(2));
        for y in 0..13_usize {
            for x in 0..13_usize {
                let near = |at: usize| at.saturating_sub(2)..(at + 3).min(13);
                let values = near(y).flat_map(|y| near(x).map(move |x| (x, y)));
                let values: Vec<f32> = values.map(|place| field[place]).collect();
                assert_eq!(wide[(x, y)], values.iter().copied().fold(0.0, f32::max));
                assert_eq!(narrow[(x, y)], values.iter().copied().fold(1.0, f32::min));
            }
        }
    }

    #[test]
    fn values_between_pixels_and_outside() {
        let field = noise(9);
        assert_eq!(field.at(3.0, 4.0), field[(3, 4)]);
        let half = f32::midpoint(field[(3, 4)], field[(4, 4)]);
        assert!((field.at(3.5, 4.0) - half).abs() < 1e-6);
        // The border is a mirror.
        assert_eq!(field.at(-1.0, 0.0), field[(0, 0)]);
        assert_eq!(field.at(-3.0, 10.0), field[(2, 7)]);
    }
}
