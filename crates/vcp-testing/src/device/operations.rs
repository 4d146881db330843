//! Operations on tensors against plain statements of them; what only moves values must move them exactly.

use vcp_model::{Operations, Resampling};
use vcp_random::Random;

use super::Plain;
use crate::exact;

/// Shapes that each operation is tried on.
const CASES: u64 = 40;

/// A random shape, its dimensions from 1.
fn shape(random: &mut Random) -> [usize; 3] {
    [4, 9, 40].map(|most| random.count(1, most))
}

/// Operations on several tensors repeat dimensions of 1 as their documentation says.
pub fn broadcasting<O: Operations>(name: &str, device: impl Fn() -> O) {
    let device = device();
    for case in 0..CASES {
        let random = &mut Random::of(&[1, case]);
        let what = |operation: &str| format!("{operation} on {name}, case {case}");
        add_and_multiply(&what, &device, random);
        concatenate(&what, &device, random);
        matmul(&what, &device, random);
        repeat(&what, &device, random);
    }
}

fn add_and_multiply<O: Operations>(what: &dyn Fn(&str) -> String, device: &O, random: &mut Random) {
    let shape = shape(random);
    let x = Plain::random(shape, random);
    let y = Plain::random(
        shape.map(|length| if random.chance(0.5) { 1 } else { length }),
        random,
    );
    let sum = Plain::each(shape, |b, r, c| x.at(b, r, c) + y.repeated_at(b, r, c));
    let product = Plain::each(shape, |b, r, c| x.at(b, r, c) * y.repeated_at(b, r, c));
    let (x, y) = (x.on(device), y.on(device));
    sum.assert_is(&what("add"), device, &device.add(&x, &y));
    product.assert_is(&what("multiply"), device, &device.multiply(&x, &y));
}

fn concatenate<O: Operations>(what: &dyn Fn(&str) -> String, device: &O, random: &mut Random) {
    let [batch, _, channels] = shape(random);
    let parts: Vec<Plain> = (0..random.count(1, 4))
        .map(|_| {
            let batch = if random.chance(0.5) { 1 } else { batch };
            Plain::random([batch, random.count(1, 5), channels], random)
        })
        .collect();
    let batch = parts.iter().map(|part| part.shape[0]).max().unwrap_or(1);
    let rows = parts.iter().map(|part| part.shape[1]).sum();
    let expected = Plain::each([batch, rows, channels], |b, mut r, c| {
        for part in &parts {
            if r < part.shape[1] {
                return part.repeated_at(b, r, c);
            }
            r -= part.shape[1];
        }
        unreachable!("within the total")
    });
    let parts: Vec<_> = parts.iter().map(|part| part.on(device)).collect();
    let found = device.concatenate_rows(&parts.iter().collect::<Vec<_>>());
    expected.assert_is(&what("concatenate_rows"), device, &found);
}

fn matmul<O: Operations>(what: &dyn Fn(&str) -> String, device: &O, random: &mut Random) {
    let [m, n, k] = [20, 40, 40].map(|most| random.count(1, most));
    let batches = random.pick(&[[1, 1], [3, 3], [1, 3], [3, 1]]);
    let a = Plain::random([batches[0], m, k], random);
    let b = Plain::random([batches[1], k, n], random);
    let turned = Plain::each([batches[1], n, k], |image, j, i| b.at(image, i, j));
    let batch = batches[0].max(batches[1]);
    let expected = Plain::each([batch, m, n], |image, i, j| {
        let terms = (0..k).map(|t| {
            let left = a.at(image.min(batches[0] - 1), i, t);
            f64::from(left) * f64::from(b.at(image.min(batches[1] - 1), t, j))
        });
        terms.sum::<f64>() as f32
    });
    let (a, b, turned) = (a.on(device), b.on(device), turned.on(device));
    expected.assert_near(&what("matmul"), device, &device.matmul(&a, &b));
    let found = device.matmul_transposed(&a, &turned);
    expected.assert_near(&what("matmul_transposed"), device, &found);
}

fn repeat<O: Operations>(what: &dyn Fn(&str) -> String, device: &O, random: &mut Random) {
    let [batch, rows, channels] = shape(random);
    let times = random.count(1, 4);
    let x = Plain::random([batch, rows, channels], random);
    let repeated = [batch * times, rows, channels];
    let whole = Plain::each(repeated, |b, r, c| x.at(b % batch, r, c));
    let each = Plain::each(repeated, |b, r, c| x.at(b / times, r, c));
    let like = Plain::random([batch * times, 1, 2], random).on(device);
    let one = Plain::random([1, 3, 1], random).on(device);
    let on_device = x.on(device);
    let found = device.repeat_batch_as(&on_device, &like);
    whole.assert_is(&what("repeat_batch_as"), device, &found);
    let found = device.repeat_batch_as(&on_device, &one);
    x.assert_is(&what("repeat_batch_as one"), device, &found);
    each.assert_is(
        &what("repeat_each"),
        device,
        &device.repeat_each(&on_device, times),
    );
}

/// Operations that only move values move them exactly.
pub fn movements<O: Operations>(name: &str, device: impl Fn() -> O) {
    let device = device();
    for case in 0..CASES {
        let random = &mut Random::of(&[2, case]);
        let what = |operation: &str| format!("{operation} on {name}, case {case}");
        slices(&what, &device, random);
    }
}

fn slices<O: Operations>(what: &dyn Fn(&str) -> String, device: &O, random: &mut Random) {
    let [batch, rows, channels] = shape(random);
    let x = Plain::random([batch, rows, channels], random);
    let mut part = |length: usize| {
        let start = random.below(length);
        (start, random.count(1, length - start))
    };
    let ((row, row_count), (channel, channel_count)) = (part(rows), part(channels));
    let (before, after) = (random.below(3), random.below(3));
    let of_rows = Plain::each([batch, row_count, channels], |b, r, c| x.at(b, row + r, c));
    let of_channels = Plain::each([batch, rows, channel_count], |b, r, c| {
        x.at(b, r, channel + c)
    });
    let padded = Plain::each([batch, rows, before + channels + after], |b, r, c| {
        let own = c.checked_sub(before).filter(|c| *c < channels);
        own.map_or(0.0, |c| x.at(b, r, c))
    });
    let turned = Plain {
        shape: [rows, channels, batch],
        values: x.values.clone(),
    };
    let on_device = &x.on(device);
    let found = device.slice_rows(on_device, row, row_count);
    of_rows.assert_is(&what("slice_rows"), device, &found);
    let found = device.slice_channels(on_device, channel, channel_count);
    of_channels.assert_is(&what("slice_channels"), device, &found);
    let found = device.pad_channels(on_device, before, after);
    padded.assert_is(&what("pad_channels"), device, &found);
    let found = device.reshape(on_device, channels, batch);
    turned.assert_is(&what("reshape"), device, &found);
    x.assert_is(&what("what went in"), device, on_device);
}

/// Functions of values and rows, means, resizing and attention are near exact arithmetic.
pub fn functions<O: Operations>(name: &str, device: impl Fn() -> O) {
    let device = device();
    for case in 0..CASES {
        let random = &mut Random::of(&[3, case]);
        let what = |operation: &str| format!("{operation} on {name}, case {case}");
        of_values(&what, &device, random);
        of_rows(&what, &device, random);
        resize(&what, &device, random);
        attention(&what, &device, random);
    }
}

fn of_values<O: Operations>(what: &dyn Fn(&str) -> String, device: &O, random: &mut Random) {
    let shape = shape(random);
    let all: Vec<Plain> = (0..random.count(1, 4))
        .map(|_| Plain::random(shape, random))
        .collect();
    let exact = |function: fn(f64) -> f64| {
        Plain::each(shape, |b, r, c| {
            function(f64::from(all[0].at(b, r, c))) as f32
        })
    };
    let mean = Plain::each(shape, |b, r, c| {
        let sum: f64 = all.iter().map(|tensor| f64::from(tensor.at(b, r, c))).sum();
        (sum / all.len() as f64) as f32
    });
    let on_device: Vec<_> = all.iter().map(|tensor| tensor.on(device)).collect();
    exact(f64::exp).assert_near(&what("exp"), device, &device.exp(&on_device[0]));
    let found = device.sigmoid(&on_device[0]);
    exact(exact::sigmoid).assert_near(&what("sigmoid"), device, &found);
    mean.assert_near(&what("mean"), device, &device.mean(&on_device));
}

/// What `function` makes of each row.
fn by_rows(x: &Plain, function: impl Fn(&mut [f64])) -> Plain {
    let mut values = Vec::with_capacity(x.values.len());
    for row in x.values.chunks_exact(x.shape[2]) {
        let mut row: Vec<f64> = row.iter().map(|value| f64::from(*value)).collect();
        function(&mut row);
        values.extend(row.iter().map(|value| *value as f32));
    }
    let shape = x.shape;
    Plain { shape, values }
}

fn softmax(row: &mut [f64]) {
    for value in row.iter_mut() {
        *value = value.exp();
    }
    let sum: f64 = row.iter().sum();
    for value in row.iter_mut() {
        *value /= sum;
    }
}

fn of_rows<O: Operations>(what: &dyn Fn(&str) -> String, device: &O, random: &mut Random) {
    let x = Plain::random(shape(random), random);
    let unit = by_rows(&x, |row| {
        let length = row.iter().map(|value| value * value).sum::<f64>().sqrt();
        for value in row.iter_mut() {
            *value /= length.max(1e-12);
        }
    });
    let on_device = x.on(device);
    unit.assert_near(
        &what("l2_normalise"),
        device,
        &device.l2_normalise(&on_device),
    );
    by_rows(&x, softmax).assert_near(&what("softmax"), device, &device.softmax(&on_device));
    let zeros = Plain::each(x.shape, |_, _, _| 0.0);
    let found = device.l2_normalise(&zeros.on(device));
    zeros.assert_is(&what("l2_normalise of zeros"), device, &found);
}

fn resize<O: Operations>(what: &dyn Fn(&str) -> String, device: &O, random: &mut Random) {
    let [batch, from, to] = [3, 20, 50].map(|most| random.count(1, most));
    let resampling = if random.chance(0.5) {
        Resampling::cubic_antialiased(from, to)
    } else {
        Resampling::linear_aligned(from, to)
    };
    let maps = Plain::random([batch, from, from], random);
    let weight = |i: usize, j: usize| f64::from(resampling.matrix()[i * from + j]);
    let expected = Plain::each([batch, to, to], |b, y, x| {
        let line = |j: usize| -> f64 {
            let terms = (0..from).map(|i| weight(x, i) * f64::from(maps.at(b, j, i)));
            terms.sum()
        };
        (0..from).map(|j| weight(y, j) * line(j)).sum::<f64>() as f32
    });
    let found = device.resize(&maps.on(device), &resampling);
    expected.assert_near(&what("resize"), device, &found);
}

fn attention<O: Operations>(what: &dyn Fn(&str) -> String, device: &O, random: &mut Random) {
    let [batch, rows, heads, channels] = [3, 6, 3, 8].map(|most| random.count(1, most));
    let keys = rows + random.below(4);
    let width = heads * channels;
    let query = Plain::random([batch, rows, width], random);
    let [key, value] = [0, 1].map(|_| Plain::random([batch, keys, width], random));
    let on_device = [&query, &key, &value].map(|tensor| tensor.on(device));
    for causal in [false, true] {
        let expected = Plain::each([batch, rows, width], |b, r, c| {
            let head = c / channels * channels;
            let visible = if causal { keys - rows + r + 1 } else { keys };
            let mut weights: Vec<f64> = (0..visible)
                .map(|k| {
                    let terms = (head..head + channels)
                        .map(|c| f64::from(query.at(b, r, c)) * f64::from(key.at(b, k, c)));
                    terms.sum::<f64>() / (channels as f64).sqrt()
                })
                .collect();
            softmax(&mut weights);
            let terms = weights.iter().enumerate();
            let sum: f64 = terms
                .map(|(k, weight)| weight * f64::from(value.at(b, k, c)))
                .sum();
            sum as f32
        });
        let [query, key, value] = &on_device;
        let found = device.attention(query, key, value, heads, causal);
        expected.assert_near(
            &what(&format!("attention, causal: {causal}")),
            device,
            &found,
        );
    }
}
