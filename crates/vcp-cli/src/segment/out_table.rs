//! The table that results go to.

use std::path::PathBuf;

use vcp_clip::photos::Found;
use vcp_clip::{Bits, Device, Inspector, Model, SampleDepth};
use vcp_table::{
    Done, Existing, FinishedTable, Place, Settings, TableFormat, Totals, UnfinishedTable,
};

use super::options::Options;
use crate::args::{OutTableArgs, SegmentFormat};
use crate::console;
use crate::exit::{OrUsage, usage};
use crate::place::create_folder;

/// Where the table goes, and how.
#[derive(Debug, Clone)]
pub(crate) struct TablePlace {
    table: PathBuf,
    format: TableFormat,
    existing: Existing,
}

impl TablePlace {
    /// What the arguments say of a table, if they do.
    pub(super) fn of(
        arguments: &OutTableArgs,
        format: Option<SegmentFormat>,
    ) -> anyhow::Result<Option<Self>> {
        let said = match format {
            Some(SegmentFormat::Parquet) => Some(TableFormat::Parquet),
            Some(SegmentFormat::Csv) => Some(TableFormat::Csv),
            Some(SegmentFormat::Json | SegmentFormat::Table) | None => None,
        };
        let Some(table) = arguments.out_table.clone() else {
            return match said {
                None => Ok(None),
                Some(format) => Err(usage(format!(
                    "--format {format} is of a table; say where with --out-table FILE."
                ))),
            };
        };
        let Some(format) = said.or_else(|| TableFormat::of(&table)) else {
            return Err(usage(format!(
                "{} ends neither in .parquet nor in .csv; say --format parquet or --format csv.",
                table.display()
            )));
        };
        let existing = match (arguments.resume, arguments.force) {
            (true, _) => Existing::Resume,
            (false, true) => Existing::Remove,
            (false, false) => Existing::Refuse,
        };
        Ok(Some(Self {
            table,
            format,
            existing,
        }))
    }

    /// Takes the place, before a model is loaded for it.
    pub(super) fn open(&self, from: Option<&(PathBuf, String)>) -> anyhow::Result<OutTable> {
        if let Some(folder) = self.table.parent().filter(|it| !it.as_os_str().is_empty()) {
            create_folder(folder)?;
        }
        if self.table.is_dir() {
            return Err(usage(format!(
                "{} is a folder; name a file for the table.",
                self.table.display()
            )));
        }
        if let Some((list, _)) = from
            && let (Ok(list), Ok(table)) = (list.canonicalize(), self.table.canonicalize())
            && list == table
        {
            return Err(usage(format!(
                "--out-table and --from both name {}; the results would replace the list. Name another file for them.",
                self.table.display()
            )));
        }
        let place = UnfinishedTable::open(&self.table, self.format, self.existing).or_usage()?;
        Ok(OutTable {
            table: self.table.clone(),
            place,
        })
    }
}

/// The table of a run.
#[derive(Debug)]
pub(super) struct OutTable {
    table: PathBuf,
    place: Place,
}

impl OutTable {
    /// Reads photos as an earlier run did whose photos settled how.
    pub(super) fn settle_bits(&self, options: &mut Options) {
        if let Place::Unfinished(table) = &self.place
            && let (Bits::Auto, Some(bits)) = (options.decode.bits, table.bits())
            && let Some(depth) = SampleDepth::of(bits)
        {
            options.decode.bits = Bits::Settled(depth);
        }
    }

    /// Begins, or goes on with what an earlier run has left.
    pub(super) fn begin(self, settings: &Settings, quiet: bool) -> anyhow::Result<Begun> {
        let table = self.table.display();
        match self.place {
            Place::Finished(finished) => begun_finished(&finished, settings, || {
                if !quiet {
                    console::note(&format!("{table} is finished already."));
                }
            }),
            Place::Unfinished(mut unfinished) => {
                unfinished.begin(settings).or_usage()?;
                let rows = unfinished.totals().rows;
                if rows > 0 && !quiet {
                    console::note(&format!(
                        "{rows} photos have their rows for {table} already."
                    ));
                }
                Ok(Begun::Unfinished(unfinished))
            }
        }
    }
}

fn begun_finished(
    finished: &FinishedTable,
    settings: &Settings,
    say: impl FnOnce(),
) -> anyhow::Result<Begun> {
    let totals = finished.totals(settings).or_usage()?;
    say();
    Ok(Begun::Finished(totals))
}

/// What is to be done for a table.
#[derive(Debug)]
pub(super) enum Begun {
    /// Nothing.
    Finished(Totals),
    /// Rows are to be added.
    Unfinished(Box<UnfinishedTable>),
}

/// The photos that have no row yet.
pub(super) fn without_done(
    photos: Box<dyn Iterator<Item = Found> + Send>,
    mut done: Done,
) -> Box<dyn Iterator<Item = Found> + Send> {
    Box::new(photos.filter(move |found| !done.skips(found)))
}

/// What a row depends on beside its photo.
pub(super) fn settings(
    options: &Options,
    asked_bits: Bits,
    (model, device): (&Model, &Device),
    inspector: &Inspector,
) -> Settings {
    let thresholds = inspector.thresholds();
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "none".to_owned());
    let bits = match asked_bits {
        Bits::Auto => "auto".to_owned(),
        Bits::Fixed(depth) | Bits::Settled(depth) => depth.bits().to_string(),
    };
    let results = options.results.as_ref();
    let named = [
        ("vcp-clip", env!("CARGO_PKG_VERSION").to_owned()),
        ("model", model.weights().fingerprint()),
        ("device", device.name().to_owned()),
        ("score_threshold", thresholds.score.to_string()),
        (
            "review_threshold",
            or_none(thresholds.review.map(|it| it.to_string())),
        ),
        ("pixel_threshold", thresholds.pixel.to_string()),
        (
            "range",
            format!("{},{}", thresholds.range.0, thresholds.range.1),
        ),
        ("min_area", options.min_area.to_string()),
        (
            "mask",
            or_none(options.mask.as_ref().map(|it| it.sha256().to_owned())),
        ),
        (
            "references",
            or_none(inspector.references_digest().map(str::to_owned)),
        ),
        (
            "tile",
            or_none(options.tiling.as_ref().map(|it| format!("{it:?}"))),
        ),
        ("orientation", options.decode.apply_orientation.to_string()),
        ("max_pixels", options.decode.max_pixels.to_string()),
        ("bits", bits),
        (
            "page",
            if options.every_page {
                "all".to_owned()
            } else {
                format!("{:?}", options.decode.page)
            },
        ),
        ("shard", or_none(options.shard.map(|it| it.to_string()))),
        (
            "out",
            or_none(results.map(|it| it.folder.display().to_string())),
        ),
        ("save", or_none(results.map(|it| format!("{:?}", it.kinds)))),
    ];
    named.map(|(name, value)| (name.to_owned(), value)).into()
}
