//! Files of torch.save's older format that are not what they seem.

use crate::Case;
use crate::support::pickle::Pickle;
use crate::support::stream::{START, keys, machine, storage, stream, tensor};

const FOUR: [u8; 16] = [0; 16];

/// One tensor of four elements in storage 0.
fn values() -> Vec<u8> {
    let open = Pickle::new().raw(b"}").text("weight");
    tensor(open, "0", 4, &[2, 2], &[2, 1]).raw(b"s").end()
}

pub(crate) fn cases() -> Vec<Case> {
    let good = || stream(&values(), &["0"], &[storage(4, &FOUR)]);
    let case = |name: &str, bytes: Vec<u8>, says| Case::new(format!("stream: {name}"), bytes, says);
    let two = {
        let open = Pickle::new().raw(b"}(").text("a");
        let pickle = tensor(open, "0", 4, &[4], &[1]).text("b");
        tensor(pickle, "0", 5, &[4], &[1]).raw(b"u").end()
    };
    let call = Pickle::new()
        .global("os", "system")
        .raw(b"(")
        .text("id")
        .raw(b"tR")
        .end();
    let mut cases = vec![
        case(
            "nothing after the version",
            START.to_vec(),
            "the pickle ends after 0",
        ),
        case(
            "another byte order",
            [START, &machine(false), &values()].concat(),
            "byte order is not little-endian",
        ),
        case(
            "a call among the facts",
            [START, &call].concat(),
            "which is not permitted",
        ),
        case(
            "a call among the values",
            stream(&call, &[], &[]),
            "which is not permitted",
        ),
        case(
            "a call among the keys",
            [START, &machine(true), &values(), &call].concat(),
            "which is not permitted",
        ),
        case(
            "no storage",
            stream(&values(), &["0"], &[]),
            "it ends before its storage 0",
        ),
        case(
            "a storage that is not listed",
            stream(&values(), &[], &[]),
            "it lacks the storage 0",
        ),
        case(
            "a storage that nobody has",
            stream(
                &values(),
                &["1", "0"],
                &[storage(4, &FOUR), storage(4, &FOUR)],
            ),
            "no tensor has its storage 1",
        ),
        case(
            "a storage twice",
            stream(
                &values(),
                &["0", "0"],
                &[storage(4, &FOUR), storage(4, &FOUR)],
            ),
            "it holds two storages 0",
        ),
        case(
            "fewer elements than claimed",
            stream(&values(), &["0"], &[storage(3, &FOUR)]),
            "has 3 elements, but its tensors speak of 4",
        ),
        case(
            "more elements than memory has",
            stream(&values(), &["0"], &[storage(u64::MAX, &FOUR)]),
            "but its tensors speak of 4",
        ),
        case(
            "a storage that is cut",
            stream(&values(), &["0"], &[storage(4, &FOUR[..15])]),
            "more than the 15 bytes that follow",
        ),
        case(
            "a length that overflows",
            stream(
                &tensor(Pickle::new().raw(b"}").text("a"), "0", i64::MAX, &[1], &[1])
                    .raw(b"s")
                    .end(),
                &["0"],
                &[storage(i64::MAX as u64, &FOUR)],
            ),
            "more than the 16 bytes that follow",
        ),
        case(
            "two lengths of one storage",
            stream(&two, &["0"], &[]),
            "two storages 0",
        ),
        case(
            "keys that are no list",
            [START, &machine(true), &values(), &values()].concat(),
            "its storages are not listed",
        ),
        case(
            "a key that is no text",
            [
                START,
                &machine(true),
                &values(),
                &Pickle::new().raw(b"](").integer(0).raw(b"e").end(),
            ]
            .concat(),
            "the key of a storage is not text",
        ),
        case(
            "more keys than any model has",
            stream(&values(), &vec!["0"; 20_001], &[]),
            "more than 20000 storages",
        ),
    ];
    // Every prefix, and every byte changed: an error or a normal result.
    let whole = good();
    for length in START.len()..whole.len() {
        cases.push(Case::harmless_or_not(
            format!("stream: cut after {length}"),
            whole[..length].to_vec(),
            crate::Use::File,
        ));
    }
    for at in START.len()..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 0x81;
        cases.push(Case::harmless_or_not(
            format!("stream: byte {at} changed"),
            changed,
            crate::Use::File,
        ));
    }
    cases.push(case(
        "keys alone",
        [START, &keys(&["0"])].concat(),
        "ends after",
    ));
    cases
}
