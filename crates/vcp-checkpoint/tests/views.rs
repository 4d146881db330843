//! Reads files in which PyTorch stored tensors that are not contiguous.
//!
//! `data/views.pth` was made with PyTorch 2.15:
//! ```python
//! b = torch.arange(24, dtype=torch.float32)
//! torch.save({
//!     'transposed': b.view(4, 6).t(), 'offset': b[5:17].view(3, 4),
//!     'steps': b.view(2, 3, 4)[:, ::2, 1:3], 'bf16': b.to(torch.bfloat16), 'shared': b,
//!     'permuted': b.view(2, 3, 4).permute(2, 0, 1),
//!     'nested': {'list': [b[:2], b[2:3]], 7: torch.tensor(True)}, 'text': 'ignored',
//!     'parameter': torch.nn.Parameter(b[:3].half()), 'i64': torch.tensor([-5, 7]),
//!     'expanded': b[:1].expand(4), 'u8': torch.tensor([200], dtype=torch.uint8),
//!     'f64': torch.tensor([0.5], dtype=torch.float64)}, 'views.pth')
//! ```
//! The others are of the older format, with `_use_new_zipfile_serialization=False`; `views_stream_4.pth` with
//! `pickle_protocol=4` besides.

#![allow(clippy::unwrap_used, reason = "what is made here is made right")]

mod support;

use support::pickle::Pickle;
use support::zip_file::{Entry, build};
use vcp_checkpoint::{ElementType, Format, TensorFile};

fn counting(values: impl IntoIterator<Item = u8>) -> Vec<f32> {
    values.into_iter().map(f32::from).collect()
}

#[test]
fn tensors_of_any_strides_type_and_place_are_read() {
    let file = include_bytes!("data/views.pth");
    check_views(file, Format::TorchSave);
}

#[test]
fn tensors_of_the_older_format_are_read() {
    let file = include_bytes!("data/views_stream.pth");
    check_views(file, Format::TorchSaveStream);
    let file = include_bytes!("data/views_stream_4.pth");
    check_views(file, Format::TorchSaveStream);
}

fn check_views(file: &[u8], format: Format) {
    let file = TensorFile::from_bytes(file.to_vec(), "views").unwrap();
    assert_eq!(file.format(), format);
    let transposed = (0..6).flat_map(|row| (0..4).map(move |column| column * 6 + row));
    let permuted =
        (0..4).flat_map(|i| (0..2).flat_map(move |j| (0..3).map(move |k| j * 12 + k * 4 + i)));
    let cases: Vec<(&str, ElementType, &[usize], Vec<f32>)> = vec![
        ("bf16", ElementType::BF16, &[24], counting(0..24)),
        ("expanded", ElementType::F32, &[4], vec![0.0; 4]),
        ("f64", ElementType::F64, &[1], vec![0.5]),
        ("i64", ElementType::I64, &[2], vec![-5.0, 7.0]),
        ("nested.7", ElementType::Bool, &[], vec![1.0]),
        ("nested.list.0", ElementType::F32, &[2], vec![0.0, 1.0]),
        ("nested.list.1", ElementType::F32, &[1], vec![2.0]),
        ("offset", ElementType::F32, &[3, 4], counting(5..17)),
        ("parameter", ElementType::F16, &[3], vec![0.0, 1.0, 2.0]),
        ("permuted", ElementType::F32, &[4, 2, 3], counting(permuted)),
        ("shared", ElementType::F32, &[24], counting(0..24)),
        (
            "steps",
            ElementType::F32,
            &[2, 2, 2],
            counting([1, 2, 9, 10, 13, 14, 21, 22]),
        ),
        (
            "transposed",
            ElementType::F32,
            &[6, 4],
            counting(transposed),
        ),
        ("u8", ElementType::U8, &[1], vec![200.0]),
    ];
    assert!(file.names().eq(cases.iter().map(|case| case.0)));
    for (name, element_type, shape, values) in cases {
        let tensor = file.tensor(name).unwrap();
        assert_eq!(tensor.element_type(), element_type, "{name}");
        assert_eq!(tensor.shape(), shape, "{name}");
        assert_eq!(tensor.to_f32(), values, "{name}");
    }
}

#[test]
fn modules_of_a_torchscript_archive_are_walked() {
    let layer = |key: &str| {
        Pickle::default()
            .global("__torch__.torch.nn.___torch_mangle_3", "Linear")
            .raw(b")\x81}(")
            .text("training")
            .raw(b"\x89")
            .text("weight")
            .tensor_of("HalfStorage", key, 4, 0, &[2, 2], &[1, 2])
            .raw(b"ub")
    };
    let pickle = Pickle::new()
        .global("__torch__", "Model")
        .raw(b")\x81}(")
        .text("layers")
        .global("__torch__.torch.nn", "Sequential")
        .raw(b")\x81}(")
        .text("0")
        .raw(&layer("first").0)
        .text("1")
        .raw(&layer("second").0)
        .raw(b"ub")
        .text("sizes")
        .global("torch.jit._pickle", "build_intlist")
        .raw(b"](K\x01K\x02e\x85R")
        .text("hook")
        .raw(b"Nub")
        .end();
    // 1, 2, 3, 4 and their negatives as f16, stored by columns.
    let first = [0x00, 0x3c, 0x00, 0x40, 0x00, 0x42, 0x00, 0x44];
    let second = [0x00, 0xbc, 0x00, 0xc0, 0x00, 0xc2, 0x00, 0xc4];
    let archive = build(&[
        Entry::stored("any name/data/first", &first),
        Entry::stored("any name/data/second", &second),
        Entry::stored("any name/data.pkl", &pickle),
        // Code is compressed in real archives, and never read.
        Entry::deflated("any name/code/__torch__.py", &[b'#'; 1000]),
        Entry::stored("any name/constants.pkl", b"not even a pickle"),
        Entry::stored("any name/version", b"6\n"),
    ]);
    let file = TensorFile::from_bytes(archive, "model.pt").unwrap();
    assert_eq!(file.format(), Format::TorchScript);
    assert!(file.names().eq(["layers.0.weight", "layers.1.weight"]));
    assert_eq!(
        file.tensor("layers.0.weight").unwrap().to_f32(),
        [1.0, 3.0, 2.0, 4.0]
    );
    assert_eq!(
        file.tensor("layers.1.weight").unwrap().to_f32(),
        [-1.0, -3.0, -2.0, -4.0]
    );
}
