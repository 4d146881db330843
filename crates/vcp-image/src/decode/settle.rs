//! One depth for all 16-bit photos of a run.

use std::io::{BufReader, Read as _, Seek as _};
use std::path::Path;

use super::bits::{Bits, SampleDepth};
use super::tiff::{self, TiffPage, Wanted};
use super::{DecodeOptions, MAX_SIDE, longest_file, png, regular_file};

/// Most photos whose samples are looked at.
const MOST: usize = 32;

/// What was found in the 16-bit photos of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The depth that holds all samples that were looked at.
    pub depth: SampleDepth,
    /// The largest of them.
    pub largest: u16,
    /// Photos whose samples were looked at.
    pub looked_at: usize,
    /// Photos with 16-bit samples.
    pub photos: usize,
}

/// The depth with which to read all of `paths`, so that each photo is as bright beside the others as
/// it was for the camera: the largest sample of up to 32 of those with 16-bit samples, spread evenly
/// over the list, decides for all. Nothing if there are none; files that cannot be read do not count.
///
/// It depends on the list alone.
#[must_use]
pub fn settle_bits<P: AsRef<Path>>(paths: &[P], options: &DecodeOptions) -> Option<Settled> {
    let deep: Vec<&Path> = paths
        .iter()
        .map(AsRef::as_ref)
        .filter(|path| vcp_panics::caught(|| is_deep(path, options)) == Ok(Some(true)))
        .collect();
    let count = deep.len().min(MOST);
    let mut largest = None;
    let mut looked_at = 0;
    for index in 0..count {
        let path = deep[index * deep.len() / count];
        let found = vcp_panics::caught(|| largest_of(path, options))
            .ok()
            .flatten();
        looked_at += usize::from(found.is_some());
        largest = largest.max(found);
        // Nothing above changes the depth any more.
        if largest.is_some_and(|largest| largest > SampleDepth::Twelve.white()) {
            break;
        }
    }
    largest.map(|largest| Settled {
        depth: SampleDepth::guess(largest),
        largest,
        looked_at,
        photos: deep.len(),
    })
}

/// Whether a photo has samples of 16 bits.
fn is_deep(path: &Path, options: &DecodeOptions) -> Option<bool> {
    let mut reader = BufReader::new(regular_file(path, "").ok()?);
    let mut start = Vec::with_capacity(32);
    reader.by_ref().take(32).read_to_end(&mut start).ok()?;
    if tiff::is_tiff(&start) {
        return Some(page(reader, options)?.has_16_bits());
    }
    // The header, its depth of samples at a fixed place.
    Some(start.starts_with(b"\x89PNG\r\n\x1a\n") && start.get(24) == Some(&16))
}

/// The largest sample of a photo with 16-bit samples.
fn largest_of(path: &Path, options: &DecodeOptions) -> Option<u16> {
    let mut reader = BufReader::new(regular_file(path, "").ok()?);
    let mut start = Vec::with_capacity(32);
    reader.by_ref().take(32).read_to_end(&mut start).ok()?;
    reader.rewind().ok()?;
    if tiff::is_tiff(&start) {
        let enough = SampleDepth::Twelve.white();
        return page(reader, options)?.largest_sample(enough).ok();
    }
    let (width, height) = png::size(&start);
    if width.saturating_mul(height) > options.max_pixels || width.max(height) > MAX_SIDE {
        return None;
    }
    let all = Bits::Fixed(SampleDepth::Sixteen);
    png::read(reader, Some(all)).ok()?.largest
}

fn page<R: std::io::Read + std::io::Seek>(
    reader: R,
    options: &DecodeOptions,
) -> Option<TiffPage<R>> {
    let is_small = |width: u64, height: u64| width.saturating_mul(height) <= options.max_pixels;
    let refused = || crate::Error::UnknownFormat {
        file: String::new(),
    };
    let wanted = Wanted {
        page: options.page,
        // Nothing is looked for in the pixels.
        bits: Some(Bits::Fixed(SampleDepth::Sixteen)),
        max_bytes: longest_file(options.max_pixels),
        check_size: &|width, height| is_small(width, height).then_some(()).ok_or_else(refused),
    };
    TiffPage::open(reader, &wanted).ok()
}
