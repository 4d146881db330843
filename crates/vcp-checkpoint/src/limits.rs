//! Bounds of what a file may say of a tensor, whatever its format. Each format has bounds of its own besides.

/// More tensors than any model has (a ViT-L/14 CLIP has about 600).
pub(crate) const MAX_TENSORS: usize = 20_000;
/// Bytes of a tensor's name.
pub(crate) const MAX_NAME_LENGTH: usize = 512;
/// Dimensions of a tensor.
pub(crate) const MAX_RANK: usize = 8;
