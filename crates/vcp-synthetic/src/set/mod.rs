//! Synthetic images as a data set on the disk, for looking at and for other programs.

mod sheet;

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use rayon::prelude::*;
use vcp_files::{Lock, UnfinishedFolder};
use vcp_image::{Photo, Picture};

use crate::{Error, Synthetic, sample};

/// A data set of synthetic images: which ones, and how large.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntheticSet {
    /// Number of images of the set.
    pub count: usize,
    /// Width and height of each image in pixels.
    pub size: usize,
    /// The first image's seed; each further image has the next one.
    pub seed: u64,
    /// Whether to draw the first of them on one picture, `sheet.png`, with lines around defects.
    pub sheet: bool,
}

/// What [`SyntheticSet::write`] has written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SyntheticCounts {
    /// Images without a defect.
    pub clean: usize,
    /// Images with at least one.
    pub defective: usize,
}

/// The data set within the unfinished folder.
const ROOT: &str = "set";
/// The only category.
const CATEGORY: &str = "synthetic";
/// The list of all images with their seeds and what they show.
const LIST: &str = "images.csv";
/// Images of more than one kind of defect.
const SEVERAL: &str = "several";

/// What is written about an image beside itself.
struct Entry {
    /// Below the data set's folder, with `/` on every system.
    image: String,
    seed: u64,
    what: String,
    is_clean: bool,
}

impl SyntheticSet {
    /// Writes the data set as a new folder `out`, laid out like MVTec-AD (layout `mvtec`), all in the
    /// split `test` of the category `synthetic`: the kinds of defects are its types. Beside it,
    /// `images.csv` says of each image its seed and what it shows.
    ///
    /// The images are made by rayon's threads; the files do not depend on how many there are. `done`
    /// is called after each image, from any thread, and may end the work.
    ///
    /// # Errors
    /// [`Error::Exists`] if there is something at `out`, [`Error::Locked`] if there is about to be.
    /// Later [`Error::Stopped`] and what writing may have, after which nothing is left behind.
    pub fn write(
        &self,
        out: &Path,
        done: &(dyn Fn() -> ControlFlow<()> + Sync),
    ) -> Result<SyntheticCounts, Error> {
        let beside = match out.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        fs::create_dir_all(beside).map_err(write_error(beside))?;
        let _lock = Lock::of_place(out)?;
        if out.symlink_metadata().is_ok() {
            return Err(Error::Exists {
                path: out.to_owned(),
            });
        }
        // Everything is written here first, and removed with it if anything fails.
        let unfinished = UnfinishedFolder::begin(beside).map_err(write_error(beside))?;
        let good = Path::new(ROOT).join(CATEGORY).join("test").join("good");
        unfinished.create(good).map_err(write_error(out))?;
        let root = unfinished.path().join(ROOT);

        let entries = (0..self.count).into_par_iter().map(|index| {
            let entry = self.write_image(&unfinished, index)?;
            match done() {
                ControlFlow::Continue(()) => Ok(entry),
                ControlFlow::Break(()) => Err(Error::Stopped),
            }
        });
        let entries = entries.collect::<Result<Vec<Entry>, Error>>()?;
        let list = root.join(LIST);
        write_list(&list, &entries).map_err(|error| Error::Write {
            path: out.join(LIST),
            source: error.into(),
        })?;
        if self.sheet && self.count > 0 {
            let made = (0..self.count.min(sheet::MOST)).into_par_iter();
            let tiles: Vec<Photo> = made
                .map(|index| sheet::tile(&sample(self.seed_of(index), self.size)))
                .collect();
            Picture::from(sheet::sheet(&tiles)).write_png(&root.join("sheet.png"))?;
        }
        unfinished
            .move_out(&[(ROOT, out)])
            .map_err(|(path, source)| write_error(path)(source))?;
        let clean = entries.iter().filter(|entry| entry.is_clean).count();
        Ok(SyntheticCounts {
            clean,
            defective: entries.len() - clean,
        })
    }

    fn seed_of(&self, index: usize) -> u64 {
        self.seed.wrapping_add(index as u64)
    }

    fn write_image(&self, unfinished: &UnfinishedFolder, index: usize) -> Result<Entry, Error> {
        let seed = self.seed_of(index);
        let made = sample(seed, self.size);
        let folder = folder_of(&made);
        let image = format!("{CATEGORY}/test/{folder}/{index:06}.png");
        write_picture(unfinished, &image, made.image.clone())?;
        if !made.is_clean() {
            let mask = format!("{CATEGORY}/ground_truth/{folder}/{index:06}_mask.png");
            write_picture(unfinished, &mask, mask_of(&made)?)?;
        }
        Ok(Entry {
            image,
            seed,
            is_clean: made.is_clean(),
            what: made.what,
        })
    }
}

/// The type under which an image is filed.
fn folder_of(made: &Synthetic) -> String {
    let Some(&first) = made.defects.first() else {
        return "good".to_owned();
    };
    if made.defects.iter().any(|other| *other != first) {
        return SEVERAL.to_owned();
    }
    first.replace(|letter: char| !letter.is_ascii_alphanumeric(), "_")
}

fn mask_of(made: &Synthetic) -> Result<Photo, Error> {
    let (width, height) = (made.image.width(), made.image.height());
    Ok(Photo::from_grey(width, height, made.mask.clone())?)
}

fn write_picture(unfinished: &UnfinishedFolder, name: &str, photo: Photo) -> Result<(), Error> {
    let below = Path::new(ROOT).join(name);
    if let Some(folder) = below.parent() {
        unfinished.create(folder).map_err(write_error(folder))?;
    }
    Ok(Picture::from(photo).write_png(&unfinished.path().join(below))?)
}

fn write_list(path: &Path, entries: &[Entry]) -> Result<(), csv::Error> {
    let mut list = csv::Writer::from_path(path)?;
    list.write_record(["image", "seed", "shows"])?;
    for entry in entries {
        list.write_record([&entry.image, &entry.seed.to_string(), &entry.what])?;
    }
    list.flush()?;
    Ok(())
}

fn write_error(path: &Path) -> impl FnOnce(std::io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |source| Error::Write { path, source }
}

#[cfg(test)]
mod tests;
