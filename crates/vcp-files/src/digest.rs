//! SHA-256 in lowercase hexadecimal digits.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha2::Digest as _;

/// A SHA-256 digest of bytes that come one after another.
#[derive(Clone, Debug, Default)]
pub struct Sha256(sha2::Sha256);

impl Sha256 {
    /// A digest of no bytes yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes further bytes in.
    pub fn update(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.update(bytes);
    }

    /// The digest of all bytes in lowercase hexadecimal digits, as `sha256sum` prints it.
    #[must_use]
    pub fn hexadecimal(self) -> String {
        let mut digits = String::with_capacity(64);
        for byte in self.0.finalize() {
            // Writing to a string cannot fail.
            let _ = write!(digits, "{byte:02x}");
        }
        digits
    }
}

/// The SHA-256 digest of these bytes in lowercase hexadecimal digits.
#[must_use]
pub fn sha256(bytes: impl AsRef<[u8]>) -> String {
    let mut digest = Sha256::new();
    digest.update(bytes);
    digest.hexadecimal()
}

/// The SHA-256 digest of a file in lowercase hexadecimal digits, as `sha256sum` prints it. The file is
/// read in pieces.
///
/// # Errors
/// When it cannot be read.
pub fn sha256_of_file(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(digest.hexadecimal()),
            Ok(length) => digest.update(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From FIPS 180-2, appendix B.1.
    const OF_ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn digests_are_those_of_the_standard() {
        assert_eq!(sha256("abc"), OF_ABC);
        let mut pieces = Sha256::new();
        pieces.update("a");
        pieces.update("bc");
        assert_eq!(pieces.hexadecimal(), OF_ABC);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        std::fs::write(&path, "abc").unwrap();
        assert_eq!(sha256_of_file(&path).unwrap(), OF_ABC);
    }
}
