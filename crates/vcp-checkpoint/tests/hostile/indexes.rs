//! Indexes of files in parts, beside two good parts.

#![allow(clippy::unwrap_used, reason = "what is made here is made right")]

use std::fs;

use vcp_checkpoint::{Error, TensorFile};

use crate::support::{Stored, Tensors, safetensors};
use crate::{Case, Use};

/// Opens an index in a folder with the parts `one` (tensors a and b) and `two` (b and c), with links
/// to itself and to what is outside.
pub(crate) fn open(index: &[u8]) -> Result<TensorFile, Error> {
    let folder = tempfile::tempdir().unwrap();
    let part = |names: [&str; 2]| {
        let tensors: Tensors = names
            .map(|name| (name.to_owned(), Stored::zeros(&[4])))
            .into();
        safetensors(&tensors, None)
    };
    fs::write(folder.path().join("one"), part(["a", "b"])).unwrap();
    fs::write(folder.path().join("two"), part(["b", "c"])).unwrap();
    fs::write(
        folder.path().join("three"),
        "{\"weight_map\":{\"a\":\"one\"}}",
    )
    .unwrap();
    fs::create_dir(folder.path().join("folder")).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::symlink;
        symlink("loop", folder.path().join("loop")).unwrap();
        symlink("/dev/zero", folder.path().join("zero")).unwrap();
    }
    let path = folder.path().join("model.safetensors.index.json");
    fs::write(&path, index).unwrap();
    TensorFile::open(&path)
}

#[allow(clippy::too_many_lines, reason = "a table")]
pub(crate) fn cases() -> Vec<Case> {
    let map = |entries: &str| format!("{{\"metadata\":{{}},\"weight_map\":{{{entries}}}}}");
    let many = |count: usize, file: &dyn Fn(usize) -> String| {
        let entries = (0..count).map(|n| format!("\"{n}\":\"{}\"", file(n)));
        map(&entries.collect::<Vec<_>>().join(","))
    };
    let mut cases = Vec::new();
    let plain = "not the plain name of a file";
    let damaged = "index of parts cannot be used: it is damaged";
    for (name, text, says) in [
        ("above", map(r#""a":"../one""#), plain),
        ("absolute", map(r#""a":"/etc/passwd""#), plain),
        ("a folder's", map(r#""a":"folder/one""#), plain),
        ("a drive's", map(r#""a":"C:one""#), plain),
        ("a share's", map(r#""a":"\\\\host\\one""#), plain),
        ("no name", map(r#""a":"""#), plain),
        ("here", map(r#""a":".""#), plain),
        ("a name with a zero byte", map(r#""a":"one\u0000""#), plain),
        ("control characters", map(r#""a":"\u001b[2J/""#), plain),
        (
            "itself",
            map(r#""a":"model.safetensors.index.json""#),
            "it is JSON text",
        ),
        ("another index", map(r#""a":"three""#), "it is JSON text"),
        ("a folder", map(r#""a":"folder""#), "it is a folder"),
        (
            "what is missing",
            map(r#""a":"four""#),
            "which is not there",
        ),
        (
            "a tensor that is not there",
            map(r#""c":"one""#),
            "which it does not",
        ),
        (
            "a tensor twice",
            map(r#""a":"one","a":"two""#),
            "names the tensor a twice",
        ),
        (
            "two parts with one tensor",
            map(r#""a":"one","c":"two""#),
            "one and two both hold the tensor b",
        ),
        ("nothing", map(""), "it names no tensors"),
        ("a list", "{\"weight_map\":[]}".to_owned(), damaged),
        ("numbers", map(r#""a":1"#), damaged),
        (
            "an open end",
            "{\"weight_map\":{\"a\":\"one\"".to_owned(),
            damaged,
        ),
        (
            "two maps",
            "{\"weight_map\":{},\"weight_map\":{}}".to_owned(),
            damaged,
        ),
        (
            "deep lists",
            format!("{{\"weight_map\":{}", "[".repeat(1_000_000)),
            damaged,
        ),
        (
            "deep metadata",
            format!(
                "{{\"metadata\":{},\"weight_map\":{{}}}}",
                "[".repeat(100_000)
            ),
            damaged,
        ),
        (
            "100,000 tensors",
            many(100_000, &|_| "one".to_owned()),
            "more than 20000 tensors",
        ),
        (
            "1,000 parts",
            many(1_000, &|n| n.to_string()),
            "more than 64 files",
        ),
        (
            "a long name of a tensor",
            map(&format!("\"{}\":\"one\"", "a".repeat(1_000_000))),
            "absurdly long",
        ),
        (
            "a long name of a file",
            map(&format!("\"a\":\"{}\"", "one".repeat(1_000_000))),
            "",
        ),
        (
            "five megabytes of blanks",
            format!("{{\"weight_map\":{{}}{}}}", " ".repeat(5 << 20)),
            "more than the 4194304 supported",
        ),
    ] {
        let case = Case::new(format!("index: {name}"), text.into_bytes(), says);
        cases.push(case.used_as(Use::Index));
    }
    #[cfg(unix)]
    for (name, file, says) in [
        ("a loop of links", "loop", ""),
        ("a link to a device", "zero", "it is not a regular file"),
    ] {
        let text = map(&format!("\"a\":\"{file}\"")).into_bytes();
        cases.push(Case::new(format!("index: {name}"), text, says).used_as(Use::Index));
    }
    let good = map(r#""a":"one","b":"one""#).into_bytes();
    for at in 0..good.len() {
        let mut cut = good.clone();
        cut.truncate(at);
        let mut changed = good.clone();
        changed[at] ^= 1 << (at % 7);
        for (how, bytes) in [("cut", cut), ("changed", changed)] {
            let name = format!("index: {how} at {at}");
            cases.push(Case::harmless_or_not(name, bytes, Use::Index));
        }
    }
    cases
}
