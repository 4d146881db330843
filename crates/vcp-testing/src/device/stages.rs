//! The model on a device, against the numbers of the official code.

use vcp_checkpoint::Weights;
use vcp_model::{Model, Operations};

use crate::{Stage, Tolerance, assert_close, goldens, mini, variants};

/// Images [batch, 3, side, side] as the model takes them.
fn images<O: Operations>(device: &O, image: &Stage) -> O::Tensor {
    let (batch, side) = (image.shape[0], image.shape[2]);
    let shape = [batch, 3, side * side];
    device.constant(shape, &image.values).unwrap()
}

/// Every stage of the model, of all goldens and variants that are at hand, each on a device of its own.
pub fn stages<O: Operations>(name: &str, device: impl Fn() -> O) {
    for golden in goldens() {
        let what = format!("{} on {name}", golden.name);
        check(&what, &device(), &golden.weights(), |stage| {
            Some(golden.stage(stage))
        });
    }
    for variant in variants() {
        let what = format!("{} on {name}", variant.name);
        check(&what, &device(), &variant.weights, |stage| {
            variant.find(stage)
        });
    }
}

/// Compares the stages that are stored.
fn check<'a, O: Operations>(
    what: &str,
    device: &O,
    weights: &Weights,
    stored: impl Fn(&str) -> Option<&'a Stage>,
) {
    let mut compared = 0;
    let mut compare = |name: &str, found: &O::Tensor, tolerance| {
        if let Some(expected) = stored(name) {
            let found = device.values(found).unwrap();
            assert_close(
                &format!("{what}: {name}"),
                &found,
                &expected.values,
                tolerance,
            );
            compared += 1;
        }
    };
    let image = stored("image").expect("every case has images");
    let (batch, side) = (image.shape[0], image.shape[2]);
    let Model { vision, decoder } = Model::load(device, weights).unwrap();
    let features = vision.forward(device, &images(device, image));
    compare("image_feature", &features.image_feature, Tolerance::Stage);
    let taps = &weights.settings().taps;
    for (tap, rows) in taps.iter().zip(&features.taps) {
        compare(&format!("tap_{tap}"), rows, Tolerance::Stage);
    }
    let context = decoder.context.forward(device, &features.image_feature);
    compare("context", &context, Tolerance::Stage);
    let text = decoder.text.forward(device, &context);
    compare("text", &text, Tolerance::Stage);
    let grid = decoder.grid();
    assert_eq!(grid, side / weights.geometry().patch_size, "{what}");
    let patches: Vec<_> = features
        .taps
        .iter()
        .map(|tap| device.slice_rows(tap, 1, grid * grid))
        .collect();
    let updated = decoder.post_context.forward(device, &patches, &text);
    let logits = decoder.forward(device, &features);
    for (index, tap) in taps.iter().enumerate() {
        compare(
            &format!("updated_text_{tap}"),
            &updated[index].0,
            Tolerance::Stage,
        );
        for (name, branch) in [("branch1", &logits.branch1), ("branch2", &logits.branch2)] {
            let map = decoder.maps.probability(device, &branch[index]);
            compare(&format!("{name}_{tap}"), &map, Tolerance::Map);
        }
    }
    for (name, branch) in [("map1", &logits.branch1), ("map2", &logits.branch2)] {
        let map = decoder.maps.map(device, branch);
        assert_eq!(device.shape(&map), [batch, side, side], "{what}: {name}");
        compare(name, &map, Tolerance::Map);
    }
    assert!(compared >= 5, "{what}: only {compared} stages are stored");
}

/// A batch gives the maps that its images give alone.
pub fn batches<O: Operations>(name: &str, device: impl Fn() -> O) {
    let (golden, device) = (mini(), device());
    let model = Model::load(&device, &golden.weights()).unwrap();
    let maps = |images: &O::Tensor| {
        let logits = model.forward(&device, images);
        [&logits.branch1, &logits.branch2].map(|branch| {
            let map = model.decoder.maps.map(&device, branch);
            device.values(&map).unwrap()
        })
    };
    let image = golden.stage("image");
    let (batch, pixels) = (image.shape[0], image.shape[2] * image.shape[3]);
    assert!(batch > 1, "the golden has several images");
    let together = maps(&images(&device, image));
    for (index, values) in image.values.chunks_exact(3 * pixels).enumerate() {
        let alone = maps(&device.constant([1, 3, pixels], values).unwrap());
        for (branch, (alone, together)) in alone.iter().zip(&together).enumerate() {
            let together = &together[index * pixels..][..pixels];
            let what = format!("image {index}, branch {} on {name}", branch + 1);
            assert_close(&what, alone, together, Tolerance::Map);
        }
    }
}
