//! Options for large photos.

use clap::Args;
use vcp_checkpoint::bounds;
use vcp_predict::tiling::Tiling;

use super::numbers::{self, within};
use crate::exit::{OrUsage, usage};

/// How large photos are cut into windows.
#[derive(Debug, Args)]
pub(crate) struct TilingArgs {
    /// Process photos in windows of this many pixels a side instead of whole, so that small defects of
    /// large photos are found; at the image size of the model (518) no pixel is scaled. From 16 to
    /// 262144.
    // Smaller windows show nothing, and there would be nearly as many of them as pixels.
    #[arg(
        long,
        value_name = "PIXELS",
        value_parser = within(bounds::TILE),
        help_heading = "Large photos"
    )]
    pub(crate) tile: Option<usize>,

    /// Least overlap of neighbouring windows, as a fraction of their side, from 0 to 0.95 [default:
    /// 0.25].
    #[arg(
        long,
        value_name = "FRACTION",
        allow_negative_numbers = true,
        value_parser = within(0.0_f64..=0.95),
        help_heading = "Large photos"
    )]
    pub(crate) overlap: Option<f64>,

    /// Also process the whole photo, with this weight, from 0 to 1, in map and score [default: 0].
    #[arg(
        long,
        value_name = "WEIGHT",
        allow_negative_numbers = true,
        value_parser = numbers::share(),
        help_heading = "Large photos"
    )]
    pub(crate) global_weight: Option<f32>,
}

impl TilingArgs {
    /// The windows; none if photos are processed whole.
    ///
    /// # Errors
    /// Wrong usage, when a value is out of range, or without --tile.
    pub(crate) fn tiling(&self) -> anyhow::Result<Option<Tiling>> {
        const OVERLAP: f64 = 0.25;
        let Some(tile) = self.tile else {
            if self.overlap.is_some() || self.global_weight.is_some() {
                return Err(usage(
                    "--overlap and --global-weight are about tiles; set their size with --tile.",
                ));
            }
            return Ok(None);
        };
        let (overlap, global) = (self.overlap, self.global_weight);
        Tiling::new(tile, overlap.unwrap_or(OVERLAP), global.unwrap_or(0.0))
            .or_usage()
            .map(Some)
    }
}
