//! What a training begins from.

use std::fs;
use std::io::Read as _;
use std::process::Command;

use flate2::read::GzDecoder;
use vcp_checkpoint::{LearnedGeometry, LoadOptions, Settings, TensorFile, Weights};

use crate::support::cli::Workplace;
use crate::support::data::mvtec;
use crate::{run, same_bytes};

/// CLIP's weights of the fixture.
fn clip(workplace: &Workplace) {
    let packed = fs::File::open(vcp_testing::fixtures().join("mini/clip.pt.gz")).unwrap();
    let mut bytes = Vec::new();
    GzDecoder::new(packed).read_to_end(&mut bytes).unwrap();
    workplace.write("clip.pt", bytes);
}

#[test]
fn clip_alone_is_enough_and_pytorch_opens_what_comes_out() {
    let workplace = mvtec();
    clip(&workplace);
    let options = [
        "--clip",
        "clip.pt",
        "--taps",
        "1,2",
        "--image-size",
        "70",
        "--augment",
        "none",
        "--feature-cache",
        "1",
    ];
    run(&workplace, "run", &options).ends_with(0);
    let plain: Vec<&str> = options.into_iter().take(8).collect();
    run(&workplace, "without", &plain).ends_with(0);
    same_bytes(&workplace, "run/last.pth", "without/last.pth");
    workplace
        .run(&[
            "segment",
            "set/bolt/test/bent/000.png",
            "--clip",
            "clip.pt",
            "--checkpoint",
            "run/last.pth",
            "--taps",
            "1,2",
            "--image-size",
            "70",
        ])
        .ends_with(0);

    let python = std::env::var_os("VCP_CLIP_PYTHON").unwrap_or_else(|| "python3".into());
    let script = "import json, sys, torch\n\
        def flat(prefix, value):\n\
        \x20   if isinstance(value, dict):\n\
        \x20       for key, part in value.items(): yield from flat(prefix + [key], part)\n\
        \x20   else: yield '.'.join(prefix), list(value.shape), value.detach().double().sum().item()\n\
        print(json.dumps(list(flat([], torch.load(sys.argv[1], map_location='cpu')))))";
    let path = workplace.path("run/last.pth");
    let ran = Command::new(python)
        .arg("-c")
        .arg(script)
        .arg(&path)
        .output();
    let Some(ran) = ran.ok().filter(|ran| ran.status.success()) else {
        eprintln!("skipped: no Python with torch is at hand");
        return;
    };
    let found: Vec<(String, Vec<usize>, f64)> = serde_json::from_slice(&ran.stdout).unwrap();
    let ours = TensorFile::open(&path).unwrap();
    assert_eq!(found.len(), ours.names().count());
    for (name, shape, sum) in found {
        let tensor = ours.tensor(&name).unwrap_or_else(|| panic!("{name}"));
        assert_eq!(tensor.shape(), shape, "{name}");
        let own: f64 = tensor.to_f32().iter().map(|&value| f64::from(value)).sum();
        assert!(
            (own - sum).abs() < 1e-6 * sum.abs().max(1.0),
            "{name}: {own} {sum}"
        );
    }
}

#[test]
fn a_small_model_is_trained_from_nothing() {
    let workplace = Workplace::new();
    let pretrain = |out: &str, side: &str, further: &[&str]| {
        let usual = [
            "pretrain",
            "--out",
            out,
            "--width",
            "64",
            "--layers",
            "2",
            "--text-layers",
            "1",
            "--taps",
            "1,2",
            "--image-size",
            side,
            "--epochs",
            "2",
            "--epoch-images",
            "16",
        ];
        workplace.run(&[&usual, further].concat())
    };
    pretrain("one", "32", &[]).ends_with(0).says("Epoch 2 of 2");
    pretrain("two", "32", &["--workers", "3", "--average", "2"]).ends_with(0);
    same_bytes(&workplace, "one/last.safetensors", "two/last.safetensors");
    assert!(workplace.path("two/average.safetensors").is_file());
    // Going on with a trained one, on larger pictures.
    pretrain("three", "48", &["--from", "one/last.safetensors"]).ends_with(0);
    let weights = Weights::open_bundle(&workplace.path("three/last.safetensors")).unwrap();
    assert_eq!(weights.settings().image_size, 48);
    assert_eq!(weights.geometry().native_grid, 6);
}

/// The paper's ablations: what takes part in nothing is not trained and stands in checkpoints as it was
/// in the beginning, as with the official code; and what is trained so is read.
#[test]
fn ablations_are_trained_and_read() {
    let workplace = mvtec();
    let mini = vcp_testing::mini();
    let clip = mini.folder.join("clip.pt");
    let model = [
        "--clip",
        clip.to_str().unwrap(),
        "--taps",
        "1,2",
        "--image-size",
        "59",
        "--global-context",
        "off",
    ];
    run(
        &workplace,
        "run",
        &[&model[..], &["--deep-prompts", "0"]].concat(),
    )
    .ends_with(0);
    let trained = Weights::open_bundle(&workplace.path("run/last.safetensors")).unwrap();
    assert!(!trained.geometry().deep_prompting && !trained.settings().global_context);
    let checkpoint = TensorFile::open(&workplace.path("run/last.pth")).unwrap();
    assert!(checkpoint.tensor("prompt_embeddings").is_some());
    assert!(checkpoint.tensor("deep_prompt_embeddings").is_none());

    let learned = LearnedGeometry {
        deep_prompting: false,
        tap_count: 2,
        ..LearnedGeometry::default()
    };
    let settings = |_: &_| Settings::clone(trained.settings());
    let begun = Weights::start(&clip, learned, settings, 333, LoadOptions::default()).unwrap();
    let without_part = [
        "vcp.prompt_",
        "vcp.New_Lan_Embed.prompt_linear1.",
        // The softmax over patches does not see it.
        "vcp.Zero_try.k_proj_pre_1.bias",
    ];
    for tensor in begun.tensors() {
        let name = tensor.name();
        let is_part = name.starts_with("vcp.")
            && !without_part
                .iter()
                .any(|beginning| name.starts_with(beginning));
        let now = trained.tensor(name).unwrap().to_f32();
        assert_eq!(now != tensor.to_f32(), is_part, "{name}");
    }

    let photo = "set/bolt/test/bent/000.png";
    let segment = |model: &[&str]| {
        let run = workplace.run(&[&["segment", photo], model].concat());
        run.ends_with(0).lines()[0]["score"].to_string()
    };
    let parts = ["--checkpoint", "run/last.pth"];
    assert_eq!(
        segment(&["--model", "./run/last.safetensors"]),
        segment(&[&model[..], &parts].concat())
    );
}
