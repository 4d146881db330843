//! Safetensors files and bundles with wrong headers.

#![allow(clippy::unwrap_used, reason = "what is made here is made right")]
#![allow(clippy::too_many_lines, reason = "the functions are tables")]

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::support::{Tensors, part, safetensors, small_settings, small_weights};
use crate::{Case, Use};

fn with_header(header: &[u8], data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header);
    bytes.resize(bytes.len() + data, 0);
    bytes
}

pub(crate) fn cases() -> Vec<Case> {
    let says = "The safetensors file cannot be read";
    let unknown = "not a weight file of a known kind";
    let t = |shape: &str, offsets: &str| {
        format!(r#"{{"t":{{"dtype":"F32","shape":{shape},"data_offsets":{offsets}}}}}"#)
    };
    let mut cases = Vec::new();
    for (name, header, data, says) in [
        ("no JSON", "{nonsense".to_owned(), 0, says),
        ("not closed", "{\"t\":".to_owned(), 0, says),
        ("a number", "{\"t\":1}".to_owned(), 0, says),
        ("a list", "{\"t\":[]}".to_owned(), 0, says),
        ("no shape", r#"{"t":{"dtype":"F32","data_offsets":[0,4]}}"#.to_owned(), 4, says),
        ("unknown type", t("[1]", "[0,4]").replace("F32", "F77"), 4, says),
        ("unsupported type", t("[4]", "[0,4]").replace("F32", "F8_E5M2"), 4, "is not supported"),
        ("type of half a byte", t("[8]", "[0,4]").replace("F32", "F4"), 4, "is not supported"),
        ("type of half a byte, odd", t("[7]", "[0,4]").replace("F32", "F4"), 4, says),
        ("one byte missing", t("[1]", "[0,4]"), 3, says),
        ("one byte left over", t("[1]", "[0,4]"), 5, says),
        ("shape larger than its bytes", t("[2]", "[0,4]"), 4, says),
        ("shape smaller than its bytes", t("[1]", "[0,8]"), 8, says),
        ("negative length", t("[-1]", "[0,4]"), 4, says),
        ("fractional length", t("[1.5]", "[0,4]"), 4, says),
        ("length of 2^64", t("[18446744073709551616]", "[0,4]"), 4, says),
        ("product of 2^64", t("[4294967296,4294967296]", "[0,0]"), 0, says),
        ("product of 2^62", t("[4611686018427387904]", "[0,0]"), 0, says),
        ("product of 2^63 and 0", t("[9223372036854775808,2,0]", "[0,0]"), 0, says),
        ("reversed offsets", t("[1]", "[4,0]"), 4, says),
        ("offset beyond the file", t("[1]", "[1000,1004]"), 4, says),
        ("offset of 2^64", t("[1]", "[18446744073709551612,18446744073709551616]"), 4, says),
        ("offset near 2^64", t("[1]", "[18446744073709551611,18446744073709551615]"), 4, says),
        ("a gap in front", t("[1]", "[4,8]"), 8, says),
        (
            "overlapping tensors",
            r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#.to_owned(),
            12,
            says,
        ),
        (
            "two tensors in one place",
            r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#.to_owned(),
            8,
            says,
        ),
        (
            "two of one name",
            r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#.to_owned(),
            8,
            says,
        ),
        ("metadata of numbers", r#"{"__metadata__":{"a":1}}"#.to_owned(), 0, says),
        ("metadata that is a list", r#"{"__metadata__":[]}"#.to_owned(), 0, says),
        ("nested lists", format!("{{\"t\":{}", "[".repeat(1_000_000)), 0, says),
        ("nested dictionaries", "{\"t\":".repeat(200_000), 0, says),
        ("name with control characters", "{\"\u{1b}[2J\":1}".to_owned(), 0, says),
        ("absurdly long name", t("[1]", "[0,4]").replace("\"t\"", &format!("\"{}\"", "t".repeat(1000))), 4, "absurdly long"),
        ("longer header than supported", format!("{{{}}}", " ".repeat(5 << 20)), 0, "more than the 4194304 supported"),
        (
            "30,000 tensors",
            format!(
                "{{{}}}",
                (0..30_000).map(|n| format!(r#""{n}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#)).collect::<Vec<_>>().join(",")
            ),
            0,
            "more than 20000 tensors",
        ),
        (
            "a long shape",
            t(&format!("[{}]", vec!["1"; 1_000_000].join(",")), "[0,4]"),
            4,
            "dimensions",
        ),
        ("a million strings of metadata", format!("{{\"__metadata__\":{{{}}}}}", (0..200_000).map(|n| format!("\"{n}\":\"\"")).collect::<Vec<_>>().join(",")), 0, "entries of metadata"),
    ] {
        cases.push(Case::new(format!("safetensors: {name}"), with_header(header.as_bytes(), data), says));
    }
    let claimed = |length: u64| [&length.to_le_bytes()[..], b"{}          "].concat();
    for (name, bytes, says) in [
        ("header one byte too long", claimed(13), says),
        ("header of 4 GB", claimed(1 << 32), says),
        ("header of 99 MB", claimed(99_000_000), says),
        ("header of 2^47 bytes", claimed(1 << 47), says),
        ("header of 2^63 bytes", claimed(1 << 63), unknown),
        ("header of 2^64 bytes", claimed(u64::MAX), unknown),
        ("header of no bytes", claimed(0), says),
        ("no header", 2u64.to_le_bytes().to_vec(), unknown),
        (
            "header that is not UTF-8",
            with_header(b"{\"\xff\xfe\":{}}", 0),
            says,
        ),
        ("empty file", Vec::new(), "the file is empty"),
        ("one byte", vec![b'{'], unknown),
        (
            "a web page",
            b"<!DOCTYPE html><html><body>Virus scan warning".to_vec(),
            "it is a web page",
        ),
        (
            "an old torch.save file",
            b"L119547037146038801333356L\n.".to_vec(),
            "a pickle of protocol 0 or 1",
        ),
        (
            "a Git LFS pointer",
            b"version https://git-lfs.github.com/spec/v1\noid".to_vec(),
            "git lfs pull",
        ),
    ] {
        cases.push(Case::new(format!("safetensors: {name}"), bytes, says));
    }
    cases.extend(bundles());
    cases
}

/// Bundles of the learned tensors only: small, and wrong before anything large is looked for.
fn bundles() -> Vec<Case> {
    let weights = small_weights(21);
    let tensors: Tensors = part(&weights, "vcp.")
        .into_iter()
        .map(|(name, stored)| (format!("vcp.{name}"), stored))
        .collect();
    let good = json!({
        "version": 1,
        "geometry": weights.geometry(),
        "settings": small_settings(),
        "sources": [],
    });
    let bundle = |description: &str| {
        let metadata = HashMap::from([("vcp_clip".to_owned(), description.to_owned())]);
        safetensors(&tensors, Some(metadata))
    };
    let set = |pointer: &str, value: Value| {
        let mut description = good.clone();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        description.pointer_mut(parent).unwrap()[key] = value;
        bundle(&description.to_string())
    };
    let calibration = |key: &str, value: Value| {
        let mut calibration = json!({
            "version": 1,
            "pixel_threshold": 0.5,
            "score_threshold": 0.5,
            "range": [0, 1],
            "data": "",
            "date": "",
            "images": 1,
        });
        calibration[key] = value;
        calibration
    };
    let wrong = "bundle cannot be used";
    let geometry = "geometry is not usable";
    let settings = "settings do not fit";
    let cases = vec![
        (
            "no description",
            safetensors(&tensors, None),
            "without a bundle's description",
        ),
        ("empty description", bundle(""), wrong),
        ("description that is a list", bundle("[]"), wrong),
        ("deep description", bundle(&"[".repeat(100_000)), wrong),
        (
            "another version",
            set("/version", json!(3)),
            "version 3, this program knows versions 1 to 2",
        ),
        ("version of text", set("/version", json!("1")), wrong),
        ("unknown field", set("/surprise", json!(1)), "unknown field"),
        (
            "a thousand sources",
            set(
                "/sources",
                json!(vec![
                    json!({"file_name": "", "sha256": "", "bytes": 0});
                    1000
                ]),
            ),
            "names 1000 sources",
        ),
        ("no geometry", set("/geometry", json!(null)), wrong),
        (
            "negative width",
            set("/geometry/embedding_width", json!(-1)),
            wrong,
        ),
        (
            "width of 0",
            set("/geometry/vision/width", json!(0)),
            geometry,
        ),
        (
            "width of 2^62",
            set("/geometry/vision/width", json!(1u64 << 62)),
            geometry,
        ),
        (
            "2^63 layers",
            set("/geometry/text/layers", json!(1u64 << 63)),
            geometry,
        ),
        (
            "a million layers",
            set("/geometry/vision/layers", json!(1_000_000)),
            geometry,
        ),
        (
            "vocabulary of 2^40",
            set("/geometry/vocabulary", json!(1u64 << 40)),
            geometry,
        ),
        (
            "patches of 0",
            set("/geometry/patch_size", json!(0)),
            geometry,
        ),
        (
            "grid of 2^33",
            set("/geometry/native_grid", json!(1u64 << 33)),
            geometry,
        ),
        (
            "heads of another width",
            set("/geometry/text/heads", json!(3)),
            geometry,
        ),
        (
            "unequal widths",
            set("/geometry/embedding_width", json!(128)),
            geometry,
        ),
        (
            "more taps than layers",
            set("/geometry/tap_count", json!(4)),
            geometry,
        ),
        (
            "taps that do not fit",
            set("/settings/taps", json!([1, 9])),
            settings,
        ),
        ("no taps", set("/settings/taps", json!([])), settings),
        (
            "image size of 2^60",
            set("/settings/image_size", json!(1u64 << 60)),
            settings,
        ),
        (
            "no templates",
            set("/settings/normal_templates", json!([])),
            settings,
        ),
        (
            "100,000 templates",
            set(
                "/settings/normal_templates",
                json!(vec!["<|class|>"; 100_000]),
            ),
            settings,
        ),
        (
            "image size of 4100",
            set("/settings/image_size", json!(4100)),
            settings,
        ),
        (
            "shares of a thousand",
            set("/settings/blend", json!([1000, 1000])),
            "whose sum is more than 0 and at most 1",
        ),
        (
            "shares of 2 together",
            set("/settings/blend", json!([1, 1])),
            settings,
        ),
        ("no shares", set("/settings/blend", json!([0, 0])), settings),
        (
            "a negative share",
            set("/settings/blend", json!([-0.5, 1])),
            settings,
        ),
        (
            "three shares",
            set("/settings/blend", json!([0.2, 0.3, 0.5])),
            wrong,
        ),
        (
            "a template of a megabyte",
            set(
                "/settings/normal_templates",
                json!([format!("{}<|class|>", "a".repeat(1 << 20))]),
            ),
            "has 1048585 bytes, expected 1 to 2000",
        ),
        (
            "a threshold of 1e30",
            set("/calibration", calibration("score_threshold", json!(1e30))),
            "is not a number from -1 to 2",
        ),
        (
            "a colour scale of a million",
            set("/calibration", calibration("range", json!([0, 1e6]))),
            "is not a number from -1 to 2",
        ),
        (
            "a calibration of many words",
            set(
                "/calibration",
                calibration("data", json!("a".repeat(1 << 20))),
            ),
            "its data has 1048576 bytes",
        ),
        (
            "windows of a pixel",
            set(
                "/calibration",
                calibration(
                    "windows",
                    json!({"tile": 1, "overlap": 0.25, "global_weight": 0.0}),
                ),
            ),
            "which cannot be",
        ),
        (
            "a digest of something else",
            {
                let metadata = HashMap::from([
                    ("vcp_clip".to_owned(), good.to_string()),
                    ("vcp_clip_blake3".to_owned(), "0".repeat(64)),
                ]);
                safetensors(&tensors, Some(metadata))
            },
            "it has changed since it was written",
        ),
        (
            "a digest of other digits",
            {
                let metadata = HashMap::from([
                    ("vcp_clip".to_owned(), good.to_string()),
                    ("vcp_clip_blake3".to_owned(), "\u{1b}[2J".to_owned()),
                ]);
                safetensors(&tensors, Some(metadata))
            },
            "it has changed since it was written",
        ),
        (
            "unknown activation",
            set("/settings/activation", json!("relu")),
            wrong,
        ),
        (
            "calibration without values",
            set("/calibration", json!({})),
            wrong,
        ),
        (
            "calibration beyond f32",
            set(
                "/calibration",
                json!({"version": 1, "pixel_threshold": 1e300, "score_threshold": 0.5, "range": [0, 1], "data": "", "date": "", "images": 1}),
            ),
            "number out of range",
        ),
        (
            "missing tensors",
            bundle(&good.to_string()),
            "clip.visual.conv1.weight is missing, expected [128, 3, 4, 4]",
        ),
        (
            "the largest geometry",
            {
                let mut description = good.clone();
                for (pointer, value) in [
                    ("/geometry/embedding_width", 1 << 15),
                    ("/geometry/text/width", 1 << 15),
                    ("/geometry/text/heads", 1 << 9),
                    ("/geometry/vision/width", 1 << 15),
                    ("/geometry/vision/heads", 1 << 9),
                    ("/geometry/vision/layers", 512),
                    ("/geometry/text/layers", 512),
                    ("/geometry/vocabulary", 1 << 20),
                ] {
                    *description.pointer_mut(pointer).unwrap() = json!(value);
                }
                bundle(&description.to_string())
            },
            "is missing",
        ),
    ];
    cases
        .into_iter()
        .map(|(name, bytes, says)| {
            Case::new(format!("bundle: {name}"), bytes, says).used_as(Use::Bundle)
        })
        .collect()
}
