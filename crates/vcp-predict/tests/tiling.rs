//! Photos looked at in windows, against plain statements of what that means.

use std::ops::ControlFlow;

use vcp_image::{MapRows, Photo, ScaledMap, regions};
use vcp_predict::tiling::{MapKind, TiledPrediction, Tiling};
use vcp_predict::{Error, PhotoPrediction, Prediction, Predictor, PredictorOptions};
use vcp_testing::mini;

/// Finds a map in an untiled prediction.
type MapOf = fn(&Prediction) -> &[f32];

/// The kinds of maps, and where an untiled prediction has them.
const KINDS: [(MapKind, MapOf); 3] = [
    (MapKind::Blended, |prediction| &prediction.blended),
    (MapKind::Branch1, |prediction| &prediction.branch1),
    (MapKind::Branch2, |prediction| &prediction.branch2),
];

fn predictor() -> Predictor {
    let options = PredictorOptions {
        threads: std::num::NonZero::new(2),
        ..PredictorOptions::default()
    };
    Predictor::new(&mini().weights(), &options).expect("the model loads")
}

fn noise(width: usize, height: usize, seed: u32) -> Photo {
    let pixels = (0..(width * height * 3) as u32).map(|index| {
        let mixed = index
            .wrapping_add(seed)
            .wrapping_mul(2_654_435_761)
            .rotate_left(15)
            .wrapping_mul(2_246_822_519);
        (mixed >> 24) as u8
    });
    Photo::from_rgb(width, height, pixels.collect()).expect("a photo")
}

fn tiled(predictor: &Predictor, photo: &Photo, tiling: &Tiling) -> TiledPrediction {
    let mut watch = |_, _| ControlFlow::Continue(());
    let prediction = predictor.predict_tiled(&mut &*photo, tiling, &mut watch);
    prediction.expect("a prediction")
}

fn untiled(predictor: &Predictor, photo: &Photo) -> Prediction {
    let predictions = predictor.predict(&[predictor.prepare(photo)]);
    predictions.expect("a prediction").remove(0)
}

fn all_rows(map: &impl MapRows) -> Vec<f32> {
    let mut values = vec![f32::NAN; map.width() * map.height()];
    for (y, row) in values.chunks_exact_mut(map.width()).enumerate() {
        map.row(y, row);
    }
    values
}

fn tiling(tile: usize, overlap: f64, global_weight: f32) -> Tiling {
    Tiling::new(tile, overlap, global_weight).expect("good values")
}

/// Where windows of `length` begin on `size` pixels.
fn starts(size: usize, length: usize, overlap: f64) -> Vec<usize> {
    let step = ((length as f64 * (1.0 - overlap)).floor() as usize).max(1);
    let count = (size - length).div_ceil(step);
    match count {
        0 => vec![0],
        _ => (0..=count).map(|i| i * (size - length) / count).collect(),
    }
}

/// The blended map by the book: every window's map at its place, each pixel the mean weighted by
/// the distances to the nearer ends; and the largest score.
fn plainly(
    predictor: &Predictor,
    photo: &Photo,
    tiling: &Tiling,
    values: MapOf,
) -> (Vec<f64>, f32) {
    let (width, height) = (photo.width(), photo.height());
    let (across, down) = (tiling.tile().min(width), tiling.tile().min(height));
    let mut sums = vec![0.0; width * height];
    let mut weights = vec![0.0; width * height];
    let mut score = 0.0_f32;
    for top in starts(height, down, tiling.overlap()) {
        for left in starts(width, across, tiling.overlap()) {
            let window = photo.crop(left..left + across, top..top + down);
            let prediction = untiled(predictor, &window);
            score = score.max(prediction.score);
            let side = prediction.side;
            let map = all_rows(&ScaledMap::new(values(&prediction), side, across, down));
            for (index, value) in map.iter().enumerate() {
                let (x, y) = (index % across, index / across);
                let ramp = |at: usize, length: usize| at.min(length - 1 - at) as f64 + 0.5;
                let weight = ramp(x, across) * ramp(y, down);
                sums[(top + y) * width + left + x] += weight * f64::from(*value);
                weights[(top + y) * width + left + x] += weight;
            }
        }
    }
    let means = sums.iter().zip(&weights).map(|(sum, weight)| sum / weight);
    (means.collect(), score)
}

#[test]
fn one_window_is_the_untiled_photo_to_the_bit() {
    let predictor = predictor();
    for (width, height, tile, weight) in [
        (90, 70, 90, 0.0),
        (90, 70, 518, 0.0),
        (90, 70, 91, 0.5),
        (70, 70, 70, 0.0),
        (1, 1, 1, 0.3),
        (1, 1, 518, 0.0),
        (1, 97, 97, 0.0),
        // Only the whole photo counts: larger photos too.
        (190, 113, 40, 1.0),
    ] {
        let photo = noise(width, height, 3);
        let found = tiled(&predictor, &photo, &tiling(tile, 0.25, weight));
        let expected = untiled(&predictor, &photo);
        assert_eq!(found.window_count(), 1);
        assert_eq!(found.score.to_bits(), expected.score.to_bits());
        assert_eq!(found.max.to_bits(), expected.max.to_bits());
        for (kind, values) in KINDS {
            let values = values(&expected);
            let scaled = ScaledMap::new(values, expected.side, width, height);
            let map = found.map(&predictor, kind);
            assert!(
                all_rows(&map) == all_rows(&scaled),
                "{width} × {height}, {kind:?}"
            );
            assert_eq!(regions(&map, 0.5), regions(&scaled, 0.5));
        }
    }
}

#[test]
fn windows_are_blended_as_stated() {
    let predictor = predictor();
    for (width, height, tile, overlap) in [
        (97, 61, 37, 0.25),
        (61, 97, 70, 0.25),
        (89, 53, 31, 0.0),
        (53, 47, 40, 0.9),
        (1, 83, 40, 0.25),
        (101, 1, 40, 0.5),
        (5, 3, 1, 0.0),
        (7, 4, 2, 0.9),
    ] {
        let photo = noise(width, height, 5);
        let tiling = tiling(tile, overlap, 0.0);
        let found = tiled(&predictor, &photo, &tiling);
        for (kind, values) in KINDS {
            let (expected, score) = plainly(&predictor, &photo, &tiling, values);
            assert_eq!(found.score.to_bits(), score.to_bits());
            let map = all_rows(&found.map(&predictor, kind));
            for (found, expected) in map.iter().zip(&expected) {
                let difference = (f64::from(*found) - expected).abs();
                assert!(
                    difference < 1e-6,
                    "{width} × {height} by {tile}: {difference:e}"
                );
            }
            if kind == MapKind::Blended {
                assert!(map.iter().all(|value| *value <= found.max + 1e-6));
            }
        }
    }
}

#[test]
fn the_whole_photo_has_its_share() {
    let predictor = predictor();
    for photo in [noise(113, 71, 9), {
        let pixels = noise(113, 71, 11).into_pixels();
        Photo::from_grey(113, 71, pixels[..113 * 71].to_vec()).expect("a photo")
    }] {
        let parts = tiled(&predictor, &photo, &tiling(40, 0.25, 0.0));
        let whole = untiled(&predictor, &photo);
        let both = tiled(&predictor, &photo, &tiling(40, 0.25, 0.25));
        let expected = 0.25 * whole.score + 0.75 * parts.score;
        assert!((both.score - expected).abs() < 1e-6);
        assert!((both.max - (0.25 * whole.max + 0.75 * parts.max)).abs() < 1e-6);
        for (kind, values) in KINDS {
            let whole = all_rows(&ScaledMap::new(values(&whole), whole.side, 113, 71));
            let parts = all_rows(&parts.map(&predictor, kind));
            let both = all_rows(&both.map(&predictor, kind));
            for ((whole, part), both) in whole.iter().zip(&parts).zip(&both) {
                assert!((both - (0.25 * whole + 0.75 * part)).abs() < 1e-6);
            }
        }
    }
}

#[test]
fn rows_do_not_depend_on_their_order() {
    let predictor = predictor();
    let photo = noise(97, 131, 1);
    let prediction = tiled(&predictor, &photo, &tiling(40, 0.4, 0.2));
    let map = prediction.map(&predictor, MapKind::Blended);
    let expected = all_rows(&map);
    let mut row = vec![0.0; 97];
    for y in [130, 0, 1, 39, 40, 41, 5, 5, 100, 64, 63, 129, 12] {
        map.row(y, &mut row);
        assert!(row == expected[y * 97..][..97], "row {y}");
    }
}

/// From one pixel to the next, the blended map of a photo without structure changes by no more than
/// a window's map does, and what fading from one window to the next adds.
#[test]
fn a_photo_of_one_colour_has_no_seams() {
    let predictor = predictor();
    let photo = Photo::from_rgb(211, 149, vec![90; 211 * 149 * 3]).expect("a photo");
    let window = untiled(&predictor, &photo.crop(0..50, 0..50));
    let window = all_rows(&ScaledMap::new(&window.blended, window.side, 50, 50));
    let steps = |map: &[f32], width: usize| {
        let across = map
            .chunks_exact(width)
            .flat_map(|row| row.windows(2).map(|pair| (pair[0] - pair[1]).abs()));
        let down = map.iter().zip(&map[width..]).map(|(a, b)| (a - b).abs());
        across.chain(down).fold(0.0, f32::max)
    };
    let largest = window.iter().copied().fold(0.0, f32::max);
    let smallest = window.iter().copied().fold(1.0, f32::min);
    for overlap in [0.25, 0.5, 0.9] {
        let prediction = tiled(&predictor, &photo, &tiling(50, overlap, 0.0));
        let map = all_rows(&prediction.map(&predictor, MapKind::Blended));
        let fade = (largest - smallest) / (50.0 * overlap as f32).floor();
        let allowed = steps(&window, 50) + fade + 1e-6;
        let found = steps(&map, 211);
        assert!(found <= allowed, "{found} > {allowed} at {overlap}");
    }
}

#[test]
fn hostile_values_are_refused() {
    assert!(matches!(Tiling::new(0, 0.25, 0.0), Err(Error::TileEmpty)));
    for overlap in [-0.1, 0.951, 1.0, 2.0, f64::NAN, f64::INFINITY] {
        let error = Tiling::new(518, overlap, 0.0).expect_err("out of range");
        assert!(matches!(error, Error::Overlap { .. }), "{overlap}");
    }
    for weight in [-0.1, 1.1, f32::NAN, f32::INFINITY] {
        let error = Tiling::new(518, 0.25, weight).expect_err("out of range");
        assert!(matches!(error, Error::GlobalWeight { .. }), "{weight}");
    }
    let predictor = predictor();
    let photo = noise(150, 150, 0);
    let mut watch = |_, _| ControlFlow::Continue(());
    let error = predictor
        .predict_tiled(&mut &photo, &tiling(1, 0.0, 0.0), &mut watch)
        .expect_err("22,500 windows");
    let message = error.to_string();
    assert!(
        message.contains("22500") && message.contains("150 × 150"),
        "{message}"
    );
}

#[test]
fn work_can_be_watched_and_stopped() {
    let predictor = predictor();
    let photo = noise(90, 90, 0);
    let mut seen = Vec::new();
    let mut watch = |done, total| {
        seen.push((done, total));
        ControlFlow::Continue(())
    };
    let windows = tiling(30, 0.0, 0.5);
    let prediction = predictor.predict_tiled(&mut &photo, &windows, &mut watch);
    prediction.expect("a prediction");
    assert_eq!(seen, [(3, 10), (6, 10), (9, 10), (10, 10)]);
    let mut watch = |_, _| ControlFlow::Break(());
    let error = predictor
        .predict_tiled(&mut &photo, &windows, &mut watch)
        .expect_err("stopped");
    assert!(matches!(error, Error::Stopped));
}

/// A photo of one window goes whole, also where its rows come in bands, and a larger one in windows: to the
/// bit as if it had been asked for.
#[test]
fn whole_or_windows_is_decided_once() {
    let predictor = predictor();
    let mut watch = |_, _| ControlFlow::Continue(());
    let photo = noise(90, 61, 3);
    for (tile, global_weight, is_cut) in [
        (None, 0.0, false),
        (Some(90), 0.0, false),
        (Some(200), 0.5, false),
        (Some(89), 0.0, true),
        (Some(40), 0.25, true),
        // Nothing but the whole photo counts; its rows come in bands of 7.
        (Some(7), 1.0, false),
    ] {
        let tiling = tile.map(|tile| tiling(tile, 0.25, global_weight));
        let prepared = predictor.prepare_photo(&photo, tiling.as_ref());
        let prepared = prepared.expect("a photo that is ready");
        let (_, found) = predictor
            .predict_photo(prepared, &mut watch)
            .expect("a prediction");
        match (&found, &tiling) {
            (PhotoPrediction::Tiled(found), Some(tiling)) if is_cut => {
                assert!(
                    **found == tiled(&predictor, &photo, tiling),
                    "tiles of {tile:?}"
                );
            }
            (PhotoPrediction::Whole { prediction, .. }, _) if !is_cut => {
                assert!(
                    *prediction == untiled(&predictor, &photo),
                    "tiles of {tile:?}"
                );
            }
            _ => panic!("tiles of {tile:?}"),
        }
        for (kind, map) in KINDS {
            let rows = found.map(&predictor, kind, (90, 61));
            let mut row = vec![0.0; 90];
            rows.row(30, &mut row);
            if !is_cut {
                let whole = untiled(&predictor, &photo);
                let expected = ScaledMap::new(map(&whole), whole.side, 90, 61);
                let mut values = vec![0.0; 90];
                expected.row(30, &mut values);
                assert!(row == values, "{kind:?} with tiles of {tile:?}");
            }
        }
        let side = predictor.image_size();
        assert_eq!(found.model_map(&predictor).len(), side * side);
    }
}
