//! Reading files whose length is not to be trusted.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The content of a file; none if it is longer than `limit`. No more than that is read, whatever length
/// is claimed: a pipe or a device claims none.
///
/// # Errors
/// When it cannot be read.
pub fn read_at_most(path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let file = File::open(path)?;
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= limit).then_some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_up_to_its_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("four");
        std::fs::write(&path, "four").unwrap();
        assert_eq!(read_at_most(&path, 4).unwrap().unwrap(), b"four");
        assert_eq!(read_at_most(&path, 3).unwrap(), None);
        assert!(read_at_most(&folder.path().join("none"), 4).is_err());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_never_ends_is_longer() {
        assert_eq!(read_at_most(Path::new("/dev/zero"), 10).unwrap(), None);
    }
}
