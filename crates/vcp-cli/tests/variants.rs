//! Every command with an image size that patches do not divide, and a model whose context does not
//! depend on the photo.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use serde_json::Value;
use support::cli::{Workplace, bundle, weights};
use support::data::mvtec;
use vcp_checkpoint::{Settings, Storing};

/// Five patches of 14 pixels, and three pixels more.
const SIDE: &str = "73";

#[test]
fn patches_need_not_divide_the_image_size() {
    let workplace = mvtec();
    let model = ["--model", bundle().to_str().unwrap(), "--image-size", SIDE];
    let run = |arguments: &[&str]| {
        workplace
            .run(&[arguments, &model[..]].concat())
            .ends_with(0)
    };
    let photo = "set/bolt/test/bent/000.png";
    let whole = run(&["segment", photo, "--out", "maps", "--save", "npy"]);
    let maps = workplace.files("maps");
    let map = maps.iter().find(|name| name.ends_with(".map.npy")).unwrap();
    let bytes = std::fs::read(workplace.path(&format!("maps/{map}"))).unwrap();
    let header = String::from_utf8_lossy(&bytes[..128]).into_owned();
    assert!(header.contains("'shape': (73, 73)"), "{header}");

    // Found and used with the same size.
    for number in 0..10 {
        workplace.photo(&format!("good/{number:02}.png"), number);
    }
    run(&["calibrate", "good", "--out", "good.json"]);
    let calibrated = run(&["segment", photo, "--calibration", "good.json"]);
    assert!(calibrated.lines()[0]["anomalous"].is_boolean());
    assert_eq!(whole.lines()[0]["score"], calibrated.lines()[0]["score"]);

    run(&[
        "segment", photo, "--tile", "24", "--out", "tiles", "--save", "npy",
    ]);
    run(&[
        "eval",
        "--dataset",
        "mvtec",
        "--root",
        "set",
        "--out",
        "results",
    ]);
    let results = std::fs::read(workplace.path("results/results.json")).unwrap();
    let results: Value = serde_json::from_slice(&results).unwrap();
    assert_eq!(results["model"]["settings"]["image_size"], 73);
    let bench = run(&["bench", "--json", "--repeat", "1"]);
    assert_eq!(bench.lines()[0]["image_size"], 73);

    let small = ["--model", bundle().to_str().unwrap(), "--image-size", "13"];
    workplace
        .run(&[&["segment", photo][..], &small].concat())
        .ends_with(2)
        .says("the image size is 13, expected 14, the size of a patch, to");
}

#[test]
fn a_context_without_the_photo_is_a_setting() {
    let workplace = Workplace::with_photos(&["a.png"]);
    let settings = Settings {
        global_context: false,
        ..weights().settings().clone()
    };
    let model = weights().with_settings(settings).unwrap();
    model
        .write_bundle(&workplace.path("queries.safetensors"), Storing::AsStored)
        .unwrap();
    let score = |further: &[&str]| {
        let run = workplace.run(&[&["segment", "a.png"], further].concat());
        run.ends_with(0).lines()[0]["score"].to_string()
    };
    let usual = bundle().to_str().unwrap();
    let [global, off] = ["--global-context", "off"];
    let queries = score(&["--model", "./queries.safetensors"]);
    assert_eq!(queries, score(&["--model", usual, global, off]));
    let context = score(&["--model", "./queries.safetensors", global, "on"]);
    assert_eq!(context, score(&["--model", usual]));
    assert_ne!(context, queries);
    workplace
        .run(&["segment", "a.png", "--model", "built-in", global, off])
        .ends_with(0)
        .says("with another context");
}
