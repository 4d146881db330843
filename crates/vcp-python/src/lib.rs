//! VCP-CLIP for Python: what `vcp_clip/` beside this crate is made of.
//!
//! The package's Python modules turn what callers give into plain values and keep loaded models; this module
//! does the work: without the interpreter's lock, and with errors as sentences of a kind (`errors.rs`). Nothing
//! here is public: the types and functions that users see are described in `vcp_clip/_vcp_clip.pyi`.

#![expect(
    clippy::needless_pass_by_value,
    reason = "functions that Python calls are given values"
)]

mod arguments;
mod arrays;
mod calibrate;
mod checkpoint;
mod engine;
mod errors;
mod inspection;
mod metrics;
mod program;
mod pull;
mod source;
mod work;

use pyo3::prelude::*;

/// The compiled part of `vcp_clip`.
// What is shared among threads is immutable, atomic or behind a lock, so no thread needs the interpreter's lock.
#[pymodule(gil_used = false)]
mod _vcp_clip {
    #[pymodule_export]
    use super::calibrate::calibrate;
    #[pymodule_export]
    use super::checkpoint::read_checkpoint;
    #[pymodule_export]
    use super::engine::{Engine, forked};
    #[pymodule_export]
    use super::inspection::{Inspection, Region, Thresholds};
    #[pymodule_export]
    use super::metrics::{Collector, image_report};
    #[pymodule_export]
    use super::program::run_program;
    #[pymodule_export]
    use super::pull::pull;

    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        // Decoders that trip over damaged photos are said to have failed by an exception alone.
        vcp_clip::hush_caught();
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
