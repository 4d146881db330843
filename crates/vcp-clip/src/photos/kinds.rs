//! Which files are photos, which are pictures that are passed over, and what is said about those.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use vcp_image::Kind;

use crate::files::{HEATMAP, MASK, OVERLAY};

/// Endings of the pictures that are read, in lower case.
const ENDINGS: [&str; 18] = [
    "bmp", "dib", "gif", "jfi", "jfif", "jif", "jpe", "jpeg", "jpg", "pam", "pbm", "pgm", "png",
    "pnm", "ppm", "tif", "tiff", "webp",
];

/// Endings of pictures that are not read. They count where the content is not recognised.
const FOREIGN_ENDINGS: [(&str, Kind); 8] = [
    ("avif", Kind::Avif),
    ("heic", Kind::Heic),
    ("heif", Kind::Heic),
    ("j2k", Kind::Jpeg2000),
    ("jp2", Kind::Jpeg2000),
    ("jxl", Kind::JpegXl),
    ("jxr", Kind::JpegXr),
    ("psd", Kind::Photoshop),
];

/// [`ENDINGS`] for people.
pub(super) const ENDINGS_IN_WORDS: &str =
    "png, jpg, jpeg, jfif, bmp, gif, tif, tiff, webp, pgm or ppm";

/// What a file in a folder, or one that matches a pattern, is.
pub(super) enum Content {
    /// Its name says that it is a picture of a kind that is read.
    Photo,
    /// It is a picture of a kind that is read, which its name does not say.
    Unnamed(Kind),
    /// It is a picture of a kind that is not read.
    Foreign(&'static str),
    /// An earlier run wrote it.
    Own,
    /// No picture.
    Other,
}

impl Content {
    /// Looks at the name and, where that does not settle it, at the first bytes.
    pub(super) fn of(path: &Path) -> Self {
        if is_own_picture(path) {
            return Self::Own;
        }
        if has_ending(path) {
            return Self::Photo;
        }
        // What cannot be read is no picture that anybody would miss.
        match Kind::of_file(path).ok().flatten() {
            Some(kind) if kind.is_read() => Self::Unnamed(kind),
            // Somebody who keeps these among photos does not expect them to be taken for some.
            Some(Kind::Pdf | Kind::PostScript | Kind::Svg | Kind::Icon | Kind::Video) => {
                Self::Other
            }
            Some(kind) => Self::Foreign(kind.name()),
            None => FOREIGN_ENDINGS
                .iter()
                .find(|(foreign, _)| *foreign == ending(path))
                .map_or(Self::Other, |(_, kind)| Self::Foreign(kind.name())),
        }
    }
}

/// Whether a file that comes into a watched folder is taken for a photo: its name ends as those of pictures that are
/// read, and no earlier run wrote it.
#[must_use]
pub fn is_photo(path: &Path) -> bool {
    has_ending(path) && !is_own_picture(path)
}

/// Whether a name ends as those of pictures that are read do.
pub(super) fn has_ending(path: &Path) -> bool {
    ENDINGS.contains(&ending(path).as_str())
}

fn ending(path: &Path) -> String {
    let ending = path.extension().unwrap_or_default().to_string_lossy();
    ending.to_ascii_lowercase()
}

/// Whether an earlier run wrote it, so that a second run over the same folder does not look for
/// defects in overlays. Both the name and the content must say so: a person's own `part.mask.png` is
/// a photo like any other.
fn is_own_picture(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    [OVERLAY, HEATMAP, MASK]
        .iter()
        .any(|suffix| name.ends_with(suffix))
        && File::open(path).is_ok_and(|file| vcp_image::is_own_png(file).unwrap_or(false))
}

/// Pictures in folders, and matches of patterns, that are not taken for photos.
#[derive(Debug, Default)]
pub struct Skipped {
    /// Of each kind, how many, and one of them.
    foreign: BTreeMap<&'static str, (usize, PathBuf)>,
    unnamed: BTreeMap<&'static str, (usize, PathBuf)>,
    own: usize,
}

impl Skipped {
    /// Takes note of a file that is not taken for a photo.
    pub(super) fn note(&mut self, path: &Path, content: &Content) {
        let (counts, kind) = match content {
            Content::Foreign(kind) => (&mut self.foreign, *kind),
            Content::Unnamed(kind) => (&mut self.unnamed, kind.name()),
            Content::Own => {
                self.own += 1;
                return;
            }
            Content::Photo | Content::Other => return,
        };
        counts.entry(kind).or_insert_with(|| (0, path.to_owned())).0 += 1;
    }

    pub(super) fn add(&mut self, other: Self) {
        for (all, counts) in [
            (&mut self.foreign, other.foreign),
            (&mut self.unnamed, other.unnamed),
        ] {
            for (kind, (count, example)) in counts {
                all.entry(kind).or_insert((0, example)).0 += count;
            }
        }
        self.own += other.own;
    }

    /// What was skipped and what to do about it, if anything was.
    #[must_use]
    pub fn in_words(&self) -> Option<String> {
        let mut sentences = Vec::new();
        if !self.foreign.is_empty() {
            sentences.push(format!(
                "{} skipped, of kinds that are not read: {}; convert them to PNG or JPEG.",
                pictures(&self.foreign),
                listed(&self.foreign)
            ));
        }
        if !self.unnamed.is_empty() {
            sentences.push(format!(
                "{} skipped for want of a usual ending: {}; name such files, or use a pattern, to \
                 have them read by content.",
                pictures(&self.unnamed),
                listed(&self.unnamed)
            ));
        }
        match self.own {
            0 => {}
            1 => sentences.push("1 picture that vcp-clip wrote was skipped.".to_owned()),
            own => sentences.push(format!("{own} pictures that vcp-clip wrote were skipped.")),
        }
        (!sentences.is_empty()).then(|| sentences.join(" "))
    }
}

fn pictures(counts: &BTreeMap<&'static str, (usize, PathBuf)>) -> String {
    match counts.values().map(|(count, _)| count).sum() {
        1 => "1 picture was".to_owned(),
        count => format!("{count} pictures were"),
    }
}

fn listed(counts: &BTreeMap<&'static str, (usize, PathBuf)>) -> String {
    let parts: Vec<String> = counts
        .iter()
        .map(|(kind, (count, example))| match count {
            1 => format!("1 {kind} ({})", example.display()),
            count => format!("{count} {kind} (such as {})", example.display()),
        })
        .collect();
    parts.join(", ")
}
