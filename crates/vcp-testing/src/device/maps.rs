//! What is done to maps: windows, depthwise convolutions, channels standardised over an image.

use safetensors::tensor::{Dtype, TensorView, serialize};
use vcp_checkpoint::{Activation, Tensor, TensorFile};
use vcp_model::{After, Operations, Windows};
use vcp_random::Random;

use super::Plain;
use crate::exact;

/// Shapes that each operation is tried on.
const CASES: u64 = 60;

/// Windows that slide over maps, depthwise convolutions of them with all that may come after, and channels
/// standardised over an image.
pub fn maps<O: Operations>(name: &str, device: impl Fn() -> O) {
    let device = device();
    for case in 0..CASES {
        let random = &mut Random::of(&[5, case]);
        let what = |operation: &str| format!("{operation} on {name}, case {case}");
        patches(&what, &device, random);
        depthwise(&what, &device, case, random);
        standardise(&what, &device, random);
    }
}

/// Windows up to this side, and height and width of a map that they fit on.
fn windows_and_map(random: &mut Random, most: usize) -> (Windows, [usize; 2]) {
    let side = random.count(1, most);
    let stride = random.count(1, side);
    // Also maps that are smaller than a window, and some that the stride does not divide.
    let map = [0, 1].map(|_| random.count(stride, stride + 14));
    (Windows { side, stride }, map)
}

/// The index in a map of a window's pixel, if it lies in the map.
fn place(
    windows: Windows,
    [height, width]: [usize; 2],
    window: usize,
    [y, x]: [usize; 2],
) -> Option<usize> {
    let across = width / windows.stride;
    let before = (windows.side - windows.stride) / 2;
    let y = (window / across * windows.stride + y).checked_sub(before)?;
    let x = (window % across * windows.stride + x).checked_sub(before)?;
    (y < height && x < width).then_some(y * width + x)
}

fn patches<O: Operations>(what: &dyn Fn(&str) -> String, device: &O, random: &mut Random) {
    let (mut windows, map) = windows_and_map(random, 6);
    if random.chance(0.3) {
        // A transformer's: what lies beyond the last whole square belongs to none.
        windows = Windows::patches(windows.stride);
    }
    let (side, pixels) = (windows.side, map[0] * map[1]);
    let count = (map[0] / windows.stride) * (map[1] / windows.stride);
    let [batch, channels] = [3, 4].map(|most| random.count(1, most));
    let images = Plain::random([batch, channels, pixels], random);
    let expected = Plain::each([batch, count, channels * side * side], |b, window, c| {
        let (channel, y, x) = (c / (side * side), c / side % side, c % side);
        let pixel = place(windows, map, window, [y, x]);
        pixel.map_or(0.0, |pixel| images.at(b, channel, pixel))
    });
    let found = device.patches(&images.on(device), map[1], windows);
    let name = format!("patches of {map:?}, {windows:?}");
    expected.assert_is(&what(&name), device, &found);
}

/// Stored parameters of a depthwise convolution, their values from −2 to 2. `number` makes their names: a
/// device may know parameters by them.
pub struct StoredKernels {
    file: TensorFile,
    names: [String; 2],
}

impl StoredKernels {
    /// A weight of this shape, and so many biases.
    #[must_use]
    pub fn random(number: u64, weight: &[usize], biases: usize, random: &mut Random) -> Self {
        let names = ["weight", "bias"].map(|name| format!("depthwise.{number}.{name}"));
        let shapes = [weight.to_vec(), vec![biases]];
        let bytes = shapes.each_ref().map(|shape| {
            let values = (0..shape.iter().product()).map(|_| 4.0 * random.unit() - 2.0);
            values.flat_map(f32::to_le_bytes).collect::<Vec<u8>>()
        });
        let tensors = [0, 1].map(|index| {
            let view = TensorView::new(Dtype::F32, shapes[index].clone(), &bytes[index]);
            (names[index].as_str(), view.unwrap())
        });
        let bytes = serialize(tensors, None).unwrap();
        let file = TensorFile::from_bytes(bytes, "kernels").unwrap();
        Self { file, names }
    }

    /// Weight and bias.
    #[must_use]
    pub fn tensors(&self) -> [Tensor<'_>; 2] {
        self.names
            .each_ref()
            .map(|name| self.file.tensor(name).unwrap())
    }
}

fn depthwise<O: Operations>(
    what: &dyn Fn(&str) -> String,
    device: &O,
    case: u64,
    random: &mut Random,
) {
    let (windows, map) = windows_and_map(random, 5);
    let Windows { side, stride } = windows;
    // Less than a register, or more than a block of them.
    let most = random.pick(&[20, 90, 300]);
    let (batch, channels) = (random.count(1, 3), random.count(1, most));
    let stored = StoredKernels::random(case, &[channels, 1, side, side], channels, random);
    let [weight, bias] = stored.tensors();
    let layer = device.depthwise_layer(&weight, &bias, stride).unwrap();
    let (weight, bias) = (weight.to_f32(), bias.to_f32());
    let x = Plain::random([batch, map[0] * map[1], channels], random);
    let count = (map[0] / stride) * (map[1] / stride);
    let shape = [batch, count, channels];
    let residual = Plain::random(shape, random);
    let sum = |b: usize, window: usize, c: usize| {
        let taps = (0..side * side).filter_map(|tap| {
            let pixel = place(windows, map, window, [tap / side, tap % side])?;
            let weight = f64::from(weight[c * side * side + tap]);
            Some(weight * f64::from(x.at(b, pixel, c)))
        });
        taps.sum::<f64>() + f64::from(bias[c])
    };
    let (x, added) = (x.on(device), residual.on(device));
    let check = |then: &str, after, expected: &dyn Fn(f64, f64) -> f64| {
        let expected = Plain::each(shape, |b, r, c| {
            expected(sum(b, r, c), f64::from(residual.at(b, r, c))) as f32
        });
        let found = device.depthwise_convolution(&x, map[1], &layer, after);
        let name = format!("{windows:?} on {map:?}x{channels}{then}");
        expected.assert_near(&what(&name), device, &found);
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

fn standardise<O: Operations>(what: &dyn Fn(&str) -> String, device: &O, random: &mut Random) {
    const EPSILON: f32 = 1e-3;
    let [batch, channels] = [3, 40].map(|most| random.count(1, most));
    let most = random.pick(&[1, 40, 500]);
    let rows = random.count(1, most);
    // Means of the size that features have beside their spread.
    let shifts = Plain::random([1, 1, channels], random);
    let x = Plain::random([batch, rows, channels], random);
    let x = Plain::each(x.shape, |b, r, c| x.at(b, r, c) + 3.0 * shifts.at(0, 0, c));
    let moments = |b: usize, c: usize| {
        let column = || (0..rows).map(|r| f64::from(x.at(b, r, c)));
        let mean = column().sum::<f64>() / rows as f64;
        let squares = column().map(|x| (x - mean).powi(2)).sum::<f64>();
        (mean, squares / rows as f64)
    };
    let moments: Vec<_> = (0..batch * channels)
        .map(|at| moments(at / channels, at % channels))
        .collect();
    let expected = Plain::each(x.shape, |b, r, c| {
        let (mean, variance) = moments[b * channels + c];
        let scale = (variance + f64::from(EPSILON)).sqrt();
        ((f64::from(x.at(b, r, c)) - mean) / scale) as f32
    });
    let found = device.standardise(&x.on(device), EPSILON);
    let name = format!("standardise {:?}", x.shape);
    expected.assert_near(&what(&name), device, &found);
}
