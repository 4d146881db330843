//! The command `vcp-clip`, which the wheel brings too.

use std::ffi::OsString;
use std::io::Write as _;

use pyo3::prelude::*;

use crate::errors::Failure;
use crate::work::briefly;

/// Runs `vcp-clip` with these arguments, the first of which is the program's name, and gives its exit status.
///
/// It is the program: it prints to the process's standard output, and from then on Ctrl-C and requests to
/// terminate end the process as they end the program.
#[pyfunction]
pub(crate) fn run_program(py: Python<'_>, arguments: Vec<OsString>) -> PyResult<u8> {
    briefly(py, || {
        let exit = vcp_cli::run(arguments, std::env::vars_os());
        // A program's own end would see to it.
        #[expect(
            clippy::disallowed_methods,
            reason = "what the program has printed is brought out"
        )]
        let _ = std::io::stdout().flush();
        Ok::<_, Failure>(exit.code())
    })
}
