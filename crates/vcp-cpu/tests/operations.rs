//! Memory that is used again shows in no result, and devices use only what the machine has. What the
//! operations compute is in `device.rs`.

use std::num::NonZero;
use vcp_checkpoint::{Activation, Precision};
use vcp_cpu::{Cpu, InstructionSet, Tensor};
use vcp_model::{After, Operations, Orientation, Resampling, Windows};
use vcp_random::Random;
use vcp_testing::device::{Plain, StoredKernels, small_weights};

fn device(instruction_set: InstructionSet) -> Cpu {
    Cpu::with_instruction_set(NonZero::new(2), instruction_set).expect("threads start")
}

fn random(shape: [usize; 3], seed: u64) -> Plain {
    Plain::random(shape, &mut Random::new(seed))
}

/// Every operation on tensors of more than a mebibyte, whose memory a device uses again.
fn large_results(cpu: &Cpu) -> Vec<(&'static str, Tensor)> {
    let weights = small_weights();
    let block = "clip.visual.transformer.resblocks.0";
    let stored = |name: &str| weights.tensor(&format!("{block}.{name}")).expect("present");
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
    let x = &random([2, 1100, 128], 1).on(cpu);
    let wide = &random([2, 1100, 512], 2).on(cpu);
    let images = &random([2, 3, 240 * 240], 3).on(cpu);
    let maps = &random([2, 37, 37], 4).on(cpu);
    let square = &random([1, 512, 512], 5).on(cpu);
    let row = &random([1, 1, 128], 6).on(cpu);
    let gelu = After::Activate(Activation::Gelu);
    let kernels = StoredKernels::random(1, &[128, 1, 3, 3], 128, &mut Random::new(7));
    let [weight, bias] = kernels.tensors();
    let depthwise = cpu.depthwise_layer(&weight, &bias, 1).expect("on the CPU");
    let halves = Windows { side: 3, stride: 2 };
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
        ("patches", cpu.patches(images, 240, Windows::patches(12))),
        ("patches that overlap", cpu.patches(images, 240, halves)),
        (
            "depthwise_convolution",
            cpu.depthwise_convolution(x, 55, &depthwise, After::Relu6),
        ),
        (
            "depthwise residual",
            cpu.depthwise_convolution(x, 55, &depthwise, After::Add(x)),
        ),
        ("standardise", cpu.standardise(x, 1e-5)),
        (
            "resize",
            cpu.resize(maps, &Resampling::linear_aligned(37, 518)),
        ),
    ]
}

/// A perceptron that works on some rows at a time gives the bits of its two layers on all of them.
#[test]
fn a_perceptron_in_parts_is_its_layers() {
    let weights = small_weights();
    let block = "clip.visual.transformer.resblocks.0";
    let stored = |name: &str| weights.tensor(&format!("{block}.{name}")).expect("present");
    for instruction_set in InstructionSet::available() {
        for precision in Precision::ALL {
            let Ok(cpu) = device(instruction_set).with_precision(precision) else {
                eprintln!(
                    "{} does not compute in {precision}.",
                    instruction_set.name()
                );
                continue;
            };
            let norm = cpu.norm_layer(&stored("ln_2.weight"), &stored("ln_2.bias"), 1e-5);
            let norm = norm.expect("on the CPU");
            let layer = |name: &str| {
                let [weight, bias] =
                    ["weight", "bias"].map(|part| stored(&format!("{name}.{part}")));
                cpu.narrow_linear_layer(&weight, Some(&bias), Orientation::OutputsInputs)
                    .expect("on the CPU")
            };
            let (expand, contract) = (layer("mlp.c_fc"), layer("mlp.c_proj"));
            for rows in [1, 699, 701, 1111] {
                let x = &random([2, rows, 128], rows as u64).on(&cpu);
                let gelu = Activation::Gelu;
                let perceptron =
                    |x: &Tensor| cpu.norm_perceptron(x, &norm, &expand, gelu, &contract);
                let found = perceptron(x);
                let hidden = cpu.norm_linear(x, &norm, &expand, After::Activate(gelu));
                let layers = cpu.linear(&hidden, &contract, After::Add(x));
                let what = format!("{rows} rows in {precision} with {}", instruction_set.name());
                if precision == Precision::F32 {
                    assert!(found.as_slice() == layers.as_slice(), "{what}");
                    continue;
                }
                // What lies between narrow layers is rounded to bf16.
                let pieces: Vec<f32> = (0..2 * rows)
                    .step_by(97)
                    .flat_map(|first| {
                        let end = (2 * rows).min(first + 97);
                        let piece = &x.as_slice()[first * 128..end * 128];
                        let piece = cpu.tensor([1, end - first, 128], piece);
                        perceptron(&piece).as_slice().to_vec()
                    })
                    .collect();
                assert!(found.as_slice() == pieces, "{what}");
                let both = found.as_slice().iter().zip(layers.as_slice());
                let furthest = both.fold(0.0_f32, |most, (a, b)| most.max((a - b).abs()));
                let largest = hidden
                    .as_slice()
                    .iter()
                    .fold(0.0_f32, |most, x| most.max(x.abs()));
                assert!(
                    furthest <= largest / 64.0,
                    "{what}: {furthest} off, {largest} at most"
                );
            }
        }
    }
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
