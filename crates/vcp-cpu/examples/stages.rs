//! Writes what every stage makes of an image, for `benchmarks/peers/precision.py`.
//!
//! ```sh
//! stages CLIP CHECKPOINT IMAGE OUT TAP,…
//! ```
//!
//! `IMAGE` is a safetensors file whose tensor `image` [1, 3, side, side] is normalised; `OUT` becomes
//! one, with stages named as in `fixtures/mini/stages.safetensors`, and `logits1_N`, `logits2_N`.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "an example, for developers"
)]

use safetensors::Dtype;
use safetensors::tensor::TensorView;
use std::path::Path;
use vcp_checkpoint::{Settings, Weights};
use vcp_cpu::{Cpu, Tensor};
use vcp_model::{Model, Operations as _};
use vcp_testing::read_safetensors;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [clip, checkpoint, image, out, taps] = &arguments[..] else {
        panic!("usage: stages CLIP CHECKPOINT IMAGE OUT TAP,…");
    };
    let image = &read_safetensors(Path::new(image))["image"];
    let side = image.shape[2];
    let taps: Vec<usize> = taps.split(',').map(|tap| tap.parse().unwrap()).collect();
    let settings = Settings {
        image_size: side,
        taps: taps.clone(),
        ..Settings::default()
    };
    let weights = Weights::open_parts(Path::new(clip), Path::new(checkpoint), settings)
        .unwrap_or_else(|error| panic!("{error}"));
    let cpu = Cpu::new(None).expect("threads start");
    let model = Model::load(&cpu, &weights).unwrap();
    let decoder = &model.decoder;
    let image = cpu.tensor([1, 3, side * side], &image.values);

    let mut found: Vec<(String, Tensor)> = Vec::new();
    let features = model.vision.forward(&cpu, &image);
    let context = decoder.context.forward(&cpu, &features.image_feature);
    let text = decoder.text.forward(&cpu, &context);
    let rows = decoder.grid() * decoder.grid();
    let patches: Vec<_> = features
        .taps
        .iter()
        .map(|tap| cpu.slice_rows(tap, 1, rows))
        .collect();
    let updated = decoder.post_context.forward(&cpu, &patches, &text);
    let logits = decoder.forward(&cpu, &features);
    for (index, tap) in taps.iter().enumerate() {
        found.push((format!("tap_{tap}"), features.taps[index].clone()));
        found.push((format!("updated_text_{tap}"), updated[index].0.clone()));
        found.push((format!("logits1_{tap}"), logits.branch1[index].clone()));
        found.push((format!("logits2_{tap}"), logits.branch2[index].clone()));
    }
    found.push(("map1".to_owned(), decoder.maps.map(&cpu, &logits.branch1)));
    found.push(("map2".to_owned(), decoder.maps.map(&cpu, &logits.branch2)));
    found.push(("image_feature".to_owned(), features.image_feature));
    found.push(("context".to_owned(), context));
    found.push(("text".to_owned(), text));

    let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = found
        .into_iter()
        .map(|(name, tensor)| {
            let values = tensor.as_slice().iter();
            let bytes = values.flat_map(|value| value.to_le_bytes()).collect();
            (name, cpu.shape(&tensor).to_vec(), bytes)
        })
        .collect();
    let views = bytes.iter().map(|(name, shape, bytes)| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap();
        (name.as_str(), view)
    });
    safetensors::serialize_to_file(views, None, Path::new(out)).unwrap();
}
