//! torch.save's older format, as it is written: `views.rs` reads files that PyTorch wrote.

mod support;

use support::pickle::Pickle;
use support::stream::{keys, machine, storage, stream, tensor};
use vcp_checkpoint::{Format, TensorFile};

#[test]
fn tensors_are_found_in_their_storages() {
    let values: Vec<f32> = (0..6_u8).map(f32::from).collect();
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let open = Pickle::new().raw(b"}(").text("block.weight");
    // The second is the transpose of the first, in the same storage.
    let pickle = tensor(open, "140", 6, &[2, 3], &[3, 1]).text("transposed");
    let pickle = tensor(pickle, "140", 6, &[3, 2], &[1, 3]).text("bias");
    let pickle = tensor(pickle, "7", 1, &[1], &[1]).text("empty");
    let pickle = tensor(pickle, "5", 0, &[0, 3], &[3, 1]).raw(b"u").end();
    // Storages are in the order of the keys, which is not that of the tensors.
    let file = stream(
        &pickle,
        &["7", "5", "140"],
        &[
            storage(1, &0.5_f32.to_le_bytes()),
            storage(0, &[]),
            storage(6, &bytes),
        ],
    );
    let file = TensorFile::from_bytes(file, "older").unwrap();
    assert_eq!(file.format(), Format::TorchSaveStream);
    let read = |name: &str| {
        let tensor = file.tensor(name).unwrap();
        (tensor.shape().to_vec(), tensor.to_f32())
    };
    assert_eq!(read("block.weight"), (vec![2, 3], values));
    let transposed = vec![0.0, 3.0, 1.0, 4.0, 2.0, 5.0];
    assert_eq!(read("transposed"), (vec![3, 2], transposed));
    assert_eq!(read("bias"), (vec![1], vec![0.5]));
    assert_eq!(read("empty"), (vec![0, 3], vec![]));
}

#[test]
fn a_position_in_an_error_is_one_in_the_file() {
    let values = Pickle::new().raw(b"}").global("os", "system").end();
    let file = stream(&values, &[], &[]);
    let at = file.len() - keys(&[]).len() - b"cos\nsystem\n.".len();
    assert!(at > machine(true).len());
    let error = TensorFile::from_bytes(file, "older").unwrap_err();
    let expected = format!("The pickle at byte {at} asks for os.system");
    assert!(error.to_string().contains(&expected), "{error}");
}

/// As with `torch.load`, which reads the first of several objects written to one file.
#[test]
fn what_follows_the_last_storage_is_not_read() {
    let open = Pickle::new().raw(b"}").text("a");
    let values = tensor(open, "0", 1, &[1], &[1]).raw(b"s").end();
    let mut file = stream(&values, &["0"], &[storage(1, &2.0_f32.to_le_bytes())]);
    file.extend(b"more");
    let file = TensorFile::from_bytes(file, "older").unwrap();
    assert_eq!(file.tensor("a").unwrap().to_f32(), [2.0]);
}
