//! Photos of which only a part counts, against plain statements of what that means.

use std::ops::ControlFlow;
use std::sync::Arc;

use vcp_image::Photo;
use vcp_predict::tiling::{MapKind, Tiling};
use vcp_predict::{
    PhotoPrediction, Predictor, PredictorOptions, RegionOfInterest, mean_of_largest_counting,
};
use vcp_testing::mini;

const SIZE: (usize, usize) = (90, 61);

fn predictor() -> Predictor {
    let options = PredictorOptions {
        threads: std::num::NonZero::new(2),
        ..PredictorOptions::default()
    };
    Predictor::new(&mini().weights(), &options).expect("the model loads")
}

fn photo() -> Photo {
    let pixels =
        (0..SIZE.0 * SIZE.1 * 3).map(|index| ((index * 31 + index / 700 * 97) % 251) as u8);
    Photo::from_rgb(SIZE.0, SIZE.1, pixels.collect()).expect("a photo")
}

/// A region of the photo's size, of the pixels (x, y) that are `inside`.
fn region(inside: impl Fn(usize, usize) -> bool) -> Arc<RegionOfInterest> {
    let counts = (0..SIZE.0 * SIZE.1).map(|at| inside(at % SIZE.0, at / SIZE.0));
    let region = RegionOfInterest::new(SIZE.0, SIZE.1, counts.collect());
    Arc::new(region.expect("a region"))
}

fn predicted(
    predictor: &Predictor,
    tiling: Option<&Tiling>,
    region: Option<Arc<RegionOfInterest>>,
) -> PhotoPrediction {
    let photo = predictor
        .prepare_photo(photo(), tiling)
        .expect("a photo that is ready");
    let mut watch = |_, _| ControlFlow::Continue(());
    let (_, prediction) = predictor
        .predict_photo(photo.within(region), &mut watch)
        .expect("a prediction");
    prediction
}

#[test]
fn a_region_of_everything_changes_no_bit() {
    let predictor = predictor();
    let tilings = [(40, 0.25, 0.0), (40, 0.5, 0.25), (200, 0.0, 0.5)];
    let tilings = tilings.map(|(tile, overlap, weight)| Tiling::new(tile, overlap, weight).ok());
    for tiling in [None].into_iter().chain(tilings) {
        let plain = predicted(&predictor, tiling.as_ref(), None);
        let all = predicted(&predictor, tiling.as_ref(), Some(region(|_, _| true)));
        assert!(plain == all, "{tiling:?}");
    }
}

#[test]
fn what_does_not_count_has_no_influence() {
    let predictor = predictor();
    let side = predictor.image_size();
    let corner = region(|x, y| x >= 50 && y < 30);
    let PhotoPrediction::Whole {
        prediction: all, ..
    } = predicted(&predictor, None, None)
    else {
        panic!("not processed whole");
    };
    let found = predicted(&predictor, None, Some(Arc::clone(&corner)));
    let counts = corner.squeezed(SIZE, side);
    let score = |map: &[f32]| mean_of_largest_counting(map, predictor.score_pixels()[0], &counts);
    let expected = 0.5 * (score(&all.branch1) + score(&all.branch2));
    assert_eq!(found.score().to_bits(), expected.to_bits());
    let counting = all
        .blended
        .iter()
        .zip(&counts)
        .filter(|(_, counts)| **counts);
    let largest = counting.map(|(value, _)| *value).fold(f32::MIN, f32::max);
    assert_eq!(found.max().to_bits(), largest.to_bits());
    // The map is the model's, wherever something counts.
    let PhotoPrediction::Whole { prediction, .. } = found else {
        panic!("not processed whole");
    };
    assert!(prediction.blended == all.blended);
}

#[test]
fn each_window_has_its_part_of_the_region() {
    let predictor = predictor();
    let side = predictor.image_size();
    // Two columns of windows that share none of the photo's.
    let tiling = Tiling::new(45, 0.0, 0.0).expect("good values");
    let right = region(|x, y| x >= 60 && (5..30).contains(&y));
    let found = predicted(&predictor, Some(&tiling), Some(Arc::clone(&right)));
    let PhotoPrediction::Tiled(tiled) = &found else {
        panic!("not processed in windows");
    };
    assert_eq!(tiled.window_count(), 4);
    let window = |columns: std::ops::Range<usize>, rows: std::ops::Range<usize>| {
        let part = photo().crop(columns.clone(), rows.clone());
        let prediction = predictor
            .predict(&[predictor.prepare(&part)])
            .expect("a prediction");
        let counts: Vec<bool> = rows
            .flat_map(|y| {
                columns
                    .clone()
                    .map(move |x| x >= 60 && (5..30).contains(&y))
            })
            .collect();
        let (width, height) = (part.width(), part.height());
        let part = RegionOfInterest::new(width, height, counts).expect("a region");
        let counts = part.squeezed((width, height), side);
        let score =
            |map: &[f32]| mean_of_largest_counting(map, predictor.score_pixels()[0], &counts);
        0.5 * (score(&prediction[0].branch1) + score(&prediction[0].branch2))
    };
    // Two windows one above the other, from rows 0 and 16 on.
    let expected = window(45..90, 0..45).max(window(45..90, 16..61));
    assert_eq!(found.score().to_bits(), expected.to_bits());

    // Windows without anything that counts change nothing where something does.
    let all = predicted(&predictor, Some(&tiling), None);
    let rows = |prediction: &PhotoPrediction| {
        let map = prediction.map(&predictor, MapKind::Blended, SIZE);
        let mut row = vec![0.0; SIZE.0];
        map.row(20, &mut row);
        row
    };
    let (with, without) = (rows(&found), rows(&all));
    assert!(with[45..] == without[45..] && with[..45] != without[..45]);
}
