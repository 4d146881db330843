//! Files written for each photo.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Instant;

use vcp_files::{ResultNames, with_suffix, write_result};
use vcp_image::{Picture, Warning};
use vcp_predict::tiling::MapKind;

use crate::error::Error;
use crate::files::{HEATMAP, MASK, OVERLAY, write_npy, write_npy_rows, write_picture};
use crate::inspection::Inspection;
use crate::pipeline::Item;
use crate::record::{FailureRecord, Files, Line, Record};

const JSON: &str = ".json";

/// How a record begins.
const RECORD: &[u8] = br#"{"path":"#;

/// A kind of file that can be written for a photo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResultKind {
    /// NAME.overlay.png: the photo, the map over it and the contours of the regions.
    Overlay,
    /// NAME.heatmap.png: the map in colours.
    Heatmap,
    /// NAME.mask.png: white where the map reaches the pixel threshold.
    Mask,
    /// NAME.map.npy, NAME.branch1.npy and NAME.branch2.npy: the maps as 32-bit floats, at the model's image
    /// size, or at the photo's resolution if photos are processed in windows.
    Npy,
    /// NAME.json: the record.
    Json,
}

/// What became of a photo: its line, and what should be said of how it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Finished {
    /// The line that is printed.
    pub line: Line,
    /// Warnings that hold for this photo rather than for the whole run.
    pub notes: Vec<Warning>,
}

/// Writes the files of a photo, if there is a folder for them, and makes its record. `names` are those of the
/// photos before it; `to_json` makes the line of JSON that is stored with [`ResultKind::Json`].
pub fn finish(
    item: Item<Inspection>,
    results: Option<&ResultFolder>,
    names: &mut ResultNames,
    to_json: impl FnOnce(&Record) -> String,
) -> Finished {
    let Item {
        photo,
        outcome,
        spent,
    } = item;
    let path = photo.path.display().to_string();
    // Also of a photo that failed, so that the names of others do not depend on it.
    let base = results.map(|results| results.claim(names, &photo.relative));
    let begun = Instant::now();
    let mut notes = Vec::new();
    let record = outcome.and_then(|inspection| {
        let mut record = inspection.record(&path);
        record.page = photo.page;
        let saving = results.zip(base.as_deref());
        if let Some((results, base)) = saving {
            record.files = results.save(&photo.path, base, &inspection)?;
        }
        let milliseconds = (spent + begun.elapsed()).as_secs_f64() * 1e3;
        record.milliseconds = (milliseconds * 10.0).round() / 10.0;
        if let Some((results, base)) = saving {
            results.save_record(base, &to_json(&record))?;
        }
        let warnings = inspection.warnings().iter();
        notes.extend(warnings.filter(|it| !it.is_of_the_run()).cloned());
        Ok(record)
    });
    let line = match record {
        Ok(record) => Line::Done(Box::new(record)),
        Err(error) => Line::Failed(FailureRecord::new(path, photo.page, &error)),
    };
    Finished { line, notes }
}

/// Where results go, and which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultFolder {
    /// The folder.
    pub folder: PathBuf,
    /// What is written for each photo.
    pub kinds: Vec<ResultKind>,
}

impl ResultFolder {
    /// The path, still without ending, of the results of a photo with this place below the folder.
    pub fn claim(&self, names: &mut ResultNames, relative: &Path) -> PathBuf {
        self.folder.join(names.claim(relative))
    }

    /// Writes everything but the record, which tells of the others, and says what that one will be called.
    /// `photo` is the photo's own path and `base` what [`ResultFolder::claim`] gave. Each file appears whole
    /// or not at all.
    ///
    /// # Errors
    /// When a file cannot be written, or one lies in its place that belongs to the photo's owner.
    pub fn save(&self, photo: &Path, base: &Path, inspection: &Inspection) -> Result<Files, Error> {
        if let Some(folder) = base.parent() {
            std::fs::create_dir_all(folder).map_err(|source| Error::Folder {
                path: folder.to_owned(),
                source,
            })?;
        }
        self.check_places(photo, base)?;
        let write = |suffix, picture: &Picture| {
            let path = with_suffix(base, suffix);
            write_picture(&path, picture)
                .map_err(cannot_write(&path))
                .map(|()| Some(path.display().to_string()))
        };
        let mut files = Files::default();
        for kind in &self.kinds {
            match kind {
                ResultKind::Overlay => files.overlay = write(OVERLAY, &inspection.overlay()?)?,
                ResultKind::Heatmap => files.heatmap = write(HEATMAP, &inspection.heatmap())?,
                ResultKind::Mask => files.mask = write(MASK, &inspection.mask())?,
                ResultKind::Npy => {
                    let [map, branch1, branch2] = save_arrays(base, inspection)?.map(Some);
                    (files.map, files.branch1, files.branch2) = (map, branch1, branch2);
                }
                ResultKind::Json => {
                    files.json = Some(with_suffix(base, JSON).display().to_string());
                }
            }
        }
        Ok(files)
    }

    /// Writes the record, one line of JSON, if it is wanted.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save_record(&self, base: &Path, line: &str) -> Result<(), Error> {
        if !self.kinds.contains(&ResultKind::Json) {
            return Ok(());
        }
        let path = with_suffix(base, JSON);
        write_result(&path, |file| writeln!(file, "{line}")).map_err(cannot_write(&path))
    }

    /// Refuses to replace a file that lies beside the photo and that this program has not written:
    /// it is a person's own mask or annotation.
    fn check_places(&self, photo: &Path, base: &Path) -> Result<(), Error> {
        let folder = |path: &Path| path.parent().map(Path::to_owned).unwrap_or_default();
        // An empty path is the current folder.
        let real = |path: &Path| folder(path).join(".").canonicalize().ok();
        if real(photo) != real(base) {
            return Ok(());
        }
        for kind in &self.kinds {
            let suffix = match kind {
                ResultKind::Overlay => OVERLAY,
                ResultKind::Heatmap => HEATMAP,
                ResultKind::Mask => MASK,
                ResultKind::Json => JSON,
                // No other program uses these names.
                ResultKind::Npy => continue,
            };
            let path = with_suffix(base, suffix);
            if path.exists() && !is_ours(&path, *kind) {
                return Err(Error::ForeignFile { path });
            }
        }
        Ok(())
    }
}

fn cannot_write(path: &Path) -> impl FnOnce(std::io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |source| Error::Write { path, source }
}

/// Whether a file begins as those that are written here.
fn is_ours(path: &Path, kind: ResultKind) -> bool {
    let Ok(mut file) = File::open(path) else {
        return false;
    };
    match kind {
        ResultKind::Json => {
            let mut start = [0; RECORD.len()];
            file.read_exact(&mut start).is_ok() && start == RECORD
        }
        _ => vcp_image::is_own_png(file).unwrap_or(false),
    }
}

/// Writes the map and those of the branches: in the model's size if photos are processed whole, else
/// in the photo's, in which alone the windows meet.
fn save_arrays(base: &Path, inspection: &Inspection) -> Result<[String; 3], Error> {
    let kinds = [
        (".map.npy", MapKind::Blended),
        (".branch1.npy", MapKind::Branch1),
        (".branch2.npy", MapKind::Branch2),
    ];
    let mut written = [const { String::new() }; 3];
    // One after the other: each map of windows holds a row of them while it is read.
    for (place, (suffix, kind)) in written.iter_mut().zip(kinds) {
        let path = with_suffix(base, suffix);
        let outcome = match inspection.whole_map(kind) {
            Some(map) => write_npy(&path, &map, inspection.image_size()),
            None => write_npy_rows(&path, &*inspection.map_of(kind)),
        };
        outcome.map_err(cannot_write(&path))?;
        *place = path.display().to_string();
    }
    Ok(written)
}
