//! Which state of which file a photo is.

use std::fs::Metadata;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// How long a file is and when it was changed: what differs when it is rewritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Identity {
    length: u64,
    /// Nanoseconds since 1970.
    changed: u128,
}

impl Identity {
    /// Of a regular file; none of anything else.
    pub(crate) fn of(metadata: &Metadata) -> Option<Self> {
        let changed = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        metadata.is_file().then(|| Self {
            length: metadata.len(),
            changed: changed
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_nanos()),
        })
    }

    /// Of the file that is there now; none if there is none.
    pub(crate) fn at(path: &Path) -> Option<Self> {
        Self::of(&std::fs::metadata(path).ok()?)
    }

    /// When the file was changed, for putting files in order.
    pub(crate) fn changed(self) -> u128 {
        self.changed
    }

    /// What stands for this state of the file at this place below the folder. It is a digest, since names may be long
    /// and of any bytes.
    pub(crate) fn key(self, relative: &Path) -> String {
        let mut digest = vcp_files::Sha256::new();
        digest.update(relative.as_os_str().as_encoded_bytes());
        digest.update([0]);
        digest.update(self.length.to_le_bytes());
        digest.update(self.changed.to_le_bytes());
        let mut key = digest.hexadecimal();
        key.truncate(40);
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_names_and_other_content_are_other_photos() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        std::fs::write(&path, "one").unwrap();
        let first = Identity::at(&path).unwrap();
        assert_eq!(Identity::at(&path), Some(first));
        assert_ne!(first.key(Path::new("a")), first.key(Path::new("b")));
        std::fs::write(&path, "longer").unwrap();
        let second = Identity::at(&path).unwrap();
        assert_ne!(first, second);
        assert_ne!(first.key(Path::new("a")), second.key(Path::new("a")));
        assert_eq!(Identity::at(folder.path()), None);
        assert_eq!(Identity::at(&folder.path().join("none")), None);
    }
}
