//! What is refused, and what is undefined and says so.

#![allow(clippy::unwrap_used)] // helpers of tests, too
#![allow(clippy::float_cmp)] // exact on purpose

mod support;

use support::{Image, report};
use vcp_metrics::{
    Collector, Error, ImageMap, ImageReport, PixelOptions, StreamingCollector, Undefined,
};

fn image(width: usize, map: &[f32], mask: &[u8]) -> Image {
    Image {
        width,
        height: map.len() / width,
        map: map.to_vec(),
        mask: mask.to_vec(),
    }
}

fn refused(image: &ImageMap<'_>) -> Error {
    let mut exact = Collector::new(PixelOptions::default()).unwrap();
    let mut counted = StreamingCollector::new(PixelOptions::default()).unwrap();
    let good = ImageMap {
        map: &[0.0, 0.5],
        mask: None,
        width: 2,
        height: 1,
    };
    exact.add(&good).unwrap();
    counted.add(&good).unwrap();
    let error = exact.add(image).unwrap_err();
    assert_eq!(
        counted.add(image).unwrap_err().to_string(),
        error.to_string()
    );
    assert_eq!(
        exact.add_all(&[good, *image]).unwrap_err().to_string(),
        error.to_string().replace("mage 1", "mage 2"),
    );
    // Nothing of it was added.
    assert_eq!(exact.len(), 1);
    assert_eq!(exact.report().pixels, 2);
    assert_eq!(counted.report().pixels, 2);
    error
}

#[test]
fn values_that_are_no_numbers_are_refused() {
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let map = [0.0, 0.1, 0.2, 0.3, value, 0.5];
        let error = refused(&ImageMap {
            map: &map,
            mask: None,
            width: 3,
            height: 2,
        });
        assert!(
            matches!(
                error,
                Error::NotFinite {
                    image: 1,
                    x: 1,
                    y: 1,
                    ..
                }
            ),
            "{error}"
        );
        let error = ImageReport::new(&[0.0, value], &[false, true]).unwrap_err();
        assert!(
            matches!(error, Error::ScoreNotFinite { image: 1, .. }),
            "{error}"
        );
    }
}

#[test]
fn sizes_that_do_not_fit_are_refused() {
    let map = [0.0; 6];
    for (mask, width, height, expected) in [
        (
            None,
            2,
            2,
            "The map of image 1 has 6 elements where 2 × 2 pixels need 4",
        ),
        (
            Some(5),
            3,
            2,
            "The mask of image 1 has 5 elements where 3 × 2 pixels need 6",
        ),
        (None, 0, 6, "Image 1 has 0 × 6 pixels"),
        (None, usize::MAX, 2, "pixels; from 1 to"),
        (None, 1 << 16, 1 << 16, "Image 1 has 65536 × 65536 pixels"),
    ] {
        let mask = mask.map(|length| vec![0_u8; length]);
        let error = refused(&ImageMap {
            map: &map,
            mask: mask.as_deref(),
            width,
            height,
        });
        assert!(error.to_string().contains(expected), "{error}");
    }
    let error = ImageReport::new(&[0.5], &[]).unwrap_err();
    assert_eq!(
        error,
        Error::Unpaired {
            scores: 1,
            labels: 0
        }
    );
}

#[test]
fn fixed_memory_refuses_values_outside_its_range() {
    let mut counted = StreamingCollector::new(PixelOptions::default()).unwrap();
    for value in [-1e-9, 1.000_000_1, 255.0] {
        let map = [0.0, -0.0, 1.0, value];
        let error = counted.add(&ImageMap {
            map: &map,
            mask: None,
            width: 2,
            height: 2,
        });
        assert!(
            matches!(
                error,
                Err(Error::OutOfRange {
                    image: 0,
                    x: 1,
                    y: 1,
                    ..
                })
            ),
            "{error:?}"
        );
    }
}

#[test]
fn options_outside_their_range_are_refused() {
    let good = PixelOptions::default();
    for (option, options) in [
        (
            "fpr_limit",
            PixelOptions {
                fpr_limit: 0.0,
                ..good
            },
        ),
        (
            "fpr_limit",
            PixelOptions {
                fpr_limit: 1.1,
                ..good
            },
        ),
        (
            "fpr_limit",
            PixelOptions {
                fpr_limit: f64::NAN,
                ..good
            },
        ),
        (
            "aupro_steps",
            PixelOptions {
                aupro_steps: 0,
                ..good
            },
        ),
        (
            "aupro_steps",
            PixelOptions {
                aupro_steps: 1_000_001,
                ..good
            },
        ),
        (
            "aupimo_bounds",
            PixelOptions {
                aupimo_bounds: [0.0, 0.1],
                ..good
            },
        ),
        (
            "aupimo_bounds",
            PixelOptions {
                aupimo_bounds: [0.1, 0.1],
                ..good
            },
        ),
        (
            "aupimo_bounds",
            PixelOptions {
                aupimo_bounds: [0.1, f64::NAN],
                ..good
            },
        ),
        (
            "curve_points",
            PixelOptions {
                curve_points: 100_001,
                ..good
            },
        ),
    ] {
        for error in [
            Collector::new(options).unwrap_err(),
            StreamingCollector::new(options).unwrap_err(),
        ] {
            let named =
                matches!(error, Error::InvalidOption { option: name, .. } if name == option);
            assert!(named, "{option}: {error}");
        }
    }
}

/// What the figures are, in the order of `PixelReport::figures`.
type Expected = [Result<f64, Undefined>; 8];

#[test]
#[allow(clippy::too_many_lines)] // one table
fn undefined_figures_say_why() {
    let no_positives: Expected = [Err(Undefined::NoAnomalousPixels); 8];
    let unresolved = Err(Undefined::UnresolvedRate {
        smallest: 0.5,
        bound: 1e-5,
    });
    let few = Err(Undefined::TooFewThresholds { limit: 0.3 });
    let all_positive = Err(Undefined::NoNormalPixels);
    let no_normal = Err(Undefined::NoNormalImages);
    let constant = Err(Undefined::ConstantMaps);
    let cases: [(&str, Vec<Image>, Expected); 6] = [
        ("nothing at all", vec![], no_positives),
        (
            "normal images",
            vec![image(2, &[0.1, 0.2], &[0, 0])],
            no_positives,
        ),
        (
            "anomalous pixels only",
            vec![image(2, &[0.5, 0.25], &[1, 1])],
            [
                all_positive,
                Ok(1.0),
                Ok(1.0),
                Ok(0.5),
                Ok(0.25),
                all_positive,
                all_positive,
                no_normal,
            ],
        ),
        (
            "a constant map",
            vec![image(4, &[0.5; 4], &[0, 1, 0, 0])],
            [
                Ok(0.5),
                Ok(0.25),
                Ok(0.4),
                Ok(0.0),
                Ok(0.5),
                constant,
                // From (0, 0) to (1, 1), up to 0.3.
                Ok(0.15),
                no_normal,
            ],
        ),
        (
            "a constant normal image",
            vec![
                image(2, &[0.5; 2], &[0, 0]),
                image(2, &[0.75, 0.25], &[1, 0]),
            ],
            [
                Ok(1.0),
                Ok(1.0),
                Ok(1.0),
                Ok(0.0),
                Ok(0.75),
                few,
                Ok(1.0),
                Err(Undefined::UnresolvedRate {
                    smallest: 1.0,
                    bound: 1e-5,
                }),
            ],
        ),
        (
            "few normal pixels",
            vec![
                image(2, &[0.5, 0.0], &[0, 0]),
                image(2, &[1.0, 0.25], &[1, 0]),
            ],
            [
                Ok(1.0),
                Ok(1.0),
                Ok(1.0),
                Ok(0.0),
                Ok(1.0),
                few,
                Ok(1.0),
                unresolved,
            ],
        ),
    ];
    for (case, images, expected) in cases {
        let exact = report(&images, PixelOptions::default());
        let mut counted = StreamingCollector::new(PixelOptions::default()).unwrap();
        for image in &images {
            counted.add(&image.as_map()).unwrap();
        }
        for found in [exact.figures(), counted.report().figures()] {
            for ((name, found), expected) in found.into_iter().zip(expected) {
                match (found, expected) {
                    (Ok(found), Ok(expected)) => assert!(
                        (found.value - expected).abs() < 1e-12,
                        "{case}, {name}: {found:?}, not {expected}"
                    ),
                    (found, expected) => {
                        assert_eq!(found.map(|figure| figure.value), expected, "{case}, {name}");
                    }
                }
            }
        }
        assert!(exact.aupimo_by_image.iter().all(Option::is_none), "{case}");
    }
}

#[test]
fn image_figures_of_one_class_are_undefined() {
    let normal = ImageReport::new(&[0.1, 0.2], &[false; 2]).unwrap();
    for (name, figure) in normal.figures() {
        assert_eq!(figure, Err(Undefined::NoAnomalousImages), "{name}");
    }
    let anomalous = ImageReport::new(&[0.1, 0.2], &[true; 2]).unwrap();
    for (name, figure) in anomalous.figures() {
        assert_eq!(figure, Err(Undefined::NoNormalImages), "{name}");
    }
}

/// AUPIMO asks what is normal, not what has no anomalous pixels.
#[test]
fn an_anomalous_image_with_an_empty_mask_is_not_normal() {
    let options = PixelOptions {
        aupimo_bounds: [0.25, 0.75],
        ..PixelOptions::default()
    };
    let reports = |mask: Option<&[u8]>| {
        let marked = ImageMap {
            map: &[0.9, 0.6, 0.3, 0.1],
            mask: Some(&[1, 1, 1, 0]),
            width: 4,
            height: 1,
        };
        let normal = ImageMap {
            map: &[0.5, 0.2, 0.2, 0.0],
            mask: None,
            ..marked
        };
        let doubtful = ImageMap {
            map: &[0.8, 0.7, 0.4, 0.4],
            mask,
            ..marked
        };
        let mut exact = Collector::new(options).unwrap();
        let mut counted = StreamingCollector::new(options).unwrap();
        for image in [&marked, &normal, &doubtful] {
            exact.add(image).unwrap();
            counted.add(image).unwrap();
        }
        [exact.report(), counted.report()]
    };
    let (anomalous, normal) = (reports(Some(&[0; 4])), reports(None));
    for (anomalous, normal) in anomalous.iter().zip(&normal) {
        assert_eq!((anomalous.normal_images, normal.normal_images), (1, 2));
        // Its pixels are normal ones for all other figures.
        assert_eq!(anomalous.average_precision, normal.average_precision);
        assert_ne!(anomalous.aupimo.unwrap(), normal.aupimo.unwrap());
    }
    assert_eq!(anomalous[0].aupimo_by_image[1..], [None, None]);
    // Of the normal image alone, a quarter reaches 0.5, and three quarters 0.2.
    assert!(
        (anomalous[0].aupimo.unwrap().value - anomalous[1].aupimo.unwrap().value).abs() < 1e-12
    );
}

#[test]
fn a_region_along_all_borders_is_one() {
    let mut mask = vec![1_u8; 25];
    for y in 1..4 {
        mask[y * 5 + 1..y * 5 + 4].fill(0);
    }
    let map: Vec<f32> = mask
        .iter()
        .map(|&pixel| 0.25 + 0.5 * f32::from(pixel))
        .collect();
    let mut map = map;
    // Half of the defect is found above every normal pixel, half below.
    for (found, index) in (0..25).filter(|&i| mask[i] != 0).enumerate() {
        map[index] = if found < 8 { 0.75 } else { 0.0 };
    }
    let found = report(&[image(5, &map, &mask)], PixelOptions::default());
    assert_eq!(found.regions, 1);
    assert_eq!(found.aupro.unwrap().value, 0.5);
    assert_eq!(found.auroc.unwrap().value, 0.5);
}

#[test]
fn the_two_zeros_are_equal() {
    let found = report(&[image(2, &[0.0, -0.0], &[1, 0])], PixelOptions::default());
    assert_eq!(found.auroc.unwrap().value, 0.5);
}
