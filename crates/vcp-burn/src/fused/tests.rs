//! Every operation against its plain statement: values, and gradients of every input.

use burn_tensor::{Device, Tensor, TensorData};
use vcp_checkpoint::Activation;
use vcp_model::{After, Operations, Orientation, Windows};
use vcp_random::Random;
use vcp_testing::device::StoredKernels;
use vcp_testing::exact;

use super::math;
use crate::layers::{Depthwise, Linear, Norm};
use crate::{Burn, losses};

/// All values of a tensor.
fn read<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    crate::tensor::read(x).expect("on the CPU")
}

/// Numbers between −1 and 1 without a pattern that a sum could hide.
fn numbers(seed: usize, count: usize) -> Vec<f32> {
    let number = |index: usize| ((index * 7919 + seed * 104_729) as f32 * 0.618_034).sin();
    (0..count).map(number).collect()
}

fn tensor(values: Vec<f32>, device: &Device) -> Tensor<1> {
    let count = values.len();
    Tensor::from_data(TensorData::new(values, [count]), device)
}

/// A tensor that has not failed.
fn held(x: &crate::Tensor) -> Tensor<3> {
    x.held().expect("on the CPU").clone()
}

/// ‖found − expected‖ / ‖expected‖ must be that of rounding.
#[track_caller]
fn assert_near(what: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let square = |x: f32| f64::from(x) * f64::from(x);
    let pairs = found.iter().zip(expected);
    let difference: f64 = pairs
        .map(|(found, expected)| square(found - expected))
        .sum();
    let size: f64 = expected.iter().copied().map(square).sum();
    let relative = (difference / size.max(1e-12)).sqrt();
    assert!(relative < 5e-5, "{what}: {relative:.1e}");
}

type Loss = fn(&Tensor<3>, &Tensor<3>) -> Tensor<1>;
type Operation<'a, const D: usize> = dyn Fn(&Burn, &[Tensor<1>]) -> Tensor<D> + 'a;

/// The result, and the gradients of the `inputs` that `is_marked` says so of, for a loss that weighs
/// every element of the result differently. Inputs are flat.
fn run<const D: usize>(
    burn: &Burn,
    inputs: &[Vec<f32>],
    is_marked: impl Fn(usize) -> bool,
    operation: &Operation<'_, D>,
) -> Vec<Vec<f32>> {
    let device = burn.device();
    let leaf = |(index, values): (usize, &Vec<f32>)| {
        let leaf = tensor(values.clone(), device);
        if is_marked(index) {
            leaf.require_grad()
        } else {
            leaf
        }
    };
    let leaves: Vec<Tensor<1>> = inputs.iter().enumerate().map(leaf).collect();
    let result = operation(burn, &leaves);
    let mut found = vec![read(result.clone().detach())];
    let marked: Vec<usize> = (0..inputs.len())
        .filter(|&index| is_marked(index))
        .collect();
    if !marked.is_empty() {
        let count = result.dims().iter().product();
        let weights = tensor(numbers(99, count), device).reshape(result.dims());
        let gradients = (result * weights).sum().backward();
        let gradient = |&index: &usize| {
            read(
                leaves[index]
                    .grad(&gradients)
                    .expect("the loss depends on it"),
            )
        };
        found.extend(marked.iter().map(gradient));
    }
    found
}

/// Compares fused and plain: with all inputs marked, with each of them alone, and without gradients.
#[track_caller]
fn compare<const D: usize>(what: &str, inputs: &[Vec<f32>], operation: &Operation<'_, D>) {
    let check = |what: &str, is_marked: &dyn Fn(usize) -> bool, burn: fn() -> Burn| {
        let found = run(&burn(), inputs, is_marked, operation);
        let expected = run(&burn().plain(), inputs, is_marked, operation);
        for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
            assert_near(&format!("{what}, array {index}"), found, expected);
        }
    };
    let training = || Burn::training(Device::flex(), |_| true);
    check(what, &|_| true, training);
    check(what, &|_| false, || Burn::new(Device::flex()));
    for alone in 0..inputs.len() {
        check(
            &format!("{what}, input {alone} alone"),
            &|index| index == alone,
            training,
        );
    }
}

#[test]
fn linear_layers() {
    use Orientation::{InputsOutputs, OutputsInputs};
    // Few rows, and so many that several pieces add up.
    for [batch, rows, width, outputs] in [[2, 3, 5, 7], [3, 431, 16, 33]] {
        for (orientation, has_bias) in [
            (OutputsInputs, true),
            (OutputsInputs, false),
            (InputsOutputs, true),
            (InputsOutputs, false),
        ] {
            for after in ["nothing", "a residual", "gelu", "quick gelu", "relu6"] {
                let stored = match orientation {
                    OutputsInputs => [outputs, width],
                    InputsOutputs => [width, outputs],
                };
                let mut inputs = vec![
                    numbers(1, batch * rows * width),
                    numbers(2, width * outputs),
                ];
                if has_bias {
                    inputs.push(numbers(3, outputs));
                }
                if after == "a residual" {
                    inputs.push(numbers(4, batch * rows * outputs));
                }
                let operation = |burn: &Burn, leaves: &[Tensor<1>]| {
                    let layer = Linear {
                        matrix: leaves[1].clone().reshape(stored),
                        orientation,
                        bias: has_bias.then(|| leaves[2].clone()),
                    };
                    let last = leaves[leaves.len() - 1].clone();
                    let residual =
                        (after == "a residual").then(|| last.reshape([batch, rows, outputs]));
                    let after = match (&residual, after) {
                        (Some(residual), _) => After::Add(residual),
                        (None, "gelu") => After::Activate(Activation::Gelu),
                        (None, "quick gelu") => After::Activate(Activation::QuickGelu),
                        (None, "relu6") => After::Relu6,
                        (None, _) => After::Nothing,
                    };
                    let x = leaves[0].clone().reshape([batch, rows, width]);
                    burn.held_linear(&x, &layer, after)
                };
                let what = format!("{batch}x{rows}x{width} to {outputs}, then {after}");
                compare(&what, &inputs, &operation);
            }
        }
    }
}

#[test]
fn layer_norms() {
    for [batch, rows, width] in [[2, 3, 5], [2, 300, 64]] {
        let inputs = [
            numbers(1, batch * rows * width),
            numbers(2, width),
            numbers(3, width),
        ];
        let operation = |burn: &Burn, leaves: &[Tensor<1>]| {
            let norm = Norm {
                weight: leaves[1].clone(),
                bias: leaves[2].clone(),
                epsilon: 1e-6,
            };
            burn.held_layer_norm(&leaves[0].clone().reshape([batch, rows, width]), &norm)
        };
        compare(&format!("{batch}x{rows}x{width}"), &inputs, &operation);
    }
}

#[test]
fn self_attentions() {
    // The last two need several blocks of queries.
    for [batch, rows, heads, channels] in [
        [2, 3, 1, 4],
        [3, 37, 2, 8],
        [1, 700, 1, 16],
        [2, 1030, 2, 4],
    ] {
        let width = heads * channels;
        let inputs = [
            numbers(1, batch * rows * width),
            numbers(2, width),
            numbers(3, width),
            numbers(4, width * 3 * width),
        ];
        let operation = |burn: &Burn, leaves: &[Tensor<1>]| {
            let norm = Norm {
                weight: leaves[1].clone(),
                bias: leaves[2].clone(),
                epsilon: 1e-5,
            };
            let layer = Linear {
                matrix: leaves[3].clone().reshape([width, 3 * width]),
                orientation: Orientation::InputsOutputs,
                bias: None,
            };
            let x = leaves[0].clone().reshape([batch, rows, width]);
            held(&burn.norm_self_attention(&x.into(), &norm, &layer, heads))
        };
        compare(
            &format!("{batch}x{rows}x{heads}x{channels}"),
            &inputs,
            &operation,
        );
    }
}

/// [batch, height, width, channels], and the windows' side and stride.
type MapCase = ([usize; 4], [usize; 2]);

/// Uneven maps, some smaller than a window; channels of all groups; several pieces of rows.
const MAPS: [MapCase; 7] = [
    ([2, 5, 4, 3], [3, 1]),
    ([1, 7, 9, 41], [5, 1]),
    ([2, 8, 7, 13], [3, 2]),
    ([1, 9, 11, 10], [5, 2]),
    ([2, 2, 3, 5], [4, 1]),
    ([1, 6, 8, 9], [2, 2]),
    ([2, 37, 20, 40], [3, 1]),
];

fn depthwise_inputs(([batch, height, width, channels], [side, stride]): MapCase) -> Vec<Vec<f32>> {
    let windows = batch * (height / stride) * (width / stride);
    // Sums beyond 6 are among them.
    let kernels = numbers(2, channels * side * side)
        .into_iter()
        .map(|x| 5.0 * x);
    vec![
        numbers(1, batch * height * width * channels),
        kernels.collect(),
        numbers(3, channels),
        numbers(4, windows * channels),
    ]
}

fn depthwise(
    burn: &Burn,
    leaves: &[Tensor<1>],
    ([batch, height, width, channels], [side, stride]): MapCase,
    after: &str,
) -> Tensor<3> {
    let layer = Depthwise {
        kernels: leaves[1].clone().reshape([channels, side * side]),
        bias: leaves[2].clone(),
        windows: Windows { side, stride },
    };
    let windows = (height / stride) * (width / stride);
    let residual =
        (after == "a residual").then(|| leaves[3].clone().reshape([batch, windows, channels]));
    let after = match (&residual, after) {
        (Some(residual), _) => After::Add(residual),
        (None, "gelu") => After::Activate(Activation::Gelu),
        (None, "relu6") => After::Relu6,
        (None, _) => After::Nothing,
    };
    let x = leaves[0].clone().reshape([batch, height * width, channels]);
    burn.held_depthwise(&x, [height, width], &layer, after)
}

#[test]
fn depthwise_convolutions() {
    for case in MAPS {
        for after in ["nothing", "a residual", "gelu", "relu6"] {
            let mut inputs = depthwise_inputs(case);
            if after != "a residual" {
                inputs.pop();
            }
            let operation =
                |burn: &Burn, leaves: &[Tensor<1>]| depthwise(burn, leaves, case, after);
            compare(&format!("{case:?}, then {after}"), &inputs, &operation);
        }
    }
}

#[test]
fn standardised_channels() {
    for [batch, rows, channels] in [[2, 3, 5], [3, 300, 33]] {
        let inputs = [numbers(1, batch * rows * channels)];
        let operation = |burn: &Burn, leaves: &[Tensor<1>]| {
            let x = leaves[0].clone().reshape([batch, rows, channels]);
            burn.held_standardise(&x, 1e-3)
        };
        compare(&format!("{batch}x{rows}x{channels}"), &inputs, &operation);
    }
}

/// Gradients against what the loss changes by when a single value is moved, which neither statement of an
/// operation knows. Values that a bend of `ReLU6` lies beside are passed over.
#[test]
fn gradients_are_slopes() {
    const STEP: f32 = 4e-3;
    let check = |what: &str, inputs: &[Vec<f32>], operation: &Operation<'_, 3>| {
        let burn = Burn::training(Device::flex(), |_| true);
        let found = run(&burn, inputs, |_| true, operation);
        let loss = |inputs: &[Vec<f32>]| -> f64 {
            let result = run(&burn, inputs, |_| false, operation).remove(0);
            let weights = numbers(99, result.len());
            let terms = result.iter().zip(weights);
            terms
                .map(|(x, weight)| f64::from(*x) * f64::from(weight))
                .sum()
        };
        let (at_rest, mut compared) = (loss(inputs), 0);
        for (input, gradient) in found[1..].iter().enumerate() {
            for (index, gradient) in gradient.iter().enumerate() {
                let moved = |step: f32| {
                    let mut inputs = inputs.to_vec();
                    inputs[input][index] += step;
                    loss(&inputs)
                };
                let [below, above] = [moved(-STEP), moved(STEP)];
                let step = 2.0 * f64::from(STEP);
                let (slope, bend) = (
                    (above - below) / step,
                    (above + below - 2.0 * at_rest) / step,
                );
                let allowed = 1e-2 * slope.abs().max(1.0);
                if bend.abs() > allowed {
                    continue;
                }
                let error = (f64::from(*gradient) - slope).abs();
                assert!(
                    error <= allowed,
                    "{what}, input {input}, value {index}: {gradient} instead of {slope}"
                );
                compared += 1;
            }
        }
        let all: usize = inputs.iter().map(Vec::len).sum();
        assert!(10 * compared > 8 * all, "{what}: {compared} of {all}");
    };
    for case in [MAPS[0], MAPS[2], MAPS[4], MAPS[5]] {
        for after in ["a residual", "relu6"] {
            let mut inputs = depthwise_inputs(case);
            if after == "relu6" {
                inputs.pop();
            }
            check(
                &format!("{case:?}, then {after}"),
                &inputs,
                &|burn: &Burn, leaves: &[Tensor<1>]| depthwise(burn, leaves, case, after),
            );
        }
    }
    let shape = [2, 6, 3];
    check("standardise", &[numbers(1, 36)], &|burn: &Burn,
                                              leaves: &[Tensor<
        1,
    >]| {
        burn.held_standardise(&leaves[0].clone().reshape(shape), 1e-3)
    });
    for windows in [[3, 2], [3, 1], [2, 2]] {
        let windows = Windows {
            side: windows[0],
            stride: windows[1],
        };
        let count = (6 / windows.stride) * (5 / windows.stride);
        check(
            "patches",
            &[numbers(1, 60)],
            &|burn: &Burn, leaves: &[Tensor<1>]| {
                let images = leaves[0].clone().reshape([1, 2, 30]);
                let cut = burn.held_patches(&images, [6, 5], windows);
                cut.reshape([1, count, 2 * windows.side * windows.side])
            },
        );
    }
}

/// Kernels of a depthwise convolution are trained by their names, as other parameters are.
#[test]
fn stored_kernels_are_trained_by_name() {
    let stored = StoredKernels::random(1, &[5, 1, 3, 3], 5, &mut Random::new(1));
    let [weight, bias] = stored.tensors();
    let burn = Burn::training(Device::flex(), |name| name.ends_with("weight"));
    let layer = burn.depthwise_layer(&weight, &bias, 1).expect("on the CPU");
    let x = burn
        .constant([1, 12, 5], &numbers(1, 60))
        .expect("on the CPU");
    let y = burn.depthwise_convolution(&x, 4, &layer, After::Nothing);
    let loss = losses::Loss(held(&y).sum());
    let gradients = burn.gradients(&loss).expect("on the CPU");
    assert_eq!(gradients.names().collect::<Vec<_>>(), [weight.name()]);
    let gradient = gradients.values(weight.name()).expect("on the CPU");
    assert_eq!(gradient.map_or(0, |gradient| gradient.len()), 45);
}

#[test]
fn lengths_and_sigmoids() {
    for [batch, rows, width] in [[2, 3, 5], [2, 300, 33]] {
        let inputs = [numbers(1, batch * rows * width)
            .iter()
            .map(|x| 20.0 * x)
            .collect()];
        let x = |leaves: &[Tensor<1>]| leaves[0].clone().reshape([batch, rows, width]);
        compare("length", &inputs, &|burn: &Burn, leaves: &[Tensor<1>]| {
            held(&burn.l2_normalise(&x(leaves).into()))
        });
        compare("sigmoid", &inputs, &|burn: &Burn, leaves: &[Tensor<1>]| {
            held(&burn.sigmoid(&x(leaves).into()))
        });
    }
}

#[test]
fn a_row_of_zeros_has_no_direction() {
    let burn = Burn::training(Device::flex(), |_| true);
    let x = Tensor::<3>::zeros([1, 2, 4], burn.device()).require_grad();
    let y = held(&burn.l2_normalise(&x.clone().into()));
    assert!(read(y.clone().detach()).iter().all(|value| *value == 0.0));
    let gradients = (y * 1e-12).sum().backward();
    let gradient = read(x.grad(&gradients).expect("the loss depends on it"));
    assert_near("divided by the shortest length", &gradient, &[1.0; 8]);
}

#[test]
fn losses_on_pixels() {
    let [batch, side] = [3, 150];
    let count = batch * side * side;
    let probability = numbers(1, count).iter().map(|x| 0.5 + 0.499 * x).collect();
    let truth: Vec<f32> = numbers(2, count)
        .iter()
        .map(|x| f32::from(u8::from(*x > 0.7)))
        .collect();
    let operation = |of: Loss| {
        let truth = truth.clone();
        move |burn: &Burn, leaves: &[Tensor<1>]| {
            let truth = tensor(truth.clone(), burn.device()).reshape([batch, side, side]);
            of(&leaves[0].clone().reshape([batch, side, side]), &truth)
        }
    };
    // These do not ask the device: both statements are named.
    let training = Burn::training(Device::flex(), |_| true);
    let pairs: [[Loss; 2]; 2] = [
        [losses::held_focal, losses::plain_focal],
        [losses::held_dice, losses::plain_dice],
    ];
    let inputs = [probability];
    for [fused, plain] in pairs {
        let found = run(&training, &inputs, |_| true, &operation(fused));
        let expected = run(&training, &inputs, |_| true, &operation(plain));
        for (found, expected) in found.iter().zip(&expected) {
            assert_near("a loss or its gradient", found, expected);
        }
    }
}

/// What training needs beside the functions that `vcp-simd` tests.
#[test]
fn elementary_functions() {
    let near = |name: &str, x: f32, found: f32, expected: f64, allowed: f64| {
        let error = (f64::from(found) - expected).abs();
        assert!(error <= allowed, "{name}({x}) = {found}, not {expected}");
    };
    for step in -8_700..=8_800 {
        let x = step as f32 * 0.01;
        let wide = f64::from(x);
        let density = (-0.5 * wide * wide).exp() / (2.0 * std::f64::consts::PI).sqrt();
        let slope = exact::normal_below(wide) + wide * density;
        near("the slope of gelu", x, math::gelu_slope(x), slope, 3e-7);
        let share = exact::sigmoid(1.702 * wide);
        let slope = share + 1.702 * wide * share * (1.0 - share);
        near(
            "that of quick gelu",
            x,
            math::quick_gelu_slope(x),
            slope,
            1e-6,
        );
        let positive = (x * 0.5).exp();
        let logarithm = f64::from(positive).ln();
        let allowed = 4e-7 * logarithm.abs().max(0.5);
        near("ln", positive, math::ln(positive), logarithm, allowed);
    }
    assert!(math::gelu_slope(f32::NAN).is_nan() && math::quick_gelu_slope(f32::NAN).is_nan());
}

/// Nothing depends on what memory held before, or on how work was shared.
#[test]
fn the_same_again_gives_the_same_bits() {
    let burn = Burn::training(Device::flex(), |_| true);
    let inputs = [numbers(1, 2 * 700 * 48)];
    let operation = |burn: &Burn, leaves: &[Tensor<1>]| {
        let joint = leaves[0].clone().reshape([2, 700, 48]);
        super::apply(&super::SelfAttention { heads: 2 }, [super::input(&joint)])
            .map(|y: Tensor<3>| held(&burn.l2_normalise(&y.into())))
            .expect("on the CPU")
    };
    let on_maps = MAPS[6];
    let of_maps = depthwise_inputs(on_maps);
    let convolved = |burn: &Burn, leaves: &[Tensor<1>]| {
        let y = depthwise(burn, leaves, on_maps, "a residual");
        burn.held_standardise(&y, 1e-3)
    };
    let all = || {
        let mut found = run(&burn, &inputs, |_| true, &operation);
        found.extend(run(&burn, &of_maps, |_| true, &convolved));
        found
    };
    let first = all();
    for threads in [1, 2, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        let pool = pool.build().expect("threads can be started");
        assert!(pool.install(all) == first);
    }
}
