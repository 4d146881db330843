//! `vcp-clip model …`, the choice of a model, configuration and completions.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::float_cmp, reason = "whether numbers are the very same")]
#![allow(clippy::print_stderr, reason = "says which tests are skipped")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use support::cli::{Outcome, Workplace, bundle, weights};
use support::server::{Reply, Server};
use vcp_checkpoint::Storing;

/// The small model of the golden numbers, in its published layout.
fn mini() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/goldens/mini");
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: {} is not there", folder.display());
    None
}

#[test]
fn without_a_model_it_says_what_to_do() {
    let workplace = Workplace::with_photos(&["a.png"]);
    workplace.write("broken.safetensors", "nonsense");
    weights()
        .write_checkpoint(&workplace.path("vcp.pth"))
        .unwrap();
    let cases: [(&[&str], &[&str]); 7] = [
        (&["--clip", "x"], &["--checkpoint FILE as well"]),
        (&["--checkpoint", "x"], &["--clip FILE as well"]),
        (
            &["--model", "visa"],
            &["visa has not been pulled", "`vcp-clip model pull visa`"],
        ),
        (
            &["--model", "nosuch"],
            &["no model called nosuch", "visa and mvtec", "./nosuch"],
        ),
        (
            &["--model", "missing.safetensors"],
            &["missing.safetensors"],
        ),
        (&["--model", "broken.safetensors"], &["broken.safetensors"]),
        (
            &["--clip", "vcp.pth", "--checkpoint", "vcp.pth"],
            &["vcp.pth is given with --clip, but it is a VCP-CLIP checkpoint"],
        ),
    ];
    for (arguments, expected) in cases {
        let outcome = workplace
            .run(&[&["segment", "a.png"], arguments].concat())
            .ends_with(2);
        assert_eq!(outcome.stdout, "");
        for text in expected {
            assert!(
                outcome.stderr.contains(text),
                "{arguments:?}: {text}: {outcome:#?}"
            );
        }
    }
}

#[test]
fn a_bundle_in_the_cache_is_known_by_its_name() {
    let workplace = Workplace::with_photos(&["a.png"]);
    fs::create_dir_all(workplace.path("elsewhere")).unwrap();
    fs::copy(bundle(), workplace.path("elsewhere/visa.safetensors")).unwrap();
    fs::copy(bundle(), workplace.path("elsewhere/ours.safetensors")).unwrap();
    for model in ["visa", "ours"] {
        let arguments = ["segment", "a.png", "--model", model, "--cache", "elsewhere"];
        workplace.run(&arguments).ends_with(0);
    }
    let outcome = workplace
        .run(&["model", "list", "--cache", "elsewhere"])
        .ends_with(0);
    let row = |name: &str| {
        let mut rows = outcome.stdout.lines();
        rows.find(|row| row.starts_with(&format!("{name} ")))
            .unwrap_or_default()
    };
    assert!(row("visa").contains("MiB"), "{outcome:?}");
    assert!(row("ours").contains("by hand"), "{outcome:?}");
    assert!(row("mvtec").contains("not pulled"), "{outcome:?}");
    assert!(row("ViT-L-14-336px").contains("not pulled"), "{outcome:?}");
    assert!(
        outcome.stdout.contains("The cache is elsewhere."),
        "{outcome:?}"
    );

    let outcome = workplace.run(&["model", "list", "--json"]).ends_with(0);
    let listing = &outcome.lines()[0];
    assert_eq!(listing["cache"], workplace.path("cache").to_str().unwrap());
    assert_eq!(listing["models"].as_array().unwrap().len(), 8);
    assert_eq!(listing["models"][4]["sha256"].as_str().unwrap().len(), 64);
}

#[test]
fn a_bundle_is_packed_and_inspected() {
    let workplace = Workplace::with_photos(&["a.png"]);
    let from = bundle().to_str().unwrap();
    let pack = ["model", "pack", "new.safetensors", "--model", from];
    let more = ["--precision", "f32", "--template-normal", "one <|class|>"];
    let outcome = workplace.run(&[&pack[..], &more].concat()).ends_with(0);
    assert_eq!(outcome.stdout, "new.safetensors\n");
    workplace
        .run(&pack)
        .ends_with(2)
        .says("exists already; --force replaces it");
    let outcome = workplace
        .run(&["model", "inspect", "new.safetensors", "--json"])
        .ends_with(0);
    let description = &outcome.lines()[0];
    let keys: Vec<&String> = description.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "path",
            "format",
            "bytes",
            "kind",
            "tensor_count",
            "parameter_count",
            "geometry",
            "settings",
            "calibration",
            "sources"
        ]
    );
    assert_eq!(description["kind"], "bundle");
    assert_eq!(description["geometry"]["vision"]["width"], 128);
    assert_eq!(
        description["settings"]["normal_templates"][0],
        "one <|class|>"
    );
    assert!(description["calibration"].is_null());

    workplace
        .run(&[&pack[..], &["--force"]].concat())
        .ends_with(0);
    #[cfg(unix)]
    {
        // Something at the place that is no file, as a device would be.
        let place = workplace.path("other.safetensors");
        let _socket = std::os::unix::net::UnixListener::bind(&place).unwrap();
        let pack = [
            "model",
            "pack",
            "other.safetensors",
            "--force",
            "--model",
            from,
        ];
        workplace
            .run(&pack)
            .ends_with(2)
            .says("is no regular file and cannot be replaced by one");
        let kind = std::fs::symlink_metadata(&place).unwrap().file_type();
        assert!(std::os::unix::fs::FileTypeExt::is_socket(&kind));
    }
    let outcome = workplace
        .run(&["model", "inspect", "new.safetensors", "--tensors"])
        .ends_with(0);
    for text in [
        "a bundle, a complete model",
        "safetensors",
        "MiB",
        "taps: 1, 2",
        "clip.visual.conv1.weight",
    ] {
        assert!(outcome.stdout.contains(text), "{text}: {}", outcome.stdout);
    }
    assert!(outcome.stdout.contains("a photo of a good <|class|>"));
}

#[test]
fn every_kind_of_weight_file_is_inspected() {
    let workplace = Workplace::new();
    weights()
        .write_checkpoint(&workplace.path("vcp.pth"))
        .unwrap();
    let outcome = workplace
        .run(&["model", "inspect", "vcp.pth", "--json"])
        .ends_with(0);
    let description = &outcome.lines()[0];
    assert_eq!(description["kind"], "checkpoint");
    assert_eq!(
        description["geometry"].to_string(),
        r#"{"vision_width":128,"embedding_width":128,"tap_count":2,"context_vectors":2,"deep_prompts":1}"#
    );
    workplace.write("photo.png", "no weights");
    workplace
        .run(&["model", "inspect", "photo.png"])
        .ends_with(1)
        .says("photo.png");
    workplace
        .run(&["model", "inspect", "missing.pt"])
        .ends_with(1)
        .says("missing.pt");
    // A safetensors file of something else.
    let header = br#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header);
    file.extend([0; 8]);
    workplace.write("other.safetensors", file);
    let outcome = workplace
        .run(&["model", "inspect", "other.safetensors"])
        .ends_with(0);
    assert!(
        outcome.stdout.contains("no model that vcp-clip knows"),
        "{outcome:?}"
    );

    // A name that would clear the screen.
    let header = br#"{"\u001b[2J":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header);
    file.extend([0; 8]);
    workplace.write("odd.safetensors", file);
    let outcome = workplace
        .run(&["model", "inspect", "odd.safetensors", "--tensors"])
        .ends_with(0);
    assert!(
        outcome.stdout.contains("[2]") && !outcome.stdout.contains('\u{1b}'),
        "{outcome:?}"
    );

    let Some(mini) = mini() else { return };
    let clip = mini.join("clip.pt");
    let outcome = workplace
        .run(&["model", "inspect", clip.to_str().unwrap(), "--json"])
        .ends_with(0);
    let description = &outcome.lines()[0];
    assert_eq!(
        (
            &description["kind"],
            &description["geometry"]["vision_layers"]
        ),
        (&"clip".into(), &2.into())
    );
    assert!(
        description["format"]
            .as_str()
            .unwrap()
            .contains("TorchScript")
    );
}

#[test]
fn two_parts_make_the_same_model_as_their_bundle() {
    let Some(mini) = mini() else { return };
    let workplace = Workplace::with_photos(&["a.png"]);
    let (clip, checkpoint) = (mini.join("clip.pt"), mini.join("vcp.pth"));
    let parts = [
        "--clip",
        clip.to_str().unwrap(),
        "--checkpoint",
        checkpoint.to_str().unwrap(),
        "--taps",
        "1,2",
        "--image-size",
        "70",
    ];
    workplace
        .run(&[&["model", "pack", "mini.safetensors"], &parts[..]].concat())
        .ends_with(0);
    let score = |model: &[&str]| {
        let outcome = workplace
            .run(&[&["segment", "a.png"], model].concat())
            .ends_with(0);
        outcome.lines()[0]["score"].clone()
    };
    assert_eq!(score(&parts), score(&["--model", "mini.safetensors"]));
    // Taps spread over the tower are the same as those named.
    let spread = [&parts[..4], &parts[6..]].concat();
    assert_eq!(score(&parts), score(&spread));
    let outcome = workplace
        .run(&["model", "inspect", "mini.safetensors", "--json"])
        .ends_with(0);
    let sources = &outcome.lines()[0]["sources"];
    assert_eq!(sources[0]["file_name"], "clip.pt");
    assert_eq!(sources[1]["sha256"].as_str().unwrap().len(), 64);
}

#[test]
fn pull_reports_what_failed_and_how_to_go_on() {
    let workplace = Workplace::new();
    let outcome = workplace
        .run(&["model", "pull", "visa", "--offline"])
        .ends_with(1);
    for text in [
        "--offline",
        "https://github.com/openai/CLIP",
        "ViT-L-14-336px.pt",
        "3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02",
    ] {
        assert!(outcome.stderr.contains(text), "{text}: {outcome:?}");
    }
    workplace
        .run(&["model", "pull", "resnet"])
        .ends_with(2)
        .says("visa, mvtec, ViT-L-14-336px");

    let server = Server::always(Reply::Page("<html>Too many users</html>"));
    let output = workplace
        .command(["model", "pull", "train_visa"])
        .env("VCP_CLIP_BASE_URL_DRIVE", &server.url)
        .output()
        .unwrap();
    let outcome = Outcome::of(output)
        .ends_with(1)
        .says("web page instead of the file");
    for text in [
        "https://github.com/xiaozhen228/VCP-CLIP",
        "bbb15ee3e303d6036d7eb82ecf6ee2419500d12472dc82c9023069b4110a2849",
        workplace
            .path("cache")
            .join("train_visa.pth")
            .to_str()
            .unwrap(),
        server.url.as_str(),
    ] {
        assert!(outcome.stderr.contains(text), "{text}: {outcome:?}");
    }
    let target = &server.requests()[0].target;
    assert!(
        target.starts_with("/download?id=1MOTaN2hf6ejraTzax6Fnr0fa_b2ZMzjN"),
        "{target}"
    );

    let server = Server::always(Reply::File(b"PK".to_vec()));
    let arguments = ["model", "pull", "ViT-B-16", "--base-url-clip", &server.url];
    workplace
        .run(&arguments)
        .ends_with(1)
        .says("this is not the published file");
}

#[test]
fn proxies_are_respected() {
    let proxy = Server::always(Reply::Status(404));
    let workplace = Workplace::new();
    let pull = [
        "model",
        "pull",
        "ViT-B-16",
        "--base-url-clip",
        "http://nowhere.invalid/x",
    ];
    let output = workplace
        .command(pull)
        .env("HTTP_PROXY", &proxy.url)
        .output()
        .unwrap();
    Outcome::of(output).ends_with(1);
    let target = &proxy.requests()[0].target;
    assert!(target.contains("nowhere.invalid"), "{target}");
}

#[test]
fn options_stand_in_a_file_and_in_the_environment() {
    let workplace = Workplace::with_photos(&["a.png"]);
    let model = bundle().display();
    workplace.write(
        "vcp.toml",
        format!(
            "score-threshold = 0.25\n[segment]\nmodel = '{model}'\nquiet = true\nformat = 'json'\n"
        ),
    );
    let threshold = |arguments: &[&str], variable: Option<&str>| {
        let mut command = workplace.command(["segment", "a.png", "--config", "vcp.toml"]);
        command.args(arguments);
        if let Some(value) = variable {
            command.env("VCP_CLIP_SCORE_THRESHOLD", value);
        }
        let outcome = Outcome::of(command.output().unwrap()).ends_with(0);
        assert_eq!(outcome.stderr, "", "the file says quiet");
        outcome.lines()[0]["score_threshold"].to_string()
    };
    assert_eq!(threshold(&[], None), "0.25");
    assert_eq!(threshold(&[], Some("0.5")), "0.5");
    assert_eq!(
        threshold(&["--score-threshold", "0.75"], Some("0.5")),
        "0.75"
    );

    // The file itself may be named in the environment.
    let mut command = workplace.command(["segment", "a.png"]);
    command
        .env("VCP_CLIP_CONFIG", "vcp.toml")
        .env("VCP_CLIP_TREADS", "2");
    let outcome = Outcome::of(command.output().unwrap()).ends_with(0);
    assert_eq!(outcome.stderr, "", "the file says quiet");
    Outcome::of(command.arg("--quiet=false").output().unwrap())
        .ends_with(0)
        .says("VCP_CLIP_TREADS is set");

    workplace.write("typo.toml", "score-treshold = 0.25\n");
    workplace
        .run(&["segment", "a.png", "--config", "typo.toml"])
        .ends_with(2)
        .says("`score-treshold`, which is no option. The nearest is `score-threshold`");
    workplace
        .run(&["segment", "a.png", "--config", "missing.toml"])
        .ends_with(2)
        .says("missing.toml cannot be read");
}

#[test]
fn completions_for_every_shell() {
    let workplace = Workplace::new();
    for (shell, beginning) in [
        ("bash", "complete -F _vcp__clip"),
        ("zsh", "#compdef vcp-clip"),
        ("fish", "complete -c vcp-clip"),
    ] {
        let outcome = workplace.run(&["completions", shell]).ends_with(0);
        assert!(
            outcome.stdout.contains(beginning),
            "{shell}: {}",
            outcome.stdout
        );
        assert!(outcome.stdout.contains("fail-on-anomaly"), "{shell}");
    }
    workplace.run(&["completions", "cmd"]).ends_with(2);
}

#[test]
fn help_is_no_error() {
    let workplace = Workplace::new();
    for arguments in [
        &["--help"][..],
        &["segment", "-h"],
        &["model", "pull", "--help"],
        &["--version"],
    ] {
        let outcome = workplace.run(arguments).ends_with(0);
        assert!(
            !outcome.stdout.is_empty() && outcome.stderr.is_empty(),
            "{outcome:?}"
        );
    }
    workplace.run(&[]).ends_with(2);
    workplace.run(&["segmnt"]).ends_with(2).says("segment");
}

#[test]
fn precision_names_are_those_of_the_library() {
    let workplace = Workplace::new();
    let from = bundle().to_str().unwrap();
    let mut sizes = Vec::new();
    for (name, precision) in [
        ("as-stored", Storing::AsStored),
        ("f16", Storing::F16),
        ("f32", Storing::F32),
        ("bf16", Storing::Bf16),
        ("int8", Storing::Int8),
    ] {
        let path = workplace.path(name);
        vcp_checkpoint::Weights::open_bundle(bundle())
            .unwrap()
            .write_bundle(&path, precision)
            .unwrap();
        let ours = format!("{name}.safetensors");
        workplace
            .run(&["model", "pack", &ours, "--model", from, "--precision", name])
            .ends_with(0);
        assert!(
            fs::read(workplace.path(&ours)).unwrap() == fs::read(&path).unwrap(),
            "{name}"
        );
        sizes.push(fs::metadata(path).unwrap().len());
    }
    assert!(sizes[0] < sizes[2]);
    assert!(sizes[3] < sizes[2] && sizes[4] < sizes[2]);
}

/// Packing for narrow numbers: with photos, what changes is said; the bundle is then computed so.
#[test]
fn a_bundle_is_packed_for_int8_with_photos() {
    if !cfg!(target_arch = "x86_64") {
        return;
    }
    let workplace = Workplace::with_photos(&["a.png", "b.png"]);
    workplace.write("broken.png", "no photo");
    let model = bundle().to_str().unwrap();
    let pack = |name: &str, more: &[&str]| {
        let to_int8 = [
            "model",
            "pack",
            name,
            "--model",
            model,
            "--precision",
            "int8",
        ];
        workplace.run(&[&to_int8[..], more].concat())
    };
    pack("bare.safetensors", &[])
        .ends_with(0)
        .says("Without --photos");
    let photos = [
        "--photos",
        "a.png",
        "--photos",
        "b.png",
        "--photos",
        "broken.png",
    ];
    pack("prepared.safetensors", &photos)
        .ends_with(0)
        .says("layer norms are prepared for the ranges in 2 photos")
        .says("broken.png")
        .says("int8 beside f32 on 2 photos");
    pack("none.safetensors", &["--photos", "broken.png"])
        .ends_with(2)
        .says("None of --photos can be used");
    assert!(!workplace.path("none.safetensors").exists());
    workplace
        .run(&[
            "model",
            "pack",
            "wide.safetensors",
            "--model",
            model,
            "--photos",
            "a.png",
        ])
        .ends_with(2)
        .says("--photos are for --precision int8 and bf16");

    // The bundle says how it is computed; an option says otherwise.
    let score = |arguments: &[&str]| {
        let all = [&["segment", "a.png", "--quiet"], arguments].concat();
        let outcome = workplace.run(&all).ends_with(0);
        outcome.lines()[0]["score"].as_f64().unwrap()
    };
    let exact = score(&["--model", model]);
    let int8 = score(&["--model", "prepared.safetensors"]);
    let stored = score(&["--model", "prepared.safetensors", "--precision", "f32"]);
    let on_loading = score(&["--model", model, "--precision", "int8"]);
    for other in [int8, stored, on_loading] {
        assert!(
            other != exact && (other - exact).abs() < 0.05,
            "{other} {exact}"
        );
    }
    assert!(int8 != stored);
}

/// What the processor lacks is said, with what may be chosen instead.
#[test]
fn a_precision_that_the_processor_lacks_is_refused() {
    let workplace = Workplace::new();
    let bench = |precision: &str| {
        let arguments = [
            "bench",
            "--model",
            "built-in",
            "--repeat",
            "1",
            "--instruction-set",
        ];
        workplace.run(&[&arguments[..], &["portable", "--precision", precision]].concat())
    };
    bench("bf16")
        .ends_with(2)
        .says("does not compute in bf16")
        .says("compute in f32");
    bench("int8")
        .ends_with(2)
        .says("does not compute in int8")
        .says("compute in f32");
}
