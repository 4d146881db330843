//! An image side that the patch does not divide.

use vcp_cpu::Cpu;
use vcp_model::Model;
use vcp_testing::variants;

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
