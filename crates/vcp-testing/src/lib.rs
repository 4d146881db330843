//! For tests only: where the expected numbers are, and how close is close enough.
//!
//! `mini` is part of the repository. `tiny` (and everything else) comes from the folder
//! `shared/goldens` beside the repository where there is one; tests that need it say that
//! they were skipped where there is none.
#![forbid(unsafe_code)]
#![allow(
    clippy::float_cmp,
    clippy::missing_panics_doc,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "tests"
)]

pub mod device;
pub mod exact;
pub mod memory;

use safetensors::SafeTensors;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use vcp_checkpoint::{Geometry, Settings, Weights};

/// A model with random weights of trained-like scale, and what every stage makes of them.
pub struct Golden {
    /// "mini" or "tiny".
    pub name: &'static str,
    /// Folder with `clip.pt` and `vcp.pth`.
    pub folder: PathBuf,
    /// Image size, taps and templates.
    pub settings: Settings,
    /// Learning rates of five steps of training: of the temperatures, and of everything else.
    pub learning_rates: (f32, f32),
    stages: HashMap<String, Stage>,
    training: PathBuf,
    _unpacked: Option<TempDir>,
}

/// The small case otherwise than the published models are: with an image side that the patch does
/// not divide, and perhaps without what the paper's ablations leave out.
pub struct Variant {
    /// "odd", "`queries_only`", "`no_prompts`" or "neither".
    pub name: &'static str,
    /// The model.
    pub weights: Weights,
    stages: HashMap<String, Stage>,
}

/// One stored array.
#[derive(Clone)]
pub struct Stage {
    /// The array's shape.
    pub shape: Vec<usize>,
    /// The array's values in row-major order.
    pub values: Vec<f32>,
}

/// The folder of the repository's own fixtures.
#[must_use]
pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

/// A file or folder of the goldens beside the repository, or a line on standard error that
/// says what is skipped.
#[must_use]
pub fn shared(path: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared")
        .join(path);
    if path.exists() {
        return Some(path);
    }
    eprintln!("skipped: {} does not exist", path.display());
    None
}

/// The small case, always there.
#[must_use]
pub fn mini() -> Golden {
    let folder = fixtures().join("mini");
    let unpacked = TempDir::new().unwrap();
    let mut packed =
        flate2::read::GzDecoder::new(fs::File::open(folder.join("clip.pt.gz")).unwrap());
    let mut clip = fs::File::create(unpacked.path().join("clip.pt")).unwrap();
    std::io::copy(&mut packed, &mut clip).unwrap();
    fs::copy(folder.join("vcp.pth"), unpacked.path().join("vcp.pth")).unwrap();
    let weights = unpacked.path().to_owned();
    Golden::read("mini", &folder, weights, Some(unpacked))
}

/// The case made by the official code, where the goldens are at hand.
#[must_use]
pub fn tiny() -> Option<Golden> {
    let folder = shared("goldens/tiny")?;
    Some(Golden::read("tiny", &folder.clone(), folder, None))
}

/// All cases that are at hand.
#[must_use]
pub fn goldens() -> Vec<Golden> {
    std::iter::once(mini()).chain(tiny()).collect()
}

/// All variants of the small case. Their numbers are of `benchmarks/peers/variants.py`, whose statement
/// of the model gives the official code's bits for all of them.
#[must_use]
pub fn variants() -> Vec<Variant> {
    const CASES: [(&str, bool, bool); 4] = [
        ("odd", true, true),
        ("queries_only", false, true),
        ("no_prompts", true, false),
        ("neither", false, false),
    ];
    let mini = mini();
    let stored = read_safetensors(&fixtures().join("mini/variants.safetensors"));
    let side = stored["image"].shape[2];
    let variant = |(name, global_context, deep_prompting)| {
        let settings = Settings {
            image_size: side,
            global_context,
            ..mini.settings.clone()
        };
        let whole = mini.weights();
        let mut weights = if deep_prompting {
            mini.weights().with_settings(settings).unwrap()
        } else {
            let geometry = Geometry {
                deep_prompting,
                ..*whole.geometry()
            };
            // Every value is replaced below.
            Weights::random(geometry, settings, 0).unwrap()
        };
        let names: Vec<String> = weights.names().map(str::to_owned).collect();
        for name in names {
            let values = whole.tensor(&name).unwrap().to_f32();
            weights.replace(&name, values).unwrap();
        }
        let prefix = format!("{name}.");
        let own = |key: &str| {
            let key = key.strip_prefix(&prefix).unwrap_or(key);
            key.to_owned()
        };
        let stages = stored.iter().map(|(key, stage)| (own(key), stage.clone()));
        let stages = stages.collect();
        Variant {
            name,
            weights,
            stages,
        }
    };
    CASES.map(variant).into()
}

impl Variant {
    /// One stored array, if it is stored.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Stage> {
        self.stages.get(name)
    }

    /// One stored array.
    #[must_use]
    pub fn stage(&self, name: &str) -> &Stage {
        &self.stages[name]
    }

    /// The stored arrays whose names begin so, by the rest of their names.
    pub fn stages(&self, prefix: &str) -> impl Iterator<Item = (&str, &Stage)> {
        let stages = self.stages.iter();
        stages.filter_map(move |(name, stage)| Some((name.strip_prefix(prefix)?, stage)))
    }
}

impl Golden {
    fn read(name: &'static str, source: &Path, folder: PathBuf, unpacked: Option<TempDir>) -> Self {
        let config = fs::read(source.join("config.json")).unwrap();
        let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
        let texts = |key: &str| {
            let list = config[key].as_array().unwrap().iter();
            list.map(|text| text.as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        let number = |value: &serde_json::Value| value.as_u64().unwrap() as usize;
        let settings = Settings {
            taps: config["taps"]
                .as_array()
                .unwrap()
                .iter()
                .map(number)
                .collect(),
            image_size: number(&config["image_size"]),
            normal_templates: texts("normal_templates"),
            anomalous_templates: texts("abnormal_templates"),
            ..Settings::default()
        };
        let stages = read_safetensors(&source.join("stages.safetensors"));
        let rate = |key: &str| config[key].as_f64().unwrap() as f32;
        Self {
            name,
            folder,
            settings,
            learning_rates: (rate("temperature_learning_rate"), rate("learning_rate")),
            stages,
            training: source.join("training.safetensors"),
            _unpacked: unpacked,
        }
    }

    /// The model.
    #[must_use]
    pub fn weights(&self) -> Weights {
        let [clip, checkpoint] = ["clip.pt", "vcp.pth"].map(|file| self.folder.join(file));
        Weights::open_parts(&clip, &checkpoint, self.settings.clone()).unwrap()
    }

    /// The masks, losses and gradients of five steps of training, and the parameters after them.
    #[must_use]
    pub fn training(&self) -> HashMap<String, Stage> {
        read_safetensors(&self.training)
    }

    /// One stored array.
    #[must_use]
    pub fn stage(&self, name: &str) -> &Stage {
        &self.stages[name]
    }
}

/// All f32 arrays of a safetensors file.
#[must_use]
pub fn read_safetensors(path: &Path) -> HashMap<String, Stage> {
    let bytes = fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let arrays = file
        .iter()
        .filter(|(_, view)| view.dtype() == safetensors::Dtype::F32);
    let read = arrays.map(|(name, view)| {
        let values = view
            .data()
            .as_chunks()
            .0
            .iter()
            .map(|four| f32::from_le_bytes(*four));
        (
            name.to_owned(),
            Stage {
                shape: view.shape().to_vec(),
                values: values.collect(),
            },
        )
    });
    read.collect()
}

/// How close numbers have to be. The names are the contract; the numbers stand here alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tolerance {
    /// A stage inside the model: 1e-4 of the stage's largest value.
    Stage,
    /// Maps of probabilities: 2e-5.
    Map,
    /// The same arithmetic up to f32 rounding: 1e-5.
    Rounding,
    /// Maps of a model with random weights whose vision tower is computed in bf16: 2⁻⁸, half the distance of bf16 above 1.
    /// The furthest seen was 3.2e-3.
    Bf16Map,
    /// Maps of a model with random weights whose vision tower is computed in int8: 2e-2. The furthest seen was 1.3e-2, with 7
    /// bits of weights.
    Int8Map,
}

/// Asserts that `found` has the expected values.
#[track_caller]
pub fn assert_close(what: &str, found: &[f32], expected: &[f32], tolerance: Tolerance) {
    assert_eq!(found.len(), expected.len(), "{what}: number of values");
    let largest = expected
        .iter()
        .fold(0.0_f32, |largest, value| largest.max(value.abs()));
    let allowed = match tolerance {
        Tolerance::Stage => 1e-4 * largest,
        Tolerance::Map => 2e-5,
        Tolerance::Rounding => 1e-5,
        Tolerance::Bf16Map => 1.0 / 256.0,
        Tolerance::Int8Map => 2e-2,
    };
    let worst = found
        .iter()
        .zip(expected)
        .enumerate()
        .map(|(index, (found, expected))| (index, (found - expected).abs()))
        .max_by(|a, b| a.1.total_cmp(&b.1));
    if let Some((index, difference)) = worst {
        assert!(
            difference <= allowed,
            "{what}: value {index} is {} instead of {}, {difference:e} off where {allowed:e} is \
             allowed ({tolerance:?})",
            found[index],
            expected[index],
        );
    }
}
