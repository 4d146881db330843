//! Good files cut short, with flipped bits, or with random operations inside.

#![allow(clippy::unwrap_used, reason = "what is made here is made right")]

use vcp_random::Random;

use crate::support::pickle::Pickle;
use crate::support::small_weights;
use crate::support::zip_file::{Entry, build, torch};
use crate::{Case, Use};

fn script() -> Vec<u8> {
    let inner = Pickle::default()
        .global("__torch__.inner", "Inner")
        .raw(b")\x81}(")
        .text("weight")
        .tensor("0", 16, 0, &[4, 4], &[4, 1])
        .text("training")
        .raw(b"\x89ub");
    let pickle = Pickle::new()
        .global("__torch__", "Model")
        .raw(b")\x81}(")
        .text("inner")
        .raw(&inner.0)
        .text("count")
        .tensor_of("LongStorage", "1", 1, 0, &[], &[])
        .raw(b"ub")
        .end();
    build(&[
        Entry::stored("model/data/0", &[7; 64]),
        Entry::stored("model/data/1", &[1; 8]),
        Entry::stored("model/data.pkl", &pickle),
        Entry::deflated("model/code/__torch__.py", b"class Model(Module):\n  pass\n"),
        Entry::stored("model/constants.pkl", b"\x80\x02)."),
        Entry::stored("model/version", b"2\n"),
    ])
}

pub(crate) fn cases() -> Vec<Case> {
    let weights = small_weights(22);
    let folder = tempfile::tempdir().unwrap();
    let written = |name: &str, write: &dyn Fn(&std::path::Path)| {
        let path = folder.path().join(name);
        write(&path);
        std::fs::read(path).unwrap()
    };
    let checkpoint = written("vcp.pth", &|path| weights.write_checkpoint(path).unwrap());
    let bundle = written("bundle", &|path| {
        weights
            .write_bundle(path, vcp_checkpoint::Storing::F16)
            .unwrap();
    });
    let coded = without_digest(written("codes", &|path| {
        weights
            .write_bundle(path, vcp_checkpoint::Storing::Int8)
            .unwrap();
    }));
    let script = script();

    let mut random = Random::new(1);
    let mut cases = Vec::new();
    // The good files themselves: if they fail, the mutations show nothing.
    for (name, bytes, usage) in [
        ("checkpoint", &checkpoint, Use::Checkpoint),
        ("bundle", &bundle, Use::Bundle),
        ("bundle of codes", &coded, Use::Bundle),
        ("script", &script, Use::File),
    ] {
        crate::examine(
            bytes.clone(),
            usage,
            &crate::support::file(&crate::openai(&weights), "clip"),
        )
        .unwrap_or_else(|error| panic!("{name}: {error}"));
        // Cut anywhere, a file is refused.
        for part in 0..24 {
            let length = if part < 8 {
                part * 5
            } else {
                random.below(bytes.len())
            };
            let says = "";
            cases.push(
                Case::new(
                    format!("{name} cut at {length}"),
                    bytes[..length].to_vec(),
                    says,
                )
                .used_as(usage),
            );
        }
        cases.push(
            Case::new(
                format!("{name} less one byte"),
                bytes[..bytes.len() - 1].to_vec(),
                "",
            )
            .used_as(usage),
        );
        // Where the names and lengths are: at the start, and in archives also at the end.
        for index in 0..60 {
            let mut changed = bytes.clone();
            let span = 20_000.min(bytes.len());
            let near = random.below(span);
            let at = if index % 2 == 0 {
                near
            } else {
                bytes.len() - 1 - near
            };
            changed[at] ^= 1 << random.below(8);
            cases.push(Case::harmless_or_not(
                format!("{name} with a bit of byte {at} flipped"),
                changed,
                usage,
            ));
        }
        // Runs of bytes replaced by the same byte or by bytes from elsewhere in the file.
        for _ in 0..20 {
            let mut changed = bytes.clone();
            let (at, length) = (random.below(bytes.len() - 64), 1 + random.below(64));
            if random.below(2) == 0 {
                changed[at..at + length].fill([0, 0xff][random.below(2)]);
            } else {
                let from = random.below(bytes.len() - 64);
                changed.copy_within(from..from + length, at);
            }
            cases.push(Case::harmless_or_not(
                format!("{name} with {length} bytes at {at} replaced"),
                changed,
                usage,
            ));
        }
    }
    random_pickles(&mut random, &mut cases);
    cases
}

/// A bundle without its digest, which would notice every change.
fn without_digest(mut bundle: Vec<u8>) -> Vec<u8> {
    let key = br#""vcp_clip_blake3":""#;
    let at = bundle
        .windows(key.len())
        .position(|window| window == key)
        .unwrap();
    // Another key, and a text that is no digest.
    bundle[at + 1] = b'n';
    bundle[at + key.len()] = b'x';
    bundle
}

/// Pickles of random operations, most of them of those that are supported.
fn random_pickles(random: &mut Random, cases: &mut Vec<Case>) {
    const OPERATIONS: &[u8] =
        b"((((ttt)))]]}}}NN\x88KMJX\x8c.01alesdubRQ\x81\x85\x86\x87qhrj\x94c\x93\x95G";
    let good = Pickle::new()
        .raw(b"}")
        .text("t")
        .tensor("0", 16, 0, &[16], &[1])
        .raw(b"s")
        .end();
    for index in 0..100 {
        let mut pickle = if index % 2 == 0 {
            Vec::from([0x80, 2])
        } else {
            good[..good.len() - 1].to_vec()
        };
        for _ in 0..=random.below(300) {
            match random.below(10) {
                0 => pickle.push(random.next_u64() as u8),
                1 => pickle.extend(b"ccollections\nOrderedDict\n"),
                2 => pickle.extend(b"X\x01\0\0\0a"),
                _ => pickle.push(OPERATIONS[random.below(OPERATIONS.len())]),
            }
        }
        pickle.push(b'.');
        let bytes = torch(&pickle, &[("0", &[0; 64])]);
        cases.push(Case::harmless_or_not(
            format!("random pickle {index}"),
            bytes,
            Use::File,
        ));
    }
}
