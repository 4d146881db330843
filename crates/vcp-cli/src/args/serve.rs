//! Arguments of `vcp-clip serve`.

use std::path::PathBuf;

use clap::Args;

use super::CopiesName;
use super::numbers::within;
use super::{CacheArgs, ConfigArgs, HistoryArgs, PhotoArgs, RunArgs, TilingArgs, WatchedArgs};

/// Answer HTTP requests: photos in, records out; with a page, metrics and the Open Inference Protocol.
///
/// Prints one JSON line with its address, then answers until Ctrl-C or SIGTERM, after which it takes no new
/// work and ends when the requests that it has are answered; a second one ends it at once. With --watch it
/// also inspects the photos that come into a folder, as `vcp-clip watch` does.
#[derive(Debug, Args)]
#[command(after_help = super::AFTER_HELP)]
pub(crate) struct ServeArgs {
    /// Address and port to listen on; port 0 takes a free one. On addresses that other machines can
    /// reach, --api-key-file or --open is needed.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    pub(crate) listen: String,

    /// A model to serve: the path of a bundle, the name of a pulled one, or built-in; before it a name
    /// and =, if requests are to call it otherwise. Repeatable; the first is meant where a request names
    /// none [default: built-in].
    #[arg(long = "model", value_name = "[NAME=]BUNDLE", help_heading = "Models")]
    pub(crate) models: Vec<String>,

    /// Take thresholds and colour scale of a model from this file, which `vcp-clip calibrate` wrote;
    /// before it the model's name and =, unless the first is meant. Repeatable.
    #[arg(
        long = "calibration",
        value_name = "[NAME=]FILE",
        help_heading = "Models"
    )]
    pub(crate) calibrations: Vec<String>,

    /// Compare photos with this good one, or those in this folder or pattern; before it the model's name
    /// and =, unless the first is meant. Repeatable.
    #[arg(
        long = "reference",
        value_name = "[NAME=]PATH",
        conflicts_with = "no_references",
        help_heading = "Models"
    )]
    pub(crate) references: Vec<String>,

    /// What to remember of each reference photo beside itself, for parts that may lie either way. Takes that many times
    /// as long.
    #[arg(
        long,
        value_name = "COPIES",
        default_value = "none",
        help_heading = "References"
    )]
    pub(crate) reference_copies: CopiesName,

    /// Do not compare with the reference photos that are stored with the models.
    #[arg(long, help_heading = "Models")]
    pub(crate) no_references: bool,

    /// Run even if one image is estimated to take more than 10 minutes or 32 GiB.
    #[arg(long, help_heading = "Models")]
    pub(crate) no_cost_limit: bool,

    #[command(flatten)]
    pub(crate) cache: CacheArgs,

    #[command(flatten)]
    pub(crate) history: HistoryArgs,

    /// Inspect the photos that come into this folder too, each once, when it is whole, with the first model
    /// and its thresholds.
    #[arg(long, value_name = "FOLDER", help_heading = "Folder")]
    pub(crate) watch: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) watched: WatchedArgs,

    /// Answer only who sends one of the keys in this file, a line each of at least 16 characters, in the
    /// header Authorization as `Bearer KEY`.
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "open",
        help_heading = "Access"
    )]
    pub(crate) api_key_file: Option<PathBuf>,

    /// Listen also on an address that other machines can reach, and answer whoever asks.
    #[arg(long, help_heading = "Access")]
    pub(crate) open: bool,

    /// On a loopback address, answer also who calls the server by this name, such as a proxy before it.
    /// Repeatable.
    #[arg(long = "allow-host", value_name = "NAME", help_heading = "Access")]
    pub(crate) allowed_hosts: Vec<String>,

    /// Let pages of this origin ask, such as https://line.example. Repeatable.
    #[arg(long = "allow-origin", value_name = "ORIGIN", help_heading = "Access")]
    pub(crate) allowed_origins: Vec<String>,

    /// Bytes of the longest body that is taken, from 1024 to 4294967296.
    #[arg(
        long,
        value_name = "BYTES",
        default_value_t = 64 << 20,
        value_parser = within(1024_u64..=1 << 32),
        help_heading = "Limits"
    )]
    pub(crate) max_body: u64,

    /// Photos that may wait for the model or be in it, from 1 to 4096; others are refused with the
    /// status 429.
    #[arg(
        long,
        value_name = "PHOTOS",
        default_value_t = 32,
        value_parser = within(1_usize..=4096),
        help_heading = "Limits"
    )]
    pub(crate) queue: usize,

    /// Connections that may be open, from 1 to 65536; others are told to come again.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 256,
        value_parser = within(1_usize..=65536),
        help_heading = "Limits"
    )]
    pub(crate) max_connections: usize,

    /// Seconds in which a body has to arrive, from 1 to 3600.
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 60,
        value_parser = within(1_u64..=3600),
        help_heading = "Limits"
    )]
    pub(crate) body_timeout: u64,

    /// Seconds after which a connection on which no request begins, or less than 16 KiB per second of an
    /// answer are taken, is closed; from 1 to 3600.
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 20,
        value_parser = within(1_u64..=3600),
        help_heading = "Limits"
    )]
    pub(crate) idle_timeout: u64,

    /// Seconds for requests to be answered when the server is asked to stop, from 0 to 3600.
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 30,
        value_parser = within(0_u64..=3600),
        help_heading = "Limits"
    )]
    pub(crate) drain_timeout: u64,

    #[command(flatten)]
    pub(crate) photos: PhotoArgs,

    #[command(flatten)]
    pub(crate) tiling: TilingArgs,

    #[command(flatten)]
    pub(crate) run: RunArgs,

    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}
