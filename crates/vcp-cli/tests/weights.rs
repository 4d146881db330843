//! Weight files as people have them: wrapped, in parts, with more in them than is needed, damaged, or
//! of another kind; and settings that would take a machine down.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use serde_json::{Map, Value, json};
use support::cli::{Workplace, bundle, weights};
use vcp_checkpoint::{Geometry, Storing, Weights};

/// A tensor of 32-bit floats.
type Stored = (String, Vec<usize>, Vec<f32>);

/// The small model's tensors whose canonical names begin with `part`, under other names.
fn tensors(part: &str, name: impl Fn(&str) -> String) -> Vec<Stored> {
    let weights = weights();
    let tensors = weights.tensors().filter_map(|tensor| {
        let found = tensor.name().strip_prefix(part)?;
        Some((name(found), tensor.shape().to_vec(), tensor.to_f32()))
    });
    tensors.collect()
}

/// A safetensors file.
fn safetensors(tensors: &[Stored]) -> Vec<u8> {
    let (mut header, mut data) = (Map::new(), Vec::new());
    for (name, shape, values) in tensors {
        let start = data.len();
        data.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        let info = json!({"dtype": "F32", "shape": shape, "data_offsets": [start, data.len()]});
        header.insert(name.clone(), info);
    }
    let header = serde_json::to_vec(&header).unwrap();
    [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat()
}

/// A workplace with a photo, `clip.safetensors` as `open_clip` trains it and `vcp.safetensors` wrapped in
/// its parts, with further tensors.
fn wrapped(further: &[&str]) -> Workplace {
    let workplace = Workplace::with_photos(&["a.png"]);
    let mut clip = tensors("clip.", |name| format!("state_dict.module.{name}"));
    clip.push((
        "optimizer.state.0.exp_avg".to_owned(),
        vec![2],
        vec![0.0; 2],
    ));
    workplace.write("clip.safetensors", safetensors(&clip));
    let mut learned = tensors("vcp.", |name| match name.split_once('.') {
        Some((part, rest)) => format!("{part}.module.{rest}"),
        None => name.to_owned(),
    });
    learned.extend(
        further
            .iter()
            .map(|name| ((*name).to_owned(), vec![1], vec![0.0])),
    );
    workplace.write("vcp.safetensors", safetensors(&learned));
    workplace
}

const PARTS: [&str; 4] = [
    "--clip",
    "clip.safetensors",
    "--checkpoint",
    "vcp.safetensors",
];
const SETTINGS: [&str; 4] = ["--taps", "1,2", "--image-size", "70"];

#[test]
fn wrapped_weights_are_taken_and_inspected_as_what_they_are() {
    let workplace = wrapped(&[]);
    let of_bundle = workplace.segment(&["a.png"]).ends_with(0);
    let arguments = [&["segment", "a.png"][..], &PARTS, &SETTINGS].concat();
    let of_parts = workplace.run(&arguments).ends_with(0);
    let score = |lines: Vec<Value>| lines[0]["score"].clone();
    assert_eq!(score(of_parts.lines()), score(of_bundle.lines()));

    for (file, kind, key, length) in [
        ("clip.safetensors", "clip", "vision_layers", 2),
        ("vcp.safetensors", "checkpoint", "tap_count", 2),
    ] {
        let outcome = workplace
            .run(&["model", "inspect", file, "--json"])
            .ends_with(0);
        let description = &outcome.lines()[0];
        assert_eq!(description["kind"], kind);
        assert_eq!(description["geometry"][key], length);
    }
}

#[test]
fn tensors_without_a_use_need_a_flag() {
    let workplace = wrapped(&["learning_rate", "Zero_try.extra"]);
    std::fs::create_dir(workplace.path("good")).unwrap();
    (0..12).for_each(|number| workplace.photo(&format!("good/{number}.png"), number));
    for command in [
        &["segment", "a.png"][..],
        &["calibrate", "good", "--false-alarms-per-image", "0.5"],
        &["model", "pack", "own.safetensors"],
        &["bench", "--repeat", "1"],
    ] {
        let arguments = [command, &PARTS, &SETTINGS].concat();
        let outcome = workplace.run(&arguments).ends_with(2);
        assert!(
            outcome.stderr.contains("learning_rate is unknown"),
            "{outcome:?}"
        );
        assert!(
            outcome
                .stderr
                .contains("--ignore-unknown-tensors continues"),
            "{outcome:?}"
        );
        let ignoring = [&arguments[..], &["--ignore-unknown-tensors"]].concat();
        let outcome = workplace.run(&ignoring);
        assert!(
            outcome.stderr.contains(
                "2 tensors of vcp.safetensors passed over, since the model has no use for them: \
                 Zero_try.extra, learning_rate."
            ),
            "{outcome:?}"
        );
    }
    assert!(workplace.path("own.safetensors").is_file());
    let quiet = [
        &["segment", "a.png", "--quiet", "--ignore-unknown-tensors"][..],
        &PARTS,
        &SETTINGS,
    ];
    let outcome = workplace.run(&quiet.concat()).ends_with(0);
    assert_eq!(outcome.stderr, "");
}

#[test]
fn weights_in_parts_are_read_by_their_index() {
    let workplace = wrapped(&[]);
    let clip = tensors("clip.", str::to_owned);
    let (one, two) = clip.split_at(clip.len() / 2);
    let names = [
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
    ];
    let mut map = Map::new();
    for (name, tensors) in names.iter().zip([one, two]) {
        workplace.write(&format!("parts/{name}"), safetensors(tensors));
        map.extend(
            tensors
                .iter()
                .map(|(tensor, _, _)| (tensor.clone(), json!(name))),
        );
    }
    let index = "parts/model.safetensors.index.json";
    workplace.write(index, json!({"weight_map": map}).to_string());
    let run = |clip: &str| {
        let files = [
            "segment",
            "a.png",
            "--clip",
            clip,
            "--checkpoint",
            "vcp.safetensors",
        ];
        workplace.run(&[&files[..], &SETTINGS].concat())
    };
    let score = |lines: Vec<Value>| lines[0]["score"].clone();
    assert_eq!(
        score(run(index).ends_with(0).lines()),
        score(workplace.segment(&["a.png"]).ends_with(0).lines())
    );
    run("parts")
        .ends_with(2)
        .says("name the file model.safetensors.index.json in it");
    run(&format!("parts/{}", names[0]))
        .ends_with(2)
        .says("is part 1 of 2 of a larger one; name the parts' index instead, parts/model");
}

#[test]
fn a_changed_bit_in_a_bundle_is_noticed() {
    let workplace = Workplace::with_photos(&["a.png"]);
    let good = std::fs::read(bundle()).unwrap();
    let header = 8 + u64::from_le_bytes(good[..8].try_into().unwrap()) as usize;
    let digest = {
        let text = String::from_utf8_lossy(&good[8..header]);
        let key = "vcp_clip_blake3\":\"";
        8 + text.find(key).unwrap() + key.len()
    };
    let setting = {
        let text = String::from_utf8_lossy(&good[8..header]);
        8 + text.find("a photo of a good").unwrap()
    };
    for (what, at) in [
        ("a tensor", header + 12_345),
        ("the last tensor", good.len() - 1),
        ("a setting", setting),
        ("the digest", digest),
        ("the digest's key", digest - 10),
    ] {
        let mut changed = good.clone();
        changed[at] ^= 1;
        workplace.write("changed.safetensors", &changed);
        let arguments = ["segment", "a.png", "--model", "changed.safetensors"];
        let outcome = workplace.run(&arguments).ends_with(2);
        assert!(
            outcome
                .stderr
                .contains("it has changed since it was written"),
            "{what}: {outcome:?}"
        );
    }
}

#[test]
fn costly_settings_are_told_and_refused() {
    let workplace = Workplace::with_photos(&["a.png"]);
    workplace.write("broken.png", "no picture");
    let own = ["--model", bundle().to_str().unwrap()];
    let pack = ["model", "pack", "large.safetensors", "--image-size"];
    let says = |stderr: &str, parts: &[&str]| {
        for part in parts {
            assert!(stderr.contains(part), "{stderr}\nlacks: {part}");
        }
    };

    // A size that is in the bundle, and minutes of work: said before photos are looked at.
    workplace
        .run(&[&pack[..], &["4088"], &own].concat())
        .ends_with(0);
    let large = [
        "segment",
        "broken.png",
        "--threads",
        "1",
        "--model",
        "large.safetensors",
    ];
    let outcome = workplace.run(&large).ends_with(1);
    let estimate = [
        "note: At an image size of 4088 pixels, each pass of a photo through this model takes about 3 minutes \
         on 1 thread",
        "by an estimate from its geometry",
    ];
    says(&outcome.stderr, &estimate);
    let outcome = workplace
        .run(&[&large[..], &["--quiet"]].concat())
        .ends_with(1);
    assert!(!outcome.stderr.contains("estimate"), "{outcome:?}");

    // Many patches, and more than ten minutes: refused, unless asked for.
    let weights = weights();
    let geometry = Geometry {
        patch_size: 8,
        ..*weights.geometry()
    };
    let fine = Weights::random(geometry, weights.settings().clone(), 0).unwrap();
    fine.write_bundle(&workplace.path("fine.safetensors"), Storing::AsStored)
        .unwrap();
    let huge = [
        "segment",
        "broken.png",
        "--model",
        "fine.safetensors",
        "--threads",
        "1",
        "--image-size",
        "4096",
    ];
    let outcome = workplace.run(&huge).ends_with(2);
    says(
        &outcome.stderr,
        &[
            "minutes on 1 thread",
            "nothing was begun",
            "--no-cost-limit",
        ],
    );
    let outcome = workplace
        .run(&[&huge[..], &["--no-cost-limit"]].concat())
        .ends_with(1);
    says(&outcome.stderr, &["note: At an image size of 4096 pixels"]);

    let outcome = workplace
        .run(&[&pack[..], &["8190", "--force"], &own].concat())
        .ends_with(2);
    says(&outcome.stderr, &["expected a whole number from 1 to 4096"]);
}
