//! GELU and QuickGELU as options of a model, against a plain statement of the vision tower's
//! blocks.

#[allow(dead_code, reason = "shared by several tests")]
mod plain;

use vcp_checkpoint::{Activation, Geometry, Settings, TowerGeometry, Weights};
use vcp_cpu::{Cpu, InstructionSet};
use vcp_model::{Model, Operations as _};
use vcp_testing::{Tolerance, assert_close};

/// Two blocks, both tapped, on images of the size that the positions are made for.
fn weights(activation: Activation) -> Weights {
    let geometry = Geometry {
        embedding_width: 64,
        vision: TowerGeometry::new(2, 128),
        patch_size: 5,
        native_grid: 3,
        text: TowerGeometry::new(1, 64),
        tap_count: 2,
        ..Geometry::vit_l_14()
    };
    let settings = Settings {
        taps: vec![1, 2],
        image_size: 15,
        activation,
        ..Settings::default()
    };
    Weights::random(geometry, settings, 5).expect("a sensible geometry")
}

#[test]
fn blocks_use_the_activation_that_the_settings_name() {
    let image: Vec<f32> = (0..3 * 15 * 15).map(|i| (i as f32 * 0.37).sin()).collect();
    for set in InstructionSet::available() {
        let cpu = Cpu::with_instruction_set(None, set).expect("threads start");
        let run = |activation| {
            let weights = weights(activation);
            let model = Model::load(&cpu, &weights).expect("the model loads");
            let images = cpu.tensor([1, 3, 15 * 15], &image);
            let taps = model.vision.forward(&cpu, &images).taps;
            for (index, expected) in plain::vision_blocks(&weights, &image).iter().enumerate() {
                let expected: Vec<f32> = expected.iter().flatten().map(|&x| x as f32).collect();
                let what = format!("block {} with {activation:?} on {set:?}", index + 1);
                assert_eq!(cpu.shape(&taps[index]), [1, 10, 128], "{what}");
                assert_close(&what, taps[index].as_slice(), &expected, Tolerance::Stage);
            }
            (taps[0].as_slice().to_vec(), model, weights)
        };
        let (gelu, ..) = run(Activation::Gelu);
        let (quick, ..) = run(Activation::QuickGelu);
        let apart = gelu.iter().zip(&quick).map(|(a, b)| (a - b).abs());
        let largest = apart.fold(0.0, f32::max);
        assert!(
            largest > 1e-3,
            "the activations differ by {largest} on {set:?}"
        );
    }
}
