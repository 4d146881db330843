//! report.html.

use vcp_evaluate::{CategoryReport, Results};

use super::Run;

pub(super) fn write(
    _run: &Run,
    _results: &Results,
    _reports: &[CategoryReport],
) -> anyhow::Result<()> {
    Ok(())
}
