//! JPEG, to the bit as libjpeg-turbo decodes it and Pillow therefore shows it: photos look to the model
//! as they do to those who publish figures. The decoders in pure Rust differ from it by up to five
//! levels.
//!
//! Decoded are 8-bit pictures with Huffman codes, sequential or progressive. What libjpeg fills up
//! without a word where data are missing is reported (see [`Damage`]).

mod colour;
mod huffman;
mod idct;
mod markers;
mod render;
mod scan;
mod upsample;

use crate::Warning;

use self::huffman::next_marker;
use self::markers::{Frame, Segments};
use self::scan::Scan;

/// Why a picture is not decoded.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The file is broken.
    Invalid(String),
    /// The file is of a kind of JPEG that is not decoded.
    Unsupported(&'static str),
    /// There is no memory for this many bytes.
    OutOfMemory(u64),
}

fn invalid(reason: impl Into<String>) -> Failure {
    Failure::Invalid(reason.into())
}

/// A decoded picture.
pub(super) struct Decoded {
    /// Rows from the top, grey or RGB.
    pub(super) pixels: Vec<u8>,
    /// 1 or 3.
    pub(super) channels: usize,
    /// What is wrong with it.
    pub(super) damage: Damage,
}

/// What is wrong with a picture that was decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Damage {
    /// The share of the picture for which there are no data, 0 to 1.
    pub(super) missing: f64,
    /// Whether some of its detail is missing, in parts or everywhere.
    pub(super) lacks_detail: bool,
    /// Whether there is something in its data that no encoder writes.
    pub(super) is_corrupt: bool,
    /// Whether its end marker is missing.
    pub(super) is_unended: bool,
}

/// A file of which everything before the picture itself was read.
pub(super) struct Header<'a> {
    segments: Segments<'a>,
    frame: Frame,
    scan: Scan,
}

impl<'a> Header<'a> {
    /// Reads a file that begins with JPEG's marker. Nothing is allocated for the picture.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Failure> {
        let mut segments = Segments::new(bytes);
        let scan = segments.next_scan()?;
        match (segments.frame.take(), scan) {
            (Some(frame), Some(scan)) => Ok(Self {
                segments,
                frame,
                scan,
            }),
            _ => Err(invalid("it holds no picture")),
        }
    }

    /// Width and height.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.frame.width, self.frame.height)
    }

    /// The metadata of the camera.
    pub(super) fn exif(&self) -> Option<&[u8]> {
        self.segments.exif
    }

    /// Decodes the picture.
    pub(super) fn decode(self) -> Result<Decoded, Failure> {
        let Self {
            mut segments,
            frame,
            scan,
        } = self;
        let colour = segments.colour(&frame);
        let (pixels, mut damage) =
            if !frame.is_progressive && scan.components.len() == frame.components.len() {
                let found = scan::decode_at_once(&mut segments, &frame, &scan, colour)?;
                // Whatever else the file holds, the picture is complete.
                while let Ok(Some(_)) = segments.next_scan() {}
                found
            } else {
                scan::decode_in_passes(&mut segments, &frame, scan, colour)?
            };
        damage.is_unended = !segments.is_ended;
        if damage.is_unended && (damage.missing > 0.0 || damage.lacks_detail) {
            return Err(invalid("it ends before its end marker"));
        }
        Ok(Decoded {
            pixels,
            channels: colour.channels(),
            damage,
        })
    }
}

/// This many times `zero`, if there is memory for it, which costs little until it is written.
fn reserve<T: Clone>(zero: T, count: usize) -> Result<Vec<T>, Failure> {
    // Asked for and given back at once: the allocation below would end the process instead.
    if Vec::<T>::new().try_reserve_exact(count).is_err() {
        let bytes = count.saturating_mul(size_of::<T>());
        return Err(Failure::OutOfMemory(bytes as u64));
    }
    Ok(vec![zero; count])
}

/// Whether a file's markers lead to its end marker.
pub(super) fn jpeg_is_complete(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some((marker, behind)) = next_marker(bytes, at) {
        at = match (marker, bytes.get(behind..).and_then(<[u8]>::first_chunk)) {
            (0xD9, _) => return true,
            // They stand alone.
            (0x01 | 0xD0..=0xD8, _) => behind,
            // What a segment holds is skipped: the end marker of a thumbnail in it does not count.
            (_, Some(&length)) => behind + usize::from(u16::from_be_bytes(length).max(2)),
            (_, None) => return false,
        };
    }
    false
}

impl Damage {
    /// What a reader of results should know of it.
    pub(super) fn warnings(self) -> Vec<Warning> {
        let format = "JPEG";
        let mut warnings = Vec::new();
        if self.missing > 0.0 {
            let percent = (self.missing * 100.0).round().clamp(1.0, 100.0) as u8;
            warnings.push(Warning::DataMissing { format, percent });
        }
        if self.lacks_detail {
            warnings.push(Warning::DetailMissing { format });
        }
        if self.is_corrupt {
            warnings.push(Warning::Damaged { format });
        }
        if self.is_unended {
            warnings.push(Warning::NoEnd { format });
        }
        warnings
    }
}
