//! Folders and lists, read carefully.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::io::{Error as IoError, ErrorKind};
use std::path::{Component, Path, PathBuf};

use unicode_normalization::UnicodeNormalization;
use walkdir::WalkDir;

use crate::{Error, Problem, Problems};

/// How many folders deep a search goes. No layout needs more; folders linked into each other end.
const MAX_DEPTH: usize = 8;

/// Endings of images, in lower case.
const IMAGE_ENDINGS: [&str; 8] = ["png", "jpg", "jpeg", "jpe", "bmp", "tif", "tiff", "webp"];

/// What lies in a folder, sorted by name. Hidden entries (`.DS_Store`, `._000.png`), `__MACOSX`,
/// and everything that is neither a folder nor a regular file are left out; links are followed.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) files: Vec<PathBuf>,
    pub(crate) folders: Vec<PathBuf>,
    /// What should be there and is not, or cannot be looked at: links that lead nowhere where a
    /// picture or a folder may be meant.
    pub(crate) missing: Vec<Problem>,
}

pub(crate) fn list(folder: &Path) -> Result<Listing, Error> {
    let read_error = |source| Error::Read {
        path: folder.to_owned(),
        source,
    };
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).map_err(read_error)? {
        let entry = entry.map_err(read_error)?;
        if !is_clutter(&entry.file_name()) {
            entries.push(entry.path());
        }
    }
    entries.sort();
    let mut listing = Listing::default();
    for path in entries {
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => listing.folders.push(path),
            Ok(metadata) if metadata.is_file() => listing.files.push(path),
            Ok(_) => {}
            Err(source) => listing.missing.extend(missing(path, &source)),
        }
    }
    Ok(listing)
}

/// The problem with an entry of a folder that cannot be followed; none if neither a picture nor a
/// folder can be meant.
fn missing(path: PathBuf, source: &IoError) -> Option<Problem> {
    if path.file_name().is_some_and(is_clutter) {
        return None;
    }
    match (source.kind(), fs::read_link(&path)) {
        (ErrorKind::NotFound, Ok(target)) => {
            let may_matter = is_image(&path) || path.extension().is_none();
            may_matter.then_some(Problem::MissingFile { file: path, target })
        }
        // It was there a moment ago.
        (ErrorKind::NotFound, Err(_)) => None,
        // A link into itself is as good as nothing, if it should not lead to a picture.
        (_, Ok(_)) if !is_image(&path) => None,
        _ => Some(Problem::UnreadableFolder {
            folder: path,
            reason: source.to_string(),
        }),
    }
}

/// The images of a folder, sorted by name; none if there is no such folder. Links that lead nowhere
/// become problems.
pub(crate) fn images(folder: &Path, problems: &mut Problems) -> Result<Vec<PathBuf>, Error> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let listing = list(folder)?;
    problems.extend(listing.missing);
    let mut files = listing.files;
    files.retain(|path| is_image(path));
    Ok(files)
}

/// The folders of a folder, sorted by name. Links that lead nowhere become problems.
pub(crate) fn folders(folder: &Path, problems: &mut Problems) -> Result<Vec<PathBuf>, Error> {
    let listing = list(folder)?;
    problems.extend(listing.missing);
    Ok(listing.folders)
}

/// The images of a folder and of the folders in it, sorted by path; what cannot be searched becomes
/// a problem. Every folder is searched once, however many links lead to it.
pub(crate) fn images_below(folder: &Path, problems: &mut Problems) -> Vec<PathBuf> {
    files_below(folder, is_image, problems)
}

/// As [`images_below`], of the files that are wanted.
pub(crate) fn files_below(
    folder: &Path,
    is_wanted: impl Fn(&Path) -> bool,
    problems: &mut Problems,
) -> Vec<PathBuf> {
    let mut searched = HashSet::new();
    let top = fs::canonicalize(folder).ok();
    let mut again = Vec::new();
    let walk = WalkDir::new(folder)
        .follow_links(true)
        .max_depth(MAX_DEPTH)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|entry| {
            if entry.depth() == 0 {
                return true;
            }
            if is_clutter(entry.file_name()) {
                return false;
            }
            if !(entry.file_type().is_dir() && entry.path_is_symlink()) {
                return true;
            }
            // Folders that are linked into each other would be found in every order.
            let Ok(real) = fs::canonicalize(entry.path()) else {
                return true;
            };
            let is_near = |top: &PathBuf| real.starts_with(top) || top.starts_with(&real);
            let is_new = !top.as_ref().is_some_and(is_near) && searched.insert(real.clone());
            if !is_new {
                again.push((entry.path().to_owned(), real));
            }
            is_new
        });
    let mut found = Vec::new();
    for entry in walk {
        match entry {
            Ok(entry) if entry.file_type().is_file() && is_wanted(entry.path()) => {
                found.push(entry.into_path());
            }
            Ok(_) => {}
            Err(error) => problems.extend(unsearched(folder, &error)),
        }
    }
    problems.extend(
        again
            .into_iter()
            .map(|(folder, real)| Problem::UnreadableFolder {
                folder,
                reason: format!(
                    "it is a link to {}, which is searched where it lies",
                    real.display()
                ),
            }),
    );
    found
}

/// How many links below a folder lead nowhere, and the first of them with where it leads; nothing if
/// there is none.
pub(crate) fn links_to_nowhere(root: &Path) -> Option<(usize, PathBuf, PathBuf)> {
    let walk = WalkDir::new(root)
        .max_depth(MAX_DEPTH)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|entry| entry.depth() == 0 || !is_clutter(entry.file_name()));
    let mut dangling = walk
        .filter_map(Result::ok)
        .filter(|entry| entry.path_is_symlink() && fs::metadata(entry.path()).is_err())
        .map(walkdir::DirEntry::into_path);
    let first = dangling.next()?;
    let target = fs::read_link(&first).unwrap_or_default();
    Some((1 + dangling.count(), first, target))
}

fn unsearched(top: &Path, error: &walkdir::Error) -> Option<Problem> {
    let path = error.path().unwrap_or(top).to_owned();
    match (error.loop_ancestor(), error.io_error()) {
        (Some(ancestor), _) => Some(Problem::UnreadableFolder {
            folder: path,
            reason: format!("it is a link to {}, which holds it", ancestor.display()),
        }),
        (None, Some(source)) => missing(path, source),
        (None, None) => Some(Problem::UnreadableFolder {
            folder: path,
            reason: error.to_string(),
        }),
    }
}

fn is_clutter(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".") || name == "__MACOSX"
}

pub(crate) fn is_image(path: &Path) -> bool {
    ending(path).is_some_and(|ending| IMAGE_ENDINGS.contains(&ending.as_str()))
}

/// The file's ending in lower case, without the dot.
pub(crate) fn ending(path: &Path) -> Option<String> {
    Some(path.extension()?.to_str()?.to_ascii_lowercase())
}

/// Whether there is a regular file. Lists may name pipes and devices, which must not be opened.
pub(crate) fn is_file(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file())
}

/// A folder's or file's name for people and reports.
pub(crate) fn name(path: &Path) -> String {
    path.file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}

/// The name of the folder that a data set lies in, also if it was given as `.` or `..`.
pub(crate) fn folder_name(root: &Path, otherwise: &str) -> String {
    let absolute = fs::canonicalize(root).unwrap_or_else(|_| root.to_owned());
    match absolute.file_name() {
        Some(name) => name.to_string_lossy().into_owned(),
        None => otherwise.to_owned(),
    }
}

/// A file's name without its ending, as images and masks are compared by it: the same letters are
/// equal however they are composed, since archives made on a Mac take accents apart.
pub(crate) fn stem(path: &Path) -> Vec<u8> {
    composed(path.file_stem().unwrap_or_default())
}

/// A folder's whole name, to be compared with the [`stem`] of a file.
pub(crate) fn folder_stem(path: &Path) -> Vec<u8> {
    composed(path.file_name().unwrap_or_default())
}

fn composed(name: &OsStr) -> Vec<u8> {
    match name.to_str() {
        Some(text) => text.nfc().collect::<String>().into_bytes(),
        None => name.as_encoded_bytes().to_owned(),
    }
}

/// [`Sample::id`](crate::Sample::id).
pub(crate) fn id(root: &Path, path: &Path) -> String {
    let Ok(below) = path.strip_prefix(root) else {
        return path.to_string_lossy().into_owned();
    };
    let parts: Vec<_> = below.iter().map(OsStr::to_string_lossy).collect();
    parts.join("/")
}

/// Where a list says what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) list: &'a Path,
    pub(crate) line: Option<u64>,
}

impl Place<'_> {
    pub(crate) fn bad_entry(self, reason: impl Into<String>) -> Problem {
        Problem::BadEntry {
            list: self.list.to_owned(),
            line: self.line,
            reason: reason.into(),
        }
    }

    pub(crate) fn missing_image(self, image: PathBuf) -> Problem {
        Problem::MissingImage {
            image,
            list: self.list.to_owned(),
            line: self.line,
        }
    }

    pub(crate) fn duplicate_image(self, image: PathBuf) -> Problem {
        Problem::DuplicateImage {
            image,
            list: self.list.to_owned(),
            line: self.line,
        }
    }

    /// A path named in a list, which has to stay inside `root` unless `anywhere` is allowed. Links
    /// are the user's own affair: a list cannot make any. Where there is no file of this name, `\`
    /// stands between folders, too, as in lists made on Windows.
    pub(crate) fn resolve(
        self,
        root: &Path,
        named: &str,
        anywhere: bool,
    ) -> Result<PathBuf, Error> {
        let path = self.inside(root, named, anywhere)?;
        if named.contains('\\') && !is_file(&path) {
            return self.inside(root, &with_slashes(named), anywhere);
        }
        Ok(path)
    }

    fn inside(self, root: &Path, named: &str, anywhere: bool) -> Result<PathBuf, Error> {
        let path = root.join(named);
        let inside = path.strip_prefix(root).is_ok_and(|below| {
            below
                .components()
                .all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
        });
        if inside || anywhere {
            Ok(path)
        } else {
            Err(Error::OutsideRoot {
                list: self.list.to_owned(),
                line: self.line,
                named: named.to_owned(),
                root: root.to_owned(),
            })
        }
    }
}

/// A path of Windows as other systems write it.
pub(crate) fn with_slashes(named: &str) -> String {
    named.replace('\\', "/")
}

/// The folder that holds the data set: `root`, or the one folder in it that fits, which is where
/// unpacking an archive often puts everything.
pub(crate) fn find_root(
    root: &Path,
    fits: impl Fn(&Path) -> bool,
) -> Result<Option<PathBuf>, Error> {
    if fits(root) {
        return Ok(Some(root.to_owned()));
    }
    let mut folders = list(root)?.folders;
    folders.retain(|folder| fits(folder));
    Ok(if folders.len() == 1 {
        folders.pop()
    } else {
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_leave_the_root_are_refused() {
        let place = Place {
            list: Path::new("list.csv"),
            line: Some(3),
        };
        let root = Path::new("/data/set");
        for named in [
            "a.png",
            "a/b.png",
            "./a.png",
            "a b/ü.PNG",
            "/data/set/a.png",
            "..a/b.png",
        ] {
            let path = place.resolve(root, named, false).unwrap();
            assert!(path.starts_with(root), "{named}");
        }
        for named in [
            "../a.png",
            "a/../../b.png",
            "/etc/passwd",
            "/data/set/../x.png",
            "..",
        ] {
            let error = place.resolve(root, named, false).unwrap_err();
            assert!(error.to_string().contains("(line 3)"), "{named}: {error}");
            place.resolve(root, named, true).unwrap();
        }
    }

    #[test]
    fn names_of_windows_are_read_where_there_is_no_such_file() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir(root.join("a")).unwrap();
        fs::write(root.join("a/b.png"), "").unwrap();
        let place = Place {
            list: Path::new("list.csv"),
            line: Some(3),
        };
        let resolve = |named: &str| place.resolve(root, named, false);
        assert_eq!(resolve(r"a\b.png").unwrap(), root.join("a/b.png"));
        assert_eq!(resolve(r".\a\b.png").unwrap(), root.join("./a/b.png"));
        for named in [
            r"..\x.png",
            r"a\..\..\x.png",
            r"\etc\passwd",
            r"\\host\share\x.png",
        ] {
            let error = resolve(named).unwrap_err();
            assert!(
                matches!(error, Error::OutsideRoot { .. }),
                "{named}: {error}"
            );
        }
        // Elsewhere `\` may be part of a name.
        #[cfg(unix)]
        {
            fs::write(root.join(r"a\b.png"), "").unwrap();
            assert_eq!(resolve(r"a\b.png").unwrap(), root.join(r"a\b.png"));
        }
    }

    #[test]
    fn stems_are_equal_however_accents_are_composed() {
        let composed = Path::new("d\u{e9}faut.png");
        let decomposed = Path::new("de\u{301}faut.PNG");
        assert_eq!(stem(composed), stem(decomposed));
        assert_ne!(stem(composed), stem(Path::new("defaut.png")));
    }
}
