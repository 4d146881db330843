//! `vcp-clip history`.

use std::io::{self, Write};

use anyhow::Context as _;
use vcp_files::Durability;
use vcp_history::{Error, History};

use crate::args::{ExportArgs, ExportName};
use crate::console;
use crate::exit::{Exit, OrUsage, usage};
use crate::kept_history::default_folder;
use crate::place::check_place;

/// `vcp-clip history export`.
pub(crate) fn export(arguments: &ExportArgs) -> anyhow::Result<Exit> {
    let folder = match &arguments.history {
        Some(folder) => folder.clone(),
        None => default_folder()?,
    };
    let history = History::open_existing(&folder).or_usage()?;
    let filter = arguments.filter.filter();
    let count = if let Some(place) = &arguments.out {
        check_place(place, arguments.force)?;
        let mut count = 0;
        let write = |file: &mut vcp_files::Writer<'_>| -> Result<(), Wrapped> {
            count = match arguments.format {
                ExportName::Text(format) => history.export(&filter, format, file)?,
                #[cfg(feature = "parquet")]
                ExportName::Parquet => vcp_table::export_history(&history, &filter, file)?,
                #[cfg(not(feature = "parquet"))]
                ExportName::Parquet => return Err(vcp_table::Error::NoParquet.into()),
            };
            Ok(())
        };
        vcp_files::write(place, Durability::Synced, write)
            .map_err(|Wrapped(error)| error)
            .with_context(|| format!("{} cannot be written", place.display()))?;
        count
    } else {
        let ExportName::Text(format) = arguments.format else {
            return Err(usage(
                "--format parquet is no text; say where with --out FILE.",
            ));
        };
        let exported = history.export(&filter, format, &mut Output::default());
        exported.map_err(|error| match error {
            Error::Export(error) => anyhow::Error::from(error),
            error => error.into(),
        })?
    };
    if count == 0 && !arguments.quiet {
        console::note("The history holds no such result.");
    }
    Ok(Exit::Done)
}

/// An error of a file that is written.
struct Wrapped(anyhow::Error);

impl From<Error> for Wrapped {
    fn from(error: Error) -> Self {
        Self(error.into())
    }
}

impl From<vcp_table::Error> for Wrapped {
    fn from(error: vcp_table::Error) -> Self {
        Self(error.into())
    }
}

impl From<io::Error> for Wrapped {
    fn from(error: io::Error) -> Self {
        Self(error.into())
    }
}

/// Standard output, by whole lines.
#[derive(Default)]
struct Output {
    line: Vec<u8>,
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Enough not to ask the system for every cell.
        const AT_ONCE: usize = 1 << 16;
        self.line.extend_from_slice(bytes);
        if self.line.len() >= AT_ONCE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        // What is not a whole line yet waits; the exports end with one.
        let whole = self.line.iter().rposition(|byte| *byte == b'\n');
        let rest = self
            .line
            .split_off(whole.map_or(0, |position| position + 1));
        let whole = std::mem::replace(&mut self.line, rest);
        if whole.is_empty() {
            return Ok(());
        }
        if console::is_output_watched() {
            // Names come from elsewhere, and are for nobody's terminal as they are.
            let text = String::from_utf8_lossy(&whole).replace("\r\n", "\n");
            return console::print_text(&text);
        }
        console::print_raw(&whole)
    }
}
