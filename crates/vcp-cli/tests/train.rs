//! `vcp-clip train` and `pretrain`: what a run leaves behind, and that it can be interrupted.

#![cfg(feature = "train")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use flate2::read::GzDecoder;
use serde_json::Value;
use support::cli::{Outcome, Workplace, bundle};
use support::data::{category, mvtec};
use vcp_checkpoint::{LearnedGeometry, LoadOptions, Settings, TensorFile, Weights};

/// A short training on a small data set.
fn train(workplace: &Workplace, out: &str, further: &[&str]) -> Command {
    let usual = [
        "train",
        "--dataset",
        "mvtec",
        "--root",
        "set",
        "--epochs",
        "3",
        "--batch-size",
        "3",
        "--learning-rate",
        "1e-3",
        "--save-every",
        "1",
        "--out",
        out,
    ];
    let mut command = workplace.command(usual);
    command.args(further);
    if !further.contains(&"--clip") {
        command.arg("--model").arg(bundle());
    }
    command
}

fn run(workplace: &Workplace, out: &str, further: &[&str]) -> Outcome {
    Outcome::of(train(workplace, out, further).output().unwrap())
}

/// The log without what depends on the clock.
fn log(folder: &Path) -> Vec<Value> {
    let text = fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines
        .map(|mut line: Value| {
            let line_fields = line.as_object_mut().unwrap();
            line_fields.remove("seconds");
            line_fields.remove("images_per_second");
            line
        })
        .collect()
}

fn same_bytes(workplace: &Workplace, one: &str, other: &str) {
    let read = |name: &str| fs::read(workplace.path(name)).unwrap();
    assert!(read(one) == read(other), "{one} and {other} differ");
}

#[test]
fn a_run_leaves_models_logs_and_what_it_was() {
    let workplace = mvtec();
    let options = ["--val-share", "0.3", "--average", "2", "--mosaic", "0.5"];
    let found = run(&workplace, "run", &options).ends_with(0);
    assert_eq!(found.stdout, "");
    found
        .says("Epoch 3 of 3: mean loss")
        .says("pixel AP on the validation images");
    let files = workplace.files("run");
    for name in [
        "config.toml",
        "state.safetensors",
        "metrics.jsonl",
        "loss.png",
        "epoch-001.pth",
        "epoch-003.pth",
        "last.pth",
        "last.safetensors",
        "best.pth",
        "best.safetensors",
        "average.pth",
        "average.safetensors",
    ] {
        assert!(files.iter().any(|file| file == name), "{name}: {files:?}");
    }
    assert!(
        files
            .iter()
            .any(|file| file.starts_with("events.out.tfevents."))
    );
    same_bytes(&workplace, "run/last.pth", "run/epoch-003.pth");

    // What was trained is in both, and CLIP is as it was.
    let weights = |name: &str| Weights::open_bundle(&workplace.path(name)).unwrap();
    let (start, last) = (
        Weights::open_bundle(bundle()).unwrap(),
        weights("run/last.safetensors"),
    );
    let checkpoint = TensorFile::open(&workplace.path("run/last.pth")).unwrap();
    let learned = last.read_checkpoint(&checkpoint).unwrap();
    assert!(learned.len() > 10);
    for tensor in last.tensors() {
        let (name, values) = (tensor.name(), tensor.to_f32());
        let before = start.tensor(name).unwrap().to_f32();
        match learned.get(name) {
            Some(learned) => assert_eq!(&values, learned, "{name}"),
            None => assert_eq!(values, before, "{name}"),
        }
    }
    let changed = last.tensors().filter(|it| {
        it.name().starts_with("vcp.") && it.to_f32() != start.tensor(it.name()).unwrap().to_f32()
    });
    assert!(changed.count() > 10);

    let lines = log(&workplace.path("run"));
    let steps: Vec<u64> = lines
        .iter()
        .map(|line| line["step"].as_u64().unwrap())
        .collect();
    assert!(steps.is_sorted());
    let judged = lines
        .iter()
        .filter(|line| line["validation"]["pixel_ap"].is_number());
    assert_eq!(judged.count(), 3);

    let photo = "set/bolt/test/bent/000.png";
    workplace
        .run(&["segment", photo, "--model", "./run/best.safetensors"])
        .ends_with(0);
    // It is complete, so the same again does nothing.
    let before = fs::read(workplace.path("run/state.safetensors")).unwrap();
    run(&workplace, "run", &options).ends_with(0);
    assert!(before == fs::read(workplace.path("run/state.safetensors")).unwrap());
}

/// A converted MVTec-AD is MVTec-AD, and the run says which recipe it took. `--category` takes what
/// the official `--group_id_list` takes: some of the products.
#[test]
fn the_recipe_is_that_of_the_data_set() {
    let workplace = mvtec();
    workplace
        .run(&[
            "data",
            "convert",
            "--dataset",
            "mvtec",
            "--root",
            "set",
            "--out",
            "official",
        ])
        .ends_with(0);
    fs::rename(
        workplace.path("official/meta_mvtec.json"),
        workplace.path("official/list.json"),
    )
    .unwrap();
    let list = fs::read_to_string(workplace.path("official/list.json")).unwrap();
    workplace.write("official/meta_mvtec.json", &list);
    let own = list
        .replace("\"bolt\"", "\"screw\"")
        .replace("\"nut\"", "\"metal_nut\"");
    workplace.write("official/own.json", own);
    for (list, rate, words) in [
        ("meta_mvtec.json", 2e-5, "its list is called 'mvtec'"),
        ("own.json", 2e-5, "it has categories of that data set only"),
        (
            "list.json",
            4e-5,
            "recipe for VisA (learning rate 0.00004, mosaics with probability 0)",
        ),
    ] {
        let mut command = workplace.command(["train", "--dataset", "meta", "--root", "official"]);
        let list = format!("official/{list}");
        command.args([
            "--manifest",
            &list,
            "--epochs",
            "1",
            "--batch-size",
            "9",
            "--restart",
        ]);
        let (some, count) = if rate < 3e-5 && list.contains("own") {
            ("screw", 7)
        } else {
            ("", 13)
        };
        if !some.is_empty() {
            command.args(["--category", some]);
        }
        command.args(["--out", "run", "--model"]).arg(bundle());
        Outcome::of(command.output().unwrap())
            .ends_with(0)
            .says(words);
        let text = fs::read_to_string(workplace.path("run/config.toml")).unwrap();
        let table: toml::Table = text.parse().unwrap();
        let found = table["recipe"]["learning_rate"].as_float().unwrap();
        assert!((found - rate).abs() < 1e-9, "{list}: {found}");
        assert_eq!(
            table["data"][0]["images"].as_integer(),
            Some(count),
            "{list}"
        );
        let mosaic = table["data"][0]["augmentation"]["mosaic"]
            .as_float()
            .unwrap();
        assert_eq!(mosaic > 0.0, rate < 3e-5, "{list}");
    }
}

/// A state as earlier versions wrote it: spaces at the end of the header instead of its digest.
fn without_digest(mut state: Vec<u8>) -> Vec<u8> {
    let key = format!("\"{}\":\"", vcp_checkpoint::seal::KEY);
    let at = state.windows(key.len()).position(|it| it == key.as_bytes());
    let entry = at.unwrap()..at.unwrap() + key.len() + 64 + "\",".len();
    let length = u64::from_le_bytes(*state.first_chunk().unwrap()) as usize;
    state[entry.start..8 + length].rotate_left(entry.len());
    state[8 + length - entry.len()..8 + length].fill(b' ');
    state
}

#[test]
fn a_killed_run_ends_as_an_unbroken_one() {
    let workplace = mvtec();
    let options = ["--val-share", "0.3", "--average", "3", "--learned-blend"];
    run(&workplace, "unbroken", &options).ends_with(0);
    for (number, pause) in [3_u64, 40, 90, 150, 210, 30, 270, 120, 330]
        .into_iter()
        .enumerate()
    {
        let mut child = train(&workplace, "broken", &options)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(pause + 17 * number as u64));
        // SIGKILL: nothing can be tidied up.
        child.kill().unwrap();
        child.wait().unwrap();
    }
    run(&workplace, "broken", &options).ends_with(0);
    for name in [
        "last.pth",
        "epoch-002.pth",
        "best.safetensors",
        "average.safetensors",
    ] {
        same_bytes(
            &workplace,
            &format!("broken/{name}"),
            &format!("unbroken/{name}"),
        );
    }
    let [broken, unbroken] = ["broken", "unbroken"].map(|name| log(&workplace.path(name)));
    assert_eq!(broken, unbroken);
    // As if it had been killed when all of the last epoch was written but the state that says so.
    let state = workplace.path("broken/state.safetensors");
    let mut bytes = std::fs::read(&state).unwrap();
    let epochs = br#"\"written\":3"#;
    let at = bytes.windows(epochs.len()).position(|it| it == epochs);
    bytes[at.unwrap() + epochs.len() - 1] = b'2';
    std::fs::write(&state, without_digest(bytes)).unwrap();
    run(&workplace, "broken", &options).ends_with(0);
    assert_eq!(log(&workplace.path("broken")), unbroken);
    // Whatever was being written when it was killed has been removed.
    let [broken, unbroken] = ["broken", "unbroken"].map(|folder| {
        let files = workplace.files(folder);
        let is_result = |file: &String| !file.starts_with("events.");
        files.into_iter().filter(is_result).collect::<Vec<_>>()
    });
    assert_eq!(broken, unbroken);
}

#[test]
fn learned_shares_of_the_branches_are_kept_and_used() {
    let workplace = mvtec();
    run(&workplace, "plain", &[]).ends_with(0);
    run(&workplace, "learned", &["--learned-blend"])
        .ends_with(0)
        .says("shares of the branches");
    // The training is the same.
    same_bytes(&workplace, "plain/last.pth", "learned/last.pth");
    let blend = |name: &str| {
        let weights = Weights::open_bundle(&workplace.path(name)).unwrap();
        weights.settings().blend
    };
    let official = [0.2_f32, 0.8].map(f32::to_bits);
    let learned = blend("learned/last.safetensors");
    assert!((learned[0] + learned[1] - 1.0).abs() < 1e-6, "{learned:?}");
    let learned = learned.map(f32::to_bits);
    assert_eq!(blend("plain/last.safetensors").map(f32::to_bits), official);
    assert_ne!(learned, official);

    let protocol = |out: &str, further: &[&str]| {
        let options = ["eval", "--dataset", "mvtec", "--root", "set", "--out", out];
        let model = ["--model", "./learned/last.safetensors"];
        workplace
            .run(&[&options[..], &model, further].concat())
            .ends_with(0);
        let results = fs::read(workplace.path(&format!("{out}/results.json"))).unwrap();
        let results: Value = serde_json::from_slice(&results).unwrap();
        let shares = results["protocol"]["blend"].as_array().unwrap().clone();
        [0, 1].map(|branch| (shares[branch].as_f64().unwrap() as f32).to_bits())
    };
    assert_eq!(protocol("own", &[]), learned);
    assert_eq!(protocol("asked", &["--blend", "0.2,0.8"]), official);
}

#[test]
fn only_the_same_run_goes_on() {
    let workplace = mvtec();
    run(&workplace, "run", &["--epochs", "1"]).ends_with(2);
    let short = |further: &[&str]| {
        let mut command = workplace.command([
            "train",
            "--dataset",
            "mvtec",
            "--root",
            "set",
            "--epochs",
            "1",
            "--batch-size",
            "4",
            "--out",
            "run",
            "--quiet",
        ]);
        command.args(further).arg("--model").arg(bundle());
        Outcome::of(command.output().unwrap())
    };
    short(&[]).ends_with(0);
    short(&["--seed", "4", "--dice", "2"])
        .ends_with(2)
        .says("recipe.loss.dice, recipe.seed")
        .says("--restart");
    short(&["--augment", "none"])
        .ends_with(2)
        .says("another data");
    let quiet = short(&["--seed", "4", "--restart"]).ends_with(0);
    assert_eq!(quiet.stderr, "");
    // What earlier versions left there is removed.
    let state = br#"12345678{"__metadata__":{"vcp_clip_tr"#;
    workplace.write("run/.tmpAbC123", state);
    workplace.write("run/.vcp-clip-AbC123.partial", "half");
    short(&["--seed", "4"]).ends_with(0);
    assert!(
        !workplace
            .files("run")
            .iter()
            .any(|name| name.starts_with('.'))
    );
    // Another file in the folder is not the run's.
    workplace.write("run/mine.txt", "kept");
    short(&["--restart"]).ends_with(0);
    assert!(workplace.path("run/mine.txt").is_file());
}

#[test]
fn two_runs_do_not_write_into_one_folder() {
    let workplace = mvtec();
    fs::create_dir(workplace.path("run")).unwrap();
    let lock = vcp_files::Lock::of_folder(&workplace.path("run")).unwrap();
    run(&workplace, "run", &[])
        .ends_with(2)
        .says("Another run is writing to run");
    workplace
        .run(&["pretrain", "--out", "run", "--restart"])
        .ends_with(2)
        .says("Another run is writing to run");
    drop(lock);
    assert_eq!(workplace.files("run"), Vec::<String>::new());
    // A killed run keeps nobody out.
    let mut child = train(&workplace, "run", &[])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(200));
    child.kill().unwrap();
    child.wait().unwrap();
    run(&workplace, "run", &[]).ends_with(0);
}

#[test]
fn somebody_elses_folder_is_no_runs() {
    let workplace = mvtec();
    for name in ["best.pth", "config.toml", "loss.png", "epoch-1.txt"] {
        workplace.write(&format!("site/{name}"), "title = 'mine'");
        workplace.write(&format!("weights/{name}"), "mine");
    }
    fs::remove_file(workplace.path("weights/config.toml")).unwrap();
    let before = [workplace.files("site"), workplace.files("weights")];
    for (out, further) in [
        ("site", &["--restart"][..]),
        ("site", &[]),
        ("weights", &["--restart"]),
    ] {
        run(&workplace, out, further)
            .ends_with(2)
            .says("is not the folder of a run")
            .says("best.pth");
    }
    assert_eq!(
        [workplace.files("site"), workplace.files("weights")],
        before
    );
}

#[test]
fn what_cannot_be_is_refused() {
    let workplace = mvtec();
    let cases: [(&[&str], &str); 5] = [
        (
            &["--split", "dev"],
            "--split takes train, validation, test or all",
        ),
        (&["--patience", "2"], "--val-share or --val-dataset"),
        (&["--dropout", "1"], "from 0 to below 1"),
        (
            &["--noise-variance", "3"],
            "--noise-variance takes two numbers",
        ),
        (&["--val-root", "set"], "--val-root needs a --val-dataset"),
    ];
    for (options, message) in cases {
        let found = run(&workplace, "run", options).ends_with(2).says(message);
        assert_eq!(found.stdout, "");
    }
    let mut bare =
        workplace.command(["train", "--dataset", "mvtec", "--root", "set", "--out", "x"]);
    Outcome::of(bare.output().unwrap())
        .ends_with(2)
        .says("--clip FILE");
    assert!(!workplace.path("run").exists());
}

#[test]
fn mixed_precision_is_not_for_the_cpu() {
    let workplace = mvtec();
    let options = ["--device", "cpu", "--mixed-precision"];
    run(&workplace, "run", &options)
        .ends_with(2)
        .says("--mixed-precision is for GPUs");
    workplace
        .run(&[&["pretrain", "--out", "run"], &options[..]].concat())
        .ends_with(2)
        .says("--mixed-precision is for GPUs");
    assert!(!workplace.path("run").exists());
}

/// So that runs which versions without learned shares of the branches and mixed precision have begun
/// go on: their configuration has no such keys.
#[test]
fn newer_choices_are_named_only_where_they_are_made() {
    let workplace = mvtec();
    let newer = ["learned_blend", "mixed_precision", "loss_scale"];
    run(&workplace, "run", &[]).ends_with(0);
    let configuration = fs::read_to_string(workplace.path("run/config.toml")).unwrap();
    for key in &newer {
        assert!(
            !configuration.contains(key),
            "{key} is named though nobody asked for it"
        );
    }
    let metadata = fs::read(workplace.path("run/state.safetensors")).unwrap();
    let metadata = String::from_utf8_lossy(&metadata[..metadata.len().min(1 << 16)]).into_owned();
    assert!(metadata.contains("optimiser_steps"));
    for key in &newer {
        assert!(!metadata.contains(key), "{key}");
    }
}

/// Thresholds are of the weights that they were found with.
#[test]
fn trained_models_have_no_thresholds_of_the_model_they_began_from() {
    let workplace = Workplace::new();
    category(&workplace, "nut", 12, &["scratch"]);
    workplace
        .command([
            "calibrate",
            "set/nut/test/good",
            "--out",
            "start.safetensors",
        ])
        .arg("--model")
        .arg(bundle())
        .output()
        .map(Outcome::of)
        .unwrap()
        .ends_with(0);
    let calibration = |name: &str| {
        let weights = Weights::open_bundle(&workplace.path(name)).unwrap();
        weights.calibration().is_some()
    };
    assert!(calibration("start.safetensors"));
    let mut command = workplace.command([
        "train",
        "--dataset",
        "mvtec",
        "--root",
        "set",
        "--epochs",
        "1",
        "--val-share",
        "0.3",
        "--average",
        "1",
        "--out",
        "run",
        "--model",
        "./start.safetensors",
    ]);
    Outcome::of(command.output().unwrap()).ends_with(0);
    for name in ["run/last.safetensors", "run/best.safetensors"] {
        assert!(!calibration(name), "{name}");
    }
    let mut command = workplace.command([
        "pretrain",
        "--epochs",
        "1",
        "--epoch-images",
        "8",
        "--out",
        "all",
        "--image-size",
        "56",
        "--from",
        "start.safetensors",
    ]);
    Outcome::of(command.output().unwrap()).ends_with(0);
    assert!(!calibration("all/last.safetensors"));
}

#[cfg(feature = "wgpu")]
#[test]
#[allow(clippy::print_stderr, reason = "says that it is skipped")]
fn a_gpu_trains_as_the_cpu_does() {
    let workplace = mvtec();
    let losses = |out: &str, options: &[&str]| -> Option<Vec<f64>> {
        let usual = ["--val-share", "0.3", "--epochs", "2"];
        let mut command = workplace.command(["train", "--dataset", "mvtec", "--root", "set"]);
        command
            .args(["--batch-size", "3", "--out", out])
            .args(usual)
            .args(options);
        let found = Outcome::of(command.arg("--model").arg(bundle()).output().unwrap());
        let is_missing = ["There is no gpu:0 here", "computes with 16-bit floats"];
        if is_missing.iter().any(|said| found.stderr.contains(said)) {
            eprintln!("skipped: {}", found.stderr);
            return None;
        }
        found.ends_with(0);
        let lines = log(&workplace.path(out)).into_iter();
        Some(lines.filter_map(|line| line["loss"].as_f64()).collect())
    };
    let cpu = losses("cpu", &["--device", "cpu"]).unwrap();
    assert!(cpu.len() > 4);
    for (out, further, allowed) in [
        ("gpu", "--quiet", 1e-4),
        ("mixed", "--mixed-precision", 1e-2),
    ] {
        let Some(gpu) = losses(out, &["--device", "gpu:0", further]) else {
            return;
        };
        assert_eq!(gpu.len(), cpu.len());
        for (gpu, cpu) in gpu.iter().zip(&cpu) {
            assert!((gpu - cpu).abs() < allowed * cpu, "{out}: {gpu}, {cpu}");
        }
    }
}

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

/// Products large enough to be shared among threads.
#[test]
fn the_number_of_threads_changes_no_bit_of_a_training() {
    let workplace = Workplace::new();
    let pretrain = |threads: &str| {
        let mut command = workplace.command([
            "pretrain",
            "--width",
            "64",
            "--layers",
            "2",
            "--text-layers",
            "1",
            "--taps",
            "1,2",
            "--image-size",
            "64",
            "--epochs",
            "1",
            "--epoch-images",
            "16",
            "--pixels-from",
            "0",
            "--image-loss",
            "0.2",
            "--out",
            threads,
        ]);
        command.env("RAYON_NUM_THREADS", threads);
        Outcome::of(command.output().unwrap()).ends_with(0);
    };
    pretrain("1");
    pretrain("3");
    same_bytes(&workplace, "1/last.safetensors", "3/last.safetensors");
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
