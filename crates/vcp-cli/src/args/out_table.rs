//! Arguments of `segment` for tables and for parts of the photos.

use std::path::PathBuf;

use clap::Args;
use vcp_clip::photos::Shard;

/// A table of all results, photos from a table, and parts of the photos.
#[derive(Debug, Args)]
pub(crate) struct OutTableArgs {
    /// Write all results as one table into this file, which appears when the run is done; a photo that
    /// failed is a row with its error. Ends in .parquet or .csv, unless --format says which. Results are
    /// then printed only if --format says json or table.
    #[arg(long, value_name = "FILE", help_heading = "Tables and shards")]
    pub(crate) out_table: Option<PathBuf>,

    /// Continue the table that an interrupted run with the same options began: photos that have a row
    /// are skipped. Begins where there is none; leaves a finished table as it is.
    #[arg(
        long,
        requires = "out_table",
        conflicts_with = "force",
        help_heading = "Tables and shards"
    )]
    pub(crate) resume: bool,

    /// Remove the table that is there, and what an interrupted run has left of one, and begin anew.
    #[arg(long, requires = "out_table", help_heading = "Tables and shards")]
    pub(crate) force: bool,

    /// Process only part K of N of the photos, K from 0 to N - 1: those whose relative path has that
    /// remainder by its digest, whichever other photos there are.
    #[arg(long, value_name = "K/N", help_heading = "Tables and shards")]
    pub(crate) shard: Option<Shard>,

    /// Photos from a table, Parquet or CSV, one per row, instead of INPUT. Relative paths are relative to
    /// the table's folder.
    #[arg(
        long,
        value_name = "TABLE",
        conflicts_with = "inputs",
        help_heading = "Tables and shards"
    )]
    pub(crate) from: Option<PathBuf>,

    /// The column of --from that holds the paths; in Parquet, image.path is one inside a structure.
    #[arg(
        long,
        value_name = "NAME",
        default_value = "image",
        help_heading = "Tables and shards"
    )]
    pub(crate) column: String,
}
