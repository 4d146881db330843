//! Where photos go when they have been done with.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use vcp_clip::Decision;

use crate::Error;
use crate::moving::move_new;

/// How a photo came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// With the decision ok.
    Ok,
    /// With the decision review.
    Review,
    /// With the decision defect.
    Defect,
    /// Without a decision, because the photo cannot be read or inspected.
    Failed,
}

impl Outcome {
    /// That of a word.
    pub(crate) fn of(word: &str) -> Option<Self> {
        let all = [Self::Ok, Self::Review, Self::Defect, Self::Failed];
        all.into_iter().find(|outcome| outcome.word() == word)
    }

    /// Its word: `ok`, `review`, `defect` or `failed`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Review => "review",
            Self::Defect => "defect",
            Self::Failed => "failed",
        }
    }
}

impl From<Decision> for Outcome {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::Ok => Self::Ok,
            Decision::Review => Self::Review,
            Decision::Defect => Self::Defect,
        }
    }
}

/// The folders that photos are moved to, by how they came out; those that have none stay.
pub type MoveFolders = BTreeMap<Outcome, PathBuf>;

/// Creates the folders, and gives their real paths: what lies in them is not watched.
pub(crate) fn create_folders(folders: &MoveFolders, watched: &Path) -> Result<MoveFolders, Error> {
    let mut real = MoveFolders::new();
    for (outcome, folder) in folders {
        let fail = |source| Error::MoveFolder {
            folder: folder.clone(),
            source,
        };
        let create = || {
            fs::create_dir_all(folder)?;
            let path = folder.canonicalize()?;
            if watched.starts_with(&path) {
                return Err(io::Error::other(
                    "it is or holds the folder that is watched; name one in it or elsewhere",
                ));
            }
            vcp_files::try_folder(&path)?;
            Ok(path)
        };
        real.insert(*outcome, create().map_err(fail)?);
    }
    Ok(real)
}

/// Moves a photo to its place below a folder, with the folders that it has below the watched one; nothing is replaced:
/// where its name is taken, a number is added to it, but if the same content is there already, which a process that
/// was killed has copied, the photo is only removed. Gives the new place.
pub(crate) fn move_photo(photo: &Path, relative: &Path, folder: &Path) -> io::Result<PathBuf> {
    let wanted = folder.join(relative);
    if let Some(folder) = wanted.parent() {
        fs::create_dir_all(folder)?;
    }
    loop {
        let (last, free) = free_place(&wanted)?;
        // Of a copy, the name is the last that was given.
        for taken in last.iter().chain(last.is_some().then_some(&wanted)) {
            if is_copy(photo, taken)? {
                fs::remove_file(photo)?;
                return Ok(taken.clone());
            }
        }
        match move_new(photo, &free) {
            // Another was quicker.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            outcome => return outcome.map(|()| free),
        }
    }
}

/// The first free name of those that a photo may have, and the taken one before it, if there is one. There may be
/// thousands of the same, as of a camera that gives each photo one name, so not all of them are tried; of names that are
/// free amid others, any may be found.
fn free_place(wanted: &Path) -> io::Result<(Option<PathBuf>, PathBuf)> {
    let named = |number: usize| match number {
        1 => wanted.to_owned(),
        number => numbered(wanted, number),
    };
    let is_taken = |number| match fs::symlink_metadata(named(number)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        outcome => outcome.map(|_| true),
    };
    let mut free = 1;
    while is_taken(free)? {
        free *= 2;
    }
    // All up to half of it are taken, or at least that one.
    let mut taken = free / 2;
    while free - taken > 1 {
        let middle = usize::midpoint(taken, free);
        if is_taken(middle)? {
            taken = middle;
        } else {
            free = middle;
        }
    }
    Ok(((taken > 0).then(|| named(taken)), named(free)))
}

fn is_copy(one: &Path, other: &Path) -> io::Result<bool> {
    let (of_one, of_other) = (fs::metadata(one)?, fs::metadata(other)?);
    // A link to the photo itself is no copy.
    if !of_other.is_file()
        || of_one.len() != of_other.len()
        || one.canonicalize()? == other.canonicalize()?
    {
        return Ok(false);
    }
    // The time is copied too, so that equal photos of different times both stay.
    if of_one.modified().ok() != of_other.modified().ok() {
        return Ok(false);
    }
    Ok(vcp_files::sha256_of_file(one)? == vcp_files::sha256_of_file(other)?)
}

/// `x/a.png` and 2 make `x/a-2.png`.
fn numbered(path: &Path, number: usize) -> PathBuf {
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{number}"));
    if let Some(ending) = path.extension() {
        name.push(".");
        name.push(ending);
    }
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn photos_keep_their_place_and_replace_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let to = at("ok");
        for (content, expected) in [
            ("one", "x/a.b.png"),
            ("two", "x/a.b-2.png"),
            ("three", "x/a.b-3.png"),
        ] {
            fs::write(at("a.png"), content).unwrap();
            let place = move_photo(&at("a.png"), Path::new("x/a.b.png"), &to).unwrap();
            assert_eq!(place, to.join(expected));
            assert_eq!(fs::read_to_string(place).unwrap(), content);
            assert!(!at("a.png").exists());
        }
        // What a killed process has copied.
        fs::write(at("a.png"), "four").unwrap();
        fs::copy(at("a.png"), to.join("a.png")).unwrap();
        let changed = fs::metadata(at("a.png")).unwrap().modified().unwrap();
        let copy = fs::File::options()
            .write(true)
            .open(to.join("a.png"))
            .unwrap();
        copy.set_modified(changed).unwrap();
        let place = move_photo(&at("a.png"), Path::new("a.png"), &to).unwrap();
        assert_eq!(place, to.join("a.png"));
        assert!(!at("a.png").exists() && place.exists());
    }

    #[test]
    fn many_of_one_name_are_told_apart() {
        const COPIES: usize = 300;
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let wanted = at("ok/a.png");
        fs::create_dir(at("ok")).unwrap();
        for number in 1..=COPIES {
            assert_eq!(free_place(&wanted).unwrap().1, {
                let name = if number == 1 {
                    "ok/a.png".to_owned()
                } else {
                    format!("ok/a-{number}.png")
                };
                at(&name)
            });
            fs::write(at("a.png"), number.to_string()).unwrap();
            move_photo(&at("a.png"), Path::new("a.png"), &at("ok")).unwrap();
        }
        assert_eq!(fs::read_dir(at("ok")).unwrap().count(), COPIES);
        // One that was copied before a process was killed has the last name.
        let last = at(&format!("ok/a-{COPIES}.png"));
        fs::copy(&last, at("a.png")).unwrap();
        let changed = fs::metadata(&last).unwrap().modified().unwrap();
        let copy = fs::File::options().write(true).open(at("a.png")).unwrap();
        copy.set_modified(changed).unwrap();
        let place = move_photo(&at("a.png"), Path::new("a.png"), &at("ok")).unwrap();
        assert_eq!(place, last);
    }

    #[cfg(unix)]
    #[test]
    fn names_may_have_any_bytes() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt as _;
        let folder = tempfile::tempdir().unwrap();
        let name = Path::new(OsStr::from_bytes(b"\xff\n '\".png"));
        fs::write(folder.path().join(name), "one").unwrap();
        let photo = folder.path().join(name);
        let place = move_photo(&photo, name, &folder.path().join("ok")).unwrap();
        assert_eq!(place.file_name().unwrap(), name.as_os_str());
        assert!(place.exists());
    }

    #[test]
    fn the_watched_folder_itself_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let watched = folder.path().canonicalize().unwrap();
        let to = |path: &Path| MoveFolders::from([(Outcome::Ok, path.to_owned())]);
        let refused = create_folders(&to(folder.path()), &watched);
        assert!(matches!(refused, Err(Error::MoveFolder { .. })));
        let below = create_folders(&to(&folder.path().join("done")), &watched).unwrap();
        assert_eq!(below[&Outcome::Ok], watched.join("done"));
    }
}
