//! The quick figures against plain ones that are right at a glance.

#![allow(clippy::unwrap_used)] // helpers of tests, too
#![allow(clippy::float_cmp)] // infinity is itself

mod support;

use proptest::prelude::*;
use support::{Image, Plain, images, options, report, smooth_images};
use vcp_metrics::{Collector, ImageReport, Outcome, PixelOptions, StreamingCollector};

/// Sums in another order differ by this much.
const ROUNDING: f64 = 1e-9;

/// The official code adds a small number that makes F1 smaller by at most this.
const OFFICIAL: f64 = 5.1e-9;

fn agree(name: &str, found: Outcome, expected: Option<f64>) -> Result<(), TestCaseError> {
    agree_within(ROUNDING, name, found, expected)
}

fn agree_within(
    tolerance: f64,
    name: &str,
    found: Outcome,
    expected: Option<f64>,
) -> Result<(), TestCaseError> {
    match (found, expected) {
        (Ok(found), Some(expected)) => prop_assert!(
            (found.value - expected).abs() <= tolerance,
            "{name}: {found:?}, not {expected}"
        ),
        (found, expected) => prop_assert_eq!(
            found.is_ok(),
            expected.is_some(),
            "{}: {:?}, not {:?}",
            name,
            found,
            expected
        ),
    }
    Ok(())
}

proptest! {
    #[test]
    fn pixel_figures((images, options) in (images(4, 6), options())) {
        let found = report(&images, options);
        let plain = Plain { images: &images, options };
        let best = plain.best();
        agree("AUROC", found.auroc, plain.auroc())?;
        agree("AP", found.average_precision, plain.average_precision())?;
        agree_within(OFFICIAL, "F1", found.f1_max, best.map(|best| best.0))?;
        agree("threshold", found.threshold, best.map(|best| best.1))?;
        agree("IoU", found.iou, best.map(|best| best.2))?;
        agree("AUPRO", found.aupro, plain.aupro())?;
        agree("AUPRO by steps", found.aupro_steps, plain.aupro_steps())?;
        let aupimo = plain.aupimo();
        let mean = aupimo.as_ref().map(|figures| {
            let defined: Vec<f64> = figures.iter().flatten().copied().collect();
            defined.iter().sum::<f64>() / defined.len() as f64
        });
        agree("AUPIMO", found.aupimo, mean)?;
        let expected = aupimo.unwrap_or_else(|| vec![None; images.len()]);
        for (found, expected) in found.aupimo_by_image.iter().zip(&expected) {
            prop_assert_eq!(found.is_some(), expected.is_some());
            let difference = found.unwrap_or(0.0) - expected.unwrap_or(0.0);
            prop_assert!(difference.abs() < ROUNDING, "{:?}, not {:?}", found, expected);
        }
        prop_assert_eq!(found.aupimo_by_image.len(), images.len());
        let regions: usize = images.iter().map(|image| image.regions().len()).sum();
        prop_assert_eq!(found.regions, regions as u64);
    }

    #[test]
    fn image_figures(
        images in prop::collection::vec((0_u8..5, any::<bool>()), 0..20)
    ) {
        let scores: Vec<f32> = images.iter().map(|&(score, _)| f32::from(score) - 2.0).collect();
        let labels: Vec<bool> = images.iter().map(|&(_, label)| label).collect();
        let found = ImageReport::new(&scores, &labels).unwrap();
        // Each image as one pixel.
        let pixels = [Image {
            width: scores.len(),
            height: 1,
            map: scores,
            mask: labels.iter().map(|&label| u8::from(label)).collect(),
        }];
        let plain = Plain { images: &pixels, options: PixelOptions::default() };
        agree("AUROC", found.auroc, plain.auroc())?;
        // The plain statement gives 1 where there is nothing to confuse anomalous images with.
        let both = labels.contains(&false);
        agree("AP", found.average_precision, plain.average_precision().filter(|_| both))?;
        let best = plain.best().filter(|_| both);
        agree("threshold", found.threshold, best.map(|best| best.1))?;
        agree_within(OFFICIAL, "F1", found.f1_max, best.map(|best| best.0))?;
    }

    #[test]
    fn a_part_of_the_images_is_as_if_there_were_no_others(
        (images, options, wanted) in (images(5, 6), options(), prop::collection::vec(any::<bool>(), 5))
    ) {
        let mut all = Collector::new(options).unwrap();
        let maps: Vec<_> = images.iter().map(Image::as_map).collect();
        all.add_all(&maps).unwrap();
        let found = all.report_of(|image| wanted[image]);
        let kept: Vec<Image> = images
            .iter()
            .zip(&wanted)
            .filter(|&(_, &wanted)| wanted)
            .map(|(image, _)| image.clone())
            .collect();
        let mut expected = report(&kept, options);
        let mut by_image = expected.aupimo_by_image.into_iter();
        expected.aupimo_by_image = wanted[..images.len()]
            .iter()
            .map(|&wanted| if wanted { by_image.next().unwrap() } else { None })
            .collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn curves_leave_out_nothing_that_is_far((images, options) in (images(3, 8), options())) {
        let plain = Plain { images: &images, options };
        let found = report(&images, options);
        let step = 1.0 / options.curve_points as f64 + ROUNDING;
        let mut thresholds: Vec<f32> = images.iter().flat_map(|image| image.map.clone()).collect();
        thresholds.sort_by(f32::total_cmp);
        prop_assert_eq!(found.curve[0].threshold, f32::INFINITY);
        for point in &found.curve[1..] {
            let (rate, recall, precision) = plain.point(point.threshold);
            prop_assert!((point.false_positive_rate - rate).abs() < ROUNDING);
            prop_assert!((point.true_positive_rate - recall).abs() < ROUNDING);
            prop_assert!((point.precision - precision).abs() < ROUNDING);
        }
        for threshold in thresholds {
            let (rate, recall, _) = plain.point(threshold);
            // Off the lines between kept points by a step in either direction at most.
            let near = found.curve.windows(2).any(|pair| {
                let (x, y) = (pair[0].false_positive_rate, pair[0].true_positive_rate);
                let along = (pair[1].false_positive_rate - x, pair[1].true_positive_rate - y);
                let length = along.0.powi(2) + along.1.powi(2);
                let share = if length > 0.0 {
                    (((rate - x) * along.0 + (recall - y) * along.1) / length).clamp(0.0, 1.0)
                } else {
                    0.0
                };
                let off = (x + share * along.0 - rate, y + share * along.1 - recall);
                off.0.abs() <= step && off.1.abs() <= step
            });
            prop_assert!(near, "{threshold} of {:?}", found.curve);
        }
    }
}

#[test]
fn fixed_memory_tells_all_figures_of_smooth_maps_closely() {
    let images = smooth_images(5, 5, 160);
    let options = PixelOptions::default();
    let exact = report(&images, options);
    let mut collector = StreamingCollector::new(options).unwrap();
    for image in &images {
        collector.add(&image.as_map()).unwrap();
    }
    let found = collector.report();
    assert_eq!(found.regions, exact.regions);
    assert_eq!(found.normal_images, exact.normal_images);
    for ((name, found), (_, exact)) in found.figures().into_iter().zip(exact.figures()) {
        let (found, exact) = (found.unwrap(), exact.unwrap());
        let difference = (found.value - exact.value).abs();
        if name == "threshold" {
            assert!(difference < 1e-3, "{name}: {found:?}, not {exact:?}");
            continue;
        }
        assert!(
            found.error_bound <= vcp_metrics::ERROR_BOUND,
            "{name}: {found:?}"
        );
        assert!(
            difference <= found.error_bound + ROUNDING,
            "{name}: {found:?}, not {exact:?}"
        );
    }
}
