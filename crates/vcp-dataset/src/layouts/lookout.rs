//! Manifests of Amazon Lookout for Vision
//! (<https://docs.aws.amazon.com/lookout-for-vision/latest/developer-guide/manifest-files.html>).

use std::path::{Component, Path, PathBuf};

use serde_json::{Map, Value};

use crate::files::Place;
use crate::names::{ANOMALY, GOOD};
use crate::table::Listed;
use crate::{
    Dataset, Error, Label, Layout, MaskRule, MaskSource, Options, Problem, Sample, Split, files,
    text,
};

pub(super) struct Lookout;

/// How many folders deep below a manifest's place a file is looked for.
const MAX_PARTS: usize = 32;

impl Layout for Lookout {
    fn name(&self) -> &'static str {
        "lookout"
    }

    fn title(&self) -> &'static str {
        "Amazon Lookout for Vision manifests"
    }

    fn describe(&self) -> &'static str {
        "ROOT/…/manifests/train.manifest   (JSON lines: source-ref, anomaly-label, anomaly-mask-ref)
ROOT/…/training-images/anomaly-1.jpg
ROOT/…/mask-images/anomaly-1.png
Every *.manifest in ROOT and two folders deep is read, or the one named with --manifest. Paths are
looked up beside the manifest, in the folder above it and in ROOT; of s3:// addresses the bucket and
leading folders are ignored. The name of the manifest is the split. Masks with alpha: alpha above 127 is
defect; without: every colour but the background's. One category, named like ROOT."
    }

    fn read(&self, root: &Path, options: &Options) -> Result<Dataset, Error> {
        let lists = match &options.manifest {
            Some(list) => vec![list.clone()],
            None => manifests(root, 0)?,
        };
        if lists.is_empty() {
            return Err(Error::Layout {
                layout: self.name(),
                root: root.to_owned(),
                found: "there is no file ending in .manifest".to_owned(),
                expected: self.describe(),
            });
        }
        let mut dataset = Dataset::new(self.name(), root);
        let category = files::folder_name(root, self.name());
        let mut listed = Listed::default();
        for list in &lists {
            let mut reading = Reading {
                dataset: &mut dataset,
                listed: &mut listed,
                bases: bases(root, list),
                split: split(list),
                category: &category,
            };
            for (line, text) in (1..).zip(text::read(list)?.lines()) {
                if !text.trim().is_empty() {
                    let place = Place {
                        list,
                        line: Some(line),
                    };
                    reading.entry(place, text);
                }
            }
        }
        if let [list, ..] = lists.as_slice() {
            listed.report_others(list, &mut dataset.problems)?;
        }
        Ok(dataset)
    }
}

fn manifests(folder: &Path, depth: usize) -> Result<Vec<PathBuf>, Error> {
    let listing = files::list(folder)?;
    let mut found = listing.files;
    found.retain(|path| files::ending(path).as_deref() == Some("manifest"));
    if depth < 2 {
        for folder in listing.folders {
            found.extend(manifests(&folder, depth + 1)?);
        }
    }
    Ok(found)
}

/// Where a manifest's paths may begin.
fn bases(root: &Path, list: &Path) -> Vec<PathBuf> {
    let mut bases: Vec<PathBuf> = Vec::new();
    let near = list
        .ancestors()
        .skip(1)
        .take(2)
        .filter(|folder| folder.starts_with(root));
    for folder in near.chain([root]) {
        if !bases.iter().any(|base| base == folder) {
            bases.push(folder.to_owned());
        }
    }
    bases
}

fn split(list: &Path) -> Split {
    let name = files::name(list).to_lowercase();
    if name.contains("train") {
        Split::Train
    } else if name.contains("test") {
        Split::Test
    } else {
        Split::Unassigned
    }
}

struct Reading<'a> {
    dataset: &'a mut Dataset,
    listed: &'a mut Listed,
    bases: Vec<PathBuf>,
    split: Split,
    category: &'a str,
}

impl Reading<'_> {
    fn entry(&mut self, place: Place<'_>, text: &str) {
        if let Err(problem) = self.try_entry(place, text) {
            self.dataset.problems.push(problem);
        }
    }

    fn try_entry(&mut self, place: Place<'_>, text: &str) -> Result<(), Problem> {
        text::check_line(text).map_err(|reason| place.bad_entry(reason))?;
        let entry: Map<String, Value> = serde_json::from_str(text)
            .map_err(|error| place.bad_entry(format!("it is not a JSON object: {error}")))?;
        let named = entry
            .get("source-ref")
            .and_then(Value::as_str)
            .ok_or_else(|| place.bad_entry("it has no 'source-ref'"))?;
        text::check_path(named).map_err(|reason| place.bad_entry(reason))?;
        let label = label(&entry).ok_or_else(|| {
            place.bad_entry(
                "it has no label of the type groundtruth/image-classification with the class \
                 'normal' or 'anomaly', or 0 or 1",
            )
        })?;
        let image = self
            .look_up(named)
            .ok_or_else(|| place.missing_image(self.expected(named)))?;
        if !self.listed.image(&image) {
            return Err(place.duplicate_image(image));
        }
        let (mask, defect) = match (label, mask_entry(&entry)) {
            (Label::Normal, _) => (MaskSource::None, GOOD.to_owned()),
            (Label::Anomalous, None) => (MaskSource::Unknown, ANOMALY.to_owned()),
            (Label::Anomalous, Some(mask)) => {
                text::check_path(mask.named)
                    .and_then(|()| text::check_name("type of defect", &mask.defect))
                    .map_err(|reason| place.bad_entry(reason))?;
                let source = if let Some(path) = self.look_up(mask.named) {
                    self.listed.mask(&path);
                    MaskSource::File {
                        path,
                        rule: MaskRule::Alpha {
                            background: mask.background,
                        },
                    }
                } else {
                    self.dataset.problems.push(Problem::MissingMask {
                        image: image.clone(),
                        expected: self.expected(mask.named),
                    });
                    MaskSource::Unknown
                };
                (source, mask.defect)
            }
        };
        self.dataset.samples.push(Sample {
            id: files::id(&self.dataset.root, &image),
            image,
            mask,
            label,
            category: self.category.to_owned(),
            defect,
            split: self.split,
            group: None,
        });
        Ok(())
    }

    /// The file that a path or address means: the longest end of it that exists below one of the
    /// bases. Nothing outside of them can be meant. In lists made on Windows, `\` stands between
    /// folders.
    fn look_up(&self, named: &str) -> Option<PathBuf> {
        self.look_up_parts(named).or_else(|| {
            let is_of_windows = named.contains('\\');
            let named = is_of_windows.then(|| files::with_slashes(named))?;
            self.look_up_parts(&named)
        })
    }

    fn look_up_parts(&self, named: &str) -> Option<PathBuf> {
        let parts = parts(named)?;
        let first = parts.len().saturating_sub(MAX_PARTS);
        (first..parts.len()).find_map(|skipped| {
            let end: PathBuf = parts[skipped..].iter().collect();
            self.bases
                .iter()
                .map(|base| base.join(&end))
                .find(|path| files::is_file(path))
        })
    }

    /// Where a missing file would be looked for first.
    fn expected(&self, named: &str) -> PathBuf {
        let end: PathBuf = match parts(named) {
            Some(parts) if named.contains("://") => parts[1..].iter().collect(),
            Some(parts) => parts.iter().collect(),
            None => PathBuf::from(named),
        };
        // Manifests of a set lie in a folder beside its images.
        let base = self.bases.get(1).or(self.bases.first());
        base.map_or_else(|| end.clone(), |base| base.join(&end))
    }
}

/// The folders and the file that a path or address is made of; nothing if it leads upwards.
fn parts(named: &str) -> Option<Vec<&std::ffi::OsStr>> {
    let path = named.split_once("://").map_or(named, |(_, path)| path);
    let mut parts = Vec::new();
    for part in Path::new(path).components() {
        match part {
            Component::Normal(part) => parts.push(part),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
            Component::ParentDir => return None,
        }
    }
    (!parts.is_empty()).then_some(parts)
}

/// An attribute's metadata, if they are of this type.
fn metadata<'a>(
    entry: &'a Map<String, Value>,
    attribute: &str,
    kind: &str,
) -> Option<&'a Map<String, Value>> {
    let metadata = entry.get(&format!("{attribute}-metadata"))?.as_object()?;
    (metadata.get("type")?.as_str()? == kind).then_some(metadata)
}

fn label(entry: &Map<String, Value>) -> Option<Label> {
    entry.iter().find_map(|(attribute, value)| {
        let metadata = metadata(entry, attribute, "groundtruth/image-classification")?;
        // The number counts the classes of the labelling job; the name is certain.
        match metadata.get("class-name").and_then(Value::as_str) {
            Some("normal") => Some(Label::Normal),
            Some("anomaly") => Some(Label::Anomalous),
            _ => match value.as_u64() {
                Some(0) => Some(Label::Normal),
                Some(1) => Some(Label::Anomalous),
                _ => None,
            },
        }
    })
}

struct MaskEntry<'a> {
    named: &'a str,
    background: Option<[u8; 3]>,
    defect: String,
}

fn mask_entry(entry: &Map<String, Value>) -> Option<MaskEntry<'_>> {
    entry.iter().find_map(|(attribute, value)| {
        let metadata = metadata(entry, attribute, "groundtruth/semantic-segmentation")?;
        let mut background = None;
        let mut defects = Vec::new();
        let classes = metadata
            .get("internal-color-map")
            .and_then(Value::as_object);
        for class in classes.into_iter().flat_map(Map::values) {
            let name = class
                .get("class-name")
                .and_then(Value::as_str)
                .unwrap_or_default();
            if name.eq_ignore_ascii_case("background") {
                background = class
                    .get("hex-color")
                    .and_then(Value::as_str)
                    .and_then(color);
            } else if !name.is_empty() {
                defects.push(name);
            }
        }
        Some(MaskEntry {
            named: value.as_str()?,
            background,
            // Several classes are those of the labelling job, and say nothing about this image.
            defect: match defects.as_slice() {
                [defect] => (*defect).to_owned(),
                _ => ANOMALY.to_owned(),
            },
        })
    })
}

/// `#23A436` as red, green and blue.
fn color(text: &str) -> Option<[u8; 3]> {
    let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6)?;
    let number = u32::from_str_radix(digits, 16).ok()?;
    let [_, red, green, blue] = number.to_be_bytes();
    Some([red, green, blue])
}

#[cfg(test)]
mod tests {
    use image::{GrayImage, Luma, RgbImage};
    use vcp_image::DecodeOptions;

    use crate::testing::{Fixture, summary};
    use crate::{MaskSource, Options, Problem};

    fn line(image: &str, class: &str, mask: Option<&str>, classes: &str) -> String {
        let mask = mask.map_or_else(String::new, |mask| {
            format!(
                r#","anomaly-mask-ref":"{mask}","anomaly-mask-ref-metadata":{{"internal-color-map":{{{classes}}},"type":"groundtruth/semantic-segmentation"}}"#
            )
        });
        format!(
            r#"{{"source-ref":"{image}","anomaly-label":1,"anomaly-label-metadata":{{"class-name":"{class}","type":"groundtruth/image-classification"}}{mask}}}"#
        )
    }

    const CRACKED: &str = r##""0":{"class-name":"cracked","hex-color":"#23A436"}"##;
    const TWO: &str = r##""0":{"class-name":"BACKGROUND","hex-color":"#ffffff"},
        "1":{"class-name":"scratch","hex-color":"#2ca02c"},"2":{"class-name":"dent","hex-color":"#1f77b4"}"##;

    #[test]
    fn manifests_are_found_and_their_paths_looked_up() {
        let fixture = Fixture::new();
        for image in ["1", "2", "3 ü", "left"] {
            fixture.picture(&format!("files/images/{image}.jpg"), 4, 2);
        }
        let green = |index: u32| [35, 164, 54, [0, 127, 128, 255][index as usize % 4]];
        fixture.rgba("files/masks/1.png", 4, 2, green);
        fixture.mask("files/masks/left.png", 4, 2, 1);
        let lines = [
            line("images/1.jpg", "anomaly", Some("masks/1.png"), CRACKED),
            String::new(),
            line("s3://bucket/some/where/images/2.jpg", "normal", None, ""),
            line(
                "images/3 ü.jpg",
                "anomaly",
                Some("masks/3.png"),
                &TWO.replace('\n', ""),
            ),
            line("images/1.jpg", "anomaly", None, ""),
            line("s3://bucket/images/9.jpg", "anomaly", None, ""),
            line("../../etc/passwd", "anomaly", None, ""),
            r#"{"source-ref":"images/1.jpg"}"#.to_owned(),
            "not JSON".to_owned(),
        ];
        fixture.text("files/manifests/train.manifest", &lines.join("\n"));
        let dataset = fixture.read("lookout");
        let category = fixture.root().file_name().unwrap().to_str().unwrap();
        assert_eq!(
            summary(&dataset).replace(category, "SET"),
            "train SET cracked files/images/1.jpg files/masks/1.png
             train SET good files/images/2.jpg -
             train SET anomaly files/images/3 ü.jpg ?"
        );
        let kinds = dataset.problems.iter().map(|problem| match problem {
            Problem::MissingMask { expected, .. } => {
                assert_eq!(*expected, fixture.path("files/masks/3.png"));
                "mask"
            }
            Problem::DuplicateImage { line, .. } => {
                assert_eq!(*line, Some(5));
                "duplicate"
            }
            Problem::MissingImage { image, line, .. } => {
                let is_expected = *image == fixture.path("files/images/9.jpg");
                assert!(is_expected == (*line == Some(6)), "{image:?}");
                "image"
            }
            Problem::BadEntry { .. } => "entry",
            Problem::UnlistedImage { .. } => "unlisted",
            Problem::UnlistedMask { .. } => "unlisted mask",
            other => panic!("{other:?}"),
        });
        assert_eq!(
            kinds.collect::<Vec<_>>(),
            [
                "mask",
                "duplicate",
                "image",
                "image",
                "entry",
                "entry",
                "unlisted",
                "unlisted mask"
            ]
        );
        let mask = dataset.samples[0]
            .load_mask(4, 2, &DecodeOptions::default())
            .unwrap();
        assert_eq!(mask.pixels(), [0, 0, 255, 255, 0, 0, 255, 255]);
    }

    /// Masks come as palettes with transparent entries, with alpha, or opaque on a background.
    #[test]
    fn all_kinds_of_masks() {
        let fixture = Fixture::new();
        fixture.picture("1.jpg", 4, 1);
        let opaque = RgbImage::from_fn(4, 1, |x, _| {
            [[255, 255, 255], [44, 160, 44], [31, 119, 180], [0, 0, 0]][x as usize].into()
        });
        fixture.save("opaque.png", &opaque.into());
        let background = [
            [255, 255, 255, 255],
            [44, 160, 44, 255],
            [44, 160, 44, 9],
            [0, 0, 0, 255],
        ];
        fixture.rgba("background.png", 4, 1, |index| background[index as usize]);
        let grey = GrayImage::from_fn(4, 1, |x, _| Luma([[255, 0, 255, 128][x as usize]]));
        fixture.save("grey.png", &grey.into());
        std::fs::write(fixture.path("palette.png"), palette()).unwrap();
        for (mask, classes, expected) in [
            ("opaque.png", CRACKED, [0, 255, 255, 255]),
            (
                "opaque.png",
                &TWO.replace("ffffff", "000000"),
                [255, 255, 255, 0],
            ),
            ("background.png", TWO, [0, 255, 0, 255]),
            ("grey.png", CRACKED, [0, 255, 0, 255]),
            ("palette.png", CRACKED, [0, 0, 255, 255]),
        ] {
            let entry = line("1.jpg", "anomaly", Some(mask), &classes.replace('\n', ""));
            fixture.text("set.manifest", &entry);
            let options = Options {
                manifest: Some(fixture.path("set.manifest")),
                ..Options::default()
            };
            let dataset = fixture.read_with("lookout", &options);
            assert!(matches!(dataset.samples[0].mask, MaskSource::File { .. }));
            let found = dataset.samples[0]
                .load_mask(4, 1, &DecodeOptions::default())
                .unwrap();
            assert_eq!(found.pixels(), expected, "{mask}");
        }
    }

    /// A PNG of 4 × 1 pixels with a palette of four entries, whose alpha is 0, 127, 128 and (left
    /// out) 255. All have a colour. The image crate writes no palettes.
    fn palette() -> Vec<u8> {
        let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
        let mut chunk = |kind: &[u8; 4], data: &[u8]| {
            bytes.extend((data.len() as u32).to_be_bytes());
            let body = [kind.as_slice(), data].concat();
            let mut crc = u32::MAX;
            for &byte in &body {
                crc ^= u32::from(byte);
                for _ in 0..8 {
                    crc = if crc & 1 == 1 {
                        crc >> 1 ^ 0xEDB8_8320
                    } else {
                        crc >> 1
                    };
                }
            }
            bytes.extend(&body);
            bytes.extend((!crc).to_be_bytes());
        };
        chunk(b"IHDR", &[0, 0, 0, 4, 0, 0, 0, 1, 8, 3, 0, 0, 0]);
        chunk(b"PLTE", &[35, 164, 54, 35, 164, 54, 35, 164, 54, 0, 0, 0]);
        chunk(b"tRNS", &[0, 127, 128]);
        // One stored block of filter type 0 and the four indices, and its Adler-32 sum.
        let row = [0, 0, 1, 2, 3];
        let (mut low, mut high) = (1_u32, 0_u32);
        for byte in row {
            low += byte;
            high += low;
        }
        let mut data = vec![0x78, 0x01, 1, 5, 0, 250, 255];
        data.extend(row.map(|byte| byte as u8));
        data.extend((high << 16 | low).to_be_bytes());
        chunk(b"IDAT", &data);
        chunk(b"IEND", &[]);
        bytes
    }
}
