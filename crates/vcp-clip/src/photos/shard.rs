//! A part of all photos, for one of several machines that know nothing of each other.

use std::fmt;
use std::num::NonZeroU64;
use std::path::{Component, Path};
use std::str::FromStr;

use super::Found;

/// One of several parts of all photos: each photo is in one of them, whichever other photos there are.
///
/// A photo is in the part that the SHA-256 of its relative path says: of the path below the folder that holds all that
/// was named, with `/` between folders. Its first eight bytes are taken as a number, the first byte being the most
/// significant, and the remainder of that divided by the number of parts is the part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shard {
    index: u64,
    count: NonZeroU64,
}

/// A text that names no part.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a part of the photos is K/N with K from 0 to N - 1, such as 0/8")]
pub struct ShardError;

impl Shard {
    /// The part of this number, from 0 on, of so many; none if there is no such.
    #[must_use]
    pub fn new(index: u64, count: u64) -> Option<Self> {
        let count = NonZeroU64::new(count).filter(|count| index < count.get())?;
        Some(Self { index, count })
    }

    /// Whether the photo with this relative path is in the part ([`PhotoPath::relative`](super::PhotoPath)).
    #[must_use]
    pub fn contains(&self, relative: &Path) -> bool {
        number(relative) % self.count == self.index
    }

    /// Those of the photos that are in the part. A place in which none could be found is in one too, by what is said of
    /// it; but that a list cannot be read any further is for all parts to know.
    pub fn of(
        self,
        photos: impl Iterator<Item = Found> + Send + 'static,
    ) -> impl Iterator<Item = Found> + Send + 'static {
        photos.filter(move |found| match found {
            Found::Photo(photo) => self.contains(&photo.relative),
            Found::Unreadable { error, is_cut, .. } => *is_cut || self.contains(Path::new(error)),
        })
    }
}

/// The number that says in which part a photo is.
fn number(relative: &Path) -> u64 {
    let mut path = Vec::new();
    for part in relative.components() {
        if let Component::Normal(name) = part {
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(name.as_encoded_bytes());
        }
    }
    let digest = vcp_files::sha256(path);
    // 64 digits, always.
    u64::from_str_radix(&digest[..16], 16).unwrap_or(0)
}

impl fmt::Display for Shard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Self, ShardError> {
        let parts = text.split_once('/').and_then(|(index, count)| {
            let number = |text: &str| text.parse().ok();
            Self::new(number(index)?, number(count)?)
        });
        parts.ok_or(ShardError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_part_is_what_the_documentation_says() {
        // printf abc | sha256sum: ba7816bf8f01cfea…; a/b.png: see the test below.
        assert_eq!(number(Path::new("abc")), 0xba78_16bf_8f01_cfea);
        assert_eq!(number(Path::new("./x//abc")), number(Path::new("x/abc")));
        let shard = |text: &str| text.parse::<Shard>().unwrap();
        assert!(shard("0/2").contains(Path::new("abc")));
        assert!(!shard("1/2").contains(Path::new("abc")));
        assert_eq!(shard("3/8").to_string(), "3/8");
    }

    #[test]
    fn each_photo_is_in_one_part() {
        for count in [1, 2, 7, 64] {
            let shards: Vec<_> = (0..count)
                .map(|it| Shard::new(it, count).unwrap())
                .collect();
            for photo in 0..300 {
                let path = format!("folder/{photo}.png");
                let holds = |shard: &&Shard| shard.contains(Path::new(&path));
                assert_eq!(shards.iter().filter(holds).count(), 1);
            }
        }
    }

    #[test]
    fn what_is_no_part_is_refused() {
        for text in [
            "",
            "1",
            "1/0",
            "2/2",
            "-1/2",
            "a/b",
            "1/2/3",
            " 0/1",
            "0/99999999999999999999",
        ] {
            assert_eq!(text.parse::<Shard>(), Err(ShardError), "{text}");
        }
    }
}
