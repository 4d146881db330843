//! Files written for each photo.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::Serialize;
use vcp_files::ResultNames;
use vcp_image::MapRows;
use vcp_predict::tiling::MapKind;

use super::Scale;
use super::looked::Looked;
use crate::args::Save;
use crate::files::{with_suffix, write_npy, write_npy_rows, write_picture, write_whole};
use crate::pipeline::Segmented;

/// How the names of our pictures end.
pub(crate) const PICTURE_SUFFIXES: [&str; 3] = [OVERLAY, HEATMAP, MASK];

const OVERLAY: &str = ".overlay.png";
const HEATMAP: &str = ".heatmap.png";
const MASK: &str = ".mask.png";
const JSON: &str = ".json";

/// How a record begins.
const RECORD: &[u8] = br#"{"path":"#;

/// What to write and where.
#[derive(Debug)]
pub(crate) struct Saving {
    pub(crate) folder: PathBuf,
    pub(crate) kinds: Vec<Save>,
}

/// The files written for one photo, as they stand in its result.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Files {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) overlay: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) heatmap: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mask: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) map: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) branch1: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) branch2: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) json: Option<String>,
}

impl Saving {
    /// The name, still without ending, of the results of a photo.
    pub(crate) fn claim(&self, names: &mut ResultNames, relative: &Path) -> PathBuf {
        self.folder.join(names.claim(relative))
    }

    /// Writes everything but the JSON file, which tells of the others, and says what that one will
    /// be called.
    pub(crate) fn save(
        &self,
        photo: &Path,
        base: &Path,
        looked: &Looked,
        map: &dyn MapRows,
        scale: Scale,
    ) -> anyhow::Result<Files> {
        if let Some(folder) = base.parent() {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("The folder {} cannot be created", folder.display()))?;
        }
        self.check_places(photo, base)?;
        let picture = |suffix, draw: &dyn Fn() -> vcp_image::Picture| {
            let path = with_suffix(base, suffix);
            write_picture(&path, &draw())?;
            anyhow::Ok(Some(path.display().to_string()))
        };
        let mut files = Files::default();
        for kind in &self.kinds {
            match kind {
                Save::Overlay => {
                    let photo = looked.photo()?;
                    files.overlay = picture(OVERLAY, &|| {
                        vcp_image::overlay(&photo, map, scale.range, scale.pixel)
                    })?;
                }
                Save::Heatmap => {
                    files.heatmap = picture(HEATMAP, &|| vcp_image::heatmap(map, scale.range))?;
                }
                Save::Mask => {
                    files.mask = picture(MASK, &|| vcp_image::mask_picture(map, scale.pixel))?;
                }
                Save::Npy => {
                    let [map, branch1, branch2] = save_arrays(base, looked, map)?.map(Some);
                    (files.map, files.branch1, files.branch2) = (map, branch1, branch2);
                }
                Save::Json => {
                    files.json = Some(with_suffix(base, JSON).display().to_string());
                }
            }
        }
        Ok(files)
    }

    /// Refuses to replace a file that lies beside the photo and that this program has not written:
    /// it is a person's own mask or annotation.
    fn check_places(&self, photo: &Path, base: &Path) -> anyhow::Result<()> {
        let folder = |path: &Path| path.parent().map(Path::to_owned).unwrap_or_default();
        // An empty path is the current folder.
        let real = |path: &Path| folder(path).join(".").canonicalize().ok();
        if real(photo) != real(base) {
            return Ok(());
        }
        for kind in &self.kinds {
            let suffix = match kind {
                Save::Overlay => OVERLAY,
                Save::Heatmap => HEATMAP,
                Save::Mask => MASK,
                Save::Json => JSON,
                // No other program uses these names.
                Save::Npy => continue,
            };
            let path = with_suffix(base, suffix);
            if path.exists() && !is_ours(&path, *kind) {
                bail!(
                    "{} lies beside the photo and vcp-clip has not written it, so it is not \
                     replaced; name another folder with --out.",
                    path.display()
                );
            }
        }
        Ok(())
    }

    /// Writes the JSON file, if it was asked for.
    pub(crate) fn save_json(&self, base: &Path, line: &str) -> anyhow::Result<()> {
        if !self.kinds.contains(&Save::Json) {
            return Ok(());
        }
        let path = with_suffix(base, JSON);
        write_whole(&path, |file| writeln!(file, "{line}"))
            .with_context(|| format!("{} cannot be written", path.display()))
    }
}

/// Whether a file begins as those that are written here.
fn is_ours(path: &Path, kind: Save) -> bool {
    let Ok(mut file) = File::open(path) else {
        return false;
    };
    match kind {
        Save::Json => {
            let mut start = [0; RECORD.len()];
            file.read_exact(&mut start).is_ok() && start == RECORD
        }
        _ => vcp_image::is_own_png(file).unwrap_or(false),
    }
}

/// Writes the map and those of the branches: in the model's size if the photo was seen whole, else
/// in the photo's, in which alone the windows meet.
fn save_arrays(base: &Path, looked: &Looked, map: &dyn MapRows) -> anyhow::Result<[String; 3]> {
    let paths = [".map.npy", ".branch1.npy", ".branch2.npy"].map(|end| with_suffix(base, end));
    let [blended, branch1, branch2] = &paths;
    let written = |path: &Path, outcome: std::io::Result<()>| {
        outcome.with_context(|| format!("{} cannot be written", path.display()))
    };
    match looked {
        Looked::Whole(Segmented { prediction, .. }) => {
            let side = prediction.side;
            written(blended, write_npy(blended, &prediction.blended, side))?;
            written(branch1, write_npy(branch1, &prediction.branch1, side))?;
            written(branch2, write_npy(branch2, &prediction.branch2, side))?;
        }
        Looked::Tiled(seen) => {
            // One after the other: each holds a row of windows while it is read.
            let write = |path: &Path, kind| written(path, write_npy_rows(path, &seen.map(kind)));
            written(blended, write_npy_rows(blended, map))?;
            write(branch1, MapKind::Branch1)?;
            write(branch2, MapKind::Branch2)?;
        }
    }
    Ok(paths.map(|path| path.display().to_string()))
}
