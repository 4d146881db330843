//! What does not fit is refused.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use vcp_model::{After, DeviceError, Operations, Orientation, Windows};
use vcp_random::Random;

use super::{StoredKernels, small_weights};

/// What is done with tensors, and what does not fit about them.
type Case<'a, T> = (&'a str, &'a dyn Fn() -> Result<T, DeviceError>);

/// Operations on tensors that do not fit are refused, by a panic or as a failure: none computes something
/// else. The device is of use afterwards.
pub fn refusals<O: Operations>(name: &str, device: impl Fn() -> O) {
    let device = device();
    of_layers(name, &device);
    of_tensors(name, &device);
    of_maps(name, &device);
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

fn of_maps<O: Operations>(name: &str, device: &O) {
    let tensor = |shape| ones(device, shape);
    let (maps, wide) = (tensor([2, 12, 5]), tensor([2, 12, 6]));
    // Kernels of 3 pixels that move by 2 make 2 rows of 1 window of maps that are 3 pixels wide.
    let (fitting, batch_of_one) = (tensor([2, 2, 5]), tensor([1, 2, 5]));
    let number = AtomicU64::new(0);
    let layer = |weight: &[usize], biases, stride| {
        let number = number.fetch_add(1, Ordering::Relaxed);
        let stored = StoredKernels::random(1000 + number, weight, biases, &mut Random::new(number));
        let [weight, bias] = stored.tensors();
        device.depthwise_layer(&weight, &bias, stride)
    };
    let convolved = |weight: &[usize], biases, stride| {
        let layer = layer(weight, biases, stride)?;
        Ok(device.depthwise_convolution(&maps, 3, &layer, After::Nothing))
    };
    let sound = layer(&[5, 1, 3, 3], 5, 2).unwrap();
    let on = |x, width, after| Ok(device.depthwise_convolution(x, width, &sound, after));
    let cut = |width, side, stride| {
        let windows = Windows { side, stride };
        Ok(device.patches(&maps, width, windows))
    };
    let cases: [Case<'_, O::Tensor>; 15] = [
        ("kernels that are not square", &|| {
            convolved(&[5, 1, 3, 2], 5, 2)
        }),
        ("kernels of several channels", &|| {
            convolved(&[5, 2, 3, 3], 5, 2)
        }),
        ("kernels without a side", &|| convolved(&[5, 9], 5, 2)),
        ("more biases than kernels", &|| {
            convolved(&[5, 1, 3, 3], 6, 2)
        }),
        ("fewer biases than kernels", &|| {
            convolved(&[5, 1, 3, 3], 1, 2)
        }),
        ("kernels that do not move", &|| {
            convolved(&[5, 1, 3, 3], 5, 0)
        }),
        ("kernels with gaps between them", &|| {
            convolved(&[5, 1, 3, 3], 5, 4)
        }),
        ("channels without a kernel", &|| {
            on(&wide, 3, After::Nothing)
        }),
        ("rows of pixels that are not whole", &|| {
            on(&maps, 5, After::Nothing)
        }),
        ("rows without pixels", &|| on(&maps, 0, After::Nothing)),
        ("a residual of the maps' shape", &|| {
            on(&maps, 3, After::Add(&maps))
        }),
        ("a residual of another batch, on maps", &|| {
            on(&maps, 3, After::Add(&batch_of_one))
        }),
        // As images, the maps have 12 channels of 5 pixels.
        ("images whose rows are not whole", &|| cut(4, 2, 1)),
        ("windows that do not move", &|| cut(5, 2, 0)),
        ("windows with gaps between them", &|| cut(5, 1, 2)),
    ];
    assert_refused(name, device, &cases);
    let found = on(&maps, 3, After::Add(&fitting)).unwrap();
    assert_eq!(device.shape(&found), [2, 2, 5], "on {name}");
    assert!(
        device.values(&found).is_ok(),
        "the device is of use on {name}"
    );
    let found = cut(5, 1, 1).unwrap();
    assert_eq!(device.shape(&found), [2, 5, 12], "on {name}");
}
