//! Files in parts: an index in JSON says which of several files beside it holds which tensor, as
//! Hugging Face stores large models.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Component, Path};

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::error::{Error, ErrorKind, shorten};
use crate::file::TensorFile;
use crate::limits::{MAX_NAME_LENGTH, MAX_TENSORS};

/// Bytes of an index; that of a model of 1,000 tensors has 100 KB.
const MAX_INDEX: usize = 4 << 20;
/// Parts of a file; the largest CLIP has 3.
const MAX_PARTS: usize = 64;

/// Whether these bytes begin as an index does.
pub(crate) fn looks_like(bytes: &[u8]) -> bool {
    const KEY: &[u8] = b"\"weight_map\"";
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let first = text
        .iter()
        .take(64)
        .find(|byte| !byte.is_ascii_whitespace());
    first == Some(&b'{')
        && bytes[..bytes.len().min(MAX_INDEX)]
            .windows(KEY.len())
            .any(|window| window == KEY)
}

/// An index: tensors to the names of files.
#[derive(Deserialize)]
struct Index {
    weight_map: WeightMap,
    #[serde(rename = "metadata", default)]
    _metadata: Option<IgnoredAny>,
}

/// As a map that refuses a tensor that is named twice.
struct WeightMap(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for WeightMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = WeightMap;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("the names of tensors with the names of files")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<WeightMap, A::Error> {
                use serde::de::Error as _;
                let mut map = BTreeMap::new();
                while let Some((tensor, file)) = entries.next_entry::<String, String>()? {
                    if map.len() == MAX_TENSORS {
                        return Err(A::Error::custom(format!(
                            "it names more than {MAX_TENSORS} tensors"
                        )));
                    }
                    if tensor.len() > MAX_NAME_LENGTH {
                        return Err(A::Error::custom("a tensor's name is absurdly long"));
                    }
                    if let Some(first) = map.insert(tensor.clone(), file) {
                        return Err(A::Error::custom(format!(
                            "it names the tensor {tensor} twice, first in {first}"
                        )));
                    }
                }
                Ok(WeightMap(map))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

/// The files that an index names, in alphabetical order, with the tensors that each is to hold.
///
/// # Errors
/// If it is damaged, too long, or names anything but files beside itself.
pub(crate) fn parts(bytes: &[u8]) -> Result<BTreeMap<String, BTreeSet<String>>, ErrorKind> {
    if bytes.len() > MAX_INDEX {
        return Err(refuse(format!(
            "it has {} bytes, more than the {MAX_INDEX} supported",
            bytes.len()
        )));
    }
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let index: Index = serde_json::from_slice(text)
        .map_err(|error| refuse(format!("it is damaged ({})", shorten(&error.to_string()))))?;
    let mut parts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (tensor, file) in index.weight_map.0 {
        if !is_beside(&file) {
            return Err(refuse(format!(
                "it names {}, which is not the plain name of a file in the same folder",
                shorten(&file)
            )));
        }
        parts.entry(file).or_default().insert(tensor);
        if parts.len() > MAX_PARTS {
            return Err(refuse(format!("it names more than {MAX_PARTS} files")));
        }
    }
    if parts.is_empty() {
        return Err(refuse("it names no tensors".to_owned()));
    }
    Ok(parts)
}

/// Whether a name stays in its folder, on every platform.
fn is_beside(name: &str) -> bool {
    let mut components = Path::new(name).components();
    matches!(
        (components.next(), components.next()),
        (Some(Component::Normal(_)), None)
    ) && !name.contains(['/', '\\', ':', '\0'])
}

/// Opens all parts of the index at `path`.
///
/// # Errors
/// If the index or a part cannot be read, a part is an index itself, or parts and index do not say the
/// same.
pub(crate) fn open(path: &Path, bytes: &[u8]) -> Result<Vec<TensorFile>, Error> {
    let at_index = |kind| Error::at_path(path, kind);
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut files = Vec::new();
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    for (name, tensors) in parts(bytes).map_err(at_index)? {
        let part = folder.join(&name);
        if !part.try_exists().unwrap_or(true) {
            return Err(at_index(refuse(format!(
                "it names {}, which is not there; fetch all parts into one folder",
                shorten(&name)
            ))));
        }
        let file = TensorFile::open_whole(&part)?;
        if let Some(tensor) = tensors.iter().find(|tensor| file.layout(tensor).is_none()) {
            return Err(at_index(refuse(format!(
                "it says that {} holds the tensor {}, which it does not",
                shorten(&name),
                shorten(tensor)
            ))));
        }
        for tensor in file.names() {
            if seen.len() == MAX_TENSORS {
                return Err(at_index(refuse(format!(
                    "its parts hold more than {MAX_TENSORS} tensors"
                ))));
            }
            if let Some(other) = seen.insert(tensor.to_owned(), name.clone()) {
                return Err(at_index(refuse(format!(
                    "{} and {} both hold the tensor {}",
                    shorten(&other),
                    shorten(&name),
                    shorten(tensor)
                ))));
            }
        }
        files.push(file);
    }
    Ok(files)
}

fn refuse(problem: String) -> ErrorKind {
    ErrorKind::Index { problem }
}

/// What to say of a file in which weights are missing, if its name says that it is a part of a larger
/// one: `model-00001-of-00003.safetensors`.
pub(crate) fn error(file: &TensorFile) -> Option<ErrorKind> {
    let path = Path::new(file.label());
    let (part, parts, index) = place(path.file_name()?.to_str()?)?;
    let index = path.with_file_name(index);
    Some(ErrorKind::Part {
        part,
        parts,
        index: index.is_file().then(|| index.display().to_string()),
    })
}

/// Number, count, and the index's name.
fn place(name: &str) -> Option<(u32, u32, String)> {
    let (before, after) = name.rsplit_once("-of-")?;
    let (base, part) = before.rsplit_once('-')?;
    let (parts, ending) = after.split_once('.')?;
    let number = |digits: &str| {
        let is_number = digits.len() >= 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| digits.parse().ok()).flatten()
    };
    let (part, parts) = (number(part)?, number(parts)?);
    (parts > 1).then(|| (part, parts, format!("{base}.{ending}.index.json")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_known_by_their_names() {
        assert_eq!(
            place("model-00001-of-00003.safetensors"),
            Some((1, 3, "model.safetensors.index.json".to_owned()))
        );
        assert_eq!(
            place("pytorch_model-00002-of-00002.bin"),
            Some((2, 2, "pytorch_model.bin.index.json".to_owned()))
        );
        for name in [
            "model.safetensors",
            "one-of-them.pt",
            "a-00001-of-00001.pt",
            "a-1-of-x.pt",
        ] {
            assert_eq!(place(name), None, "{name}");
        }
    }

    #[test]
    fn names_stay_in_their_folder() {
        assert!(is_beside("model-00001-of-00002.safetensors"));
        for name in [
            "", ".", "..", "../a", "/a", "a/b", "a\\b", "C:a", "a\0", "./a", "a/",
        ] {
            assert!(!is_beside(name), "{name:?}");
        }
    }
}
