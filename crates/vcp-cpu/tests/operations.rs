//! The operations of [`vcp_model::Operations`] on the CPU against plain statements of them:
//! shapes, broadcasting and order; what only moves values must move them exactly.

use proptest::prelude::*;
use std::num::NonZero;
use std::sync::LazyLock;
use vcp_checkpoint::{Activation, Geometry, Settings, TowerGeometry, Weights};
use vcp_cpu::{Cpu, InstructionSet, Tensor};
use vcp_model::{After, Operations, Orientation, Resampling};
use vcp_testing::{Tolerance, assert_close};

/// One device for each instruction set of this machine.
static DEVICES: LazyLock<Vec<Cpu>> = LazyLock::new(|| {
    let sets = InstructionSet::available().into_iter();
    sets.map(device).collect()
});

fn device(instruction_set: InstructionSet) -> Cpu {
    Cpu::with_instruction_set(NonZero::new(2), instruction_set).expect("threads start")
}

/// Random weights of a model with unequal widths, so that no two dimensions can be mixed up.
static WEIGHTS: LazyLock<Weights> = LazyLock::new(|| {
    let geometry = Geometry {
        embedding_width: 64,
        vision: TowerGeometry::new(1, 128),
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
    let mut weights = Weights::random(geometry, settings, 7).expect("a sensible geometry");
    // Random matrices are f16; a replaced one is f32.
    let name = "clip.visual.transformer.resblocks.0.mlp.c_fc.weight";
    let count = weights.tensor(name).expect("present").len();
    let values = (0..count).map(|i| (i % 1013) as f32 / 1013.0 - 0.5);
    weights
        .replace(name, values.collect())
        .expect("of the right length");
    weights
});

fn cases(count: u32) -> ProptestConfig {
    ProptestConfig {
        cases: count,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// A tensor without a device.
#[derive(Clone, Debug, PartialEq)]
struct Plain {
    shape: [usize; 3],
    values: Vec<f32>,
}

impl Plain {
    /// The value of every place, computed.
    fn each(shape: [usize; 3], value: impl Fn(usize, usize, usize) -> f32) -> Self {
        let [batch, rows, channels] = shape;
        let mut values = Vec::with_capacity(batch * rows * channels);
        for b in 0..batch {
            for r in 0..rows {
                values.extend((0..channels).map(|c| value(b, r, c)));
            }
        }
        Self { shape, values }
    }

    /// Values that differ from place to place and from seed to seed, in -1..1.
    fn random(shape: [usize; 3], seed: u64) -> Self {
        let mut state = seed | 1;
        Self::each(shape, |_, _, _| 0.0).map(|_| {
            // Xorshift (Marsaglia 2003).
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        })
    }

    fn map(mut self, mut change: impl FnMut(f32) -> f32) -> Self {
        for value in &mut self.values {
            *value = change(*value);
        }
        self
    }

    fn at(&self, b: usize, r: usize, c: usize) -> f32 {
        let [_, rows, channels] = self.shape;
        self.values[(b * rows + r) * channels + c]
    }

    fn on(&self, cpu: &Cpu) -> Tensor {
        cpu.tensor(self.shape, &self.values)
    }

    #[track_caller]
    fn assert_is(&self, what: &str, cpu: &Cpu, found: &Tensor) {
        let what = format!("{what} on {:?}", cpu.instruction_set());
        assert_eq!(cpu.shape(found), self.shape, "{what}: shape");
        assert_eq!(found.as_slice(), self.values, "{what}");
        assert_eq!(
            cpu.values(found).expect("on the CPU"),
            self.values,
            "{what}: values"
        );
    }

    #[track_caller]
    fn assert_near(&self, what: &str, cpu: &Cpu, found: &Tensor, tolerance: Tolerance) {
        let what = format!("{what} on {:?}", cpu.instruction_set());
        assert_eq!(cpu.shape(found), self.shape, "{what}: shape");
        assert_close(&what, found.as_slice(), &self.values, tolerance);
    }
}

fn any_shape() -> impl Strategy<Value = [usize; 3]> {
    [1_usize..=4, 1_usize..=9, 1_usize..=40]
}

/// The shape with some dimensions replaced by 1.
fn narrowed(shape: [usize; 3], keep: [bool; 3]) -> [usize; 3] {
    [0, 1, 2].map(|axis| if keep[axis] { shape[axis] } else { 1 })
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn add_and_multiply_repeat_dimensions_of_one(
        shape in any_shape(),
        keep: [bool; 3],
        seed: u64,
    ) {
        let x = Plain::random(shape, seed);
        let y = Plain::random(narrowed(shape, keep), seed.wrapping_add(99));
        let other = |b: usize, r: usize, c: usize| {
            let [batch, rows, channels] = y.shape;
            y.at(b.min(batch - 1), r.min(rows - 1), c.min(channels - 1))
        };
        let sum = Plain::each(shape, |b, r, c| x.at(b, r, c) + other(b, r, c));
        let product = Plain::each(shape, |b, r, c| x.at(b, r, c) * other(b, r, c));
        for cpu in &*DEVICES {
            let (x, y) = (x.on(cpu), y.on(cpu));
            sum.assert_is("add", cpu, &cpu.add(&x, &y));
            product.assert_is("multiply", cpu, &cpu.multiply(&x, &y));
        }
    }

    #[test]
    fn concatenations_of_rows(
        [batch, rows, channels] in any_shape(),
        more in prop::collection::vec((1_usize..=5, any::<bool>()), 0..4),
        seed: u64,
    ) {
        let first = Plain::random([batch, rows, channels], seed);
        let below: Vec<Plain> = more
            .iter()
            .zip(1..)
            .map(|((rows, one), i)| {
                Plain::random([if *one { 1 } else { batch }, *rows, channels], seed ^ i)
            })
            .collect();
        let below: Vec<&Plain> = std::iter::once(&first).chain(&below).collect();
        let total = below.iter().map(|part| part.shape[1]).sum();
        let expected_rows = Plain::each([batch, total, channels], |b, mut r, c| {
            for part in &below {
                if r < part.shape[1] {
                    return part.at(b.min(part.shape[0] - 1), r, c);
                }
                r -= part.shape[1];
            }
            unreachable!("within the total")
        });
        for cpu in &*DEVICES {
            let on = |parts: &[&Plain]| parts.iter().map(|part| part.on(cpu)).collect::<Vec<_>>();
            let below = on(&below);
            let found = cpu.concatenate_rows(&below.iter().collect::<Vec<_>>());
            expected_rows.assert_is("rows", cpu, &found);
        }
    }

    #[test]
    fn slices_and_repetitions(
        shape in any_shape(),
        cut in any::<[prop::sample::Index; 2]>(),
        times in 1_usize..=4,
        seed: u64,
    ) {
        let [batch, rows, channels] = shape;
        let x = Plain::random(shape, seed);
        let part = |length: usize| {
            let start = cut[0].index(length);
            (start, 1 + cut[1].index(length - start))
        };
        let ((row, row_count), (channel, channel_count)) = (part(rows), part(channels));
        let of_rows = Plain::each([batch, row_count, channels], |b, r, c| x.at(b, row + r, c));
        let of_channels =
            Plain::each([batch, rows, channel_count], |b, r, c| x.at(b, r, channel + c));
        let repeated = [batch * times, rows, channels];
        let whole = Plain::each(repeated, |b, r, c| x.at(b % batch, r, c));
        let each = Plain::each(repeated, |b, r, c| x.at(b / times, r, c));
        let turned = Plain { shape: [rows, channels, batch], values: x.values.clone() };
        let padded = Plain::each([batch, rows, times + channels + 1], |b, r, c| {
            let own = c.checked_sub(times).filter(|c| *c < channels);
            own.map_or(0.0, |c| x.at(b, r, c))
        });
        let like = Plain::random([batch * times, 1, 2], seed);
        for cpu in &*DEVICES {
            let x = x.on(cpu);
            of_rows.assert_is("rows", cpu, &cpu.slice_rows(&x, row, row_count));
            of_channels.assert_is("channels", cpu, &cpu.slice_channels(&x, channel, channel_count));
            let like = like.on(cpu);
            whole.assert_is("repeat_batch_as", cpu, &cpu.repeat_batch_as(&x, &like));
            padded.assert_is("pad_channels", cpu, &cpu.pad_channels(&x, times, 1));
            each.assert_is("repeat_each", cpu, &cpu.repeat_each(&x, times));
            turned.assert_is("reshape", cpu, &cpu.reshape(&x, channels, batch));
        }
    }

    #[test]
    fn patches_are_squares_of_the_image(
        batch in 1_usize..=3,
        grid in 1_usize..=5,
        patch in 1_usize..=6,
        seed: u64,
    ) {
        let side = grid * patch;
        let images = Plain::random([batch, 3, side * side], seed);
        let expected = Plain::each([batch, grid * grid, 3 * patch * patch], |b, square, c| {
            let (colour, y, x) = (c / (patch * patch), c / patch % patch, c % patch);
            let (top, left) = (square / grid * patch, square % grid * patch);
            images.at(b, colour, (top + y) * side + left + x)
        });
        for cpu in &*DEVICES {
            expected.assert_is("patches", cpu, &cpu.patches(&images.on(cpu), patch));
        }
    }

    #[test]
    fn resize_is_a_product_with_the_dense_matrix_on_both_sides(
        (from, to) in (1_usize..=20, 1_usize..=50),
        batch in 1_usize..=3,
        cubic: bool,
        seed: u64,
    ) {
        let resampling = if cubic {
            Resampling::cubic_antialiased(from, to)
        } else {
            Resampling::linear_aligned(from, to)
        };
        let maps = Plain::random([batch, from, from], seed);
        let weight = |i: usize, j: usize| f64::from(resampling.matrix()[i * from + j]);
        let expected = Plain::each([batch, to, to], |b, y, x| {
            let line = |j: usize| -> f64 {
                (0..from).map(|i| weight(x, i) * f64::from(maps.at(b, j, i))).sum()
            };
            (0..from).map(|j| weight(y, j) * line(j)).sum::<f64>() as f32
        });
        for cpu in &*DEVICES {
            let found = cpu.resize(&maps.on(cpu), &resampling);
            expected.assert_near("resize", cpu, &found, Tolerance::Rounding);
        }
    }

    #[test]
    fn functions_keep_the_shape(shape in any_shape(), count in 1_usize..=4, seed: u64) {
        let x = Plain::random(shape, seed);
        let others: Vec<Plain> = (1..count as u64).map(|i| Plain::random(shape, seed ^ i)).collect();
        let exp = x.clone().map(|x| f64::from(x).exp() as f32);
        let sigmoid = x.clone().map(|x| (1.0 / (1.0 + (-f64::from(x)).exp())) as f32);
        let mean = Plain::each(shape, |b, r, c| {
            let all = std::iter::once(&x).chain(&others);
            let sum: f64 = all.map(|tensor| f64::from(tensor.at(b, r, c))).sum();
            (sum / count as f64) as f32
        });
        for cpu in &*DEVICES {
            let on_device = x.on(cpu);
            exp.assert_near("exp", cpu, &cpu.exp(&on_device), Tolerance::Rounding);
            sigmoid.assert_near("sigmoid", cpu, &cpu.sigmoid(&on_device), Tolerance::Rounding);
            let all: Vec<_> = std::iter::once(&x).chain(&others).map(|x| x.on(cpu)).collect();
            mean.assert_near("mean", cpu, &cpu.mean(&all), Tolerance::Rounding);
            x.assert_is("what went in", cpu, &on_device);
        }
    }

    #[test]
    fn products_of_tensors(
        [m, n, k] in [1_usize..=20, 1_usize..=40, 1_usize..=40],
        batches in prop_oneof![Just([1_usize, 1]), Just([3, 3]), Just([1, 3]), Just([3, 1])],
        seed: u64,
    ) {
        let a = Plain::random([batches[0], m, k], seed);
        let b = Plain::random([batches[1], k, n], seed ^ 5);
        let turned = Plain::each([batches[1], n, k], |image, j, i| b.at(image, i, j));
        let batch = batches[0].max(batches[1]);
        let expected = Plain::each([batch, m, n], |image, i, j| {
            let terms = (0..k).map(|t| {
                let left = a.at(image.min(batches[0] - 1), i, t);
                f64::from(left) * f64::from(b.at(image.min(batches[1] - 1), t, j))
            });
            terms.sum::<f64>() as f32
        });
        for cpu in &*DEVICES {
            let (a, b, turned) = (a.on(cpu), b.on(cpu), turned.on(cpu));
            expected.assert_near("matmul", cpu, &cpu.matmul(&a, &b), Tolerance::Rounding);
            let found = cpu.matmul_transposed(&a, &turned);
            expected.assert_near("matmul_transposed", cpu, &found, Tolerance::Rounding);
        }
    }

    /// Layers as they are stored: [outputs, inputs], [inputs, outputs], with further
    /// dimensions, in f16 and f32, with and without bias.
    #[test]
    fn linear_layers(
        (batch, rows) in (1_usize..=3, 1_usize..=20),
        which in 0_usize..5,
        after in 0_usize..3,
        seed: u64,
    ) {
        let block = "clip.visual.transformer.resblocks.0";
        let (name, bias, orientation) = [
            ("clip.visual.conv1.weight".to_owned(), None, Orientation::OutputsInputs),
            ("clip.visual.proj".to_owned(), None, Orientation::InputsOutputs),
            (
                format!("{block}.mlp.c_fc.weight"),
                Some(format!("{block}.mlp.c_fc.bias")),
                Orientation::OutputsInputs,
            ),
            (
                "vcp.Zero_try.q_proj_pre.weight".to_owned(),
                Some("vcp.Zero_try.q_proj_pre.bias".to_owned()),
                Orientation::OutputsInputs,
            ),
            ("vcp.Zero_try.q_proj_pre.weight".to_owned(), None, Orientation::InputsOutputs),
        ][which].clone();
        let stored = WEIGHTS.tensor(&name).expect("present");
        let bias = bias.map(|bias| WEIGHTS.tensor(&bias).expect("present"));
        let values = stored.to_f32();
        let first = stored.shape()[0];
        let second = values.len() / first;
        let (inputs, outputs) = match orientation {
            Orientation::OutputsInputs => (second, first),
            Orientation::InputsOutputs => (first, second),
        };
        let x = Plain::random([batch, rows, inputs], seed);
        let residual = Plain::random([batch, rows, outputs], seed ^ 3);
        let bias_values = bias.map_or(vec![0.0; outputs], |bias| bias.to_f32());
        let expected = Plain::each([batch, rows, outputs], |b, r, o| {
            let terms = (0..inputs).map(|i| {
                let weight = match orientation {
                    Orientation::OutputsInputs => values[o * inputs + i],
                    Orientation::InputsOutputs => values[i * outputs + o],
                };
                f64::from(weight) * f64::from(x.at(b, r, i))
            });
            let sum = terms.sum::<f64>() + f64::from(bias_values[o]);
            let value = match after {
                0 => sum,
                1 => sum / (1.0 + (-1.702 * sum).exp()),
                _ => sum + f64::from(residual.at(b, r, o)),
            };
            value as f32
        });
        for cpu in &*DEVICES {
            let layer = cpu.linear_layer(&stored, bias.as_ref(), orientation).expect("on the CPU");
            let residual = residual.on(cpu);
            let after = match after {
                0 => After::Nothing,
                1 => After::Activate(Activation::QuickGelu),
                _ => After::Add(&residual),
            };
            let found = cpu.linear(&x.on(cpu), &layer, after);
            expected.assert_near(&name, cpu, &found, Tolerance::Rounding);
        }
    }

    /// The fusions give what the operations they are made of give.
    #[test]
    fn fusions_equal_their_parts((batch, rows) in (1_usize..=3, 1_usize..=60), seed: u64) {
        let block = "clip.visual.transformer.resblocks.0";
        let stored = |name: &str| WEIGHTS.tensor(&format!("{block}.{name}")).expect("present");
        let x = Plain::random([batch, rows, 128], seed);
        for cpu in &*DEVICES {
            let x = x.on(cpu);
            let norm = cpu.norm_layer(&stored("ln_1.weight"), &stored("ln_1.bias"), 1e-5);
            let [weight, bias] = ["attn.in_proj_weight", "attn.in_proj_bias"].map(stored);
            let layer = cpu.linear_layer(&weight, Some(&bias), Orientation::OutputsInputs);
            let (norm, layer) = (norm.expect("on the CPU"), layer.expect("on the CPU"));

            let fused = cpu.norm_linear(&x, &norm, &layer, After::Nothing);
            let joint = cpu.linear(&cpu.layer_norm(&x, &norm), &layer, After::Nothing);
            assert_eq!(fused.as_slice(), joint.as_slice(), "{:?}", cpu.instruction_set());

            let fused = cpu.norm_self_attention(&x, &norm, &layer, 2);
            let [query, key, value] =
                [0, 1, 2].map(|part| cpu.slice_channels(&joint, part * 128, 128));
            let parts = cpu.attention(&query, &key, &value, 2, false);
            assert_eq!(cpu.shape(&fused), cpu.shape(&parts));
            assert_close("attention", fused.as_slice(), parts.as_slice(), Tolerance::Rounding);
        }
    }
}

/// Every operation on tensors of more than a mebibyte, whose memory a device uses again.
fn large_results(cpu: &Cpu) -> Vec<(&'static str, Tensor)> {
    let block = "clip.visual.transformer.resblocks.0";
    let stored = |name: &str| WEIGHTS.tensor(&format!("{block}.{name}")).expect("present");
    let norm = cpu.norm_layer(&stored("ln_1.weight"), &stored("ln_1.bias"), 1e-5);
    let norm = norm.expect("on the CPU");
    let layer = |name: &str| {
        let [weight, bias] = ["weight", "bias"].map(|part| {
            let separator = if name.ends_with("in_proj") { '_' } else { '.' };
            stored(&format!("{name}{separator}{part}"))
        });
        cpu.linear_layer(&weight, Some(&bias), Orientation::OutputsInputs)
            .expect("on the CPU")
    };
    let (joint, expand) = (layer("attn.in_proj"), layer("mlp.c_fc"));
    let x = &Plain::random([2, 1100, 128], 1).on(cpu);
    let wide = &Plain::random([2, 1100, 512], 2).on(cpu);
    let images = &Plain::random([2, 3, 240 * 240], 3).on(cpu);
    let maps = &Plain::random([2, 37, 37], 4).on(cpu);
    let square = &Plain::random([1, 512, 512], 5).on(cpu);
    let row = &Plain::random([1, 1, 128], 6).on(cpu);
    let gelu = After::Activate(Activation::Gelu);
    vec![
        ("linear", cpu.linear(x, &expand, gelu)),
        ("residual", cpu.linear(x, &expand, After::Add(wide))),
        ("norm_linear", cpu.norm_linear(x, &norm, &expand, gelu)),
        (
            "norm_self_attention",
            cpu.norm_self_attention(x, &norm, &joint, 2),
        ),
        ("attention", {
            let few = cpu.slice_rows(x, 0, 10);
            cpu.attention(&few, x, x, 2, true)
        }),
        ("layer_norm", cpu.layer_norm(x, &norm)),
        ("l2_normalise", cpu.l2_normalise(x)),
        ("softmax", cpu.softmax(x)),
        ("matmul", cpu.matmul(wide, square)),
        ("matmul_transposed", cpu.matmul_transposed(wide, square)),
        ("add", cpu.add(x, row)),
        ("multiply", cpu.multiply(x, row)),
        ("exp", cpu.exp(x)),
        ("sigmoid", cpu.sigmoid(x)),
        ("mean", cpu.mean(&[x.clone(), x.clone()])),
        ("concatenate_rows", cpu.concatenate_rows(&[row, x])),
        ("pad_channels", cpu.pad_channels(x, 3, 5)),
        ("slice_rows", cpu.slice_rows(wide, 3, 700)),
        ("slice_channels", cpu.slice_channels(wide, 3, 300)),
        ("repeat_batch_as", {
            let four = cpu.repeat_each(row, 4);
            cpu.repeat_batch_as(x, &four)
        }),
        ("repeat_each", cpu.repeat_each(x, 3)),
        ("patches", cpu.patches(images, 12)),
        (
            "resize",
            cpu.resize(maps, &Resampling::linear_aligned(37, 518)),
        ),
    ]
}

/// What was in memory before never shows in a result.
#[test]
fn used_memory_changes_nothing() {
    for instruction_set in InstructionSet::available() {
        let fresh = large_results(&device(instruction_set));
        let used = device(instruction_set);
        // All sizes a device keeps, several of each, full of NaN.
        let kept: Vec<Tensor> = [1 << 18, 1 << 19, 1 << 20, 1 << 21]
            .iter()
            .flat_map(|&size| vec![size; 6])
            .map(|size| used.tensor([1, 1, size], &vec![f32::NAN; size]))
            .collect();
        drop(kept);
        for ((name, found), (_, expected)) in large_results(&used).iter().zip(&fresh) {
            assert!(
                found.as_slice() == expected.as_slice(),
                "{name} on {instruction_set:?}"
            );
            let sum: f32 = found.as_slice().iter().sum();
            assert!(sum.is_finite(), "{name} on {instruction_set:?}");
        }
    }
}

/// An instruction set that the machine lacks is replaced by one that it has.
#[test]
fn devices_only_use_what_the_machine_has() {
    for set in [
        InstructionSet::Avx512,
        InstructionSet::Avx2,
        InstructionSet::Portable,
    ] {
        assert!(InstructionSet::available().contains(&device(set).instruction_set()));
    }
    assert_eq!(
        InstructionSet::available().last(),
        Some(&InstructionSet::Portable)
    );
    assert_eq!(device(InstructionSet::Portable).threads(), 2);
}
