//! Who may ask.

use std::fmt;

use subtle::ConstantTimeEq as _;

/// Shortest key that is taken, in bytes.
const SHORTEST_KEY: usize = 16;

/// Who may ask.
#[derive(Debug, Clone)]
pub enum Access {
    /// Whoever can connect. Meant for loopback addresses, where the header `Host` is checked too.
    Open,
    /// Whoever knows one of these keys.
    Keys(ApiKeys),
}

/// Keys by which clients are known. They are kept as digests.
#[derive(Clone)]
pub struct ApiKeys(Vec<[u8; 64]>);

impl fmt::Debug for ApiKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ApiKeys({})", self.0.len())
    }
}

/// A text that holds no usable keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApiKeysError {
    /// There is none.
    #[error(
        "holds no key; write one line for each, for example what `openssl rand -hex 32` prints."
    )]
    Empty,
    /// One that can be guessed.
    #[error(
        "line {line} holds a key of fewer than {SHORTEST_KEY} characters; take what `openssl rand -hex 32` prints."
    )]
    Short {
        /// Counted from 1.
        line: usize,
    },
    /// One that no header can carry.
    #[error(
        "line {line} holds a key with characters other than visible ASCII, which no client can send."
    )]
    Characters {
        /// Counted from 1.
        line: usize,
    },
}

impl ApiKeys {
    /// Of a text with a key in each line. Empty lines, and those that begin with `#`, are passed over.
    ///
    /// # Errors
    /// When there is no key, or one is shorter than 16 characters or cannot be sent. The text goes on from the name of
    /// the file.
    pub fn parse(text: &str) -> Result<Self, ApiKeysError> {
        let mut keys = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let (key, line) = (line.trim(), index + 1);
            if key.is_empty() || key.starts_with('#') {
                continue;
            }
            if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(ApiKeysError::Characters { line });
            }
            if key.len() < SHORTEST_KEY {
                return Err(ApiKeysError::Short { line });
            }
            keys.push(digest(key));
        }
        if keys.is_empty() {
            return Err(ApiKeysError::Empty);
        }
        Ok(Self(keys))
    }

    /// Whether this is one of them. How long it takes does not depend on how much of a key is right.
    pub(crate) fn know(&self, key: &str) -> bool {
        let given = digest(key);
        let mut is_known = subtle::Choice::from(0);
        for key in &self.0 {
            is_known |= key[..].ct_eq(&given[..]);
        }
        is_known.into()
    }
}

/// The digest in hexadecimal, so that keys of all lengths are compared alike.
fn digest(key: &str) -> [u8; 64] {
    let mut digest = [0; 64];
    let hexadecimal = vcp_files::sha256(key);
    for (place, byte) in digest.iter_mut().zip(hexadecimal.bytes()) {
        *place = byte;
    }
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_lines() {
        let keys = ApiKeys::parse("# line 1\n\n0123456789abcdef\r\n  fedcba9876543210 \n").unwrap();
        for (key, is_known) in [
            ("0123456789abcdef", true),
            ("fedcba9876543210", true),
            ("0123456789abcdeF", false),
            ("0123456789abcde", false),
            ("", false),
            ("# line 1", false),
        ] {
            assert_eq!(keys.know(key), is_known, "{key}");
        }
        assert_eq!(format!("{keys:?}"), "ApiKeys(2)");
        let of = |text| ApiKeys::parse(text).unwrap_err();
        assert_eq!(of("\n# only this\n"), ApiKeysError::Empty);
        assert_eq!(of("\nshort"), ApiKeysError::Short { line: 2 });
        assert_eq!(
            of("key with spaces and more"),
            ApiKeysError::Characters { line: 1 }
        );
    }
}
