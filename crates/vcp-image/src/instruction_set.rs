//! What kernels are compiled for.

use vcp_simd::{InstructionSet, Portable, Supported};

/// What the kernels of this crate run on. Their steps fill the registers of AVX2; wider ones were not measured.
pub(crate) fn instruction_set() -> Supported {
    InstructionSet::Avx2
        .supported()
        .unwrap_or(Supported::Portable(Portable::new()))
}
