use super::*;
use crate::truth::Bits;

const SIDE: usize = 12;
/// How close figures come to the official ones.
const OFFICIAL: f64 = 1e-6;

/// A made-up category: maps with structure, masks for anomalous images. Values are equal or well
/// apart, so that fixed memory tells them apart as well.
struct Made {
    maps: Vec<Vec<f32>>,
    truths: Vec<Truth>,
    labels: Vec<Label>,
    defects: Vec<&'static str>,
    scores: Vec<f32>,
}

impl Made {
    /// One image per type; `good` ones are normal.
    fn new(defects: &[&'static str]) -> Self {
        let mut made = Self {
            maps: Vec::new(),
            truths: Vec::new(),
            labels: Vec::new(),
            defects: defects.to_vec(),
            scores: Vec::new(),
        };
        for (index, &defect) in defects.iter().enumerate() {
            let value = |at: usize| ((at * 37 + index * 11) % 101) as f32 / 256.0 + 0.25;
            let mut map: Vec<f32> = (0..SIDE * SIDE).map(value).collect();
            let is_normal = defect == "good";
            let inside = |at: usize| at % SIDE < 4 + index % 3 && at / SIDE > 7;
            let mask: Vec<u8> = (0..map.len()).map(|at| u8::from(inside(at))).collect();
            if !is_normal {
                for (value, mask) in map.iter_mut().zip(&mask) {
                    *value += 0.125 * f32::from(*mask);
                }
            }
            made.scores.push(map.iter().sum::<f32>() / map.len() as f32);
            made.maps.push(map);
            made.truths.push(if is_normal {
                Truth::Normal
            } else {
                Truth::Mask(Bits::new(&mask))
            });
            made.labels.push(if is_normal {
                Label::Normal
            } else {
                Label::Anomalous
            });
        }
        made
    }

    fn judge(&self, protocol: &Protocol) -> CategoryResult {
        let images: Vec<Image<'_>> = (0..self.maps.len())
            .map(|at| Image {
                label: self.labels[at],
                defect: self.defects[at],
                truth: &self.truths[at],
                score: self.scores[at],
                range: range(&self.maps[at]),
                marked: protocol.calibration.as_ref().and_then(|calibration| {
                    Marked::of(
                        &self.maps[at],
                        &self.truths[at],
                        calibration.pixel_threshold,
                    )
                }),
            })
            .collect();
        let map = |at: usize| Ok(self.maps[at].clone());
        let side = self.maps.first().map_or(SIDE, |map| map.len().isqrt());
        figures("made", &images, side, &map, protocol)
            .unwrap()
            .result
    }
}

fn range(map: &[f32]) -> [f32; 2] {
    [
        map.iter().copied().fold(f32::INFINITY, f32::min),
        map.iter().copied().fold(f32::NEG_INFINITY, f32::max),
    ]
}

const TYPES: [&str; 7] = ["good", "cut", "good", "hole", "cut", "good", "hole"];

fn by_defect() -> Protocol {
    Protocol {
        by_defect: true,
        aupimo_bounds: [0.01, 0.5],
        ..Protocol::default()
    }
}

#[test]
fn everything_is_defined_where_both_kinds_are_there() {
    let result = Made::new(&TYPES).judge(&by_defect());
    for column in Figures::COLUMNS {
        let figure = result.row.figures.get(column.key);
        assert!(
            figure.is_some_and(|figure| (0.0..=1.0).contains(&figure)),
            "{}: {figure:?}, {:?}",
            column.key,
            result.row.undefined
        );
    }
    assert_eq!((result.row.images, result.row.anomalous_images), (7, 4));
    // Thresholds lead back to values of the maps.
    let threshold = result.threshold_unscaled.unwrap();
    let [low, high] = result.map_range.unwrap();
    assert!((f64::from(low)..=f64::from(high)).contains(&threshold));
}

#[test]
fn a_type_of_defect_is_judged_against_all_normal_images() {
    let protocol = by_defect();
    let result = Made::new(&TYPES).judge(&protocol);
    let names: Vec<&str> = result.defects.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names, ["cut", "hole"]);
    for row in &result.defects {
        assert_eq!((row.images, row.anomalous_images), (5, 2), "{}", row.name);
        // The images of that type and the normal ones alone, their maps as above.
        let mut alone = Made::new(&TYPES);
        for at in (0..TYPES.len()).rev() {
            if TYPES[at] != "good" && TYPES[at] != row.name {
                alone.maps.remove(at);
                alone.truths.remove(at);
                alone.labels.remove(at);
                alone.defects.remove(at);
                alone.scores.remove(at);
            }
        }
        let alone = alone.judge(&protocol);
        for key in [
            "pixel_auroc",
            "pixel_ap",
            "aupro_exact",
            "image_auroc",
            "image_ap",
        ] {
            let (found, expected) = (row.figures.get(key), alone.row.figures.get(key));
            let difference = (found.unwrap() - expected.unwrap()).abs();
            assert!(
                difference < 1e-6,
                "{} {key}: {found:?} {expected:?}",
                row.name
            );
        }
    }
}

#[test]
fn fixed_memory_is_close_to_sorting() {
    let exact = Made::new(&TYPES).judge(&by_defect());
    let streaming = Made::new(&TYPES).judge(&Protocol {
        streaming: true,
        ..by_defect()
    });
    let rows = |result: &CategoryResult| {
        let mut rows = vec![result.row.clone()];
        rows.extend(result.defects.iter().cloned());
        rows
    };
    for (exact, streaming) in rows(&exact).iter().zip(rows(&streaming)) {
        for column in Figures::COLUMNS.iter().filter(|column| column.is_percent) {
            let (exact, found) = (
                exact.figures.get(column.key),
                streaming.figures.get(column.key),
            );
            let difference = (exact.unwrap() - found.unwrap()).abs();
            assert!(difference <= 1e-4, "{}: {exact:?} {found:?}", column.key);
        }
    }
}

#[test]
fn what_the_data_do_not_define_is_missing_with_its_reason() {
    let normal = Made::new(&["good", "good"]).judge(&Protocol::default());
    assert_eq!(normal.row.figures.pixel_auroc, None);
    assert_eq!(normal.row.undefined["pixel_auroc"], "no anomalous pixels");
    assert_eq!(normal.row.undefined["image_auroc"], "no anomalous images");
    assert_eq!(normal.threshold_unscaled, None);
    let anomalous = Made::new(&["cut"]).judge(&Protocol::default());
    assert!(anomalous.row.figures.pixel_auroc.is_some());
    assert_eq!(anomalous.row.undefined["aupimo"], "no normal images");
    let nothing = Made::new(&[]).judge(&Protocol::default());
    assert_eq!((nothing.row.images, nothing.map_range), (0, None));
}

#[test]
fn an_image_without_mask_counts_for_image_figures_only() {
    let mut made = Made::new(&TYPES);
    let with = made.judge(&Protocol::default());
    made.truths[3] = Truth::Unknown;
    let without = made.judge(&Protocol::default());
    assert_eq!(without.images_without_mask, 1);
    assert_eq!(without.row.images, 7);
    assert_eq!(
        with.row.figures.image_auroc,
        without.row.figures.image_auroc
    );
    assert_ne!(with.row.figures.pixel_ap, without.row.figures.pixel_ap);
}

#[test]
fn constant_maps_are_no_trouble() {
    let mut made = Made::new(&TYPES);
    for map in &mut made.maps {
        map.fill(0.3);
    }
    made.scores.fill(0.5);
    let result = made.judge(&Protocol::default());
    assert_eq!(result.row.figures.pixel_auroc, Some(0.5));
    assert_eq!(result.row.figures.image_auroc, Some(0.5));
    assert!(result.row.undefined.contains_key("aupro_200"));
}

/// The official figures from the official code's own branch maps.
#[test]
fn figures_equal_the_official_ones() {
    for name in ["smooth", "ties"] {
        let Some(folder) = vcp_testing::shared(&format!("goldens/metrics/{name}")) else {
            return;
        };
        let file = std::fs::read(folder.join("maps.safetensors")).unwrap();
        let file = safetensors::SafeTensors::deserialize(&file).unwrap();
        let bytes = |name: &str| file.tensor(name).unwrap().data().to_vec();
        let floats = vcp_testing::read_safetensors(&folder.join("maps.safetensors"));
        let labels = bytes("label");
        let (map1, map2) = (&floats["map1"].values, &floats["map2"].values);
        let pixels = map1.len() / labels.len();
        let side = pixels.isqrt();
        let mut made = Made::new(&[]);
        for (at, &label) in labels.iter().enumerate() {
            let part = |values: &[f32]| values[at * pixels..][..pixels].to_vec();
            let (one, two) = (part(map1), part(map2));
            let mixed: Vec<f32> = one
                .iter()
                .zip(&two)
                .map(|(a, b)| 0.2 * a + 0.8 * b)
                .collect();
            made.maps
                .push(vcp_image::gaussian_blur(&mixed, side, side, 8.0));
            let score = |map: &[f32]| vcp_predict::mean_of_largest(map, 2000);
            made.scores.push(0.5 * (score(&one) + score(&two)));
            let mask = &bytes("mask")[at * pixels..][..pixels];
            let (truth, label) = if label == 0 {
                (Truth::Normal, Label::Normal)
            } else {
                (Truth::Mask(Bits::new(mask)), Label::Anomalous)
            };
            made.truths.push(truth);
            made.labels.push(label);
            made.defects.push("defect");
        }
        let result = made.judge(&Protocol::default());
        let expected = std::fs::read(folder.join("expected.json")).unwrap();
        let expected: serde_json::Value = serde_json::from_slice(&expected).unwrap();
        for (key, official) in [
            ("pixel_auroc", "auroc_px"),
            ("aupro_200", "aupro_px_200_steps"),
            ("pixel_ap", "ap_px"),
            ("pixel_f1_max", "f1_px"),
            ("pixel_iou", "iou"),
            ("threshold", "threshold"),
            ("image_auroc", "auroc_sp"),
            ("image_ap", "ap_sp"),
            ("image_f1_max", "f1_sp"),
        ] {
            let found = result.row.figures.get(key).unwrap();
            let expected = expected[official].as_f64().unwrap();
            let difference = (found - expected).abs();
            eprintln!("{name} {key}: {found} differs by {difference:.1e}");
            assert!(
                difference < OFFICIAL,
                "{name} {key}: {found}, not {expected}"
            );
        }
    }
}

/// Thresholds found beforehand are reported beside the official figures and change none of them.
#[test]
fn a_calibration_changes_no_official_figure() {
    let made = Made::new(&TYPES);
    let calibration = vcp_checkpoint::Calibration {
        version: vcp_checkpoint::Calibration::VERSION,
        pixel_threshold: 0.5,
        // That of one of the images, which reaches it.
        score_threshold: made.scores[2],
        range: (0.25, 0.75),
        data: "made up".to_owned(),
        date: "2026-01-01".to_owned(),
        images: 10,
        apply_orientation: true,
        review_threshold: None,
        mask_sha256: None,
        bits: None,
        references: None,
        windows: None,
    };
    let official = made.judge(&by_defect());
    let mut found = made.judge(&Protocol {
        calibration: Some(calibration),
        ..by_defect()
    });
    let calibrated = found.row.calibrated.take().unwrap();
    assert_eq!(
        (calibrated.normal_images, calibrated.anomalous_images),
        (3, 4)
    );
    let reach = |at: &usize| made.scores[*at] >= made.scores[2];
    let count = |good: bool| {
        (0..TYPES.len())
            .filter(|at| (TYPES[*at] == "good") == good)
            .filter(reach)
            .count()
    };
    assert_eq!(
        (calibrated.false_alarms, calibrated.detected),
        (count(true), count(false))
    );
    assert!(calibrated.pixel_iou.is_some());
    for row in &mut found.defects {
        assert_eq!(row.calibrated.take().unwrap().anomalous_images, 2);
    }
    assert_eq!(found, official);
    // The scale of the category is not that of the model.
    let [low, high] = found.map_range.unwrap();
    assert_eq!(found.scaled_range((low, high)), Some((0.0, 1.0)));
    assert_eq!(CategoryResult::default().scaled_range((0.0, 1.0)), None);
}
