//! Reads the files that PyTorch wrote, where they are at hand.

mod support;

use support::goldens;
use vcp_checkpoint::{ElementType, Format, Geometry, Settings, TensorFile, TowerGeometry, Weights};

#[test]
fn tiny_and_mini_open() {
    let Some(goldens) = goldens() else { return };
    let tiny = Geometry {
        embedding_width: 128,
        vision: TowerGeometry {
            layers: 12,
            width: 192,
            heads: 3,
        },
        backbone: None,
        patch_size: 14,
        native_grid: 4,
        text: TowerGeometry {
            layers: 12,
            width: 128,
            heads: 2,
        },
        context_length: 77,
        vocabulary: 49409,
        context_vectors: 2,
        deep_prompts: 1,
        deep_prompting: true,
        tap_count: 4,
    };
    let mini = Geometry {
        vision: TowerGeometry {
            layers: 2,
            width: 128,
            heads: 2,
        },
        native_grid: 3,
        text: TowerGeometry {
            layers: 2,
            width: 128,
            heads: 2,
        },
        tap_count: 2,
        ..tiny
    };
    for (folder, checkpoint, geometry, taps, image_size) in [
        ("tiny", "vcp.pth", tiny, vec![3, 6, 9, 12], 98),
        ("tiny", "vcp_saved_on_gpu.pth", tiny, vec![3, 6, 9, 12], 98),
        ("mini", "vcp.pth", mini, vec![1, 2], 70),
    ] {
        let settings = Settings {
            taps,
            image_size,
            ..Settings::default()
        };
        let folder = goldens.join(folder);
        let weights =
            Weights::open_parts(&folder.join("clip.pt"), &folder.join(checkpoint), settings)
                .unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(*weights.geometry(), geometry);
        let embedding = weights.tensor("clip.token_embedding.weight").unwrap();
        assert_eq!(embedding.shape(), [49409, 128]);
        assert_eq!(embedding.element_type(), ElementType::F32);
        let mut last = vec![1.0; 256];
        embedding.read_rows(49407..49409, &mut last);
        assert!(
            last[..128].iter().any(|v| *v != 0.0),
            "the end mark's row is used"
        );
        assert!(
            last[128..].iter().all(|v| *v == 0.0),
            "the placeholder's row is zero"
        );
        let projection = weights.tensor("clip.visual.proj").unwrap();
        assert_eq!(projection.element_type(), ElementType::F16);
        for name in weights.names() {
            let tensor = weights.tensor(name).unwrap();
            tensor.release();
            let values = tensor.to_f32();
            assert!(values.iter().all(|v| v.is_finite()), "{name}");
        }
    }
}

#[test]
fn formats_are_found_from_the_content() {
    let Some(goldens) = goldens() else { return };
    for (path, format) in [
        ("tiny/clip.pt", Format::TorchScript),
        ("tiny/vcp.pth", Format::TorchSave),
        ("tiny/stages.safetensors", Format::Safetensors),
    ] {
        let file = TensorFile::open(&goldens.join(path)).unwrap();
        assert_eq!(file.format(), format, "{path}");
    }
}

/// A checksum that depends on the bits and their order, made by PyTorch for the constants below.
fn checksum(values: &[f32]) -> i64 {
    values
        .iter()
        .zip(1i64..)
        .fold(0, |sum: i64, (value, weight)| {
            sum.wrapping_add(i64::from(value.to_bits().cast_signed()).wrapping_mul(weight))
        })
}

#[test]
fn values_are_those_pytorch_reads() {
    let Some(goldens) = goldens() else { return };
    for (path, name, expected) in [
        (
            "tiny/clip.pt",
            "visual.conv1.weight",
            -360_142_096_844_619_776,
        ),
        (
            "tiny/clip.pt",
            "visual.positional_embedding",
            -194_827_884_617_838,
        ),
        (
            "tiny/clip.pt",
            "visual.transformer.resblocks.1.attn.in_proj_weight",
            -306_788_613_559_009_280,
        ),
        (
            "tiny/clip.pt",
            "transformer.resblocks.0.mlp.c_proj.bias",
            -1_047_612_424_192,
        ),
        ("tiny/clip.pt", "text_projection", -6_281_081_524_035_584),
        ("tiny/clip.pt", "logit_scale", 1_076_506_961),
        (
            "tiny/clip.pt",
            "token_embedding.weight",
            8_080_701_502_462_038_961,
        ),
        (
            "tiny/vcp.pth",
            "Zero_try.k_proj_pre_1.weight",
            -4_900_815_292_705_086,
        ),
        ("tiny/vcp.pth", "New_Lan_Embed.prompt_temp", 1_077_516_698),
        (
            "tiny/vcp.pth",
            "deep_prompt_embeddings",
            -16_292_156_043_936,
        ),
        (
            "mini/clip.pt",
            "visual.transformer.resblocks.1.attn.in_proj_weight",
            -67_169_960_390_205_440,
        ),
        (
            "mini/clip.pt",
            "token_embedding.weight",
            8_875_987_548_644_719_288,
        ),
        (
            "mini/vcp.pth",
            "trainable_linearlayer.fc.1.bias",
            -195_086_640_348,
        ),
        ("mini/vcp.pth", "prompt_proj.weight", -8_098_705_335_812_096),
    ] {
        let file = TensorFile::open(&goldens.join(path)).unwrap();
        let tensor = file
            .tensor(name)
            .unwrap_or_else(|| panic!("{path}: {name}"));
        assert_eq!(checksum(&tensor.to_f32()), expected, "{path}: {name}");
    }
}

#[test]
fn the_device_a_checkpoint_was_saved_on_does_not_matter() {
    let Some(goldens) = goldens() else { return };
    let cpu = TensorFile::open(&goldens.join("tiny/vcp.pth")).unwrap();
    let gpu = TensorFile::open(&goldens.join("tiny/vcp_saved_on_gpu.pth")).unwrap();
    assert!(cpu.names().eq(gpu.names()));
    for name in cpu.names() {
        let (cpu, gpu) = (cpu.tensor(name).unwrap(), gpu.tensor(name).unwrap());
        assert_eq!(cpu.shape(), gpu.shape(), "{name}");
        assert_eq!(cpu.to_f32(), gpu.to_f32(), "{name}");
    }
}
