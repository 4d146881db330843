//! A photo's map, row by row, from the logits of its windows.

use std::cell::RefCell;

use vcp_image::{MapRows, ScaledMap};

use super::prediction::{TiledPrediction, mix};
use crate::logits::LogitsView;
use crate::map_kind::MapKind;
use crate::predictor::Predictor;

/// A map of a window, [side, side].
fn window_map(kind: MapKind, logits: LogitsView<'_>, predictor: &Predictor) -> Vec<f32> {
    let branch1 = || predictor.branch_map(logits, 0);
    let branch2 = || predictor.branch_map(logits, 1);
    match kind {
        MapKind::Blended => {
            let reference = predictor.reference_map(logits);
            predictor.blend(&branch1(), &branch2(), reference.as_deref())
        }
        MapKind::Branch1 => branch1(),
        MapKind::Branch2 => branch2(),
    }
}

impl TiledPrediction {
    /// A map at the photo's resolution, made row by row by the predictor that made the prediction.
    ///
    /// Each pass over its rows makes every window's map anew. While it lasts, it holds four bytes for
    /// each pixel of one row of windows.
    #[must_use]
    pub fn map<'a>(&'a self, predictor: &'a Predictor, kind: MapKind) -> TiledMap<'a> {
        TiledMap::new(self, predictor, kind)
    }
}

/// The blended map of a tiled photo at the photo's resolution. Made row by row; quick when rows are
/// asked for from the top down.
pub struct TiledMap<'a> {
    prediction: &'a TiledPrediction,
    predictor: &'a Predictor,
    kind: MapKind,
    /// The share of the whole photo and its map, [side, side].
    global: Option<(f32, Vec<f32>)>,
    band: RefCell<Band>,
}

/// The rows that the windows added so far reach to.
struct Band {
    /// The first row held.
    first: usize,
    /// The first row of windows not added yet.
    next: usize,
    /// As many rows as a window has; row y stands at y modulo that number.
    rows: Vec<f32>,
}

impl<'a> TiledMap<'a> {
    fn new(prediction: &'a TiledPrediction, predictor: &'a Predictor, kind: MapKind) -> Self {
        let global = prediction.global.as_ref();
        let global =
            global.map(|(weight, logits)| (*weight, window_map(kind, logits.view(), predictor)));
        let windows = &prediction.windows;
        Self {
            prediction,
            predictor,
            kind,
            global,
            band: RefCell::new(Band {
                first: 0,
                next: 0,
                rows: vec![0.0; windows.rows.length() * windows.columns.size()],
            }),
        }
    }

    /// Adds a row of windows to the band, leaving out what lies above it.
    fn add(&self, row_of_windows: usize, top: usize, band: &mut Band) {
        let windows = &self.prediction.windows;
        let (width, length) = (windows.columns.size(), windows.columns.length());
        let height = windows.rows.length();
        let side = self.predictor.image_size();
        let mut line = vec![0.0; length];
        for (column, columns) in windows.columns.windows() {
            let window = row_of_windows * windows.columns.len() + column;
            let map = window_map(self.kind, self.prediction.logits(window), self.predictor);
            let map = ScaledMap::new(&map, side, length, height);
            let weights: Vec<_> = columns
                .clone()
                .map(|x| windows.columns.weight(columns.start, x))
                .collect();
            for y in top.max(band.first)..top + height {
                map.row(y - top, &mut line);
                let weight = windows.rows.weight(top, y);
                let sums = &mut band.rows[y % height * width..][columns.clone()];
                for ((sum, value), share) in sums.iter_mut().zip(&line).zip(&weights) {
                    *sum += weight * share * value;
                }
            }
        }
    }
}

impl MapRows for TiledMap<'_> {
    fn width(&self) -> usize {
        self.prediction.width()
    }

    fn height(&self) -> usize {
        self.prediction.height()
    }

    fn row(&self, y: usize, out: &mut [f32]) {
        let (width, height) = (self.width(), self.height());
        assert!(
            y < height && out.len() == width,
            "row {y} of {height} with {} values of {width} was asked for",
            out.len()
        );
        let rows = &self.prediction.windows.rows;
        let mut band = self.band.borrow_mut();
        if (band.first..band.first + rows.length()).contains(&y) {
            while band.first < y {
                let done = band.first % rows.length() * width;
                band.rows[done..][..width].fill(0.0);
                band.first += 1;
            }
        } else {
            band.rows.fill(0.0);
            band.first = y;
            band.next = rows.first_over(y);
        }
        while let Some(top) = rows.start(band.next).filter(|top| *top <= y) {
            let next = band.next;
            self.add(next, top, &mut band);
            band.next += 1;
        }
        out.copy_from_slice(&band.rows[y % rows.length() * width..][..width]);
        drop(band);
        if let Some((weight, map)) = &self.global {
            let map = ScaledMap::new(map, self.predictor.image_size(), width, height);
            let mut global = vec![0.0; width];
            map.row(y, &mut global);
            for (value, global) in out.iter_mut().zip(&global) {
                *value = mix(*weight, *global, *value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tiling::Tiling;
    use crate::{Logits, PredictorOptions};
    use vcp_testing::mini;

    /// Windows that all say the same, everywhere, blend to just that.
    #[test]
    fn a_constant_map_stays_constant() {
        let options = PredictorOptions {
            threads: std::num::NonZero::new(1),
            ..PredictorOptions::default()
        };
        let predictor = Predictor::new(&mini().weights(), &options).expect("the model loads");
        let logits = Logits::new([2, 2], vec![0.75; 4 * 25]).expect("four taps");
        let expected = predictor.finish(&logits).expect("a prediction").max;
        assert!((expected - 0.679_178_7).abs() < 1e-6, "{expected}");
        for (width, height, tile, overlap) in [
            (211, 149, 60, 0.25),
            (97, 101, 50, 0.9),
            (61, 59, 16, 0.5),
            (83, 71, 20, 0.0),
        ] {
            let tiling = Tiling::new(tile, overlap, 0.0).expect("good values");
            let windows = tiling.windows(width, height).expect("few windows");
            let prediction = TiledPrediction {
                score: expected,
                max: expected,
                shape: logits.shape(),
                logits: logits.values().repeat(windows.count()),
                windows,
                global: None,
            };
            for kind in [MapKind::Blended, MapKind::Branch1, MapKind::Branch2] {
                let map = prediction.map(&predictor, kind);
                let mut row = vec![0.0; width];
                for y in 0..height {
                    map.row(y, &mut row);
                    let worst = row.iter().map(|value| (value - expected).abs());
                    let worst = worst.fold(0.0, f32::max);
                    assert!(worst < 1e-6, "{worst:e} in row {y} of tiles of {tile}");
                }
            }
        }
    }
}
