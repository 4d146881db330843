//! What does not fit the kernels of the CPU is refused before one could read or write beside it, and a
//! number of threads that would take the machine down before one is started. What fits no device is in
//! `device.rs`.

use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use vcp_cpu::{Cpu, Tensor};
use vcp_model::{After, Operations, Orientation};
use vcp_testing::device::small_weights;

#[test]
fn a_million_threads_are_refused() {
    for count in [1025, 99_999_999, usize::MAX] {
        let error = Cpu::new(NonZero::new(count)).err().expect("too many");
        let text = error.to_string();
        assert!(text.contains(&count.to_string()), "{text}");
        assert!(text.contains("at most 1024"), "{text}");
    }
}

#[test]
fn an_empty_batch_gives_an_empty_result() {
    let (cpu, weights) = (
        Cpu::new(NonZero::new(2)).expect("threads start"),
        small_weights(),
    );
    let name = "clip.visual.transformer.resblocks.0.mlp.c_fc.weight";
    let layer = weights.tensor(name).expect("present");
    let layer = cpu.linear_layer(&layer, None, Orientation::OutputsInputs);
    let layer = layer.expect("on the CPU");
    let out = cpu.linear(&cpu.tensor([0, 3, 128], &[]), &layer, After::Nothing);
    assert_eq!(cpu.shape(&out), [0, 3, 512]);
}

#[test]
fn what_does_not_fit_the_kernels_is_refused() {
    let (cpu, weights) = (
        Cpu::new(NonZero::new(2)).expect("threads start"),
        small_weights(),
    );
    let stored = |name: &str| {
        let name = format!("clip.visual.transformer.resblocks.0.{name}");
        weights.tensor(&name).expect("present")
    };
    let layer = |name| {
        let layer = cpu.linear_layer(&stored(name), None, Orientation::OutputsInputs);
        layer.expect("on the CPU")
    };
    // 128 → 512 and 128 → 384.
    let (wide, joint) = (layer("mlp.c_fc.weight"), layer("attn.in_proj_weight"));
    let (weight, bias) = (stored("ln_1.weight"), stored("ln_1.bias"));
    let norm = cpu.norm_layer(&weight, &bias, 1e-5).expect("on the CPU");
    let fits = cpu.tensor([1, 4, 128], &[1.0; 4 * 128]);

    let calls: [(&str, &dyn Fn() -> Tensor); 3] = [
        ("a layer that does not give three parts", &|| {
            cpu.norm_self_attention(&fits, &norm, &wide, 2)
        }),
        ("heads that are not 64 wide", &|| {
            cpu.norm_self_attention(&fits, &norm, &joint, 4)
        }),
        ("a norm whose parts differ", &|| {
            let bias = stored("attn.in_proj_bias");
            let norm = cpu.norm_layer(&weight, &bias, 1e-5).expect("on the CPU");
            cpu.layer_norm(&fits, &norm)
        }),
    ];
    for (case, call) in calls {
        assert!(catch_unwind(AssertUnwindSafe(call)).is_err(), "{case}");
    }
    // And that the parts are not refused where they do fit.
    let _ = cpu.norm_self_attention(&fits, &norm, &joint, 2);
}
