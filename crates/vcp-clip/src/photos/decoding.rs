//! How the photos of a run are decoded.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use vcp_checkpoint::Calibration;
use vcp_image::{Bits, DecodeOptions, PageChoice, SampleDepth, Settled};

use super::PhotoPath;

/// How many bits of 16-bit samples hold the brightness, by what the photos of a run hold. As text it is a
/// full sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SettledBits(Settled);

impl fmt::Display for SettledBits {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(settled) = self;
        write!(
            formatter,
            "No 16-bit sample of the photos is above {} ({} of {} such photos were read), so {} of \
             their bits are taken for brightness, and {} for white. If that is wrong, say --bits.",
            settled.largest,
            settled.looked_at,
            settled.photos,
            settled.depth.bits(),
            settled.depth.white()
        )
    }
}

/// Settles how many bits of 16-bit samples hold the brightness, unless `options` say so: as when the
/// model was calibrated, else by what `photos` hold. Returns what a user should know of it: that fewer
/// than 16 bits were found to hold it.
pub fn settle_bits<P: AsRef<Path>>(
    options: &mut DecodeOptions,
    calibration: Option<&Calibration>,
    photos: &[P],
) -> Option<SettledBits> {
    if options.bits != Bits::Auto {
        return None;
    }
    let calibrated = calibration.and_then(|calibration| calibration.bits);
    if let Some(depth) = calibrated.and_then(SampleDepth::of) {
        options.bits = Bits::Settled(depth);
        return None;
    }
    let settled = vcp_image::settle_bits(photos, options)?;
    options.bits = Bits::Settled(settled.depth);
    (settled.depth != SampleDepth::Sixteen).then_some(SettledBits(settled))
}

/// Is told what was settled by the first photo that needed it.
type Tell = Arc<dyn Fn(&SettledBits) + Send + Sync>;

/// How each photo of a run is decoded. Where nothing has settled the bits of 16-bit samples, since the
/// photos were not known before, the first of them settles it for all.
#[derive(Clone)]
pub struct Decoding {
    options: DecodeOptions,
    first: Arc<OnceLock<SampleDepth>>,
    tell: Tell,
}

impl fmt::Debug for Decoding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Decoding")
            .field("options", &self.options)
            .field("first", &self.first)
            .finish_non_exhaustive()
    }
}

impl Decoding {
    /// With these options. `tell` learns what the first photo settles, if it does.
    pub fn new(
        options: DecodeOptions,
        tell: impl Fn(&SettledBits) + Send + Sync + 'static,
    ) -> Self {
        Self {
            options,
            first: Arc::default(),
            tell: Arc::new(tell),
        }
    }

    /// How this photo is decoded. Photos are to be asked for in their order.
    #[must_use]
    pub fn of(&self, photo: &PhotoPath) -> DecodeOptions {
        let mut options = self.options.clone();
        if let Some(number) = photo.page {
            options.page = PageChoice::Number(number);
        }
        match self.first.get() {
            Some(depth) => options.bits = Bits::Settled(*depth),
            None if options.bits == Bits::Auto => {
                if let Some(settled) = settle_bits(&mut options, None, &[&photo.path]) {
                    (self.tell)(&settled);
                }
                if let Bits::Settled(depth) = options.bits {
                    let _ = self.first.set(depth);
                }
            }
            None => {}
        }
        options
    }

    /// The bits that hold the brightness, if that was said or a photo needed it.
    #[must_use]
    pub fn bits(&self) -> Option<u32> {
        let depth = match self.options.bits {
            Bits::Fixed(depth) | Bits::Settled(depth) => Some(depth),
            Bits::Auto => self.first.get().copied(),
        };
        depth.map(SampleDepth::bits)
    }
}
