//! A square map seen at a photo's resolution.

use crate::MapRows;

/// A `[side, side]` map read as if it had been resized to `width` × `height`, bilinearly with pixel
/// centres aligned (`PyTorch`'s `align_corners = false`, without antialiasing). Rows are made when
/// asked for, so a photo of 200 million pixels needs no 800 MB map.
///
/// The two directions are scaled apart from each other, because the photo was squeezed into a
/// square on its way into the model.
#[derive(Clone, Debug)]
pub struct ScaledMap<'a> {
    map: &'a [f32],
    side: usize,
    columns: Vec<Place>,
    height: usize,
}

/// Where an output pixel lies between two of the map's.
#[derive(Clone, Copy, Debug)]
struct Place {
    first: usize,
    second: usize,
    /// 0 at `first`, 1 at `second`.
    fraction: f32,
}

impl Place {
    fn new(index: usize, output: usize, side: usize) -> Self {
        let position = ((index as f64 + 0.5) * side as f64 / output as f64 - 0.5).max(0.0);
        let first = (position as usize).min(side - 1);
        Self {
            first,
            second: (first + 1).min(side - 1),
            fraction: (position - first as f64) as f32,
        }
    }

    fn between(self, first: f32, second: f32) -> f32 {
        first + (second - first) * self.fraction
    }
}

impl<'a> ScaledMap<'a> {
    /// The map `[side, side]`, row by row, to be seen at `width` × `height`.
    ///
    /// # Panics
    /// If `map` does not have `side * side` values, or `side` is zero.
    #[must_use]
    pub fn new(map: &'a [f32], side: usize, width: usize, height: usize) -> Self {
        assert!(
            side > 0 && map.len() == side * side,
            "a map of {} values is not {side} × {side}",
            map.len()
        );
        Self {
            map,
            side,
            columns: (0..width).map(|x| Place::new(x, width, side)).collect(),
            height,
        }
    }

    /// Pixels per row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.columns.len()
    }

    /// Rows.
    #[must_use]
    pub fn height(&self) -> usize {
        self.height
    }

    /// Writes row `y` to `out`.
    ///
    /// # Panics
    /// If `y` is not less than the height, or `out` is not `width` long.
    pub fn row(&self, y: usize, out: &mut [f32]) {
        assert!(
            y < self.height && out.len() == self.width(),
            "row {y} of {} with {} values of {} was asked for",
            self.height,
            out.len(),
            self.width()
        );
        let place = Place::new(y, self.height, self.side);
        let line = |row: usize| &self.map[row * self.side..(row + 1) * self.side];
        // Between the two rows first: that is one pass over `side` values, not over `width`.
        let blended: Vec<f32> = line(place.first)
            .iter()
            .zip(line(place.second))
            .map(|(&above, &below)| place.between(above, below))
            .collect();
        for (out, place) in out.iter_mut().zip(&self.columns) {
            *out = place.between(blended[place.first], blended[place.second]);
        }
    }
}

impl MapRows for ScaledMap<'_> {
    fn width(&self) -> usize {
        ScaledMap::width(self)
    }

    fn height(&self) -> usize {
        ScaledMap::height(self)
    }

    fn row(&self, y: usize, out: &mut [f32]) {
        ScaledMap::row(self, y, out);
    }
}
