//! Makes files of torch.save's older format.

use super::pickle::Pickle;

/// The magic number and the version.
pub(crate) const START: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.";

/// What PyTorch says of its machine.
pub(crate) fn machine(little_endian: bool) -> Vec<u8> {
    Pickle::new()
        .raw(b"}(")
        .text("protocol_version")
        .integer(1001)
        .text("little_endian")
        .raw(if little_endian { b"\x88" } else { b"\x89" })
        .raw(b"u")
        .end()
}

/// A list of texts.
pub(crate) fn keys(keys: &[&str]) -> Vec<u8> {
    let open = Pickle::new().raw(b"](");
    keys.iter()
        .fold(open, |pickle, key| pickle.text(key))
        .raw(b"e")
        .end()
}

/// A storage: the number of elements it gives, and what follows.
pub(crate) fn storage(count: u64, bytes: &[u8]) -> Vec<u8> {
    [&count.to_le_bytes(), bytes].concat()
}

/// A whole file.
pub(crate) fn stream(values: &[u8], order: &[&str], storages: &[Vec<u8>]) -> Vec<u8> {
    [
        START,
        &machine(true),
        values,
        &keys(order),
        &storages.concat(),
    ]
    .concat()
}

/// A tensor of f32 as the older format writes it: its persistent id has a sixth part, None.
pub(crate) fn tensor(
    pickle: Pickle,
    key: &str,
    length: i64,
    shape: &[i64],
    strides: &[i64],
) -> Pickle {
    let open = pickle
        .global("torch._utils", "_rebuild_tensor_v2")
        .raw(b"(");
    persistent_id(open, "FloatStorage", key, length)
        .raw(b"NtQ")
        .integer(0)
        .integers(shape)
        .integers(strides)
        .raw(b"\x89")
        .global("collections", "OrderedDict")
        .raw(b")RtR")
}

/// The first five parts of a storage's persistent id.
pub(crate) fn persistent_id(pickle: Pickle, class: &str, key: &str, length: i64) -> Pickle {
    pickle
        .raw(b"(")
        .text("storage")
        .global("torch", class)
        .text(key)
        .text("cpu")
        .integer(length)
}
