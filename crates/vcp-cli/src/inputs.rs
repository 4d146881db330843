//! The photos that arguments name, and what is said of them before they are read.

use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use vcp_checkpoint::Calibration;
use vcp_clip::photos::{self, Decoding, Inputs, ScanOptions};
use vcp_image::DecodeOptions;

use crate::console;
use crate::exit::OrUsage;

/// Looks up every input. Says which pictures are skipped, unless `quiet`.
///
/// # Errors
/// As wrong usage, when an input stands for no photo.
pub(crate) fn gather(inputs: &[PathBuf], scan: ScanOptions, quiet: bool) -> anyhow::Result<Inputs> {
    let stream = Box::new(BufReader::new(io::stdin()));
    let inputs = Inputs::gather(inputs, scan, stream).or_usage()?;
    if let (false, Some(skipped)) = (quiet, inputs.skipped().in_words()) {
        console::note(&skipped);
    }
    Ok(inputs)
}

/// Settles how many bits of 16-bit samples hold the brightness ([`photos::settle_bits`]), and says so
/// unless `quiet`.
pub(crate) fn settle_bits<P: AsRef<Path>>(
    options: &mut DecodeOptions,
    calibration: Option<&Calibration>,
    photos: &[P],
    quiet: bool,
) {
    let settled = photos::settle_bits(options, calibration, photos);
    if let (false, Some(settled)) = (quiet, settled) {
        console::note(&settled.to_string());
    }
}

/// How the photos of a run are decoded. Says what the first of them settles, unless `quiet`.
pub(crate) fn decoding(options: DecodeOptions, quiet: bool) -> Decoding {
    Decoding::new(options, move |settled| {
        if !quiet {
            console::note(&settled.to_string());
        }
    })
}
