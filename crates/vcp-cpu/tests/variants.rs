//! An image side that the patch does not divide, and the paper's ablations, against PyTorch's numbers
//! on every instruction set that this machine has.

use std::num::NonZero;
use vcp_cpu::{Cpu, InstructionSet, Tensor};
use vcp_model::{Model, Operations as _};
use vcp_testing::{Tolerance, Variant, assert_close, variants};

fn check(variant: &Variant, cpu: &Cpu) {
    let model = Model::load(cpu, &variant.weights).expect("the model loads");
    let stage = |name: &str, found: &Tensor, tolerance| {
        let what = format!(
            "{} on {}: {name}",
            variant.name,
            cpu.instruction_set().name()
        );
        let expected = &variant.stage(name).values;
        assert_close(&what, found.as_slice(), expected, tolerance);
    };
    let image = variant.stage("image");
    let (batch, side) = (image.shape[0], image.shape[2]);
    let patch = variant.weights.geometry().patch_size;
    assert!(!side.is_multiple_of(patch), "something is left over");
    let image = cpu.tensor([batch, 3, side * side], &image.values);
    let features = model.vision.forward(cpu, &image);
    stage("image_feature", &features.image_feature, Tolerance::Stage);
    let context = model.decoder.context.forward(cpu, &features.image_feature);
    stage("context", &context, Tolerance::Stage);
    let text = model.decoder.text.forward(cpu, &context);
    stage("text", &text, Tolerance::Stage);
    let logits = model.decoder.forward(cpu, &features);
    assert_eq!(model.decoder.grid(), side / patch);
    for (name, branch) in [("map1", &logits.branch1), ("map2", &logits.branch2)] {
        let map = model.decoder.maps.map(cpu, branch);
        assert_eq!(cpu.shape(&map), [batch, side, side]);
        stage(name, &map, Tolerance::Map);
    }
}

#[test]
fn every_variant() {
    for variant in variants() {
        for instruction_set in InstructionSet::available() {
            let cpu = Cpu::with_instruction_set(NonZero::new(2), instruction_set);
            check(&variant, &cpu.expect("threads start"));
        }
    }
}

/// What lies beyond the last whole patch is not looked at.
#[test]
fn pixels_that_are_left_over_change_nothing() {
    let variant = &variants()[0];
    let image = variant.stage("image");
    let (batch, side) = (image.shape[0], image.shape[2]);
    let covered = side - side % variant.weights.geometry().patch_size;
    let mut other = image.values.clone();
    for (at, value) in other.iter_mut().enumerate() {
        if at % side >= covered || at / side % side >= covered {
            *value = 100.0;
        }
    }
    let cpu = Cpu::new(None).expect("threads start");
    let model = Model::load(&cpu, &variant.weights).expect("the model loads");
    let feature = |values: &[f32]| {
        let image = cpu.tensor([batch, 3, side * side], values);
        model.vision.forward(&cpu, &image).image_feature
    };
    let (before, after) = (feature(&image.values), feature(&other));
    assert_ne!(image.values, other);
    assert_eq!(before.as_slice(), after.as_slice());
}
