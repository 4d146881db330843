//! The comparison against a plain statement of it, and what is left out of it.

use std::num::NonZero;
use std::ops::ControlFlow;
use std::sync::Arc;

use half::f16;
use proptest::prelude::*;
use vcp_checkpoint::{ReferenceDescription, References, Weights};
use vcp_cpu::Cpu;
use vcp_image::Photo;
use vcp_random::Random;
use vcp_testing::mini;

use super::{
    Comparison, Copies, MemoryBuilder, MemoryDetails, PatchFeatures, ReferenceMemory, SHARPNESS,
};
use crate::{Error, PhotoPrediction, Predictor, PredictorOptions};

fn cpu(threads: usize) -> Cpu {
    Cpu::new(NonZero::new(threads)).expect("threads")
}

fn details() -> MemoryDetails {
    MemoryDetails {
        data: "noise".to_owned(),
        date: "2026-01-31".to_owned(),
        apply_orientation: true,
        windows: None,
        bits: None,
    }
}

/// Rows of length 1, as many for each of the levels.
fn rows(random: &mut Random, count: usize, channels: &[usize]) -> Vec<Vec<f32>> {
    let level = |&channels: &usize| {
        let mut values: Vec<f32> = (0..count * channels).map(|_| random.normal()).collect();
        for row in values.chunks_exact_mut(channels) {
            let length = row.iter().map(|value| value * value).sum::<f32>().sqrt();
            for value in row {
                *value /= length;
            }
        }
        values
    };
    channels.iter().map(level).collect()
}

fn references(
    random: &mut Random,
    channels: &[usize],
    groups: &[usize],
    scales: &[f32],
) -> References {
    let total = groups.iter().sum();
    let description = ReferenceDescription {
        version: References::VERSION,
        channels: channels.to_vec(),
        rows: groups.to_vec(),
        scales: scales.to_vec(),
        photos: (0..groups.len()).map(|photo| photo.to_string()).collect(),
        data: String::new(),
        date: String::new(),
        apply_orientation: true,
        windows: None,
        bits: None,
        model: String::new(),
    };
    let levels = rows(random, total, channels);
    let levels = levels
        .into_iter()
        .map(|level| level.into_iter().map(f16::from_f32).collect());
    References::new(description, levels.collect()).expect("a memory")
}

/// The module's text, patch by patch, in double precision.
fn plainly(
    references: &References,
    patches: &[Vec<f32>],
    count: usize,
    without: Option<usize>,
) -> Vec<f64> {
    let description = references.description();
    let patch = |index: usize| {
        let groups = (0..references.groups()).filter(|group| Some(*group) != without);
        let distances = groups.map(|group| {
            let levels = description.channels.iter().enumerate();
            let levels = levels.map(|(level, &channels)| {
                let own = &patches[level][index * channels..][..channels];
                let rows = references.rows(level, group).chunks_exact(channels);
                let cosine = |row: &[f16]| -> f64 {
                    let both = row.iter().zip(own);
                    both.map(|(a, b)| f64::from(a.to_f32()) * f64::from(*b))
                        .sum()
                };
                let nearest = rows.map(cosine).fold(f64::NEG_INFINITY, f64::max);
                (1.0 - nearest).max(0.0) / f64::from(description.scales[level])
            });
            levels.sum::<f64>() / description.channels.len() as f64
        });
        let distances: Vec<f64> = distances.collect();
        let sharpness = f64::from(SHARPNESS);
        let terms = distances
            .iter()
            .map(|distance| (-sharpness * distance).exp());
        let distance = -(terms.sum::<f64>() / distances.len() as f64).ln() / sharpness;
        distance.powi(6) / (1.0 + distance.powi(6))
    };
    (0..count).map(patch).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn equals_the_plain_statement(
        seed in 0_u64..1000,
        count in 1_usize..40,
        channels in proptest::collection::vec(1_usize..70, 1..4),
        groups in proptest::collection::vec(1_usize..90, 1..5),
        threads in 1_usize..4,
    ) {
        let mut random = Random::new(seed);
        let scales: Vec<f32> = channels.iter().map(|_| random.between(0.3, 1.5)).collect();
        let references = references(&mut random, &channels, &groups, &scales);
        let patches = rows(&mut random, count, &channels);
        let mut first: Option<Vec<u32>> = None;
        // Bits depend on nothing but the numbers.
        for cpu in [cpu(threads), cpu(1)] {
            let levels = patches.iter().zip(&channels);
            let levels = levels.map(|(level, &channels)| cpu.tensor([1, count, channels], level));
            let features = PatchFeatures { levels: levels.collect() };
            let memory = Arc::new(ReferenceMemory::of(&cpu, &references));
            let whole = Comparison::with(Arc::clone(&memory));
            let found = whole.of(&cpu, &features);
            let bits: Vec<u32> = found.iter().map(|value| value.to_bits()).collect();
            prop_assert_eq!(first.get_or_insert(bits.clone()), &bits);
            let unknown = Comparison::leaving_out(Arc::clone(&memory), "unknown");
            let own = Comparison::leaving_out(memory, "0");
            prop_assert_eq!(own.is_some(), groups.len() > 1);
            let cases = [(Some(whole), None), (unknown, None), (own, Some(0))];
            for (comparison, without) in cases {
                let Some(comparison) = comparison else {
                    continue;
                };
                let found = comparison.of(&cpu, &features);
                let expected = plainly(&references, &patches, count, without);
                for (found, expected) in found.iter().zip(&expected) {
                    prop_assert!((f64::from(*found) - expected).abs() < 2e-4, "{} {}", found, expected);
                }
            }
        }
    }
}

fn noise(seed: u64, spot: Option<usize>) -> Photo {
    let mut random = Random::new(seed);
    let side = 60;
    let mut pixels: Vec<u8> = Vec::with_capacity(side * side * 3);
    for y in 0..side {
        for x in 0..side {
            let is_spot =
                spot.is_some_and(|at| (at..at + 16).contains(&x) && (at..at + 16).contains(&y));
            let value = if is_spot { 250 } else { 90 + random.below(30) };
            pixels.extend([value as u8; 3]);
        }
    }
    Photo::from_rgb(side, side, pixels).expect("a photo")
}

struct Setting {
    weights: Weights,
    predictor: Predictor,
}

impl Setting {
    fn new() -> Self {
        let weights = mini().weights();
        let options = PredictorOptions {
            threads: NonZero::new(2),
            ..PredictorOptions::default()
        };
        let predictor = Predictor::new(&weights, &options).expect("the model loads");
        Self { weights, predictor }
    }

    fn memory(&self, photos: &[Photo]) -> Result<References, Error> {
        self.memory_with(photos, Copies::None)
    }

    fn memory_with(&self, photos: &[Photo], copies: Copies) -> Result<References, Error> {
        let cpu = self.predictor.cpu();
        let builder = MemoryBuilder::new(cpu, &self.weights, photos.len());
        let mut builder = builder.with_copies(copies);
        for (number, photo) in photos.iter().enumerate() {
            let prepared = self.predictor.prepare_photo(photo, None)?;
            let name = number.to_string();
            let watch = &mut || ControlFlow::Continue(());
            self.predictor
                .remember(prepared, name, &mut builder, watch)?;
        }
        assert_eq!(builder.photos(), photos.len());
        builder.finish(cpu, details())
    }

    fn compared(&self, photo: &Photo, comparison: &Comparison) -> Vec<f32> {
        let prepared = self.predictor.prepare_photo(photo, None).expect("a photo");
        let prepared = prepared.compared_with(Some(comparison.clone()));
        let watch = &mut |_, _| ControlFlow::Continue(());
        let (_, prediction) = self
            .predictor
            .predict_photo(prepared, watch)
            .expect("a prediction");
        match prediction {
            PhotoPrediction::Whole { logits, .. } => {
                logits.references().expect("it was compared").to_vec()
            }
            PhotoPrediction::Tiled(_) => panic!("it was not to be cut"),
        }
    }
}

fn largest(values: &[f32]) -> f32 {
    values.iter().copied().fold(0.0, f32::max)
}

#[test]
fn good_photos_compare_alike_whether_they_are_remembered_or_not() {
    let setting = Setting::new();
    let photos: Vec<Photo> = (0..11).map(|seed| noise(seed, None)).collect();
    let references = setting.memory(&photos).expect("a memory");
    assert_eq!(references.groups(), super::GROUPS);
    let memory = ReferenceMemory::new(setting.predictor.cpu(), &references, &setting.weights);
    let memory = Arc::new(memory.expect("a memory of this model"));
    let all = Comparison::with(Arc::clone(&memory));
    // With itself in the memory a photo looks better than any other.
    let own = largest(&setting.compared(&photos[9], &all));
    let out = Comparison::leaving_out(Arc::clone(&memory), "9").expect("other groups");
    let left_out = largest(&setting.compared(&photos[9], &out));
    let other = largest(&setting.compared(&noise(99, None), &all));
    assert!(own < left_out, "{own} {left_out}");
    assert!(left_out < 0.95 && other < 0.95, "{left_out} {other}");
    let spotted = setting.compared(&noise(99, Some(20)), &all);
    assert!(largest(&spotted) > 0.99, "{}", largest(&spotted));
}

#[test]
fn a_single_photo_is_enough() {
    let setting = Setting::new();
    let references = setting.memory(&[noise(0, None)]).expect("a memory");
    let memory = ReferenceMemory::new(setting.predictor.cpu(), &references, &setting.weights);
    let memory = Arc::new(memory.expect("a memory of this model"));
    assert!(Comparison::leaving_out(Arc::clone(&memory), "0").is_none());
    let all = Comparison::with(memory);
    let good = largest(&setting.compared(&noise(1, None), &all));
    let bad = largest(&setting.compared(&noise(1, Some(20)), &all));
    assert!(good < bad && bad > 0.9, "{good} {bad}");
}

/// Two shots of one part in one fixture do not make every other part strange.
#[test]
fn nearly_equal_photos_do_no_harm() {
    let setting = Setting::new();
    let mut pixels = noise(0, None).pixels().to_vec();
    pixels[0] += 1;
    let twin = Photo::from_rgb(60, 60, pixels).expect("a photo");
    let twins = setting.memory(&[noise(0, None), twin]).expect("a memory");
    let alone = setting.memory(&[noise(0, None)]).expect("a memory");
    let scales = |references: &References| references.description().scales.clone();
    for (alone, twins) in scales(&alone).iter().zip(scales(&twins)) {
        assert!(twins >= 0.15 * alone, "{twins} of {alone}");
    }
}

#[test]
fn equal_photos_do_not_divide_by_nothing() {
    let setting = Setting::new();
    let photo = || Photo::from_rgb(30, 30, vec![128; 2700]).expect("a photo");
    let references = setting.memory(&[photo(), photo()]).expect("a memory");
    let memory = ReferenceMemory::new(setting.predictor.cpu(), &references, &setting.weights);
    let all = Comparison::with(Arc::new(memory.expect("a memory of this model")));
    assert!(
        setting
            .compared(&photo(), &all)
            .iter()
            .all(|value| value.is_finite())
    );
    assert!(largest(&setting.compared(&noise(0, None), &all)) > 0.99);
}

#[test]
fn memories_are_bounded_and_need_a_photo() {
    let setting = Setting::new();
    assert!(matches!(setting.memory(&[]), Err(Error::NoReferences)));
    let cpu = setting.predictor.cpu();
    let mut builder = MemoryBuilder::with_bound(cpu, &setting.weights, 20, 64);
    for seed in 0..20 {
        let prepared = setting
            .predictor
            .prepare_photo(noise(seed, None), None)
            .expect("a photo");
        let watch = &mut || ControlFlow::Continue(());
        setting
            .predictor
            .remember(prepared, seed.to_string(), &mut builder, watch)
            .expect("a photo");
    }
    let references = builder.finish(cpu, details()).expect("a memory");
    let rows = &references.description().rows;
    assert_eq!(rows.len(), super::GROUPS);
    assert!(rows.iter().all(|count| (1..=8).contains(count)), "{rows:?}");
    let watch = &mut || ControlFlow::Break(());
    let prepared = setting.predictor.prepare_photo(noise(0, None), None);
    let mut builder = MemoryBuilder::new(cpu, &setting.weights, 1);
    let stopped = setting.predictor.remember(
        prepared.expect("a photo"),
        String::new(),
        &mut builder,
        watch,
    );
    assert!(matches!(stopped, Err(Error::Stopped)));
}

/// The same, left to right, upside down or both.
fn turned(photo: &Photo, across: bool, down: bool) -> Photo {
    let (width, height) = (photo.width(), photo.height());
    let place = |at: usize, count: usize, is_turned: bool| {
        if is_turned { count - 1 - at } else { at }
    };
    let pixels = (0..height).flat_map(|y| {
        (0..width).flat_map(move |x| {
            let row = photo.row(place(y, height, down));
            row[3 * place(x, width, across)..][..3].iter().copied()
        })
    });
    Photo::from_rgb(width, height, pixels.collect()).expect("as many pixels")
}

#[test]
fn copies_that_are_remembered_are_known_again() {
    let setting = Setting::new();
    let photo = noise(3, None);
    let cpu = setting.predictor.cpu();
    let largest_of = |photo: &Photo, copies: Copies| {
        let references = setting
            .memory_with(std::slice::from_ref(&noise(3, None)), copies)
            .expect("a memory");
        let memory = Arc::new(ReferenceMemory::of(cpu, &references));
        largest(&setting.compared(photo, &Comparison::with(memory)))
    };
    let [mirrored, upside_down, both] = [[true, false], [false, true], [true, true]]
        .map(|[across, down]| turned(&photo, across, down));
    for copy in [&mirrored, &upside_down, &both] {
        assert!(largest_of(copy, Copies::Turned) < 0.01);
    }
    assert!(largest_of(&mirrored, Copies::Mirrored) < 0.01);
    for copy in [&upside_down, &both] {
        assert!(largest_of(copy, Copies::Mirrored) > 0.01);
    }
    assert!(largest_of(&mirrored, Copies::None) > 0.01);
    // The scale does not depend on what is remembered: a single photo differs from its copies as from another.
    let scales = |copies| {
        let references = setting.memory_with(std::slice::from_ref(&photo), copies);
        references.expect("a memory").description().scales.clone()
    };
    assert_eq!(scales(Copies::None), scales(Copies::Turned));
}
