//! What does not fit is refused before a kernel could read or write beside it, and a number of
//! threads that would take the machine down before one is started.

use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use vcp_checkpoint::{Geometry, Settings, TowerGeometry, Weights};
use vcp_cpu::{Cpu, Tensor};
use vcp_model::{After, Operations, Orientation};

fn weights() -> Weights {
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
    Weights::random(geometry, settings, 7).expect("a sensible geometry")
}

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
    let (cpu, weights) = (Cpu::new(NonZero::new(2)).expect("threads start"), weights());
    let name = "clip.visual.transformer.resblocks.0.mlp.c_fc.weight";
    let layer = weights.tensor(name).expect("present");
    let layer = cpu.linear_layer(&layer, None, Orientation::OutputsInputs);
    let layer = layer.expect("on the CPU");
    let out = cpu.linear(&cpu.tensor([0, 3, 128], &[]), &layer, After::Nothing);
    assert_eq!(cpu.shape(&out), [0, 3, 512]);
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let (cpu, weights) = (Cpu::new(NonZero::new(2)).expect("threads start"), weights());
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
    let tensor = |shape: [usize; 3]| cpu.tensor(shape, &vec![1.0; shape.iter().product()]);
    let (fits, short) = (tensor([1, 4, 128]), tensor([1, 4, 64]));

    let calls: [(&str, &dyn Fn() -> Tensor); 10] = [
        ("fewer values than the shape says", &|| {
            cpu.tensor([1, 4, 128], &[0.0; 128])
        }),
        ("rows shorter than the layer's inputs", &|| {
            cpu.linear(&short, &wide, After::Nothing)
        }),
        ("a residual of another shape", &|| {
            cpu.linear(&fits, &wide, After::Add(&fits))
        }),
        ("rows shorter than the norm", &|| {
            cpu.layer_norm(&short, &norm)
        }),
        ("a norm before a layer that does not fit", &|| {
            cpu.norm_linear(&short, &norm, &wide, After::Nothing)
        }),
        ("a layer that does not give three parts", &|| {
            cpu.norm_self_attention(&fits, &norm, &wide, 2)
        }),
        ("heads that are not 64 wide", &|| {
            cpu.norm_self_attention(&fits, &norm, &joint, 4)
        }),
        ("factors of unequal number", &|| {
            cpu.matmul(&fits, &tensor([1, 64, 8]))
        }),
        ("rows of unequal length", &|| {
            cpu.matmul_transposed(&fits, &short)
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
