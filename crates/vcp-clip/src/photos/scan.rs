//! Folders and patterns.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern};
use vcp_files::FoldersOnce;
use walkdir::WalkDir;

use super::folder::CommonFolder;
use super::kinds::{Content, Skipped, has_ending};
use super::{Found, InputsError, ScanOptions};

/// The path of a photo; or that of something which cannot be read, and why not.
pub(super) type Scan = Result<PathBuf, (PathBuf, String)>;

/// What one input stands for.
#[derive(Debug)]
pub(super) struct Scanned {
    /// The folder that holds it all.
    pub(super) root: PathBuf,
    pub(super) found: Vec<Scan>,
    /// Pictures there that are not among them.
    pub(super) skipped: Skipped,
}

/// With its place below the output folder.
pub(super) fn placed(found: Scan, common: &CommonFolder) -> Found {
    match found {
        Ok(path) => Found::Photo(common.photo(path)),
        Err((path, error)) => Found::Unreadable {
            path,
            error,
            is_cut: false,
        },
    }
}

/// Looks up single inputs.
pub(super) struct Scanner {
    recursive: bool,
    once: FoldersOnce,
}

impl Scanner {
    /// For all that is named on the command line.
    pub(super) fn new(options: ScanOptions, arguments: &[PathBuf]) -> Self {
        Self {
            recursive: options.recursive,
            once: FoldersOnce::below(arguments.iter().map(PathBuf::as_path)),
        }
    }

    pub(super) fn scan(&mut self, argument: &Path) -> Result<Scanned, InputsError> {
        if argument.is_dir() {
            return self.folder(argument);
        }
        // A file whose name looks like a pattern is that file.
        if let Some(text) = argument.to_str()
            && text.contains(['*', '?', '['])
            && !argument.exists()
        {
            return Self::pattern(text);
        }
        let root = argument.parent().unwrap_or(Path::new("")).to_owned();
        Ok(Scanned {
            root: or_current(root),
            found: vec![Ok(argument.to_owned())],
            skipped: Skipped::default(),
        })
    }

    fn folder(&mut self, folder: &Path) -> Result<Scanned, InputsError> {
        let depth = if self.recursive { usize::MAX } else { 1 };
        let walk = WalkDir::new(folder)
            .max_depth(depth)
            .follow_links(true)
            .sort_by_file_name()
            .into_iter()
            .filter_entry(|entry| self.once.enters(entry));
        let mut found = Vec::new();
        let mut skipped = Skipped::default();
        for entry in walk {
            match entry {
                Ok(entry) => {
                    if !entry.file_type().is_file() {
                        continue;
                    }
                    match Content::of(entry.path()) {
                        Content::Photo => found.push(Ok(entry.into_path())),
                        other => skipped.note(entry.path(), &other),
                    }
                }
                // A link to a folder above it: its photos are found there.
                Err(error) if error.loop_ancestor().is_some() => {}
                Err(error) => {
                    let path = error.path().unwrap_or(folder).to_owned();
                    let cause = error.io_error();
                    let is_missing = cause.is_some_and(|it| it.kind() == ErrorKind::NotFound);
                    // A link that leads nowhere matters only if it should lead to a photo or a folder.
                    let may_be_folder = self.recursive && is_missing && path.extension().is_none();
                    if has_ending(&path) || may_be_folder || !path.is_symlink() {
                        let message = match cause {
                            Some(cause) => unreadable(&path, cause),
                            None => format!("{} cannot be read: {error}.", path.display()),
                        };
                        found.push(Err((path, message)));
                    }
                }
            }
        }
        if found.is_empty() {
            return Err(InputsError::EmptyFolder {
                folder: folder.to_owned(),
                skipped: behind(&skipped),
            });
        }
        Ok(Scanned {
            root: folder.to_owned(),
            found,
            skipped,
        })
    }

    fn pattern(text: &str) -> Result<Scanned, InputsError> {
        let options = MatchOptions {
            case_sensitive: true,
            require_literal_separator: true,
            require_literal_leading_dot: true,
        };
        let paths = glob::glob_with(text, options).map_err(|error| InputsError::BadPattern {
            pattern: text.to_owned(),
            reason: error.to_string(),
        })?;
        let mut found = Vec::new();
        let mut skipped = Skipped::default();
        let mut matches = 0;
        for path in paths {
            match path {
                Ok(path) => {
                    matches += 1;
                    if !path.is_file() {
                        if has_ending(&path)
                            && let Err(cause) = path.metadata()
                        {
                            let message = unreadable(&path, &cause);
                            found.push(Err((path, message)));
                        }
                        continue;
                    }
                    match Content::of(&path) {
                        Content::Photo | Content::Unnamed(_) => found.push(Ok(path)),
                        other => skipped.note(&path, &other),
                    }
                }
                Err(error) => {
                    let (path, cause) = (error.path(), error.error());
                    let message = format!("{} cannot be read: {cause}.", path.display());
                    found.push(Err((path.to_owned(), message)));
                }
            }
        }
        if found.is_empty() {
            let pattern = text.to_owned();
            return Err(if matches == 0 {
                InputsError::NoMatch { pattern }
            } else {
                InputsError::NoPhotoMatches {
                    pattern,
                    skipped: behind(&skipped),
                }
            });
        }
        Ok(Scanned {
            root: fixed_folder(text),
            found,
            skipped,
        })
    }
}

/// What was skipped, to stand behind a sentence.
fn behind(skipped: &Skipped) -> String {
    let words = skipped.in_words();
    words.map(|words| format!(" {words}")).unwrap_or_default()
}

/// The message about a path that cannot be read.
fn unreadable(path: &Path, cause: &io::Error) -> String {
    let file = path.display();
    match path.read_link() {
        Ok(target) if cause.kind() == ErrorKind::NotFound => format!(
            "{file} cannot be read: it is a link to {}, which does not exist. Fetch its content (git annex \
             get, dvc pull) or mount what it leads to.",
            target.display()
        ),
        _ => format!("{file} cannot be read: {cause}."),
    }
}

fn or_current(folder: PathBuf) -> PathBuf {
    if folder.as_os_str().is_empty() {
        PathBuf::from(".")
    } else {
        folder
    }
}

/// The part of a pattern that is no pattern.
fn fixed_folder(text: &str) -> PathBuf {
    let path = Path::new(text);
    let is_fixed = |part: &std::path::Component<'_>| {
        let part = part.as_os_str().to_string_lossy();
        part == Pattern::escape(&part)
    };
    let fixed: PathBuf = path.components().take_while(is_fixed).collect();
    or_current(fixed)
}
