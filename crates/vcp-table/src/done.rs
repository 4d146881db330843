//! Which photos have been inspected.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use vcp_clip::photos::Found;
use vcp_clip::record::Line;

/// The photos that a table has rows for. It takes 20 bytes for each of them.
#[derive(Debug, Clone, Default)]
pub struct Done {
    /// Digests of paths and pages, in order, each once.
    keys: Vec<u128>,
    /// How often each is still to be skipped: a photo that is named twice has two rows.
    counts: Vec<u32>,
}

impl Done {
    pub(crate) fn of(mut all: Vec<u128>) -> Self {
        all.sort_unstable();
        let (mut keys, mut counts) = (Vec::new(), Vec::new());
        for same in all.chunk_by(|a, b| a == b) {
            keys.push(same[0]);
            counts.push(u32::try_from(same.len()).unwrap_or(u32::MAX));
        }
        Self { keys, counts }
    }

    pub(crate) fn key_of(line: &Line) -> u128 {
        match line {
            Line::Done(record) => key(&record.path, record.page),
            Line::Failed(failure) => key(&failure.path, failure.page),
        }
    }

    /// Whether a photo has a row already; each row tells of one photo, in the order in which they are asked for.
    pub fn skips(&mut self, found: &Found) -> bool {
        if self.keys.is_empty() {
            return false;
        }
        // As records name it.
        let key = match found {
            Found::Photo(photo) => key(&photo.path.display().to_string(), photo.page),
            Found::Unreadable { path, .. } => key(&path.display().to_string(), None),
        };
        let Ok(place) = self.keys.binary_search(&key) else {
            return false;
        };
        let count = &mut self.counts[place];
        let is_done = *count > 0;
        *count = count.saturating_sub(1);
        is_done
    }
}

/// A digest of which two photos would have to be sought for a long time that have the same.
fn key(path: &str, page: Option<u32>) -> u128 {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, path, page).hash(&mut hasher);
        u128::from(hasher.finish())
    };
    half(0) << 64 | half(1)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use vcp_clip::photos::PhotoPath;

    use super::*;

    #[test]
    fn each_row_is_skipped_once() {
        let photo = |path: &str, page| {
            Found::Photo(PhotoPath {
                path: path.into(),
                relative: PathBuf::new(),
                page,
            })
        };
        let rows = [("a", None), ("b", Some(1)), ("a", None), ("c", None)];
        let mut done = Done::of(rows.map(|(path, page)| key(path, page)).to_vec());
        for (path, page, skipped) in [
            ("a", None, true),
            ("a", Some(1), false),
            ("b", None, false),
            ("b", Some(1), true),
            ("b", Some(1), false),
            ("a", None, true),
            ("a", None, false),
        ] {
            assert_eq!(done.skips(&photo(path, page)), skipped, "{path} {page:?}");
        }
        let error = String::new();
        let path = PathBuf::from("c");
        let is_cut = false;
        assert!(done.skips(&Found::Unreadable {
            path,
            error,
            is_cut
        }));
    }
}
