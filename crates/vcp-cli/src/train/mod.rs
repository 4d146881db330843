//! `vcp-clip train` and `vcp-clip pretrain`.

pub(crate) mod pretrain;
