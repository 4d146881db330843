//! How the photos of a run are decoded.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use vcp_checkpoint::Calibration;
use vcp_image::{Bits, DecodeOptions, PageChoice, SampleDepth, Settled, settle_bits};

use crate::console;
use crate::inputs::Input;

/// Settles how many bits of 16-bit samples hold the brightness, unless that was said: as when the
/// model was calibrated, else by what `photos` hold, which a note says then.
pub(crate) fn settle<P: AsRef<Path>>(
    options: &mut DecodeOptions,
    calibration: Option<&Calibration>,
    photos: &[P],
    quiet: bool,
) {
    if options.bits != Bits::Auto {
        return;
    }
    let calibrated = calibration.and_then(|calibration| calibration.bits);
    if let Some(depth) = calibrated.and_then(SampleDepth::of) {
        options.bits = Bits::Settled(depth);
    } else if let Some(settled) = settle_bits(photos, options) {
        options.bits = Bits::Settled(settled.depth);
        if !quiet {
            say(&settled);
        }
    }
}

fn say(settled: &Settled) {
    if settled.depth == SampleDepth::Sixteen {
        return;
    }
    console::note(&format!(
        "No 16-bit sample of the photos is above {} ({} of {} such photos were looked at), so {} of \
         their bits are taken for brightness, and {} for white. If that is wrong, say --bits.",
        settled.largest,
        settled.looked_at,
        settled.photos,
        settled.depth.bits(),
        settled.depth.white()
    ));
}

/// How each photo is decoded. Where nothing has settled the bits of 16-bit samples, since the photos
/// were not known before, the first of them settles it for all.
#[derive(Debug, Clone)]
pub(crate) struct Decoding {
    options: DecodeOptions,
    first: Arc<OnceLock<SampleDepth>>,
    quiet: bool,
}

impl Decoding {
    pub(crate) fn new(options: DecodeOptions, quiet: bool) -> Self {
        Self {
            options,
            first: Arc::default(),
            quiet,
        }
    }

    /// Of this photo. Photos are to be asked for in their order.
    pub(crate) fn of(&self, input: &Input) -> DecodeOptions {
        let mut options = self.options.clone();
        if let Some(number) = input.page {
            options.page = PageChoice::Number(number);
        }
        match self.first.get() {
            Some(depth) => options.bits = Bits::Settled(*depth),
            None if options.bits == Bits::Auto => {
                settle(&mut options, None, &[&input.path], self.quiet);
                if let Bits::Settled(depth) = options.bits {
                    let _ = self.first.set(depth);
                }
            }
            None => {}
        }
        options
    }

    /// The bits that hold the brightness, if that was said or a photo needed it.
    pub(crate) fn bits(&self) -> Option<u32> {
        let depth = match self.options.bits {
            Bits::Fixed(depth) | Bits::Settled(depth) => Some(depth),
            Bits::Auto => self.first.get().copied(),
        };
        depth.map(SampleDepth::bits)
    }
}
