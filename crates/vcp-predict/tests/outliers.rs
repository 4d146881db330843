//! A model with a few channels that are a hundred times as large as the others, as trained vision transformers have them
//! (Sun et al. 2024, "Massive Activations in Large Language Models", which has CLIP's and `DINOv2`'s): plain 8 bits ruin it, shared
//! ranges rescue it.

use vcp_checkpoint::{Geometry, Precision, Settings, Storing, TowerGeometry, Weights};
use vcp_cpu::{Cpu, InstructionSet};
use vcp_image::Photo;
use vcp_predict::{Prediction, Predictor, PredictorOptions, smooth};

const WIDTH: usize = 128;
const LAYERS: usize = 4;

/// Channels with outliers.
const OUTLIERS: [usize; 3] = [5, 60, 101];

/// How much larger they are than the others.
const SIZE: f32 = 150.0;

fn geometry() -> Geometry {
    Geometry {
        vision: TowerGeometry::new(LAYERS, WIDTH),
        text: TowerGeometry::new(2, 64),
        embedding_width: 64,
        ..Geometry::vit_b_16()
    }
}

/// Random weights, but with outliers in the residual stream and what training makes of them: layer norms bring the
/// other channels back to their size, and matrices hardly look at the large ones.
fn weights() -> Weights {
    let settings = Settings {
        taps: vec![1, 2, 3, 4],
        image_size: 96,
        ..Settings::for_geometry(&geometry())
    };
    let mut weights = Weights::random(geometry(), settings, 3).expect("a model");
    let mut change = |name: &str, to: &dyn Fn(usize, f32) -> f32| {
        let values = weights.tensor(name).expect("a tensor").to_f32();
        let values = values.iter().enumerate().map(|(at, value)| to(at, *value));
        let values = values.collect();
        weights.replace(name, values).expect("other values");
    };
    let is_outlier = |channel: usize| OUTLIERS.contains(&(channel % WIDTH));
    // Similarities are spread out, as training spreads them, so that maps show something.
    for temperature in [
        "vcp.New_Lan_Embed.prompt_temp",
        "vcp.Zero_try.prompt_temp_l1",
    ] {
        change(temperature, &|_, _| 100.0_f32.ln());
    }
    // What reads the stream itself passes over the outliers.
    for tap in 0..LAYERS {
        change(
            &format!("vcp.trainable_linearlayer.fc.{tap}.weight"),
            &|at, value| {
                if is_outlier(at) {
                    value / SIZE / SIZE
                } else {
                    value
                }
            },
        );
    }
    // The stream starts with rows of about 1, and outliers that no block takes away.
    change("clip.visual.ln_pre.weight", &|_, _| 1.0);
    change("clip.visual.ln_pre.bias", &|channel, value| {
        if is_outlier(channel) { SIZE } else { value }
    });
    // Of a row whose variance is that of the outliers, a norm leaves the others with 1 / deviation.
    let deviation = SIZE * (OUTLIERS.len() as f32 / WIDTH as f32).sqrt();
    for layer in 0..LAYERS {
        let block = format!("clip.visual.transformer.resblocks.{layer}");
        for norm in ["ln_1", "ln_2"] {
            change(&format!("{block}.{norm}.weight"), &|_, _| deviation);
        }
        for matrix in ["attn.in_proj_weight", "mlp.c_fc.weight"] {
            change(&format!("{block}.{matrix}"), &|at, value| {
                if is_outlier(at) {
                    value / SIZE
                } else {
                    1.5 * value
                }
            });
        }
    }
    weights
}

fn photo(seed: usize) -> Photo {
    let value = |at: usize| ((at * 31 + at / 96 * 17 + seed * 71 + (at * at) % 251) % 256) as u8;
    Photo::from_rgb(96, 96, (0..96 * 96 * 3).map(value).collect()).expect("pixels")
}

fn predictions(weights: &Weights, set: InstructionSet) -> Vec<Prediction> {
    let options = PredictorOptions {
        smoothing: 0.0,
        instruction_set: Some(set),
        ..PredictorOptions::default()
    };
    let predictor = Predictor::new(weights, &options).expect("a predictor");
    let photos: Vec<_> = (0..3).map(|seed| predictor.prepare(&photo(seed))).collect();
    predictor.predict(&photos).expect("predictions")
}

/// The largest difference of a pixel in any map.
fn apart(one: &[Prediction], other: &[Prediction]) -> f32 {
    let pairs = one.iter().zip(other);
    let maps = pairs.flat_map(|(one, other)| {
        [
            (&one.branch1, &other.branch1),
            (&one.branch2, &other.branch2),
        ]
    });
    maps.flat_map(|(one, other)| {
        one.iter()
            .zip(other)
            .map(|(one, other)| (one - other).abs())
    })
    .fold(0.0, f32::max)
}

/// How much the pixels of maps differ among themselves, the largest standard deviation.
fn spread(predictions: &[Prediction]) -> f64 {
    let deviation = |map: &Vec<f32>| {
        let count = map.len() as f64;
        let mean = map.iter().copied().map(f64::from).sum::<f64>() / count;
        let squares = map.iter().map(|value| (f64::from(*value) - mean).powi(2));
        (squares.sum::<f64>() / count).sqrt()
    };
    let maps = predictions.iter().flat_map(|it| [&it.branch1, &it.branch2]);
    maps.map(deviation).fold(0.0, f64::max)
}

#[test]
fn shared_ranges_rescue_a_model_with_outliers() {
    let exact = weights();
    let best = InstructionSet::detect();
    let expected = predictions(&exact, best);
    assert!(
        spread(&expected) > 0.02,
        "maps that show something: {}",
        spread(&expected)
    );

    let predictor = Predictor::new(&exact, &PredictorOptions::default()).expect("a predictor");
    predictor.cpu().start_observing();
    let photos: Vec<_> = (10..14)
        .map(|seed| predictor.prepare(&photo(seed)))
        .collect();
    predictor.predict(&photos).expect("predictions");
    let seen = predictor.cpu().stop_observing();

    // The same function with and without.
    let mut smoothed = weights();
    assert_eq!(smooth(&mut smoothed, &seen).expect("weights"), 2 * LAYERS);
    let as_before = apart(&expected, &predictions(&smoothed, best));
    assert!(as_before < 2e-3, "{as_before} apart in f32");

    let folder = tempfile::tempdir().expect("a folder");
    let [plain, shared] = [("plain", exact), ("shared", smoothed)].map(|(name, weights)| {
        let bundle = folder.path().join(name);
        weights
            .write_bundle(&bundle, Storing::Int8)
            .expect("a bundle");
        Weights::open_bundle(&bundle).expect("a bundle")
    });
    assert_eq!(shared.settings().precision, Precision::Int8);
    // Every instruction set with products of 8 bits; some leave a bit less to weights.
    for set in InstructionSet::available() {
        let cpu = Cpu::with_instruction_set(None, set).expect("threads");
        if cpu.with_precision(Precision::Int8).is_err() {
            println!("{} does not compute in int8: it is not run.", set.name());
            continue;
        }
        let [plain, shared] =
            [&plain, &shared].map(|weights| apart(&expected, &predictions(weights, set)));
        println!(
            "{}: {plain} apart without, {shared} with shared ranges",
            set.name()
        );
        assert!(
            plain > 0.05,
            "{plain} apart without: this model shows nothing"
        );
        assert!(shared < 2e-2, "{shared} apart with shared ranges");
    }
}
