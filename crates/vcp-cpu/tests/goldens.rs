//! Every stage of the model on the CPU against the numbers of the official code, on every
//! instruction set that this machine has.

use std::num::NonZero;
use vcp_cpu::{Cpu, InstructionSet, Tensor};
use vcp_model::{Model, Operations as _, Resampling};
use vcp_testing::{Golden, Tolerance, assert_close, goldens, mini, read_safetensors, shared};

fn cpu(instruction_set: InstructionSet, threads: usize) -> Cpu {
    Cpu::with_instruction_set(NonZero::new(threads), instruction_set).expect("threads start")
}

fn images(cpu: &Cpu, golden: &Golden) -> Tensor {
    let image = golden.stage("image");
    let (batch, side) = (image.shape[0], image.shape[2]);
    cpu.tensor([batch, 3, side * side], &image.values)
}

fn check_stages(golden: &Golden, cpu: &Cpu) {
    let weights = golden.weights();
    let model = Model::load(cpu, &weights).expect("the model loads");
    let stage = |name: &str, found: &Tensor, tolerance| {
        let what = format!(
            "{} on {}: {name}",
            golden.name,
            cpu.instruction_set().name()
        );
        assert_close(
            &what,
            found.as_slice(),
            &golden.stage(name).values,
            tolerance,
        );
    };

    let features = model.vision.forward(cpu, &images(cpu, golden));
    stage("image_feature", &features.image_feature, Tolerance::Stage);
    let taps = &weights.settings().taps;
    for (tap, rows) in taps.iter().zip(&features.taps) {
        stage(&format!("tap_{tap}"), rows, Tolerance::Stage);
    }

    let context = model.decoder.context.forward(cpu, &features.image_feature);
    stage("context", &context, Tolerance::Stage);
    let text = model.decoder.text.forward(cpu, &context);
    stage("text", &text, Tolerance::Stage);

    let patches: Vec<_> = features
        .taps
        .iter()
        .map(|tap| cpu.slice_rows(tap, 1, model.decoder.grid() * model.decoder.grid()))
        .collect();
    let updated = model.decoder.post_context.forward(cpu, &patches, &text);
    let logits = model.decoder.forward(cpu, &features);
    for (index, tap) in taps.iter().enumerate() {
        stage(
            &format!("updated_text_{tap}"),
            &updated[index].0,
            Tolerance::Stage,
        );
        let branches = [("branch1", &logits.branch1), ("branch2", &logits.branch2)];
        for (name, branch) in branches {
            let map = model.decoder.maps.probability(cpu, &branch[index]);
            stage(&format!("{name}_{tap}"), &map, Tolerance::Map);
        }
    }
    stage(
        "map1",
        &model.decoder.maps.map(cpu, &logits.branch1),
        Tolerance::Map,
    );
    stage(
        "map2",
        &model.decoder.maps.map(cpu, &logits.branch2),
        Tolerance::Map,
    );
}

#[test]
fn every_stage() {
    for golden in goldens() {
        for instruction_set in InstructionSet::available() {
            check_stages(&golden, &cpu(instruction_set, 2));
        }
    }
}

/// Maps of both branches, all in one list.
fn maps(cpu: &Cpu, model: &Model<Cpu>, images: &Tensor) -> Vec<f32> {
    let logits = model.forward(cpu, images);
    let [first, second] =
        [&logits.branch1, &logits.branch2].map(|b| model.decoder.maps.map(cpu, b));
    [first.as_slice(), second.as_slice()].concat()
}

#[test]
fn one_thread_gives_the_same_bits_as_many() {
    let golden = mini();
    let weights = golden.weights();
    for instruction_set in InstructionSet::available() {
        let run = |threads| {
            let cpu = cpu(instruction_set, threads);
            let model = Model::load(&cpu, &weights).expect("the model loads");
            maps(&cpu, &model, &images(&cpu, &golden))
        };
        let alone = run(1);
        for threads in [2, 3, 8] {
            assert!(
                alone == run(threads),
                "{threads} threads on {instruction_set:?}"
            );
        }
    }
}

#[test]
fn a_batch_gives_the_same_bits_as_its_images_alone() {
    let golden = mini();
    let weights = golden.weights();
    for instruction_set in InstructionSet::available() {
        let cpu = cpu(instruction_set, 2);
        let model = Model::load(&cpu, &weights).expect("the model loads");
        let all = images(&cpu, &golden);
        let [batch, _, pixels] = cpu.shape(&all);
        assert!(batch > 1, "the golden has several images");
        let together = maps(&cpu, &model, &all);
        let (first, second) = together.split_at(together.len() / 2);
        for (index, image) in all.as_slice().chunks_exact(3 * pixels).enumerate() {
            let alone = maps(&cpu, &model, &cpu.tensor([1, 3, pixels], image));
            let range = index * pixels..(index + 1) * pixels;
            let expected = [&first[range.clone()], &second[range]].concat();
            assert!(alone == expected, "image {index} on {instruction_set:?}");
        }
    }
}

#[test]
fn position_tables_resample_as_in_pytorch() {
    let Some(path) = shared("goldens/position_embedding.safetensors") else {
        return;
    };
    let tables = read_safetensors(&path);
    let source = &tables["table_24"];
    let width = source.shape[1];
    for (name, table) in tables.iter().filter(|(name, _)| *name != "table_24") {
        let grid = (table.values.len() / width - 1).isqrt();
        let resampled =
            Resampling::cubic_antialiased(24, grid).apply_to_square(&source.values[width..], width);
        assert_close(
            name,
            &resampled,
            &table.values[width..],
            Tolerance::Rounding,
        );
    }
    assert!(tables.len() >= 4, "grids 37, 16 and 30 are there");
}
