//! Which photos a calibration comes from.

use std::collections::BTreeSet;
use std::path::Path;

use vcp_files::Sha256;

/// Which photo something is, by content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhotoIdentity {
    /// SHA-256 of the file, and the page if each page is a photo of its own.
    content: String,
    name: String,
}

impl PhotoIdentity {
    /// Of a photo in a file; `page` where each page is a photo of its own.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn of_file(path: &Path, page: Option<u32>) -> Result<Self, vcp_checkpoint::Error> {
        let digest = vcp_checkpoint::sha256_of_file(path)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Ok(Self::new(digest, &name, page))
    }

    /// Of a file in memory.
    #[must_use]
    pub fn of_bytes(bytes: &[u8], name: &str, page: Option<u32>) -> Self {
        Self::new(vcp_files::sha256(bytes), name, page)
    }

    fn new(digest: String, name: &str, page: Option<u32>) -> Self {
        match page {
            None => Self {
                content: digest,
                name: name.to_owned(),
            },
            Some(page) => Self {
                content: format!("{digest} {page}"),
                name: format!("{name}, page {page}"),
            },
        }
    }

    /// What tells it from all others: the SHA-256 of the file, and the page if each page is a photo of its own.
    #[must_use]
    pub fn content(&self) -> &str {
        &self.content
    }

    /// The digest of the file, as `sha256sum` prints it.
    fn digest(&self) -> &str {
        self.content.split(' ').next().unwrap_or_default()
    }
}

/// Photos by content.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// `SHA-256  NAME`, as `sha256sum` prints it.
    lines: BTreeSet<String>,
    contents: BTreeSet<String>,
}

impl Listing {
    /// Whether a photo with the same content is there already.
    #[must_use]
    pub fn has(&self, photo: &PhotoIdentity) -> bool {
        self.contents.contains(&photo.content)
    }

    /// Notes a photo down; false if one with the same content is there already.
    pub fn add(&mut self, photo: &PhotoIdentity) -> bool {
        let is_new = self.contents.insert(photo.content.clone());
        if is_new {
            self.lines
                .insert(format!("{}  {}\n", photo.digest(), photo.name));
        }
        is_new
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
        let photo =
            |name: &str, content: &str| PhotoIdentity::of_bytes(content.as_bytes(), name, None);
        let (a, b, copy) = (photo("a", "1"), photo("b", "2"), photo("c", "1"));
        let mut one = Listing::default();
        assert!(one.add(&a) && one.add(&b));
        let digest = one.digest();
        assert!(!one.add(&copy) && !one.add(&a));
        let mut other = Listing::default();
        assert!(other.add(&b) && other.add(&a));
        assert_eq!((one.digest(), other.digest()), (digest.clone(), digest));
        // What `sha256sum a b | LC_ALL=C sort | sha256sum` prints: "1" has the digest 6b86…, "2"
        // has d473….
        assert_eq!(
            one.digest(),
            "68c2919f4305e50800082ab7f11eb17d96c7832f59154e97b1d373a5179a63ea"
        );
    }

    #[test]
    fn files_and_their_pages_are_known_by_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "1").unwrap();
        let of_file = PhotoIdentity::of_file(&path, None).unwrap();
        assert_eq!(of_file, PhotoIdentity::of_bytes(b"1", "a", None));
        assert!(PhotoIdentity::of_file(Path::new("nowhere"), None).is_err());
        let mut listing = Listing::default();
        for page in [Some(1), Some(2), None] {
            assert!(listing.add(&PhotoIdentity::of_bytes(b"1", "a", page)));
        }
        assert!(listing.has(&PhotoIdentity::of_bytes(b"1", "b", Some(2))));
    }
}
