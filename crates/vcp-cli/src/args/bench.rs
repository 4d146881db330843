//! Arguments of `vcp-clip bench`.

use std::num::NonZeroUsize;

use clap::{Args, ValueEnum};

use super::{ChoiceArgs, ConfigArgs, PrecisionArgs, numbers};

/// Time the model on this machine, stage by stage.
///
/// Runs images one after the other, each from decoded pixels to finished maps and score, and
/// prints the time of every stage and every kind of operation, beside the processor's upper bound.
/// Without a model, the weights are random, which does not change the time.
#[derive(Debug, Args)]
#[command(after_help = super::AFTER_HELP)]
pub(crate) struct BenchArgs {
    /// Shape of the model when no model is named.
    #[arg(long, value_name = "NAME", value_enum, default_value = "vit-l-14-336")]
    pub(crate) geometry: GeometryName,

    #[command(flatten)]
    pub(crate) choice: ChoiceArgs,

    /// Worker threads, from 1 to 256 [default: all cores].
    #[arg(long, value_name = "N", value_parser = numbers::threads())]
    pub(crate) threads: Option<NonZeroUsize>,

    #[command(flatten)]
    pub(crate) precision: PrecisionArgs,

    /// Use these instructions of the processor instead of the best that it has: avx512, avx2 or portable.
    #[arg(long, value_name = "NAME", value_enum)]
    pub(crate) instruction_set: Option<InstructionSetName>,

    /// Images to time, from 1 to 100000, after one to warm up.
    #[arg(long, value_name = "N", default_value = "5", value_parser = numbers::count(100_000))]
    pub(crate) repeat: NonZeroUsize,

    /// Print one JSON object instead of a table.
    #[arg(long)]
    pub(crate) json: bool,

    /// Time one image for every line on standard input, and print a line of JSON for each: for
    /// scripts that time several programs in turn.
    #[arg(long, conflicts_with = "json")]
    pub(crate) serve: bool,

    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

/// Instruction sets by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum InstructionSetName {
    /// AVX-512.
    Avx512,
    /// AVX2.
    Avx2,
    /// What every processor has.
    Portable,
}

/// The shapes of OpenAI's published models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum GeometryName {
    /// ViT-L/14 trained at 336 px, that of the published checkpoints.
    #[value(name = "vit-l-14-336")]
    VitL14336,
    /// ViT-L/14 trained at 224 px.
    #[value(name = "vit-l-14")]
    VitL14,
    /// ViT-B/16.
    #[value(name = "vit-b-16")]
    VitB16,
}
