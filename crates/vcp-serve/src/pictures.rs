//! Pictures and arrays of an inspection, as files in memory.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::Deserialize;
use vcp_clip::Inspection;
use vcp_image::{PlainMap, encode_npy};

use crate::refusal::Refusal;

/// A file that is made of an inspection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum File {
    Overlay,
    Heatmap,
    Mask,
    Thumbnail,
    /// The map as 32-bit floats.
    Floats,
    /// The map in steps of 1/65535, as an array.
    Steps,
    /// The same as a picture.
    Png16,
}

impl File {
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        Some(match name {
            "overlay.png" => Self::Overlay,
            "heatmap.png" => Self::Heatmap,
            "mask.png" => Self::Mask,
            "thumbnail.jpg" => Self::Thumbnail,
            "map-f32.npy" => Self::Floats,
            "map.npy" => Self::Steps,
            "map.png" => Self::Png16,
            _ => return None,
        })
    }

    /// How its name ends in links.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Overlay => "overlay.png",
            Self::Heatmap => "heatmap.png",
            Self::Mask => "mask.png",
            Self::Thumbnail => "thumbnail.jpg",
            Self::Floats => "map-f32.npy",
            Self::Steps => "map.npy",
            Self::Png16 => "map.png",
        }
    }

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Overlay | Self::Heatmap | Self::Mask | Self::Png16 => "image/png",
            Self::Thumbnail => "image/jpeg",
            Self::Floats | Self::Steps => "application/octet-stream",
        }
    }

    /// Bytes that it has at least, as far as that is known before it is made.
    pub(crate) fn least_bytes(self, inspection: &Inspection) -> usize {
        match self {
            Self::Floats if inspection.is_tiling() => {
                let pixels = inspection.width().saturating_mul(inspection.height());
                pixels.saturating_mul(size_of::<f32>())
            }
            _ => 0,
        }
    }

    /// Makes it.
    pub(crate) fn of(self, inspection: &Inspection) -> Result<Vec<u8>, Refusal> {
        let picture = match self {
            Self::Overlay => inspection.overlay().map_err(vcp_clip::Error::from)?,
            Self::Heatmap => inspection.heatmap(),
            Self::Mask => inspection.mask(),
            Self::Thumbnail => return thumbnail(inspection),
            Self::Floats => return Ok(floats(inspection)?),
            Self::Steps => {
                return Ok(steps_npy(
                    &steps(&inspection.model_map()),
                    inspection.image_size(),
                ));
            }
            Self::Png16 => {
                return Ok(steps_png(
                    &steps(&inspection.model_map()),
                    inspection.image_size(),
                )?);
            }
        };
        Ok(picture.to_png_bytes().map_err(vcp_clip::Error::from)?)
    }

    /// As an address that holds the content itself.
    pub(crate) fn inline(self, bytes: &[u8]) -> String {
        format!(
            "data:{};base64,{}",
            self.content_type(),
            STANDARD.encode(bytes)
        )
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::internal(error.to_string())
    }
}

/// In which form a map is given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum MapFormat {
    /// An array for `NumPy` of 32-bit floats, as `segment --save npy` writes it.
    #[default]
    Npy,
    /// A grey PNG of 16 bits at the model's size: 65535 is 1.
    Png16,
}

impl MapFormat {
    pub(crate) fn file(self) -> File {
        match self {
            Self::Npy => File::Floats,
            Self::Png16 => File::Png16,
        }
    }
}

fn thumbnail(inspection: &Inspection) -> Result<Vec<u8>, Refusal> {
    let photo = inspection.photo().map_err(vcp_clip::Error::from)?;
    Ok(vcp_history::thumbnail(&photo).map_err(vcp_clip::Error::from)?)
}

/// As `segment` writes it: at the model's size, or at the photo's where photos are processed in windows.
fn floats(inspection: &Inspection) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if inspection.is_tiling() {
        encode_npy(&*inspection.map(), &mut bytes)?;
    } else {
        let map = inspection.model_map();
        encode_npy(&PlainMap::new(&map, inspection.image_size()), &mut bytes)?;
    }
    Ok(bytes)
}

/// Values in steps of 1/65535; 0 where the photo does not count.
pub(crate) fn steps(map: &[f32]) -> Vec<u16> {
    // What is no number becomes 0.
    let step = |value: &f32| (value.clamp(0.0, 1.0) * 65535.0).round() as u16;
    map.iter().map(step).collect()
}

/// As an array [side, side] of `<u2`.
pub(crate) fn steps_npy(steps: &[u16], side: usize) -> Vec<u8> {
    const START: &[u8] = b"\x93NUMPY\x01\x00";
    const ALIGNMENT: usize = 64;
    let mut text =
        format!("{{'descr': '<u2', 'fortran_order': False, 'shape': ({side}, {side}), }}");
    let unpadded = START.len() + size_of::<u16>() + text.len() + 1;
    let padding = unpadded.next_multiple_of(ALIGNMENT) - unpadded;
    text.extend(std::iter::repeat_n(' ', padding));
    text.push('\n');
    let mut bytes = START.to_vec();
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes.extend(steps.iter().flat_map(|step| step.to_le_bytes()));
    bytes
}

/// As a grey PNG of 16 bits.
pub(crate) fn steps_png(steps: &[u16], side: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let side = u32::try_from(side).map_err(io::Error::other)?;
    let mut encoder = png::Encoder::new(&mut bytes, side, side);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Sixteen);
    encoder.set_compression(png::Compression::Fast);
    let mut writer = encoder.write_header()?;
    let pixels: Vec<u8> = steps.iter().flat_map(|step| step.to_be_bytes()).collect();
    writer.write_image_data(&pixels)?;
    writer.finish()?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back() {
        for file in [
            File::Overlay,
            File::Heatmap,
            File::Mask,
            File::Thumbnail,
            File::Floats,
            File::Steps,
            File::Png16,
        ] {
            assert_eq!(File::of_name(file.name()), Some(file));
        }
        assert_eq!(File::of_name("../overlay.png"), None);
    }

    #[test]
    fn steps_are_rounded_and_bounded() {
        let map = [0.0, 0.5, 1.0, -1.0, 2.0, f32::NAN];
        assert_eq!(steps(&map), [0, 32768, 65535, 0, 65535, 0]);
        let npy = steps_npy(&[1, 2, 3, 4], 2);
        let end = npy.len() - 8;
        assert_eq!(end % 64, 0);
        assert_eq!(npy[end..], [1, 0, 2, 0, 3, 0, 4, 0]);
        assert_eq!(usize::from(npy[8]) + 256 * usize::from(npy[9]) + 10, end);
        let png = steps_png(&[1, 2, 3, 256], 2).unwrap();
        let mut reader = png::Decoder::new(io::Cursor::new(png)).read_info().unwrap();
        let mut pixels = [0; 8];
        reader.next_frame(&mut pixels).unwrap();
        assert_eq!(pixels, [0, 1, 0, 2, 0, 3, 1, 0]);
    }
}
