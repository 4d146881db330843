//! The tokenizer against ids that the official code gives.

use std::path::Path;
use vcp_model::{CLASS, Tokenizer};

/// Texts and their ids without start and end marks.
fn expected(path: &Path) -> Vec<(String, Vec<u32>)> {
    let bytes = std::fs::read(path).expect("the file can be read");
    let list: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
    let cases = list.as_array().expect("a list").iter();
    cases
        .map(|case| {
            let ids = case["ids"].as_array().expect("a list").iter();
            let ids = ids.map(|id| id.as_u64().expect("a number") as u32);
            let text = case["text"].as_str().expect("a text");
            (text.to_owned(), ids.collect())
        })
        .collect()
}

fn check(path: &Path) {
    let tokenizer = Tokenizer::new();
    let cases = expected(path);
    assert!(cases.len() >= 14, "{} has all cases", path.display());
    for (text, ids) in cases {
        assert_eq!(tokenizer.encode(&text), ids, "{text:?}");
    }
}

#[test]
fn ids_of_the_official_code() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    check(&folder.join("tests/fixtures/tokenizer.json"));
}

/// The same file where it comes from, in case it has grown.
#[test]
fn ids_beside_the_repository() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/goldens/tokenizer.json");
    if path.exists() {
        check(&path);
    } else {
        eprintln!("skipped: {} does not exist", path.display());
    }
}

/// White space and case around a text change nothing, and texts one after the other give
/// their ids one after the other.
#[test]
fn words_stand_alone() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let cases = expected(&folder.join("tests/fixtures/tokenizer.json"));
    let tokenizer = Tokenizer::default();
    for (first, first_ids) in &cases {
        let padded = format!("\n\t {} \u{a0}", first.to_uppercase());
        let mark_kept = first_ids.contains(&CLASS);
        assert_eq!(tokenizer.encode(&padded).contains(&CLASS), mark_kept);
        for (second, second_ids) in &cases {
            let both = format!("{first} {second}");
            let ids = [first_ids.as_slice(), second_ids].concat();
            assert_eq!(tokenizer.encode(&both), ids, "{both:?}");
        }
    }
}

/// Any text at all, whatever its bytes were, gives ids of the vocabulary.
#[test]
fn odd_texts_give_ids_of_the_vocabulary() {
    let tokenizer = Tokenizer::new();
    let long = "a".repeat(20_000);
    let texts = [
        "\0",
        "<|",
        "<|class|",
        "|><|class|>",
        "&&&amp;#x0;&#99999999;",
        "\u{202e}\u{200d}\u{fe0f}",
        "👩‍🏭",
        "𝕬𝖇𝖈",
        "'''S'T",
        "\u{10FFFF}",
        &long,
    ];
    for text in texts {
        let ids = tokenizer.encode(text);
        assert!(ids.iter().all(|&id| id <= CLASS), "{text:?}");
    }
}
