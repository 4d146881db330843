//! Threads and batches change no bit of a map, on every instruction set that this machine has; positions
//! are resampled as in PyTorch.

use std::num::NonZero;
use vcp_cpu::{Cpu, InstructionSet, Tensor};
use vcp_model::{Model, Operations as _, Resampling};
use vcp_testing::{Golden, Tolerance, assert_close, mini, read_safetensors, shared};

fn cpu(instruction_set: InstructionSet, threads: usize) -> Cpu {
    Cpu::with_instruction_set(NonZero::new(threads), instruction_set).expect("threads start")
}

fn images(cpu: &Cpu, golden: &Golden) -> Tensor {
    let image = golden.stage("image");
    let (batch, side) = (image.shape[0], image.shape[2]);
    cpu.tensor([batch, 3, side * side], &image.values)
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
