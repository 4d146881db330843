//! What several tests need: small models, and makers of files, right or wrong.

#![allow(dead_code, reason = "each test uses a part")]
#![allow(clippy::print_stderr, reason = "a skipped test says so")]
#![allow(clippy::unwrap_used, reason = "what is made here is made right")]

pub(crate) mod pickle;
pub(crate) mod stream;
pub(crate) mod zip_file;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use half::f16;
use safetensors::tensor::{Dtype, TensorView};
use vcp_checkpoint::{Geometry, Settings, Tensor, TensorFile, TowerGeometry, Weights};

/// The folder of expected numbers, where it exists.
pub(crate) fn goldens() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/goldens");
    if folder.exists() {
        return Some(folder);
    }
    eprintln!("skipped: {} does not exist", folder.display());
    None
}

/// About the smallest model there can be; all lengths that may differ do.
pub(crate) fn small_geometry() -> Geometry {
    Geometry {
        embedding_width: 64,
        vision: TowerGeometry::new(3, 128),
        backbone: None,
        patch_size: 4,
        native_grid: 3,
        text: TowerGeometry::new(2, 64),
        context_length: 20,
        vocabulary: 49409,
        context_vectors: 3,
        deep_prompts: 5,
        deep_prompting: true,
        tap_count: 2,
    }
}

pub(crate) fn small_settings() -> Settings {
    Settings::for_geometry(&small_geometry())
}

pub(crate) fn small_weights(seed: u64) -> Weights {
    Weights::random(small_geometry(), small_settings(), seed).unwrap()
}

/// Tensors by name, as a safetensors file is made of.
pub(crate) type Tensors = BTreeMap<String, Stored>;

#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    pub(crate) bytes: Vec<u8>,
}

impl Stored {
    /// Matrices as f16, the rest as f32.
    pub(crate) fn new(shape: &[usize], values: &[f32]) -> Self {
        assert_eq!(shape.iter().product::<usize>(), values.len());
        if shape.len() >= 2 {
            Self {
                dtype: Dtype::F16,
                shape: shape.to_vec(),
                bytes: values
                    .iter()
                    .flat_map(|v| f16::from_f32(*v).to_le_bytes())
                    .collect(),
            }
        } else {
            Self {
                dtype: Dtype::F32,
                shape: shape.to_vec(),
                bytes: values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            }
        }
    }

    pub(crate) fn zeros(shape: &[usize]) -> Self {
        Self::new(shape, &vec![0.0; shape.iter().product()])
    }

    pub(crate) fn of(tensor: &Tensor<'_>) -> Self {
        Self::new(tensor.shape(), &tensor.to_f32())
    }
}

/// The tensors whose canonical names begin with `prefix`, without it.
pub(crate) fn part(weights: &Weights, prefix: &str) -> Tensors {
    weights
        .tensors()
        .filter_map(|tensor| {
            Some((
                tensor.name().strip_prefix(prefix)?.to_owned(),
                Stored::of(&tensor),
            ))
        })
        .collect()
}

/// CLIP as OpenAI names it, without the row of `<|class|>`, as in OpenAI's files.
pub(crate) fn openai(weights: &Weights) -> Tensors {
    let mut tensors = part(weights, "clip.");
    let embedding = tensors.get_mut("token_embedding.weight").unwrap();
    let row = embedding.shape[1] * 2;
    embedding.shape[0] -= 1;
    embedding.bytes.truncate(embedding.shape[0] * row);
    tensors
}

pub(crate) fn safetensors(tensors: &Tensors, metadata: Option<HashMap<String, String>>) -> Vec<u8> {
    let views = tensors.iter().map(|(name, stored)| {
        (
            name.clone(),
            TensorView::new(stored.dtype, stored.shape.clone(), &stored.bytes).unwrap(),
        )
    });
    safetensors::serialize(views, metadata).unwrap()
}

pub(crate) fn file(tensors: &Tensors, label: &str) -> TensorFile {
    TensorFile::from_bytes(safetensors(tensors, None), label).unwrap()
}

/// All tensors are equal bit for bit, except for the row of `<|class|>`, which is replaced anyway.
pub(crate) fn assert_equal(found: &Weights, expected: &Weights) {
    assert!(found.names().eq(expected.names()), "names");
    assert_eq!(found.geometry(), expected.geometry());
    for expected in expected.tensors() {
        let name = expected.name();
        let found = found.tensor(name).unwrap();
        assert_eq!(found.shape(), expected.shape(), "{name}");
        let (mut found, mut expected) = (found.to_f32(), expected.to_f32());
        if name == "clip.token_embedding.weight" {
            let rows = 49408 * 64;
            found.truncate(rows);
            expected.truncate(rows);
        }
        assert_eq!(found, expected, "{name}");
    }
}
