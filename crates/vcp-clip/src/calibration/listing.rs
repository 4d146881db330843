//! Which photos a calibration comes from.

use std::collections::BTreeSet;
use std::path::Path;

use vcp_files::Sha256;

/// Photos by content.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// `SHA-256  NAME`, as `sha256sum` prints it.
    lines: BTreeSet<String>,
    contents: BTreeSet<String>,
}

impl Listing {
    /// Notes a photo down; false if one with the same content is there already.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn add(&mut self, path: &Path) -> Result<bool, vcp_checkpoint::Error> {
        let digest = vcp_checkpoint::sha256_of_file(path)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let line = format!("{digest}  {name}\n");
        let is_new = self.contents.insert(digest);
        if is_new {
            self.lines.insert(line);
        }
        Ok(is_new)
    }

    /// SHA-256 of the lines in byte order: for photos in one folder without copies among them,
    /// what `sha256sum * | LC_ALL=C sort | sha256sum` prints there.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut digest = Sha256::new();
        for line in &self.lines {
            digest.update(line);
        }
        digest.hexadecimal()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_count_once_and_order_does_not_matter() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, content: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        };
        let (a, b, copy) = (write("a", "1"), write("b", "2"), write("c", "1"));
        let mut one = Listing::default();
        assert!(one.add(&a).unwrap() && one.add(&b).unwrap());
        let digest = one.digest();
        assert!(!one.add(&copy).unwrap() && !one.add(&a).unwrap());
        let mut other = Listing::default();
        assert!(other.add(&b).unwrap() && other.add(&a).unwrap());
        assert_eq!((one.digest(), other.digest()), (digest.clone(), digest));
        assert!(one.add(Path::new("nowhere")).is_err());
        // What `sha256sum a b | LC_ALL=C sort | sha256sum` prints: "1" has the digest 6b86…, "2"
        // has d473….
        assert_eq!(
            one.digest(),
            "68c2919f4305e50800082ab7f11eb17d96c7832f59154e97b1d373a5179a63ea"
        );
    }
}
