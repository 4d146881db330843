//! The part of photos that counts, and the smallest region, as other programs set them.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use vcp_clip::calibration::{FitOptions, Label, Measurements, Mismatch, PhotoIdentity};
use vcp_clip::{
    Device, Error, Fault, Inspection, InspectionMask, Inspector, InspectorOptions, MaskError,
    Model, Photo, PredictorOptions, ThresholdOptions, Tiling,
};
use vcp_testing::mini;

fn model() -> Model {
    Model::of(mini().weights())
}

fn inspector(options: &InspectorOptions) -> Inspector {
    let options = InspectorOptions {
        predictor: PredictorOptions {
            threads: NonZeroUsize::new(2),
            ..PredictorOptions::default()
        },
        ..options.clone()
    };
    Inspector::new(&model(), &Device::cpu(), &options).expect("the model loads")
}

fn photo(seed: usize) -> Photo {
    let pixels = (0..90 * 61 * 3).map(|index| ((index * 31 + seed * 97) % 251) as u8);
    Photo::from_rgb(90, 61, pixels.collect()).expect("a photo")
}

/// A PNG in a folder.
fn stored(folder: &Path, name: &str, seed: usize) -> PathBuf {
    let path = folder.join(name);
    let picture = vcp_image::Picture::from(photo(seed));
    picture.write_png(&path).expect("a picture");
    path
}

fn identity(path: &Path) -> PhotoIdentity {
    PhotoIdentity::of_file(path, None).expect("a file")
}

/// The left half of the photos.
fn left_half() -> InspectionMask {
    let pixels = (0..90 * 61).map(|at| u8::from(at % 90 < 45)).collect();
    let picture = Photo::from_grey(90, 61, pixels).expect("a picture");
    let mask = InspectionMask::of(Some(&picture), None).expect("one that can be used");
    mask.expect("a mask")
}

#[test]
fn what_does_not_count_has_no_part_in_anything() {
    for tiling in [None, Tiling::new(30, 0.25, 0.25).ok()] {
        let options = InspectorOptions {
            tiling,
            mask: Some(left_half()),
            thresholds: ThresholdOptions {
                pixel: Some(-1.0),
                ..ThresholdOptions::default()
            },
            ..InspectorOptions::default()
        };
        let [masked, plain] = [
            &options,
            &InspectorOptions {
                mask: None,
                ..options.clone()
            },
        ]
        .map(|options| inspector(options).inspect_photo(photo(6)).unwrap());
        assert_eq!(masked.regions()[0].area, 45 * 61);
        let mut rows = [[0.0; 90]; 2];
        for (row, inspection) in rows.iter_mut().zip([&masked, &plain]) {
            inspection.map().row(20, row);
        }
        assert!(rows[0][..45] == rows[1][..45] && rows[0][45..].iter().all(|it| it.is_nan()));
        let side = masked.image_size();
        for (at, value) in masked.model_map().iter().enumerate() {
            let counts = at % side * 2 < side;
            assert_eq!(value.is_nan(), !counts, "pixel {at}");
            assert!(!counts || (0.0..=1.0).contains(value), "pixel {at}");
        }
        // The same, with everything and with what counts alone.
        let record = masked.record("a.png");
        assert_eq!(record.mask_sha256.as_deref(), Some(left_half().sha256()));
        assert!(plain.record("a.png").mask_sha256.is_none());
        assert!(masked.max() <= plain.max());

        // Thresholds come from what counts.
        let mut found = Measurements::new(FitOptions::default(), false).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let inspector = inspector(&options);
        for seed in 0..10 {
            let path = stored(folder.path(), &format!("{seed}.png"), seed);
            let inspection = inspector.inspect_file(&path).unwrap();
            found
                .add(&identity(&path), &inspection, &Label::Normal)
                .unwrap();
        }
        let thresholds = found.fit().unwrap();
        assert!(thresholds.review.is_none(), "{thresholds:?}");
        assert!(
            (0.0..1.0).contains(&thresholds.pixel.value),
            "{thresholds:?}"
        );
        let calibration = found.calibration(
            &thresholds,
            "halves",
            &options.viewing(),
            None,
            "2026-01-02".to_owned(),
        );
        let mut model = self::model();
        model
            .weights_mut()
            .set_calibration(Some(calibration))
            .unwrap();
        let again = Inspector::new(&model, &Device::cpu(), &options).unwrap();
        assert_eq!(again.set_aside(), None);
        let options = InspectorOptions {
            mask: None,
            ..options
        };
        let whole = Inspector::new(&model, &Device::cpu(), &options).unwrap();
        assert_eq!(whole.set_aside(), Some(Mismatch::WithMask));
    }
}

#[test]
fn defects_that_are_not_inspected_do_not_count() {
    let folder = tempfile::tempdir().unwrap();
    let options = InspectorOptions {
        mask: Some(left_half()),
        ..InspectorOptions::default()
    };
    let inspector = inspector(&options);
    let mut found = Measurements::new(FitOptions::default(), true).unwrap();
    // A defect on the left, on the right, and none at all.
    for (seed, columns) in [0..20, 60..80, 0..0].into_iter().enumerate() {
        let path = stored(folder.path(), &format!("{seed}.png"), seed);
        let marked = (0..90 * 61).map(|at| u8::from(columns.contains(&(at % 90))));
        let label = Label::Anomalous {
            mask: Some(Photo::from_grey(90, 61, marked.collect()).unwrap()),
        };
        let inspection = inspector.inspect_file(&path).unwrap();
        found.add(&identity(&path), &inspection, &label).unwrap();
    }
    assert_eq!((found.anomalous(), found.masked()), (2, 2));
    assert_eq!((found.uninspected(), found.seen()), (1, 3));
}

#[test]
fn photos_of_another_shape_than_the_mask_are_refused() {
    let inspector = inspector(&InspectorOptions {
        mask: Some(left_half()),
        ..InspectorOptions::default()
    });
    let turned = Photo::from_grey(61, 90, vec![7; 61 * 90]).unwrap();
    let error = inspector.inspect_photo(turned).unwrap_err();
    assert!(
        matches!(error, Error::Mask(MaskError::Shape { .. })),
        "{error}"
    );
    assert_eq!(error.fault(), Fault::Input);
}

#[test]
fn small_regions_are_not_shown() {
    let at = |min_area: u64| {
        let inspector = inspector(&InspectorOptions {
            min_area,
            thresholds: ThresholdOptions {
                pixel: Some(0.0),
                ..ThresholdOptions::default()
            },
            ..InspectorOptions::default()
        });
        inspector.inspect_photo(photo(7)).unwrap()
    };
    let white = |inspection: &Inspection| {
        let mask = inspection.mask();
        let pixels = mask.as_photo().pixels().iter();
        pixels.map(|&value| usize::from(value)).sum::<usize>() / 255
    };
    let (all, none) = (at(90 * 61), at(90 * 61 + 1));
    assert_eq!((all.regions().len(), white(&all)), (1, 90 * 61));
    assert_eq!((none.regions().len(), white(&none)), (0, 0));
    assert_eq!(none.record("a.png").min_area, Some(90 * 61 + 1));
    assert_eq!(none.score().to_bits(), all.score().to_bits());
}
