//! torch.save's older format.

mod support;

use support::pickle::Pickle;
use support::stream::{storage, stream, tensor};
use vcp_checkpoint::{Format, TensorFile};

#[test]
fn tensors_are_found_in_their_storages() {
    let values: Vec<f32> = (0..6_u8).map(f32::from).collect();
    let bytes: Vec<u8> = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    let open = Pickle::new().raw(b"}(").text("block.weight");
    // The second is the transpose of the first, in the same storage.
    let pickle = tensor(open, "140", 6, &[2, 3], &[3, 1]).text("transposed");
    let pickle = tensor(pickle, "140", 6, &[3, 2], &[1, 3]).text("bias");
    let pickle = tensor(pickle, "7", 1, &[1], &[1]).raw(b"u").end();
    let one = storage(1, &0.5_f32.to_le_bytes());
    // Storages lie in the order of the keys, which is not that of the tensors.
    let file = stream(&pickle, &["7", "140"], &[one, storage(6, &bytes)]);
    let file = TensorFile::from_bytes(file, "older").unwrap();
    assert_eq!(file.format(), Format::TorchSaveStream);
    let read = |name: &str| {
        let tensor = file.tensor(name).unwrap();
        (tensor.shape().to_vec(), tensor.to_f32())
    };
    assert_eq!(read("block.weight"), (vec![2, 3], values));
    assert_eq!(
        read("transposed"),
        (vec![3, 2], vec![0.0, 3.0, 1.0, 4.0, 2.0, 5.0])
    );
    assert_eq!(read("bias"), (vec![1], vec![0.5]));
}
