//! Names of result files that never collide.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Gives every photo of a run its own name for results, below a folder that they share.
///
/// A photo keeps its folders and its name without ending: `x/a.png` gives `x/a`, to which each
/// kind of file adds what it is. When another photo has that name already (`x/a.jpg`), it keeps
/// its ending too: `x/a.jpg`; and if that is taken as well, a number is added: `x/a.jpg-2`.
#[derive(Debug, Default)]
pub struct ResultNames {
    /// Names given so far, in lower case, since some file systems do not tell cases apart.
    taken: HashSet<String>,
    /// Names do not depend on each other.
    keeps_endings: bool,
}

impl ResultNames {
    /// Names that depend on nothing but the photo, for runs that share their results' folder or are resumed: every
    /// photo keeps its ending, `x/a.png` gives `x/a.png`. Nothing is kept in memory.
    #[must_use]
    pub fn with_endings() -> Self {
        Self {
            keeps_endings: true,
            ..Self::default()
        }
    }

    /// A name for the results of the photo at the place `relative`, which is below the folder of the
    /// photos: below the folder of the results, and without the ending that each kind of file adds. It
    /// differs from all names that were given before, also where a file system does not tell cases
    /// apart (but for [`ResultNames::with_endings`]).
    #[must_use = "the name is taken"]
    pub fn claim(&mut self, relative: &Path) -> PathBuf {
        let whole = relative.to_owned();
        if self.keeps_endings {
            return whole;
        }
        let short = match relative.file_stem() {
            Some(stem) => relative.with_file_name(stem),
            None => whole.clone(),
        };
        if self.take(&short) {
            return short;
        }
        if self.take(&whole) {
            return whole;
        }
        let mut number = 2_usize;
        loop {
            let mut name = whole.file_name().unwrap_or_default().to_owned();
            name.push(format!("-{number}"));
            let numbered = whole.with_file_name(name);
            if self.take(&numbered) {
                return numbered;
            }
            number += 1;
        }
    }

    fn take(&mut self, name: &Path) -> bool {
        self.taken.insert(name.to_string_lossy().to_lowercase())
    }
}

/// `x/a` and `.mask.png` make `x/a.mask.png`, also when `a` holds dots.
#[must_use]
pub fn with_suffix(base: &Path, suffix: &str) -> PathBuf {
    let mut path = base.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_photos_share_a_name() {
        let mut names = ResultNames::default();
        let cases = [
            ("a.png", "a"),
            ("x/a.png", "x/a"),
            ("a.jpg", "a.jpg"),
            ("a.jpg", "a.jpg-2"),
            ("a.jpg", "a.jpg-3"),
            ("A.PNG", "A.PNG"),
            ("b.tar.png", "b.tar"),
            ("noending", "noending"),
        ];
        for (photo, expected) in cases {
            assert_eq!(
                names.claim(Path::new(photo)),
                Path::new(expected),
                "{photo}"
            );
        }
    }

    #[test]
    fn with_endings_no_name_depends_on_another() {
        let mut names = ResultNames::with_endings();
        for photo in ["x/a.png", "x/a.jpg", "x/a.png"] {
            assert_eq!(names.claim(Path::new(photo)), Path::new(photo));
        }
    }

    #[test]
    fn what_stands_before_the_suffix_stays() {
        for (base, expected) in [("x/a", "x/a.mask.png"), ("x/a.b", "x/a.b.mask.png")] {
            assert_eq!(
                with_suffix(Path::new(base), ".mask.png"),
                Path::new(expected)
            );
        }
    }
}
