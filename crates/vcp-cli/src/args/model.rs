//! Arguments of `vcp-clip model …`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{CacheArgs, ChoiceArgs, ConfigArgs};

/// Fetch, inspect and pack model weights.
#[derive(Debug, Args)]
pub(crate) struct ModelArgs {
    #[command(subcommand)]
    pub(crate) command: ModelCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ModelCommand {
    Inspect(InspectArgs),
    Pack(PackArgs),
    List(ListArgs),
    Pull(PullArgs),
}

/// Show the content of a weight file: its format, tensors, geometry, settings and sources.
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// A bundle, an OpenAI archive, a checkpoint, another safetensors file, the index of a file in
    /// parts, the name of a pulled bundle, or built-in.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// List every tensor with its type and shape.
    #[arg(long)]
    pub(crate) tensors: bool,

    /// Print one JSON object instead of text.
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) cache: CacheArgs,

    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

/// Write a model and its settings into one file, a bundle.
#[derive(Debug, Args)]
pub(crate) struct PackArgs {
    /// The bundle to write, usually NAME.safetensors.
    #[arg(value_name = "BUNDLE")]
    pub(crate) bundle: PathBuf,

    #[command(flatten)]
    pub(crate) choice: ChoiceArgs,

    /// Number format of the weights in the bundle. A bundle in bf16 or int8 is computed so too, unless --precision says
    /// otherwise when it is run.
    #[arg(long, value_name = "NAME", value_enum, default_value = "as-stored")]
    pub(crate) precision: PrecisionName,

    /// Some photos like those to be inspected, good ones do (files, folders and patterns; at most 32 of them are used): for
    /// int8, the weights are prepared for the ranges that are seen in them, without which transformers may lose
    /// much; and what bf16 or int8 changes in their maps and scores is printed. Repeatable.
    #[arg(long, value_name = "PATH")]
    pub(crate) photos: Vec<PathBuf>,

    /// Replace the bundle if it exists.
    #[arg(long)]
    pub(crate) force: bool,

    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

/// List what can be pulled and what is in the cache.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Print one JSON object instead of a table.
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) cache: CacheArgs,

    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

/// Download published weights into the cache.
///
/// `pull visa` and `pull mvtec` fetch CLIP and a checkpoint and pack them into the bundle that
/// --model visa or --model mvtec then names: visa was trained on the VisA photos and mvtec on the
/// MVTec-AD photos. An interrupted download resumes. Proxies are taken from
/// HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY.
#[derive(Debug, Args)]
pub(crate) struct PullArgs {
    /// What to fetch: visa, mvtec, or one of the files that `vcp-clip model list` names.
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// Use only files that are already in the cache.
    #[arg(long)]
    pub(crate) offline: bool,

    /// Fetch OpenAI's archives from BASE/SHA256/FILE.
    #[arg(long, value_name = "BASE", default_value = vcp_clip::pull::CLIP_BASE_URL)]
    pub(crate) base_url_clip: String,

    /// Fetch the authors' checkpoints from BASE/download?id=ID&export=download&confirm=t.
    #[arg(long, value_name = "BASE", default_value = vcp_clip::pull::DRIVE_BASE_URL)]
    pub(crate) base_url_drive: String,

    /// Print neither progress nor notes.
    #[arg(long, short)]
    pub(crate) quiet: bool,

    #[command(flatten)]
    pub(crate) cache: CacheArgs,

    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

/// Number format of weights by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PrecisionName {
    /// 16-bit floats: half the size, rounded.
    F16,
    /// 32-bit floats.
    F32,
    /// For computing with bfloat16: the linear layers of the vision tower's blocks so, other matrices as 16-bit floats.
    Bf16,
    /// For computing with 8-bit integers (see --photos): the linear layers of all blocks so, other matrices as 16-bit floats.
    Int8,
    /// As each tensor is stored in its source file.
    AsStored,
}
