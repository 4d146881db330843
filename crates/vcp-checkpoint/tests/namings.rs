//! CLIP under the names that different programs give its tensors.

#![allow(clippy::unwrap_used, reason = "what is made here is made right")]

mod support;

use support::{Stored, Tensors, assert_equal, file, openai, part, small_settings, small_weights};
use vcp_checkpoint::{Kind, TensorFile, Weights};

fn transposed(stored: &Stored) -> Stored {
    let (rows, columns) = (stored.shape[0], stored.shape[1]);
    let elements: Vec<[u8; 2]> = stored.bytes.as_chunks().0.to_vec();
    let bytes = (0..columns)
        .flat_map(|column| (0..rows).map(move |row| (row, column)))
        .flat_map(|(row, column)| elements[row * columns + column])
        .collect();
    Stored {
        shape: vec![columns, rows],
        bytes,
        ..stored.clone()
    }
}

/// Written apart from the program's own renaming, following `convert_clip_original_pytorch_to_hf.py`
/// of the transformers library.
fn hugging_face(openai: &Tensors) -> Tensors {
    let mut tensors = Tensors::new();
    for (name, stored) in openai {
        let (model, inner) = match name.strip_prefix("visual.") {
            Some(inner) => ("vision_model", inner),
            None => ("text_model", name.as_str()),
        };
        if let Some(block) = inner.strip_prefix("transformer.resblocks.") {
            let (layer, part) = block.split_once('.').unwrap();
            let layer = format!("{model}.encoder.layers.{layer}");
            if let Some(kind) = part.strip_prefix("attn.in_proj_") {
                let third = stored.bytes.len() / 3;
                for (index, letter) in ["q", "k", "v"].iter().enumerate() {
                    let mut shape = stored.shape.clone();
                    shape[0] /= 3;
                    tensors.insert(
                        format!("{layer}.self_attn.{letter}_proj.{kind}"),
                        Stored {
                            dtype: stored.dtype,
                            shape,
                            bytes: stored.bytes[index * third..(index + 1) * third].to_vec(),
                        },
                    );
                }
                continue;
            }
            let part = match part {
                "attn.out_proj.weight" => "self_attn.out_proj.weight",
                "attn.out_proj.bias" => "self_attn.out_proj.bias",
                "ln_1.weight" => "layer_norm1.weight",
                "ln_1.bias" => "layer_norm1.bias",
                "ln_2.weight" => "layer_norm2.weight",
                "ln_2.bias" => "layer_norm2.bias",
                "mlp.c_fc.weight" => "mlp.fc1.weight",
                "mlp.c_fc.bias" => "mlp.fc1.bias",
                "mlp.c_proj.weight" => "mlp.fc2.weight",
                "mlp.c_proj.bias" => "mlp.fc2.bias",
                other => panic!("{other}"),
            };
            tensors.insert(format!("{layer}.{part}"), stored.clone());
            continue;
        }
        let (name, stored) = match name.as_str() {
            "visual.class_embedding" => ("vision_model.embeddings.class_embedding", stored.clone()),
            "visual.positional_embedding" => (
                "vision_model.embeddings.position_embedding.weight",
                stored.clone(),
            ),
            "visual.conv1.weight" => (
                "vision_model.embeddings.patch_embedding.weight",
                stored.clone(),
            ),
            "visual.ln_pre.weight" => ("vision_model.pre_layrnorm.weight", stored.clone()),
            "visual.ln_pre.bias" => ("vision_model.pre_layrnorm.bias", stored.clone()),
            "visual.ln_post.weight" => ("vision_model.post_layernorm.weight", stored.clone()),
            "visual.ln_post.bias" => ("vision_model.post_layernorm.bias", stored.clone()),
            "visual.proj" => ("visual_projection.weight", transposed(stored)),
            "text_projection" => ("text_projection.weight", transposed(stored)),
            "token_embedding.weight" => (
                "text_model.embeddings.token_embedding.weight",
                stored.clone(),
            ),
            "positional_embedding" => (
                "text_model.embeddings.position_embedding.weight",
                stored.clone(),
            ),
            "ln_final.weight" => ("text_model.final_layer_norm.weight", stored.clone()),
            "ln_final.bias" => ("text_model.final_layer_norm.bias", stored.clone()),
            "logit_scale" => ("logit_scale", stored.clone()),
            other => panic!("{other}"),
        };
        tensors.insert(name.to_owned(), stored);
    }
    for (model, count) in [("vision", 10), ("text", 20)] {
        let name = format!("{model}_model.embeddings.position_ids");
        tensors.insert(name, integers(&[1, count]));
    }
    tensors
}

fn integers(shape: &[usize]) -> Stored {
    Stored {
        dtype: safetensors::Dtype::I64,
        shape: shape.to_vec(),
        bytes: vec![1; 8 * shape.iter().product::<usize>()],
    }
}

fn with_prefix(tensors: &Tensors, prefix: &str) -> Tensors {
    tensors
        .iter()
        .map(|(name, stored)| (format!("{prefix}{name}"), stored.clone()))
        .collect()
}

/// `open_clip`'s `CustomTextCLIP`, with the projection as a matrix or as a linear layer.
fn custom_text(openai: &Tensors, linear: bool) -> Tensors {
    openai
        .iter()
        .map(|(name, stored)| match name.as_str() {
            "logit_scale" => (name.clone(), stored.clone()),
            "text_projection" if linear => {
                ("text.text_projection.weight".to_owned(), transposed(stored))
            }
            name if name.starts_with("visual.") => (name.to_owned(), stored.clone()),
            name => (format!("text.{name}"), stored.clone()),
        })
        .collect()
}

fn beside(mut tensors: Tensors, name: &str) -> Tensors {
    tensors.insert(name.to_owned(), Stored::zeros(&[3, 3]));
    tensors
}

/// With `module` after the first part of each name, and a compiled module somewhere within.
fn wrapped_inside(tensors: &Tensors) -> Tensors {
    let wrapped = |name: &str| match name.split_once('.') {
        Some((first, rest)) => {
            format!("{first}.module.{}", rest.replace("mlp.", "mlp._orig_mod."))
        }
        None => name.to_owned(),
    };
    let tensors = tensors.iter();
    tensors
        .map(|(name, stored)| (wrapped(name), stored.clone()))
        .collect()
}

#[test]
fn all_conventions_give_the_same_model() {
    let expected = small_weights(1);
    let original = openai(&expected);
    let mut archive_like = original.clone();
    for name in ["input_resolution", "context_length", "vocab_size"] {
        archive_like.insert(name.to_owned(), integers(&[]));
    }
    let mut without_scale = original.clone();
    without_scale.remove("logit_scale");
    let mut masked = custom_text(&original, false);
    for name in ["text.attn_mask", "text.transformer.resblocks.0.attn_mask"] {
        masked.insert(name.to_owned(), Stored::zeros(&[20, 20]));
    }
    let mut scale_of_one = original.clone();
    scale_of_one.get_mut("logit_scale").unwrap().shape = vec![1];

    let cases = [
        ("OpenAI", original.clone()),
        ("OpenAI with integer buffers", archive_like),
        ("with a logit scale of shape [1]", scale_of_one),
        ("with the row of the placeholder", part(&expected, "clip.")),
        (
            "trained on several devices",
            with_prefix(&original, "module."),
        ),
        ("Hugging Face", hugging_face(&original)),
        (
            "Hugging Face within another model",
            with_prefix(&hugging_face(&original), "clip."),
        ),
        ("custom text tower", masked),
        (
            "open_clip's training checkpoint, distributed",
            beside(
                with_prefix(&original, "state_dict.module."),
                "optimizer.state.0.exp_avg",
            ),
        ),
        (
            "Lightning",
            beside(
                with_prefix(&hugging_face(&original), "state_dict.model.clip."),
                "optimizer_states.0.state.3.exp_avg",
            ),
        ),
        ("under model", with_prefix(&original, "model.")),
        (
            "under model_state_dict",
            with_prefix(&original, "model_state_dict."),
        ),
        ("compiled", with_prefix(&original, "_orig_mod.")),
        (
            "compiled and distributed, in a custom text tower",
            with_prefix(&custom_text(&original, true), "module._orig_mod."),
        ),
        ("its towers wrapped one by one", wrapped_inside(&original)),
        (
            "custom text tower with a linear projection",
            custom_text(&original, true),
        ),
    ];
    let checkpoint = file(&part(&expected, "vcp."), "checkpoint");
    for (case, tensors) in cases {
        let found = Weights::from_parts(&file(&tensors, case), &checkpoint, small_settings())
            .unwrap_or_else(|error| panic!("{case}: {error}"));
        assert_equal(&found, &expected);
        // Queries, keys and values, and transposed matrices, also have to come out of ranges of rows.
        let name = "clip.visual.transformer.resblocks.1.attn.in_proj_weight";
        let (found, expected) = (found.tensor(name).unwrap(), expected.tensor(name).unwrap());
        for rows in [0..3, 126..130, 120..300, 383..384, 5..5] {
            let mut a = vec![0.0; rows.len() * 128];
            let mut b = a.clone();
            found.read_rows(rows.clone(), &mut a);
            expected.read_rows(rows.clone(), &mut b);
            assert_eq!(a, b, "{case}: {rows:?}");
        }
    }
    let found = Weights::from_parts(
        &file(&without_scale, "no scale"),
        &checkpoint,
        small_settings(),
    )
    .unwrap();
    assert!(found.tensor("clip.logit_scale").is_err());
}

#[test]
fn checkpoints_may_have_a_common_prefix() {
    let expected = small_weights(2);
    let clip = file(&openai(&expected), "clip");
    let learned = part(&expected, "vcp.");
    let mut checkpoints: Vec<(&str, Tensors)> = [
        "",
        "module.",
        "vcp.",
        "state_dict.",
        "model.",
        "model_state_dict.module.",
        "_orig_mod.",
    ]
    .map(|prefix| (prefix, with_prefix(&learned, prefix)))
    .into();
    checkpoints.push(("wrapped inside", wrapped_inside(&learned)));
    for (prefix, tensors) in checkpoints {
        let checkpoint = file(&tensors, "checkpoint");
        assert_eq!(checkpoint.kind(), Kind::Checkpoint, "{prefix}");
        let found = Weights::from_parts(&clip, &checkpoint, small_settings())
            .unwrap_or_else(|error| panic!("{prefix}: {error}"));
        assert_equal(&found, &expected);
    }
}

#[test]
fn what_is_not_told_apart_is_said_in_a_sentence() {
    let expected = small_weights(2);
    let (mut clip, learned) = (openai(&expected), part(&expected, "vcp."));
    let mut twice = with_prefix(&clip, "state_dict.");
    twice.extend(with_prefix(&clip, "state_dict_ema."));
    let mut both = clip.clone();
    both.insert(
        "module.ln_final.bias".to_owned(),
        clip["ln_final.bias"].clone(),
    );
    let others = Tensors::from([
        ("layer1.0.conv1.weight".to_owned(), Stored::zeros(&[3, 3])),
        ("fc.bias".to_owned(), Stored::zeros(&[3])),
    ]);
    for (name, clip, checkpoint, says) in [
        (
            "two copies of CLIP",
            &twice,
            &learned,
            &[
                "more than once",
                "under state_dict and under state_dict_ema",
            ][..],
        ),
        (
            "one tensor twice",
            &both,
            &learned,
            &["holds it twice", "ln_final.bias"],
        ),
        (
            "other weights for CLIP's",
            &others,
            &learned,
            &[
                "does not hold CLIP's weights",
                "its 2 tensors have other names, such as fc.bias",
            ],
        ),
        (
            "other weights for the checkpoint",
            &clip,
            &others,
            &[
                "does not hold a VCP-CLIP checkpoint",
                "its 2 tensors have other names",
            ],
        ),
        (
            "the files exchanged",
            &learned,
            &clip,
            &["does not hold CLIP's weights: it is a VCP-CLIP checkpoint"],
        ),
        (
            "no tensors",
            &Tensors::new(),
            &learned,
            &["does not hold CLIP's weights: it holds no tensors"],
        ),
    ] {
        let error = Weights::from_parts(
            &file(clip, "clip"),
            &file(checkpoint, "vcp"),
            small_settings(),
        );
        let message = error.unwrap_err().to_string();
        assert!(!message.contains('\n'), "{name}: {message}");
        for says in says {
            assert!(message.contains(says), "{name}: {message}\nlacks: {says}");
        }
    }
    // Much that is missing makes no long message either.
    clip.retain(|name, _| !name.contains("resblocks.0."));
    let error = Weights::from_parts(
        &file(&clip, "clip"),
        &file(&learned, "vcp"),
        small_settings(),
    );
    let message = error.unwrap_err().to_string();
    assert!(message.lines().count() < 20, "{message}");
    assert!(message.contains("\n  … and 12 more"), "{message}");
}

#[test]
fn kinds_are_told_by_the_names_that_loading_takes() {
    let expected = small_weights(2);
    let original = openai(&expected);
    for (tensors, kind) in [
        (original.clone(), Kind::Clip),
        (with_prefix(&original, "state_dict.module."), Kind::Clip),
        (hugging_face(&original), Kind::Clip),
        (custom_text(&original, true), Kind::Clip),
        (part(&expected, "vcp."), Kind::Checkpoint),
        (
            Tensors::from([("a".to_owned(), Stored::zeros(&[1]))]),
            Kind::Tensors,
        ),
    ] {
        let file = file(&tensors, "file");
        assert_eq!(file.kind(), kind);
        let lengths = file.lengths();
        let length = |name: &str| lengths.iter().find(|(n, _)| *n == name).map(|(_, l)| *l);
        match kind {
            Kind::Clip => {
                assert_eq!(length("vision_width"), Some(128));
                assert_eq!(length("vision_layers"), Some(3));
                assert_eq!(length("text_layers"), Some(2));
                assert_eq!(length("patch_size"), Some(4));
                assert_eq!(length("vocabulary"), Some(49408));
            }
            Kind::Checkpoint => assert_eq!(length("tap_count"), Some(2)),
            _ => assert_eq!(lengths, []),
        }
    }
}

#[test]
fn names_of_a_file_are_those_stored() {
    let tensors = hugging_face(&openai(&small_weights(3)));
    let file: TensorFile = file(&tensors, "file");
    assert!(file.names().eq(tensors.keys()));
    assert!(file.tensor("vision_model.pre_layrnorm.bias").is_some());
    assert!(file.tensor("visual.ln_pre.bias").is_none());
}
