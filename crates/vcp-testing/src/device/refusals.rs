//! What does not fit is refused.

use std::panic::{AssertUnwindSafe, catch_unwind};

use vcp_model::{After, DeviceError, Operations, Orientation};

use super::small_weights;

/// What is done with tensors, and what does not fit about them.
type Case<'a, T> = (&'a str, &'a dyn Fn() -> Result<T, DeviceError>);

/// Operations on tensors that do not fit are refused, by a panic or as a failure: none computes something
/// else. The device is of use afterwards.
pub fn refusals<O: Operations>(name: &str, device: impl Fn() -> O) {
    let device = device();
    of_layers(name, &device);
    of_tensors(name, &device);
}

fn assert_refused<O: Operations>(name: &str, device: &O, cases: &[Case<'_, O::Tensor>]) {
    for (case, call) in cases {
        let outcome = catch_unwind(AssertUnwindSafe(|| device.values(&call()?)));
        let is_refused = !matches!(outcome, Ok(Ok(_)));
        assert!(is_refused, "{case} on {name}");
    }
}

fn ones<O: Operations>(device: &O, shape: [usize; 3]) -> O::Tensor {
    let ones = vec![1.0; shape.iter().product()];
    device.constant(shape, &ones).unwrap()
}

fn of_layers<O: Operations>(name: &str, device: &O) {
    let weights = small_weights();
    let stored = |name: &str| {
        let name = format!("clip.visual.transformer.resblocks.0.{name}");
        weights.tensor(&name).unwrap()
    };
    let layer = stored("mlp.c_fc.weight");
    // 128 → 512.
    let layer = device.linear_layer(&layer, None, Orientation::OutputsInputs);
    let layer = layer.unwrap();
    let norm = device.norm_layer(&stored("ln_1.weight"), &stored("ln_1.bias"), 1e-5);
    let norm = norm.unwrap();
    let tensor = |shape| ones(device, shape);
    let (four, short) = (tensor([4, 4, 128]), tensor([4, 4, 64]));
    let cases: [Case<'_, O::Tensor>; 6] = [
        (
            "a layer that does not give queries, keys and values",
            &|| Ok(device.norm_self_attention(&four, &norm, &layer, 2)),
        ),
        ("rows shorter than a layer's inputs", &|| {
            Ok(device.linear(&short, &layer, After::Nothing))
        }),
        ("a residual of another shape", &|| {
            Ok(device.linear(&four, &layer, After::Add(&four)))
        }),
        ("a residual of another batch", &|| {
            let residual = tensor([1, 4, 512]);
            Ok(device.linear(&four, &layer, After::Add(&residual)))
        }),
        ("rows shorter than a norm", &|| {
            Ok(device.layer_norm(&short, &norm))
        }),
        ("rows shorter than a norm before a layer", &|| {
            Ok(device.norm_linear(&short, &norm, &layer, After::Nothing))
        }),
    ];
    assert_refused(name, device, &cases);
    // They are refused for what was named, and nothing else is wrong with them.
    let found = device.linear(&device.layer_norm(&four, &norm), &layer, After::Nothing);
    assert_eq!(device.shape(&found), [4, 4, 512], "on {name}");
    assert!(
        device.values(&found).is_ok(),
        "the device is of use on {name}"
    );
}

fn of_tensors<O: Operations>(name: &str, device: &O) {
    let tensor = |shape| ones(device, shape);
    let [one, two, three, four] = [1, 2, 3, 4].map(|batch| tensor([batch, 4, 128]));
    let short = tensor([4, 4, 64]);
    let cases: [Case<'_, O::Tensor>; 23] = [
        ("fewer values than the shape says", &|| {
            device.constant([1, 4, 128], &[0.0; 128])
        }),
        ("more values than the shape says", &|| {
            device.constant([1, 1, 2], &[0.0; 3])
        }),
        ("a batch that divides another, added", &|| {
            Ok(device.add(&four, &two))
        }),
        ("a larger batch, added", &|| Ok(device.add(&one, &four))),
        ("channels that divide others, added", &|| {
            Ok(device.add(&four, &short))
        }),
        ("a batch that divides another, multiplied", &|| {
            Ok(device.multiply(&four, &two))
        }),
        ("more rows, multiplied", &|| {
            Ok(device.multiply(&tensor([4, 1, 128]), &four))
        }),
        ("factors of unequal number", &|| {
            Ok(device.matmul(&four, &four))
        }),
        ("a batch that divides another, in a product", &|| {
            Ok(device.matmul(&four, &tensor([2, 128, 8])))
        }),
        ("rows of unequal length", &|| {
            Ok(device.matmul_transposed(&four, &short))
        }),
        (
            "a batch that divides another, in a product of rows",
            &|| Ok(device.matmul_transposed(&two, &four)),
        ),
        ("a batch that divides another, below it", &|| {
            Ok(device.concatenate_rows(&[&four, &two]))
        }),
        ("another batch, below it", &|| {
            Ok(device.concatenate_rows(&[&two, &one, &three]))
        }),
        ("other channels, below it", &|| {
            Ok(device.concatenate_rows(&[&four, &short]))
        }),
        ("a batch that is no multiple, repeated", &|| {
            Ok(device.repeat_batch_as(&three, &four))
        }),
        ("a batch that is not whole, reshaped", &|| {
            Ok(device.reshape(&three, 5, 128))
        }),
        (
            "rows beyond the last",
            &|| Ok(device.slice_rows(&one, 2, 3)),
        ),
        ("channels beyond the last", &|| {
            Ok(device.slice_channels(&one, 100, 29))
        }),
        ("keys of another batch", &|| {
            Ok(device.attention(&two, &four, &four, 2, false))
        }),
        ("fewer values than keys", &|| {
            Ok(device.attention(&four, &four, &tensor([4, 3, 128]), 2, false))
        }),
        (
            "fewer keys than queries that see those before them",
            &|| {
                let keys = tensor([4, 3, 128]);
                Ok(device.attention(&four, &keys, &keys, 2, true))
            },
        ),
        ("heads that do not divide the width", &|| {
            Ok(device.attention(&four, &four, &four, 3, false))
        }),
        ("means of unequal shapes", &|| {
            Ok(device.mean(&[four.clone(), one.clone()]))
        }),
    ];
    assert_refused(name, device, &cases);
    let found = device.add(&four, &one);
    assert!(
        device.values(&found).is_ok(),
        "the device is of use on {name}"
    );
}
