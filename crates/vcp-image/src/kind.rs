//! What kind of picture a file is, by its first bytes.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// A kind of file that holds pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Portable Network Graphics, animated or not.
    Png,
    /// JPEG in any of its processes, also those that are not read.
    Jpeg,
    /// Windows bitmaps.
    Bmp,
    /// TIFF and `BigTIFF`.
    Tiff,
    /// WebP, lossy, lossless or animated.
    WebP,
    /// GIF, animated or not.
    Gif,
    /// PBM, PGM, PPM and PAM.
    Pnm,
    /// HEIF with HEVC, as telephones write it.
    Heic,
    /// HEIF with AV1.
    Avif,
    /// JPEG XL, in a container or bare.
    JpegXl,
    /// JPEG 2000, in a container or bare.
    Jpeg2000,
    /// JPEG XR.
    JpegXr,
    /// Photoshop documents.
    Photoshop,
    /// GIMP documents.
    Gimp,
    /// What a camera's sensor gave, in the formats of the makers.
    CameraRaw,
    /// Medical images.
    Dicom,
    /// Astronomical images.
    Fits,
    /// PDF documents.
    Pdf,
    /// PostScript.
    PostScript,
    /// Drawings in SVG.
    Svg,
    /// `OpenEXR`.
    OpenExr,
    /// Radiance HDR.
    Radiance,
    /// Portable float maps.
    Pfm,
    /// Windows icons.
    Icon,
    /// `DirectDraw` surfaces.
    Dds,
    /// "Quite OK Image".
    Qoi,
    /// Videos, whatever their container.
    Video,
}

impl Kind {
    /// How many bytes of a file [`Kind::of`] looks at.
    pub const LENGTH: usize = 4096;

    /// The kind of a file that begins with these bytes, [`Kind::LENGTH`] of them or the whole file;
    /// none if it is no picture as far as can be told.
    #[must_use]
    pub fn of(start: &[u8]) -> Option<Self> {
        const STARTS: &[(&[u8], Kind)] = &[
            (b"\x89PNG\r\n\x1a\n", Kind::Png),
            (b"\xff\xd8\xff", Kind::Jpeg),
            (b"GIF87a", Kind::Gif),
            (b"GIF89a", Kind::Gif),
            (b"BM", Kind::Bmp),
            (b"II+\0", Kind::Tiff),
            (b"MM\0+", Kind::Tiff),
            (b"\xff\x0a", Kind::JpegXl),
            (b"\0\0\0\x0cJXL \r\n\x87\n", Kind::JpegXl),
            (b"\xff\x4f\xff\x51", Kind::Jpeg2000),
            (b"\0\0\0\x0cjP  \r\n\x87\n", Kind::Jpeg2000),
            (b"II\xbc\x01", Kind::JpegXr),
            (b"8BPS\0\x01", Kind::Photoshop),
            (b"8BPS\0\x02", Kind::Photoshop),
            (b"gimp xcf ", Kind::Gimp),
            // Panasonic, Olympus, Fujifilm, Sigma, Minolta.
            (b"IIU\0", Kind::CameraRaw),
            (b"IIRO", Kind::CameraRaw),
            (b"IIRS", Kind::CameraRaw),
            (b"MMOR", Kind::CameraRaw),
            (b"FUJIFILMCCD-RAW", Kind::CameraRaw),
            (b"FOVb", Kind::CameraRaw),
            (b"\0MRM", Kind::CameraRaw),
            (b"SIMPLE  =", Kind::Fits),
            (b"%PDF-", Kind::Pdf),
            (b"%!PS", Kind::PostScript),
            (b"\xc5\xd0\xd3\xc6", Kind::PostScript),
            (b"v/1\x01", Kind::OpenExr),
            (b"#?RADIANCE", Kind::Radiance),
            (b"#?RGBE", Kind::Radiance),
            (b"PF\n", Kind::Pfm),
            (b"Pf\n", Kind::Pfm),
            (b"DDS ", Kind::Dds),
            (b"qoif", Kind::Qoi),
            (b"\x1a\x45\xdf\xa3", Kind::Video),
        ];
        let known = STARTS.iter().find(|(bytes, _)| start.starts_with(bytes));
        if let Some((_, kind)) = known {
            return Some(*kind);
        }
        match start {
            [b'I', b'I', b'*', 0, ..] | [b'M', b'M', 0, b'*', ..] => {
                let is_raw = is_camera_raw(start).unwrap_or(false);
                Some(if is_raw { Self::CameraRaw } else { Self::Tiff })
            }
            [
                b'R',
                b'I',
                b'F',
                b'F',
                _,
                _,
                _,
                _,
                b'W',
                b'E',
                b'B',
                b'P',
                ..,
            ] => Some(Self::WebP),
            [
                b'R',
                b'I',
                b'F',
                b'F',
                _,
                _,
                _,
                _,
                b'A',
                b'V',
                b'I',
                b' ',
                ..,
            ] => Some(Self::Video),
            [b'P', b'1'..=b'7', b' ' | b'\t' | b'\r' | b'\n' | b'#', ..] => Some(Self::Pnm),
            // The number of icons, and a byte that is always zero.
            [0, 0, 1, 0, count, 0, _, _, _, 0, ..] if *count > 0 => Some(Self::Icon),
            [_, _, _, _, b'f', b't', b'y', b'p', ..] => Self::of_brands(start),
            _ if start.get(128..132) == Some(b"DICM") => Some(Self::Dicom),
            _ => is_svg(start).then_some(Self::Svg),
        }
    }

    /// The kind of the file at `path`.
    ///
    /// # Errors
    /// When it is no regular file (to open a pipe is to wait until somebody writes to it) or cannot be
    /// read.
    pub fn of_file(path: &Path) -> std::io::Result<Option<Self>> {
        if !std::fs::metadata(path)?.is_file() {
            return Err(std::io::Error::other("it is not a regular file"));
        }
        let mut start = Vec::with_capacity(Self::LENGTH);
        let file = File::open(path)?;
        file.take(Self::LENGTH as u64).read_to_end(&mut start)?;
        Ok(Self::of(&start))
    }

    /// The kinds of file that begin with a list of brands.
    fn of_brands(start: &[u8]) -> Option<Self> {
        let length = u32::from_be_bytes(*start.first_chunk()?) as usize;
        let list = start.get(8..length.min(start.len()))?;
        let (brands, _) = list.as_chunks::<4>();
        let (major, compatible) = brands.split_first()?;
        // After the first brand comes its version.
        let mut all = compatible.iter().skip(1).chain([major]);
        Some(match major {
            b"avif" | b"avis" => Self::Avif,
            b"heic" | b"heix" | b"hevc" | b"hevx" | b"heim" | b"heis" | b"hevm" | b"hevs" => {
                Self::Heic
            }
            b"mif1" | b"msf1" if all.any(|brand| matches!(brand, b"avif" | b"avis")) => Self::Avif,
            b"mif1" | b"msf1" => Self::Heic,
            b"jp2 " | b"jpx " | b"jph " => Self::Jpeg2000,
            b"jxl " => Self::JpegXl,
            b"crx " => Self::CameraRaw,
            _ => Self::Video,
        })
    }

    /// What people call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Png => "PNG",
            Self::Jpeg => "JPEG",
            Self::Bmp => "BMP",
            Self::Tiff => "TIFF",
            Self::WebP => "WebP",
            Self::Gif => "GIF",
            Self::Pnm => "PNM",
            Self::Heic => "HEIC",
            Self::Avif => "AVIF",
            Self::JpegXl => "JPEG XL",
            Self::Jpeg2000 => "JPEG 2000",
            Self::JpegXr => "JPEG XR",
            Self::Photoshop => "Photoshop (PSD)",
            Self::Gimp => "GIMP (XCF)",
            Self::CameraRaw => "camera raw",
            Self::Dicom => "DICOM",
            Self::Fits => "FITS",
            Self::Pdf => "PDF",
            Self::PostScript => "PostScript",
            Self::Svg => "SVG",
            Self::OpenExr => "OpenEXR",
            Self::Radiance => "Radiance HDR",
            Self::Pfm => "PFM",
            Self::Icon => "ICO",
            Self::Dds => "DDS",
            Self::Qoi => "QOI",
            Self::Video => "video",
        }
    }

    /// Whether files of this kind are decoded, as far as their pixels are of a kind that is known.
    #[must_use]
    pub fn is_read(self) -> bool {
        matches!(
            self,
            Self::Png | Self::Jpeg | Self::Bmp | Self::Tiff | Self::WebP | Self::Gif | Self::Pnm
        )
    }

    /// What to do with a file of a kind that is not read: the end of a sentence.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Self::Heic => {
                "convert it to PNG or JPEG, for example with `heif-convert IN.heic OUT.png` of libheif"
            }
            Self::Avif => {
                "convert it to PNG, for example with `avifdec IN.avif OUT.png` of libavif"
            }
            Self::JpegXl => "convert it to PNG, for example with `djxl IN.jxl OUT.png` of libjxl",
            Self::Jpeg2000 => {
                "convert it to PNG, for example with `opj_decompress -i IN.jp2 -o OUT.png` of OpenJPEG"
            }
            Self::JpegXr => {
                "convert it to TIFF, for example with `JxrDecApp -i IN.jxr -o OUT.tif` of jxrlib"
            }
            Self::Photoshop | Self::Gimp => {
                "export it as PNG or TIFF from the program that made it, or with \
                 `magick IN[0] OUT.png` of ImageMagick"
            }
            Self::CameraRaw => {
                "develop it to TIFF or JPEG with the maker's program, or with \
                 `darktable-cli IN OUT.tif`"
            }
            Self::Dicom => {
                "convert it to PNG, for example with `dcmj2pnm --write-png IN.dcm OUT.png` of DCMTK"
            }
            Self::PostScript => {
                "turn its pages into pictures, for example with `ps2pdf IN OUT.pdf` of Ghostscript and \
                 then `pdftoppm -png -r 300 OUT.pdf OUT` of Poppler"
            }
            Self::Pdf => {
                "turn its pages into pictures, for example with `pdftoppm -png -r 300 IN.pdf OUT` of \
                 Poppler"
            }
            Self::Svg => {
                "draw it into a PNG of the size you need, for example with \
                 `rsvg-convert IN.svg -o OUT.png` of librsvg"
            }
            Self::Video => {
                "write its pictures into files, for example with `ffmpeg -i IN OUT-%06d.png`"
            }
            _ => "convert it to PNG, for example with `magick IN OUT.png` of ImageMagick",
        }
    }
}

/// Whether a file that begins as a TIFF is a camera's raw data: Canon's second format, DNG, or a first
/// picture that is said to be a reduced one by one of the makers that write raw data so. None where
/// the first directory is not among the bytes.
fn is_camera_raw(start: &[u8]) -> Option<bool> {
    const SUBFILE_TYPE: u16 = 254;
    const MAKE: u16 = 271;
    const SUB_DIRECTORIES: u16 = 330;
    const DNG_VERSION: u16 = 50706;
    const MAKERS: [&[u8]; 5] = [b"NIKON", b"SONY", b"PENTAX", b"RICOH", b"SAMSUNG"];
    if start.get(8..10) == Some(b"CR") {
        return Some(true);
    }
    let is_little = start.first() == Some(&b'I');
    let short = |at: usize| {
        let bytes = *start.get(at..)?.first_chunk()?;
        Some(if is_little {
            u16::from_le_bytes(bytes)
        } else {
            u16::from_be_bytes(bytes)
        })
    };
    let long = |at: usize| {
        let bytes = *start.get(at..)?.first_chunk()?;
        Some(if is_little {
            u32::from_le_bytes(bytes)
        } else {
            u32::from_be_bytes(bytes)
        } as usize)
    };
    let directory = long(4)?;
    let (mut is_reduced, mut has_more, mut is_makers) = (false, false, false);
    for entry in 0..usize::from(short(directory)?) {
        let at = directory.checked_add(2 + 12 * entry)?;
        match short(at)? {
            DNG_VERSION => return Some(true),
            SUBFILE_TYPE => is_reduced = long(at + 8)? & 1 == 1,
            SUB_DIRECTORIES => has_more = true,
            MAKE => {
                let make = start.get(long(at + 8)?..).unwrap_or_default();
                is_makers = MAKERS.iter().any(|maker| make.starts_with(maker));
            }
            _ => {}
        }
    }
    Some(is_reduced && has_more && is_makers)
}

/// Whether this is the beginning of a text whose first element is that of a drawing.
fn is_svg(start: &[u8]) -> bool {
    let text = String::from_utf8_lossy(start);
    let mut rest = text.trim_start_matches('\u{feff}').trim_start();
    // Declarations and comments may stand before.
    while rest.starts_with("<?") || rest.starts_with("<!") {
        let end = if rest.starts_with("<!--") { "-->" } else { ">" };
        let Some(at) = rest.find(end) else {
            return false;
        };
        rest = rest[at + end.len()..].trim_start();
    }
    rest.starts_with("<svg")
}

/// What a file is that is no picture, where people often have such a file in a picture's place, and
/// what to do: the end of a sentence.
pub(crate) fn other_content(start: &[u8]) -> Option<&'static str> {
    let text = String::from_utf8_lossy(&start[..start.len().min(256)]).to_ascii_lowercase();
    let text = text.trim_start();
    if start.is_empty() {
        Some("it is empty; copy or download it again")
    } else if start.iter().all(|&byte| byte == 0) {
        Some("it begins with nothing but zeros; copy or download it again")
    } else if text.starts_with("version https://git-lfs") {
        Some("it is Git LFS's note of where the picture is; fetch that with `git lfs pull`")
    } else if text.starts_with("<!doctype html") || text.starts_with("<html") {
        Some("it is a web page, perhaps a server's message; download the picture again")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brands(brands: &[u8]) -> Vec<u8> {
        let length = (8 + brands.len()) as u32;
        [&length.to_be_bytes(), &b"ftyp"[..], brands, b"more"].concat()
    }

    /// A little-endian TIFF's first directory, with one value for each tag.
    fn directory(entries: &[(u16, u32)], behind: &[u8]) -> Vec<u8> {
        let mut bytes = b"II*\0\x08\0\0\0".to_vec();
        bytes.extend((entries.len() as u16).to_le_bytes());
        for (tag, value) in entries {
            bytes.extend(tag.to_le_bytes());
            bytes.extend([4, 0, 1, 0, 0, 0]);
            bytes.extend(value.to_le_bytes());
        }
        bytes.extend([0; 4]);
        bytes.extend(behind);
        bytes
    }

    #[test]
    fn brands_tell_what_is_in_the_container() {
        let of = |list: &[u8]| Kind::of(&brands(list));
        assert_eq!(of(b"heic\0\0\0\0mif1heic"), Some(Kind::Heic));
        assert_eq!(of(b"mif1\0\0\0\0mif1heic"), Some(Kind::Heic));
        assert_eq!(of(b"mif1\0\0\0\0miafavif"), Some(Kind::Avif));
        assert_eq!(of(b"avif\0\0\0\0mif1"), Some(Kind::Avif));
        assert_eq!(of(b"crx \0\0\0\x01crx isom"), Some(Kind::CameraRaw));
        assert_eq!(of(b"isom\0\0\x02\0isommp41"), Some(Kind::Video));
        // The list is what its length says, not what comes behind.
        let mut cut = brands(b"mif1\0\0\0\0");
        cut.extend(b"avif");
        assert_eq!(Kind::of(&cut), Some(Kind::Heic));
    }

    #[test]
    fn raw_data_in_a_tiff_are_told_from_photos() {
        let nikon = [(254, 1), (271, 50), (330, 4000)];
        assert_eq!(
            Kind::of(&directory(&nikon, b"NIKON CORPORATION\0")),
            Some(Kind::CameraRaw)
        );
        // The same said of a photo that is none of a maker's raw data.
        assert_eq!(Kind::of(&directory(&nikon, b"Basler\0")), Some(Kind::Tiff));
        assert_eq!(
            Kind::of(&directory(&nikon[1..], b"NIKON\0")),
            Some(Kind::Tiff)
        );
        assert_eq!(
            Kind::of(&directory(&[(50706, 1)], b"")),
            Some(Kind::CameraRaw)
        );
        assert_eq!(Kind::of(b"II*\0\x10\0\0\0CR\x02\0"), Some(Kind::CameraRaw));
        assert_eq!(Kind::of(b"MM\0*\0\0\0\x08"), Some(Kind::Tiff));
        assert_eq!(Kind::of(b"II*\0\xff\xff\xff\xff"), Some(Kind::Tiff));
    }

    #[test]
    fn drawings_are_known_behind_declarations_and_comments() {
        let text =
            "\u{feff}<?xml version='1.0'?>\n<!-- <svg> > -->\n<!DOCTYPE svg>\n<svg width='1'>";
        assert_eq!(Kind::of(text.as_bytes()), Some(Kind::Svg));
        assert_eq!(Kind::of(b"<html><svg>"), None);
        assert_eq!(Kind::of(b"<!-- never closed"), None);
        assert_eq!(Kind::of(b"<?"), None);
    }

    #[test]
    fn any_start_of_anything_is_looked_at_without_harm() {
        let starts = [
            brands(b"mif1\0\0\0\0avif"),
            directory(&[(254, 1), (271, u32::MAX), (330, 1)], b""),
            b"P5 1 1 255 a".to_vec(),
            b"\0\0\x01\0\x01\0\x10\x10\0\0".to_vec(),
        ];
        for start in starts {
            for end in 0..start.len() {
                let _ = (Kind::of(&start[..end]), other_content(&start[..end]));
            }
        }
        assert_eq!(Kind::of(b"P5 1 1 255 a"), Some(Kind::Pnm));
        assert_eq!(Kind::of(b"P5x"), None);
        assert_eq!(Kind::of(b"\0\0\x01\0\x01\0\x10\x10\0\0"), Some(Kind::Icon));
    }
}
