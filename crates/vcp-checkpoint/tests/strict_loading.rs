//! Whatever is missing, unknown or wrong is listed, all of it, with what was found and expected.

#![allow(clippy::unwrap_used, reason = "what is made here is made right")]

mod support;

use support::{Stored, Tensors, file, openai, part, small_settings, small_weights};
use vcp_checkpoint::{ErrorKind, LoadOptions, Settings, Weights};

struct Case {
    name: &'static str,
    change: fn(&mut Tensors, &mut Tensors),
    /// What the message says, one for each problem.
    says: &'static [&'static str],
}

const CASES: &[Case] = &[
    Case {
        name: "one missing matrix",
        change: |clip, _| {
            clip.remove("visual.proj");
        },
        says: &["visual.proj is missing, expected [128, 64]"],
    },
    Case {
        name: "one unknown tensor",
        change: |clip, _| {
            clip.insert("visual.extra".to_owned(), Stored::zeros(&[3, 7]));
        },
        says: &["visual.extra is unknown, found [3, 7]"],
    },
    Case {
        name: "one wrong shape",
        change: |clip, _| {
            clip.insert("visual.ln_post.bias".to_owned(), Stored::zeros(&[127]));
        },
        says: &["visual.ln_post.bias has the wrong shape, found [127], expected [128]"],
    },
    Case {
        name: "another number of dimensions",
        change: |clip, _| {
            clip.insert("ln_final.bias".to_owned(), Stored::zeros(&[64, 1]));
        },
        says: &["ln_final.bias has the wrong shape, found [64, 1], expected [64]"],
    },
    Case {
        name: "integers for weights",
        change: |clip, _| {
            let tensor = clip.get_mut("ln_final.bias").unwrap();
            tensor.dtype = safetensors::Dtype::I32;
        },
        says: &["ln_final.bias holds i32, expected floating point"],
    },
    Case {
        name: "a vocabulary that is not CLIP's",
        change: |clip, _| {
            clip.insert(
                "token_embedding.weight".to_owned(),
                Stored::zeros(&[1000, 64]),
            );
        },
        says: &[
            "token_embedding.weight has the wrong shape, found [1000, 64], expected [49409, 64]",
        ],
    },
    Case {
        name: "position table that is not square",
        change: |clip, _| {
            clip.insert(
                "visual.positional_embedding".to_owned(),
                Stored::zeros(&[12, 128]),
            );
        },
        says: &[
            "visual.positional_embedding has the wrong shape, found [12, 128], expected [10, 128]",
        ],
    },
    Case {
        name: "a block in the middle is missing",
        change: |clip, _| {
            clip.retain(|name, _| !name.starts_with("visual.transformer.resblocks.1.ln_"));
        },
        says: &[
            "visual.transformer.resblocks.1.ln_1.weight is missing, expected [128]",
            "visual.transformer.resblocks.1.ln_1.bias is missing, expected [128]",
            "visual.transformer.resblocks.1.ln_2.weight is missing, expected [128]",
            "visual.transformer.resblocks.1.ln_2.bias is missing, expected [128]",
        ],
    },
    Case {
        name: "the tensor that tells the patch size",
        change: |clip, _| {
            clip.remove("visual.conv1.weight");
        },
        says: &["visual.conv1.weight is missing, expected [128, 3, ?, ?]"],
    },
    Case {
        name: "problems in both files",
        change: |clip, checkpoint| {
            clip.remove("text_projection");
            checkpoint.remove("prompt_norm.bias");
            checkpoint.insert("prompt_proj.bias".to_owned(), Stored::zeros(&[65]));
            checkpoint.insert("epoch".to_owned(), Stored::zeros(&[]));
        },
        says: &[
            "text_projection is missing, expected [64, 64]",
            "prompt_norm.bias is missing, expected [64]",
            "prompt_proj.bias has the wrong shape, found [65], expected [64]",
            "epoch is unknown, found []",
        ],
    },
    Case {
        name: "the tensor that tells the number of context vectors",
        change: |_, checkpoint| {
            checkpoint.remove("New_Lan_Embed.prompt_query");
        },
        says: &["New_Lan_Embed.prompt_query is missing, expected [1, 3, 64]"],
    },
    Case {
        name: "a wider convolution",
        change: |_, checkpoint| {
            let name = "New_Lan_Embed.prompt_linear1.fc.weight".to_owned();
            checkpoint.insert(name, Stored::zeros(&[3, 1, 5]));
        },
        says: &[
            "New_Lan_Embed.prompt_linear1.fc.weight has the wrong shape, found [3, 1, 5], expected [3, 1, 3]",
        ],
    },
    Case {
        name: "deep prompts for another number of blocks",
        change: |_, checkpoint| {
            checkpoint.insert(
                "deep_prompt_embeddings".to_owned(),
                Stored::zeros(&[11, 5, 64]),
            );
        },
        says: &[
            "deep_prompt_embeddings has the wrong shape, found [11, 5, 64], expected [1, 5, 64]",
        ],
    },
    Case {
        name: "a tap's bias",
        change: |_, checkpoint| {
            checkpoint.remove("trainable_linearlayer.fc.0.bias");
        },
        says: &["trainable_linearlayer.fc.0.bias is missing, expected [64]"],
    },
];

#[test]
fn every_mismatch_is_listed() {
    let weights = small_weights(4);
    let (clip, checkpoint) = (openai(&weights), part(&weights, "vcp."));
    for case in CASES {
        let (mut clip, mut checkpoint) = (clip.clone(), checkpoint.clone());
        (case.change)(&mut clip, &mut checkpoint);
        let error = Weights::from_parts(
            &file(&clip, "clip.pt"),
            &file(&checkpoint, "vcp.pth"),
            small_settings(),
        )
        .expect_err(case.name);
        let message = error.to_string();
        let ErrorKind::Mismatch { problems } = error.kind() else {
            panic!("{}: {message}", case.name);
        };
        assert_eq!(problems.len(), case.says.len(), "{}: {message}", case.name);
        for says in case.says {
            assert!(
                message.contains(says),
                "{}: {message}\nlacks: {says}",
                case.name
            );
        }
    }
}

#[test]
fn files_of_the_wrong_kind_are_named() {
    let weights = small_weights(5);
    let (clip, checkpoint) = (openai(&weights), part(&weights, "vcp."));
    let error = |first: &Tensors, second: &Tensors| {
        let (first, second) = (file(first, "a"), file(second, "b"));
        let error = Weights::from_parts(&first, &second, small_settings());
        error.unwrap_err().to_string()
    };
    let message = error(&checkpoint, &clip);
    assert!(
        message
            .starts_with("a: This file does not hold CLIP's weights: it is a VCP-CLIP checkpoint."),
        "{message}"
    );
    let message = error(&clip, &clip);
    assert!(
        message
            .starts_with("b: This file does not hold a VCP-CLIP checkpoint: it is CLIP's weights."),
        "{message}"
    );
}

#[test]
fn settings_have_to_fit() {
    let weights = small_weights(6);
    let geometry = *weights.geometry();
    let template = |text: &str| vec![text.to_owned()];
    let good = small_settings();
    let cases = [
        (
            Settings {
                taps: vec![1],
                ..good.clone()
            },
            "there are 1 taps ([1]), but the checkpoint has linear layers for 2",
        ),
        (
            Settings {
                taps: vec![2, 2],
                ..good.clone()
            },
            "not strictly ascending",
        ),
        (
            Settings {
                taps: vec![3, 1],
                ..good.clone()
            },
            "not strictly ascending",
        ),
        (
            Settings {
                taps: vec![0, 1],
                ..good.clone()
            },
            "tap 0 is not one of the vision blocks 1 to 3",
        ),
        (
            Settings {
                taps: vec![1, 4],
                ..good.clone()
            },
            "tap 4 is not one of the vision blocks 1 to 3",
        ),
        (
            Settings {
                score_fractions: vec![0.1, 0.0, f32::NAN],
                ..good.clone()
            },
            "the fractions of pixels that make the score are [0.1, 0.0, NaN]",
        ),
        (
            Settings {
                image_size: 0,
                ..good.clone()
            },
            "image size is 0",
        ),
        (
            Settings {
                image_size: 3,
                ..good.clone()
            },
            "image size is 3, expected 4, the size of a patch, to 4096",
        ),
        (
            Settings {
                image_size: 1 << 40,
                ..good.clone()
            },
            "image size",
        ),
        (
            Settings {
                normal_templates: vec![],
                ..good.clone()
            },
            "there are 0 normal templates",
        ),
        (
            Settings {
                normal_templates: template("a photo"),
                ..good.clone()
            },
            "normal template \"a photo\" holds <|class|> 0 times",
        ),
        (
            Settings {
                anomalous_templates: template("<|class|> <|class|>"),
                ..good.clone()
            },
            "anomalous template \"<|class|> <|class|>\" holds <|class|> 2 times",
        ),
    ];
    for (settings, says) in cases {
        let message = Weights::random(geometry, settings.clone(), 0)
            .expect_err(says)
            .to_string();
        assert!(message.contains(says), "{message}\nlacks: {says}");
    }
}

#[test]
fn default_settings_fit_the_published_geometries() {
    use vcp_checkpoint::Geometry;
    for (name, geometry) in [
        ("ViT-L-14-336", Geometry::vit_l_14_336()),
        ("ViT-L-14", Geometry::vit_l_14()),
        ("ViT-B-16", Geometry::vit_b_16()),
    ] {
        Weights::random(geometry, Settings::for_geometry(&geometry), 0).expect(name);
    }
    // The official default for every CLIP; 32 whole patches of 16 pixels, and 6 pixels more.
    let of_16 = Settings::for_geometry(&Geometry::vit_b_16());
    assert_eq!(of_16.image_size, 518);
    assert_eq!(Geometry::vit_b_16().grid(of_16.image_size), 32);
    let geometry = Geometry::vit_l_14_336();
    assert_eq!(Settings::for_geometry(&geometry), Settings::default());
    let specs = vcp_checkpoint::tensor_specs(&geometry);
    let count = |prefix: &str| -> usize {
        let specs = specs.iter().filter(|spec| spec.name.starts_with(prefix));
        specs.map(|spec| spec.shape.iter().product::<usize>()).sum()
    };
    // CLIP's own count for ViT-L-14-336 is 427,944,193; one row of the vocabulary is added.
    assert_eq!(count("clip."), 427_944_193 + 768);
    // The paper counts 7.69 million trained parameters; the unused projection is not among them.
    assert_eq!(count("vcp.") - 768 * 768, 7_687_946);
}

#[test]
fn unknown_tensors_are_passed_over_when_asked_to() {
    let expected = small_weights(4);
    let (mut clip, mut learned) = (openai(&expected), part(&expected, "vcp."));
    clip.insert("visual.extra".to_owned(), Stored::zeros(&[3, 7]));
    learned.insert("epoch".to_owned(), Stored::zeros(&[]));
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, tensors: &Tensors| {
        let path = folder.path().join(name);
        std::fs::write(&path, support::safetensors(tensors, None)).unwrap();
        path
    };
    let (clip, checkpoint) = (write("clip", &clip), write("vcp", &learned));
    let open = |ignore_unknown_tensors| {
        let options = LoadOptions {
            ignore_unknown_tensors,
        };
        Weights::open_parts_with(&clip, &checkpoint, |_| small_settings(), options)
    };
    assert!(
        open(false)
            .unwrap_err()
            .to_string()
            .contains("epoch is unknown")
    );
    let found = open(true).unwrap();
    support::assert_equal(&found, &expected);
    let ignored: Vec<&str> = found
        .ignored_tensors()
        .iter()
        .map(|it| it.tensor.as_str())
        .collect();
    assert_eq!(ignored, ["visual.extra", "epoch"]);

    // What is missing stays an error.
    learned.remove("prompt_norm.bias");
    write("vcp", &learned);
    let message = open(true).unwrap_err().to_string();
    assert!(message.starts_with("1 tensor does not fit"), "{message}");
}
