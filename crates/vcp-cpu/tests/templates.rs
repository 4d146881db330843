//! Templates that cannot be used, and several of them on a side.

use vcp_checkpoint::{Geometry, Settings, TowerGeometry, Weights};
use vcp_cpu::Cpu;
use vcp_model::{Error, Model, Operations as _};
use vcp_testing::{Tolerance, assert_close};

const R: usize = 2;
const WIDTH: usize = 64;

fn geometry() -> Geometry {
    Geometry {
        embedding_width: WIDTH,
        vision: TowerGeometry::new(1, 64),
        patch_size: 4,
        native_grid: 2,
        text: TowerGeometry::new(2, WIDTH),
        context_vectors: R,
        tap_count: 1,
        ..Geometry::vit_l_14()
    }
}

fn settings(normal: &[&str], anomalous: &[&str]) -> Settings {
    let texts = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
    Settings {
        taps: vec![1],
        image_size: 8,
        normal_templates: texts(normal),
        anomalous_templates: texts(anomalous),
        ..Settings::default()
    }
}

fn weights(normal: &[&str], anomalous: &[&str]) -> Weights {
    let settings = settings(normal, anomalous);
    Weights::random(geometry(), settings, 3).expect("sensible templates")
}

/// The error of a model with this template on one of the sides.
#[track_caller]
fn load_error(weights: &Weights) -> Error {
    let cpu = Cpu::new(None).expect("threads start");
    match Model::load(&cpu, weights) {
        Ok(_) => panic!("the model loads"),
        Err(error) => error,
    }
}

/// What the settings refuse before any model is made.
#[test]
fn settings_without_templates_or_mark_are_refused() {
    let good = "a <|class|>";
    let cases: [(&[&str], &[&str], &str); 5] = [
        (&[], &[good], "0 normal templates"),
        (&[good], &[], "0 anomalous templates"),
        (&["a product"], &[good], "holds <|class|> 0 times"),
        (&[good], &["<|class|> <|class|>"], "holds <|class|> 2 times"),
        (&[good, ""], &[good], "has 0 bytes, expected 1 to 2000"),
    ];
    for (normal, anomalous, expected) in cases {
        let error = Weights::random(geometry(), settings(normal, anomalous), 3);
        let error = error.expect_err("the settings are wrong").to_string();
        assert!(error.contains(expected), "{error}");
    }
}

/// The mark is what the tokenizer makes of the text, which is not what a search for it finds.
#[test]
fn marks_are_counted_as_the_tokenizer_sees_them() {
    let cases = [
        // Letters of any case are one; entities are read as what they stand for.
        ("<|CLASS|> and <|class|>", 2),
        ("&lt;|class|&gt; or <|class|>", 2),
        // After another sign, the mark's first two become part of that word.
        ("(<|class|>)", 0),
        ("broken!<|class|>", 0),
    ];
    for (template, count) in cases {
        for side in 0..2 {
            let good: &[&str] = &["a <|class|>", "one more <|class|>"];
            let bad = &["a <|class|>", template];
            let weights = if side == 0 {
                weights(bad, good)
            } else {
                weights(good, bad)
            };
            let error = load_error(&weights);
            let message = error.to_string();
            let Error::ClassMark {
                template: named,
                found,
            } = error
            else {
                panic!("{template:?}: {message}");
            };
            assert_eq!((named.as_str(), found), (template, count));
            assert!(message.contains(&format!("{count} times")), "{message}");
        }
    }
}

#[test]
fn too_long_templates_are_refused() {
    // Start, words, two context vectors, end.
    for (words, rows) in [(74, 78), (200, 204)] {
        let template = format!("{}<|class|>", "good ".repeat(words));
        let error = load_error(&weights(&["a <|class|>"], &[&template]));
        let message = error.to_string();
        let Error::TooLong { found, limit, .. } = error else {
            panic!("{words} words: {message}");
        };
        assert_eq!((found, limit), (rows, 77));
    }
}

/// Told by its bytes: a tokenizer that looked at all of it would take hours.
#[test]
fn endless_templates_are_refused_at_once() {
    let mut state = 1_u64;
    let letters = (0..4_000_000).map(|_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        char::from(b'a' + (state >> 40) as u8 % 26)
    });
    let template = letters.collect::<String>() + " <|class|>";
    let error = Weights::random(geometry(), settings(&[&template], &["a <|class|>"]), 3);
    let message = error.expect_err("the template is too long").to_string();
    assert!(message.contains("has 4000010 bytes"), "{message}");
    assert!(message.len() < 400, "{message}");
}

#[test]
fn tokens_beyond_the_embedding_are_refused() {
    let geometry = Geometry {
        vocabulary: 49_407,
        ..geometry()
    };
    let good = "a <|class|>";
    let weights =
        Weights::random(geometry, settings(&[good], &[good]), 3).expect("a sensible geometry");
    let error = load_error(&weights);
    let message = error.to_string();
    let Error::UnknownToken {
        token, vocabulary, ..
    } = error
    else {
        panic!("{message}");
    };
    assert_eq!((token, vocabulary), (49_407, 49_407), "{message}");
}

/// A side's feature is the normalised mean of the normalised features of its templates, each
/// computed in a model of its own.
#[test]
fn sides_average_their_templates() {
    let normal = [
        "a photo of a good <|class|>",
        "<|class|>",
        "a photo of a perfect <|class|>",
        "a very good <|class|> without defect",
    ];
    let anomalous = [
        "a <|class|> with a scratch",
        "a photo of a damaged <|class|>",
        "<|class|>",
    ];
    let cpu = Cpu::new(None).expect("threads start");
    let batch = 3;
    let contexts: Vec<f32> = (0..batch * R * WIDTH)
        .map(|i| (i as f32 * 0.7).sin())
        .collect();
    let context = cpu.tensor([batch, R, WIDTH], &contexts);
    let text = |normal: &[&str], anomalous: &[&str]| {
        let model = Model::load(&cpu, &weights(normal, anomalous)).expect("the model loads");
        let features = model.decoder.text.forward(&cpu, &context);
        assert_eq!(cpu.shape(&features), [batch, 2, WIDTH]);
        features.as_slice().to_vec()
    };
    // With one template on each side, that side's feature is the template's.
    let alone = |template: &str| text(&[template], &["a <|class|>"]);
    let features = [normal.map(alone).to_vec(), anomalous.map(alone).to_vec()];
    let mut expected = Vec::new();
    for image in 0..batch {
        for side in &features {
            let start = 2 * image * WIDTH;
            let sum = (0..WIDTH).map(|channel| {
                let all = side
                    .iter()
                    .map(|feature| f64::from(feature[start + channel]));
                all.sum::<f64>()
            });
            let sum: Vec<f64> = sum.collect();
            let length = sum.iter().map(|x| x * x).sum::<f64>().sqrt();
            expected.extend(sum.iter().map(|x| (x / length) as f32));
        }
    }
    let found = text(&normal, &anomalous);
    assert_close("text", &found, &expected, Tolerance::Rounding);
    // In any order they give the same, and without one of them something else.
    let mut turned = (normal, anomalous);
    turned.0.reverse();
    turned.1.reverse();
    let again = text(&turned.0, &turned.1);
    assert_close("turned round", &again, &expected, Tolerance::Rounding);
    let fewer = text(&normal[1..], &anomalous);
    let apart = found.iter().zip(&fewer).map(|(a, b)| (a - b).abs());
    assert!(apart.fold(0.0, f32::max) > 1e-3);
}
