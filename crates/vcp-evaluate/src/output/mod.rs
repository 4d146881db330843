//! What an evaluation writes: results.json, results.csv, results.md and images.csv with the figures,
//! report.html with all of them on one page, and for each image strips and arrays.

mod escapes;
mod files;
mod images;
mod page;
pub mod precision;
pub mod table;

use std::io::{self, Write};
use std::path::Path;

use vcp_files::write_result;

pub use images::ImageFile;

pub(crate) use images::save;

use crate::category::CategoryReport;
use crate::error::Error;
use crate::evaluation::Evaluation;
use crate::results::Results;

/// Writes every file that is about all categories together. Each appears whole or not at all.
pub(crate) fn write(
    run: &Evaluation,
    results: &Results,
    reports: &[CategoryReport],
    created: &str,
) -> Result<(), Error> {
    let calibration = run.protocol.calibration.as_ref();
    files::write(&run.folder, results, reports, calibration)?;
    page::write(run, results, reports, created)
}

/// Lets `write` fill a file that appears whole or not at all, in a folder that is made for it.
pub(crate) fn put(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), Error> {
    write_result(path, write).map_err(|source| Error::Write {
        path: path.to_owned(),
        source,
    })
}
