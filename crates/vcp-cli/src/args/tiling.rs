//! Options for large photos.

use clap::Args;
use vcp_checkpoint::bounds;
use vcp_predict::tiling::Tiling;

use crate::exit::{OrUsage, usage};

/// How large photos are cut into windows.
#[derive(Debug, Args)]
pub(crate) struct TilingArgs {
    /// Look at photos in windows of this many pixels a side instead of whole, so that small defects
    /// of large photos are found; the image size of the model (518) shows it every pixel. From 16
    /// to 262144.
    #[arg(long, value_name = "PIXELS", help_heading = "Large photos")]
    pub(crate) tile: Option<usize>,

    /// Let neighbouring windows share at least this part of their side, up to 0.95 [default: 0.25].
    #[arg(
        long,
        value_name = "SHARE",
        allow_negative_numbers = true,
        help_heading = "Large photos"
    )]
    pub(crate) overlap: Option<f64>,

    /// Look at the whole photo too, and let that have this share, from 0 to 1, in map and score
    /// [default: 0].
    #[arg(
        long,
        value_name = "SHARE",
        allow_negative_numbers = true,
        help_heading = "Large photos"
    )]
    pub(crate) global_weight: Option<f32>,
}

impl TilingArgs {
    /// The windows; none if photos are looked at whole.
    ///
    /// # Errors
    /// Wrong usage, when a value is out of range or says how to tile what is not tiled.
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
        if !bounds::TILE.contains(&tile) {
            return Err(usage(format!(
                "--tile {tile} is too {}: windows have {} to {} pixels a side, and the image size of \
                 the model (518) shows it every pixel.",
                if tile < *bounds::TILE.start() {
                    "small"
                } else {
                    "large"
                },
                bounds::TILE.start(),
                bounds::TILE.end()
            )));
        }
        let (overlap, global) = (self.overlap, self.global_weight);
        Tiling::new(tile, overlap.unwrap_or(OVERLAP), global.unwrap_or(0.0))
            .or_usage()
            .map(Some)
    }
}
