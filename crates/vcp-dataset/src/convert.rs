//! The tree and list of the official VCP-CLIP code
//! (<https://github.com/xiaozhen228/VCP-CLIP>, `dataset/make_dataset_new.py` and `make_meta.py`).

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{BufWriter, Error as IoError, Write};
use std::ops::ControlFlow;
use std::path::{Component, Path, PathBuf};

use image::codecs::{bmp::BmpEncoder, png::PngEncoder};
use image::{ExtendedColorType, ImageEncoder};
use rayon::prelude::*;
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::ser::PrettyFormatter;
use vcp_files::{Lock, UnfinishedFolder};
use vcp_image::{DecodeOptions, Photo};

use crate::{Dataset, Error, Label, MaskFinding, MaskFindings, MaskSource, Sample, Split};

/// What a conversion has written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Converted {
    /// The list, `meta_<name>.json`.
    pub list: PathBuf,
    /// The folder with the categories.
    pub folder: PathBuf,
    /// Number of images written.
    pub images: usize,
    /// What there is to say about the masks.
    pub findings: MaskFindings,
}

/// Writes the data set as the official code expects it: `out/<name>/<category>/{train,test}/
/// {good,anomaly}/*.bmp`, the masks as `out/<name>/<category>/ground_truth/anomaly/*.png` with 0 and
/// 255, and `out/meta_<name>.json`.
///
/// Names and order are those of the official scripts. The ids count over all images in the data set's
/// order, for each category training before test images: `visa_{stem}_{000000}.bmp` for a data set
/// named `visa`; for others `mvtec_{000000}.bmp` (training) and `mvtec_{defect}_{000000}.bmp`, with
/// the data set's name instead of `mvtec`. Validation and unassigned images go to the test split,
/// anomalous training images to `train/anomaly`, which the official scripts do not foresee.
///
/// `done` is called after each image, from any thread, and may end the work.
///
/// # Errors
/// Before anything is written: [`Error::Exists`], [`Error::Locked`], [`Error::UnsafeName`], and
/// [`Error::NoMask`] for an anomalous image without a mask. Later: [`Error::Stopped`] and what decoding
/// and writing may have, after which nothing is left behind.
pub fn convert_to_official(
    dataset: &Dataset,
    out: &Path,
    options: &DecodeOptions,
    done: &(dyn Fn() -> ControlFlow<()> + Sync),
) -> Result<Converted, Error> {
    check_name("data set", &dataset.name)?;
    let categories = dataset.categories();
    for category in &categories {
        check_name("category", category)?;
    }
    for sample in &dataset.samples {
        if sample.label == Label::Anomalous && sample.mask == MaskSource::Unknown {
            return Err(Error::NoMask {
                image: sample.image.clone(),
            });
        }
    }
    let folder = out.join(&dataset.name);
    let list = out.join(format!("meta_{}.json", dataset.name));
    let write_error = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Write { path, source }
    };
    fs::create_dir_all(out).map_err(write_error(out))?;
    let _lock = Lock::of_place(&folder)?;
    for path in [&folder, &list] {
        if path.symlink_metadata().is_ok() {
            return Err(Error::Exists { path: path.clone() });
        }
    }
    // Everything is written here first, and removed with it if anything fails.
    let unfinished = UnfinishedFolder::begin(out).map_err(write_error(out))?;
    let tree = Path::new(&dataset.name);
    let create = |below: &Path| {
        let created = unfinished.create(below);
        created.map_err(|source| write_error(&out.join(below))(source))
    };

    let plan = plan(dataset, &categories);
    for category in &categories {
        for name in [
            "train/good",
            "test/good",
            "test/anomaly",
            "ground_truth/anomaly",
        ] {
            create(&tree.join(category).join(name))?;
        }
    }
    for entry in plan.iter().filter(|entry| entry.phase() == Phase::Train) {
        let train = tree.join(&entry.sample.category).join("train");
        create(&train.join(entry.specie()))?;
    }
    let found: Vec<Vec<MaskFinding>> = plan
        .par_iter()
        .map(|entry| {
            let found = entry.write(unfinished.path(), &dataset.name, options)?;
            match done() {
                ControlFlow::Continue(()) => Ok(found),
                ControlFlow::Break(()) => Err(Error::Stopped),
            }
        })
        .collect::<Result<_, Error>>()?;
    let mut findings = MaskFindings::default();
    for finding in found.iter().flatten() {
        findings.add(finding);
    }
    // Whatever the data set is called, this is another name.
    let list_name = format!("{}.json", dataset.name);
    write_list(
        &unfinished.path().join(&list_name),
        dataset,
        &categories,
        &plan,
    )
    .map_err(write_error(&list))?;
    unfinished
        .move_out(&[(&dataset.name, &folder), (&list_name, &list)])
        .map_err(|(path, source)| write_error(path)(source))?;
    Ok(Converted {
        list,
        folder,
        images: plan.len(),
        findings,
    })
}

/// Names from data sets become folders: they must be a single ordinary part of a path.
fn check_name(what: &'static str, name: &str) -> Result<(), Error> {
    let mut parts = Path::new(name).components();
    let is_one_part = matches!(parts.next(), Some(Component::Normal(part)) if part == name)
        && parts.next().is_none();
    if is_one_part && !name.contains(['/', '\\', ':', '\0']) {
        Ok(())
    } else {
        Err(Error::UnsafeName {
            what,
            name: name.to_owned(),
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Train,
    Test,
}

impl Phase {
    fn of(split: Split) -> Self {
        match split {
            Split::Train => Self::Train,
            Split::Validation | Split::Test | Split::Unassigned => Self::Test,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Test => "test",
        }
    }
}

/// A sample and its new name.
struct Planned<'a> {
    sample: &'a Sample,
    /// Without ending.
    name: String,
}

fn plan<'a>(dataset: &'a Dataset, categories: &[String]) -> Vec<Planned<'a>> {
    let ranks: HashMap<&str, usize> = categories
        .iter()
        .enumerate()
        .map(|(rank, category)| (category.as_str(), rank))
        .collect();
    let mut samples: Vec<&Sample> = dataset.samples.iter().collect();
    // Stable: within a category and phase the data set's order counts.
    samples.sort_by_key(|sample| {
        let rank = ranks.get(sample.category.as_str()).copied();
        (rank, Phase::of(sample.split))
    });
    let set = &dataset.name;
    let name = |(id, sample): (usize, &Sample)| {
        if set == "visa" {
            let file = sample
                .image
                .file_name()
                .unwrap_or_default()
                .to_string_lossy();
            // As the official script has it: up to the first dot.
            let stem = file.split('.').next().unwrap_or_default();
            format!("{set}_{}_{id:06}", part_of_name(stem))
        } else if Phase::of(sample.split) == Phase::Train && sample.label == Label::Normal {
            format!("{set}_{id:06}")
        } else {
            format!("{set}_{}_{id:06}", part_of_name(&sample.defect))
        }
    };
    let samples = samples.into_iter().enumerate();
    samples
        .map(|(id, sample)| Planned {
            sample,
            name: name((id, sample)),
        })
        .collect()
}

/// Text from a data set as part of a file's name, which file systems give 255 bytes. The id beside it
/// keeps names apart.
fn part_of_name(text: &str) -> String {
    const LONGEST: usize = 120;
    text.char_indices()
        .take_while(|(at, letter)| at + letter.len_utf8() <= LONGEST)
        .map(|(_, letter)| {
            if letter.is_control() || r#"/\:*?"<>|"#.contains(letter) {
                '-'
            } else {
                letter
            }
        })
        .collect()
}

impl Planned<'_> {
    fn phase(&self) -> Phase {
        Phase::of(self.sample.split)
    }

    fn specie(&self) -> &'static str {
        match self.sample.label {
            Label::Normal => "good",
            Label::Anomalous => "anomaly",
        }
    }

    /// Below the folder of the list, with `/` on every system.
    fn image(&self, set: &str) -> String {
        let (category, phase) = (&self.sample.category, self.phase().as_str());
        format!(
            "{set}/{category}/{phase}/{}/{}.bmp",
            self.specie(),
            self.name
        )
    }

    fn mask(&self, set: &str) -> String {
        match self.sample.label {
            Label::Normal => String::new(),
            Label::Anomalous => {
                let category = &self.sample.category;
                format!("{set}/{category}/ground_truth/anomaly/{}.png", self.name)
            }
        }
    }

    /// Gives back what there is to say about the mask.
    fn write(
        &self,
        below: &Path,
        set: &str,
        options: &DecodeOptions,
    ) -> Result<Vec<MaskFinding>, Error> {
        let mut findings = Vec::new();
        let photo = self.sample.load_image(options)?;
        let (width, height) = (photo.width(), photo.height());
        let place = below.join(self.image(set));
        write_picture(&place, &photo.to_rgb(), |writer, photo, width, height| {
            BmpEncoder::new(writer).write_image(
                photo.pixels(),
                width,
                height,
                ExtendedColorType::Rgb8,
            )
        })?;
        if self.sample.label == Label::Anomalous {
            let mask = self.sample.read_mask(width, height, options)?;
            findings = mask.findings().to_vec();
            let mask = mask.fitted();
            let place = below.join(self.mask(set));
            write_picture(&place, &mask, |writer, photo, width, height| {
                PngEncoder::new(writer).write_image(
                    photo.pixels(),
                    width,
                    height,
                    ExtendedColorType::L8,
                )
            })?;
        }
        Ok(findings)
    }
}

fn write_picture(
    place: &Path,
    photo: &Photo,
    encode: impl Fn(&mut BufWriter<File>, &Photo, u32, u32) -> image::ImageResult<()>,
) -> Result<(), Error> {
    let write = || {
        let side = |pixels: usize| u32::try_from(pixels).map_err(IoError::other);
        // Never over another one: names that differ only in case are one name on some systems.
        let mut writer = BufWriter::new(File::create_new(place)?);
        encode(
            &mut writer,
            photo,
            side(photo.width())?,
            side(photo.height())?,
        )
        .map_err(IoError::other)?;
        writer.flush()
    };
    write().map_err(|source| Error::Write {
        path: place.to_owned(),
        source,
    })
}

/// An entry of the list, with its keys in the official order.
#[derive(Serialize)]
struct Entry<'a> {
    img_path: String,
    mask_path: String,
    cls_name: &'a str,
    specie_name: &'a str,
    dataset_name: &'a str,
    anomaly: u8,
}

/// An object with its keys in this order.
struct Ordered<'a, T>(Vec<(&'a str, T)>);

impl<T: Serialize> Serialize for Ordered<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

fn write_list(
    place: &Path,
    dataset: &Dataset,
    categories: &[String],
    plan: &[Planned<'_>],
) -> Result<(), IoError> {
    let set = dataset.name.as_str();
    let dataset_name = set.split('_').next().unwrap_or_default();
    // As the official script walks through the folders: types sorted, then names sorted.
    let mut entries: BTreeMap<(Phase, &str), Vec<&Planned<'_>>> = BTreeMap::new();
    for entry in plan {
        let key = (entry.phase(), entry.sample.category.as_str());
        entries.entry(key).or_default().push(entry);
    }
    for group in entries.values_mut() {
        group.sort_by(|a, b| (a.specie(), &a.name).cmp(&(b.specie(), &b.name)));
    }
    let phase = |phase: Phase| {
        let lists = categories.iter().map(|category| {
            let group = entries
                .get(&(phase, category))
                .map_or(&[][..], Vec::as_slice);
            let mut list: Vec<Entry<'_>> = group
                .iter()
                .map(|entry| Entry {
                    img_path: entry.image(set),
                    mask_path: entry.mask(set),
                    cls_name: category,
                    specie_name: entry.specie(),
                    dataset_name,
                    anomaly: u8::from(entry.sample.label == Label::Anomalous),
                })
                .collect();
            let has_good = list.iter().any(|entry| entry.anomaly == 0);
            if phase == Phase::Train && !has_good {
                // The script's mark for an empty folder.
                list.push(Entry {
                    img_path: String::new(),
                    mask_path: String::new(),
                    cls_name: category,
                    specie_name: "good",
                    dataset_name: "",
                    anomaly: 0,
                });
            }
            (category.as_str(), list)
        });
        Ordered(lists.collect())
    };
    let phases = Ordered(vec![
        ("train", phase(Phase::Train)),
        ("test", phase(Phase::Test)),
    ]);
    let mut writer = BufWriter::new(File::create_new(place)?);
    let formatter = PrettyFormatter::with_indent(b"    ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut writer, formatter);
    phases.serialize(&mut serializer).map_err(IoError::other)?;
    writer.write_all(b"\n")?;
    writer.flush()
}
