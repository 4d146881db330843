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
