//! What was chosen for a model while it was served, kept beside the history so that it holds after a restart.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use vcp_clip::calibration::CalibrationDocument;
use vcp_files::{Durability, UnfinishedFolder};

/// How folders with reference photos begin.
const REFERENCES: &str = "references-";

/// The folder in which reference photos are gathered.
pub(crate) const PHOTOS: &str = "photos";

/// Longest calibration that is read.
const MAX_CALIBRATION_BYTES: u64 = 1 << 20;

/// The folder of one model.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    folder: PathBuf,
}

impl Kept {
    /// That of the model of this name, below the folder of the history.
    pub(crate) fn of(history: &Path, name: &str) -> Self {
        Self {
            folder: history.join("models").join(name),
        }
    }

    fn calibration_file(&self) -> PathBuf {
        self.folder.join("calibration.json")
    }

    /// The calibration that was accepted last.
    pub(crate) fn calibration(&self) -> io::Result<Option<CalibrationDocument>> {
        let file = self.calibration_file();
        if !file.exists() {
            return Ok(None);
        }
        let text = vcp_files::read_at_most(&file, MAX_CALIBRATION_BYTES)?;
        Ok(Some(serde_json::from_slice(&text.unwrap_or_default())?))
    }

    pub(crate) fn keep_calibration(&self, document: &CalibrationDocument) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let text = serde_json::to_string_pretty(document)?;
        let write = |file: &mut vcp_files::Writer<'_>| writeln!(file, "{text}");
        vcp_files::write(&self.calibration_file(), Durability::Synced, write)
    }

    /// A folder to gather reference photos in.
    pub(crate) fn begin_references(&self) -> io::Result<UnfinishedFolder> {
        fs::create_dir_all(&self.folder)?;
        UnfinishedFolder::begin(&self.folder)
    }

    /// Keeps the photos that were gathered in the place of what was kept before.
    pub(crate) fn keep_references(
        &self,
        gathered: &UnfinishedFolder,
        identifier: &str,
    ) -> io::Result<()> {
        let place = self.folder.join(format!("{REFERENCES}{identifier}"));
        let moved = gathered.move_out(&[(PHOTOS, &place)]);
        moved.map_err(|(_, error)| error)?;
        // The newest counts; should this end early, the others are removed when it is read.
        self.remove_references_but(Some(&place))
    }

    /// Reference photos, in their order; none if there are none.
    pub(crate) fn references(&self) -> io::Result<Option<Vec<PathBuf>>> {
        let folders = self.reference_folders()?;
        let Some(newest) = folders.last() else {
            return Ok(None);
        };
        self.remove_references_but(Some(newest))?;
        let files = fs::read_dir(newest)?.map(|entry| Ok(entry?.path()));
        let mut files = files.collect::<io::Result<Vec<_>>>()?;
        files.sort();
        Ok(Some(files))
    }

    pub(crate) fn remove_references(&self) -> io::Result<()> {
        self.remove_references_but(None)
    }

    fn remove_references_but(&self, kept: Option<&Path>) -> io::Result<()> {
        for folder in self.reference_folders()? {
            if kept != Some(&folder) {
                fs::remove_dir_all(folder)?;
            }
        }
        Ok(())
    }

    /// The oldest first.
    fn reference_folders(&self) -> io::Result<Vec<PathBuf>> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut folders = Vec::new();
        for entry in entries {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(REFERENCES) {
                folders.push(entry.path());
            }
        }
        folders.sort();
        Ok(folders)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_references_count() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::of(folder.path(), "built-in");
        assert_eq!(kept.references().unwrap(), None);
        for (identifier, photo) in [("01", "a.png"), ("02", "b.png")] {
            let gathered = kept.begin_references().unwrap();
            gathered.create(PHOTOS).unwrap();
            fs::write(gathered.path().join(PHOTOS).join(photo), "x").unwrap();
            kept.keep_references(&gathered, identifier).unwrap();
        }
        let found = kept.references().unwrap().unwrap();
        assert_eq!(found.len(), 1);
        assert!(found[0].ends_with("references-02/b.png"), "{found:?}");
        assert_eq!(kept.reference_folders().unwrap().len(), 1);
        kept.remove_references().unwrap();
        assert_eq!(kept.references().unwrap(), None);
    }

    #[test]
    fn what_is_no_calibration_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::of(folder.path(), "built-in");
        assert_eq!(kept.calibration().unwrap(), None);
        fs::create_dir_all(&kept.folder).unwrap();
        fs::write(kept.calibration_file(), "{").unwrap();
        assert!(kept.calibration().is_err());
    }
}
