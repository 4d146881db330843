//! Layers made of stored parameters.

use vcp_checkpoint::{Activation, Geometry, Settings, TowerGeometry, Weights};
use vcp_model::{After, Operations, Orientation};
use vcp_random::Random;

use super::Plain;
use crate::exact;

/// Random weights of a model with unequal widths, so that no two dimensions can be mixed up.
#[must_use]
pub fn small_weights() -> Weights {
    let geometry = Geometry {
        embedding_width: 64,
        vision: TowerGeometry::new(1, 128),
        backbone: None,
        patch_size: 3,
        native_grid: 2,
        text: TowerGeometry::new(1, 64),
        context_length: 20,
        vocabulary: 50,
        context_vectors: 1,
        deep_prompts: 1,
        deep_prompting: true,
        tap_count: 1,
    };
    let settings = Settings {
        taps: vec![1],
        image_size: 6,
        ..Settings::default()
    };
    let mut weights = Weights::random(geometry, settings, 7).unwrap();
    // Random matrices are f16; a replaced one is f32.
    let name = "clip.visual.transformer.resblocks.0.mlp.c_fc.weight";
    let count = weights.tensor(name).unwrap().len();
    let values = (0..count).map(|i| (i % 1013) as f32 / 1013.0 - 0.5);
    weights.replace(name, values.collect()).unwrap();
    weights
}

const BLOCK: &str = "clip.visual.transformer.resblocks.0";

/// Linear layers as they are stored: [outputs, inputs], [inputs, outputs], with further dimensions, in
/// f16 and f32, with and without bias; layer norms; and fusions, which give what their parts give.
pub fn layers<O: Operations>(name: &str, device: impl Fn() -> O) {
    let device = device();
    let weights = small_weights();
    for case in 0..40 {
        let random = &mut Random::of(&[4, case]);
        let what = |operation: &str| format!("{operation} on {name}, case {case}");
        linear(&what, &device, &weights, random);
        norms_and_fusions(&what, &device, &weights, random);
    }
}

fn linear<O: Operations>(
    what: &dyn Fn(&str) -> String,
    device: &O,
    weights: &Weights,
    random: &mut Random,
) {
    use Orientation::{InputsOutputs, OutputsInputs};
    let (matrix, bias, orientation) = random.pick(&[
        ("clip.visual.conv1.weight", None, OutputsInputs),
        ("clip.visual.proj", None, InputsOutputs),
        (
            "clip.visual.transformer.resblocks.0.mlp.c_fc.weight",
            Some("clip.visual.transformer.resblocks.0.mlp.c_fc.bias"),
            OutputsInputs,
        ),
        (
            "vcp.Zero_try.q_proj_pre.weight",
            Some("vcp.Zero_try.q_proj_pre.bias"),
            OutputsInputs,
        ),
        ("vcp.Zero_try.q_proj_pre.weight", None, InputsOutputs),
    ]);
    let [batch, rows] = [3, 20].map(|most| random.count(1, most));
    let stored = weights.tensor(matrix).unwrap();
    let bias = bias.map(|bias| weights.tensor(bias).unwrap());
    let values = stored.to_f32();
    let first = stored.shape()[0];
    let second = values.len() / first;
    let (inputs, outputs) = match orientation {
        OutputsInputs => (second, first),
        InputsOutputs => (first, second),
    };
    let layer = device.linear_layer(&stored, bias.as_ref(), orientation);
    let layer = layer.unwrap();
    let bias = bias.map_or(vec![0.0; outputs], |bias| bias.to_f32());
    let x = Plain::random([batch, rows, inputs], random);
    let residual = Plain::random([batch, rows, outputs], random);
    let sum = |b: usize, r: usize, o: usize| {
        let terms = (0..inputs).map(|i| {
            let weight = match orientation {
                OutputsInputs => values[o * inputs + i],
                InputsOutputs => values[i * outputs + o],
            };
            f64::from(weight) * f64::from(x.at(b, r, i))
        });
        terms.sum::<f64>() + f64::from(bias[o])
    };
    let shape = [batch, rows, outputs];
    let (x, added) = (x.on(device), residual.on(device));
    let check = |then: &str, after, expected: &dyn Fn(f64, f64) -> f64| {
        let expected = Plain::each(shape, |b, r, o| {
            expected(sum(b, r, o), f64::from(residual.at(b, r, o))) as f32
        });
        let found = device.linear(&x, &layer, after);
        expected.assert_near(&what(&format!("{matrix}{then}")), device, &found);
    };
    match random.below(5) {
        0 => check("", After::Nothing, &|sum, _| sum),
        1 => check(", residual", After::Add(&added), &|sum, more| sum + more),
        2 => check(", GELU", After::Activate(Activation::Gelu), &|sum, _| {
            sum * exact::normal_below(sum)
        }),
        3 => check(
            ", QuickGELU",
            After::Activate(Activation::QuickGelu),
            &|sum, _| sum * exact::sigmoid(1.702 * sum),
        ),
        _ => check(", ReLU6", After::Relu6, &|sum, _| sum.clamp(0.0, 6.0)),
    }
}

fn norms_and_fusions<O: Operations>(
    what: &dyn Fn(&str) -> String,
    device: &O,
    weights: &Weights,
    random: &mut Random,
) {
    const EPSILON: f32 = 1e-5;
    let stored = |name: &str| weights.tensor(&format!("{BLOCK}.{name}")).unwrap();
    let [weight, bias] = ["ln_1.weight", "ln_1.bias"].map(stored);
    let norm = device.norm_layer(&weight, &bias, EPSILON).unwrap();
    let (weight, bias) = (weight.to_f32(), bias.to_f32());
    let [batch, rows] = [3, 60].map(|most| random.count(1, most));
    let x = Plain::random([batch, rows, 128], random);
    let moments = |b: usize, r: usize| {
        let row = || (0..128).map(|c| f64::from(x.at(b, r, c)));
        let mean = row().sum::<f64>() / 128.0;
        (mean, row().map(|x| (x - mean).powi(2)).sum::<f64>() / 128.0)
    };
    let moments: Vec<_> = (0..batch * rows)
        .map(|at| moments(at / rows, at % rows))
        .collect();
    let expected = Plain::each(x.shape, |b, r, c| {
        let (mean, variance) = moments[b * rows + r];
        let normal = (f64::from(x.at(b, r, c)) - mean) / (variance + f64::from(EPSILON)).sqrt();
        (normal * f64::from(weight[c]) + f64::from(bias[c])) as f32
    });
    let x = x.on(device);
    let normed = device.layer_norm(&x, &norm);
    expected.assert_near(&what("layer_norm"), device, &normed);

    let [weight, bias] = ["attn.in_proj_weight", "attn.in_proj_bias"].map(stored);
    let layer = device.linear_layer(&weight, Some(&bias), Orientation::OutputsInputs);
    let layer = layer.unwrap();
    let parts = |tensor: &O::Tensor| Plain {
        shape: device.shape(tensor),
        values: device.values(tensor).unwrap(),
    };
    let joint = device.linear(&normed, &layer, After::Nothing);
    let found = device.norm_linear(&x, &norm, &layer, After::Nothing);
    parts(&joint).assert_near(&what("norm_linear"), device, &found);
    let [query, key, value] = [0, 1, 2].map(|part| device.slice_channels(&joint, part * 128, 128));
    let attended = device.attention(&query, &key, &value, 2, false);
    let found = device.norm_self_attention(&x, &norm, &layer, 2);
    parts(&attended).assert_near(&what("norm_self_attention"), device, &found);
}
