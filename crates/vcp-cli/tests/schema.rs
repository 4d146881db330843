//! What `segment` prints, its types in the library and their JSON Schema are one thing.

mod support;

use std::path::Path;

use serde_json::Value;
use vcp_clip::record::{Line, schema};

use support::cli::{Workplace, bundle};

const CHECKED_IN: &str = "../../docs/record.schema.json";

/// With `VCP_CLIP_BLESS` in the environment, the file is written instead.
#[test]
fn the_schema_is_the_one_that_is_checked_in() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(CHECKED_IN);
    let text = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
    if std::env::var_os("VCP_CLIP_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap();
    assert!(
        stored == text,
        "docs/record.schema.json is not the schema of vcp_clip::record::Line; if the record was meant to \
         change, write it anew with VCP_CLIP_BLESS=1 cargo test -p vcp-cli --test schema"
    );
}

#[test]
fn what_is_printed_are_the_records_of_the_library() {
    let workplace = Workplace::with_photos(&["a.png"]);
    workplace.write("broken.png", "no picture");
    let bundle = bundle();
    let outcome = workplace.run(&[
        "segment",
        "a.png",
        "broken.png",
        "--model",
        bundle.to_str().unwrap(),
        "--pixel-threshold",
        "0.1",
        "--out",
        "out",
        "--save",
        "overlay,heatmap,mask,npy,json",
    ]);
    let outcome = outcome.ends_with(1);
    let lines: Vec<&str> = outcome.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{outcome:?}");
    for (at, text) in lines.iter().enumerate() {
        let line: Line = serde_json::from_str(text).unwrap();
        match &line {
            Line::Done(record) => {
                assert_eq!(at, 0);
                assert!(!record.regions.is_empty(), "{text}");
                assert!(record.files.branch2.is_some(), "{text}");
            }
            Line::Failed(failure) => {
                assert_eq!(at, 1);
                assert!(failure.error.contains("broken.png"), "{text}");
            }
        }
        // Nothing is printed that the types do not know.
        let again = serde_json::to_string(&line).unwrap();
        let values = [text, again.as_str()].map(|text| {
            let value: Value = serde_json::from_str(text).unwrap();
            value
        });
        assert_eq!(values[0], values[1]);
    }
}
