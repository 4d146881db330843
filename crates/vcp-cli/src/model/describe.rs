//! What a weight file holds, in words.

use vcp_checkpoint::Kind;

/// What kind of file it is and which option takes it.
pub(crate) fn title(kind: Kind) -> &'static str {
    match kind {
        Kind::Bundle => "a bundle, a complete model; --model takes it",
        Kind::Clip => "CLIP's weights; --clip takes it",
        Kind::Checkpoint => "a VCP-CLIP checkpoint; --checkpoint takes it",
        _ => "tensors of no model that vcp-clip knows",
    }
}
