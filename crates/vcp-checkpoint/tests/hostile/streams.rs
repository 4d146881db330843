//! Files of torch.save's older format that are not what they seem.

#![allow(clippy::too_many_lines, reason = "the functions are tables")]

use crate::support::pickle::Pickle;
use crate::support::stream::{START, keys, machine, persistent_id, storage, stream, tensor};
use crate::{Case, Use};

const FOUR: [u8; 16] = [0; 16];

fn case(name: &str, bytes: Vec<u8>, says: &'static str) -> Case {
    Case::new(format!("stream: {name}"), bytes, says)
}

/// A tensor of f32 in storage 0, named `weight`.
fn one(length: i64, shape: &[i64], strides: &[i64]) -> Vec<u8> {
    let open = Pickle::new().raw(b"}").text("weight");
    tensor(open, "0", length, shape, strides).raw(b"s").end()
}

/// One tensor of four elements.
fn values() -> Vec<u8> {
    one(4, &[2, 2], &[2, 1])
}

/// A good file but for its pickle of values.
fn of_values(values: &[u8]) -> Vec<u8> {
    stream(values, &["0"], &[storage(4, &FOUR)])
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    starts(&mut cases);
    pickles(&mut cases);
    storages(&mut cases);
    views(&mut cases);
    sizes(&mut cases);
    mutations(&mut cases);
    cases
}

fn starts(cases: &mut Vec<Case>) {
    const VERSION: usize = START.len() - 3;
    let rest = [machine(true), values(), keys(&["0"]), storage(4, &FOUR)].concat();
    let changed = |at: usize| {
        let mut bytes = [START, &rest].concat();
        bytes[at] ^= 1;
        bytes
    };
    let foreign = "a Python pickle that torch.save did not write";
    cases.extend([
        case("another magic number", changed(7), foreign),
        case("a shorter magic number", changed(3), foreign),
        case(
            "another version",
            changed(VERSION),
            "its version is not 1001",
        ),
        case(
            "a version that is text",
            [&START[..15], &Pickle::new().text("1001").end(), &rest].concat(),
            "its version is not 1001",
        ),
        case(
            "the magic number alone",
            START[..15].to_vec(),
            "ends after 0",
        ),
        case("the version last", START.to_vec(), "ends after 0"),
        case(
            "a frame without its length",
            b"\x80\x04\x95\x0d\0\0".to_vec(),
            foreign,
        ),
        case(
            "another byte order",
            [START, &machine(false), &rest[machine(true).len()..]].concat(),
            "byte order is not little-endian",
        ),
        case(
            "keys alone",
            [START, &keys(&["0"])].concat(),
            "the pickle ends after 0",
        ),
    ]);
}

fn pickles(cases: &mut Vec<Case>) {
    let call = Pickle::new()
        .global("os", "system")
        .raw(b"(")
        .text("id")
        .raw(b"tR")
        .end();
    let forbidden = "asks for os.system, which is not permitted";
    let facts = machine(true);
    let id = |last: &[u8]| {
        let open = persistent_id(Pickle::new(), "FloatStorage", "0", 4);
        of_values(&open.raw(last).raw(b"tQ").end())
    };
    let python_2 = Pickle::new()
        .raw(b"(U\x07storage")
        .global("torch", "FloatStorage");
    let nested = Pickle::new()
        .raw(&b"}X\x01\0\0\0a".repeat(100))
        .raw(b"N")
        .raw(&b"s".repeat(100))
        .end();
    cases.extend([
        case(
            "a call in the version",
            [&START[..15], &call].concat(),
            forbidden,
        ),
        case("a call in the facts", [START, &call].concat(), forbidden),
        case("a call in the values", of_values(&call), forbidden),
        case(
            "a call in the keys",
            [START, &facts, &values(), &call].concat(),
            forbidden,
        ),
        case(
            "a module's class",
            of_values(
                &Pickle::new()
                    .raw(b"(")
                    .text("module")
                    .global("torch.nn.modules.linear", "Linear")
                    .end(),
            ),
            "a whole module",
        ),
        case(
            "a storage that is a part of another",
            id(b"(X\x01\0\0\x001K\0K\x04t"),
            "a part of another is not read",
        ),
        case(
            "a persistent id of seven parts",
            id(b"NN"),
            "a tuple of five",
        ),
        case(
            "Python 2's text",
            of_values(&python_2.raw(b"U\x010U\x03cpuK\x04NtQ").end()),
            "Python 2 wrote it",
        ),
        case(
            "nested 100 deep",
            stream(&nested, &[], &[]),
            "nested too deeply",
        ),
        case(
            "a dictionary within itself",
            stream(b"\x80\x02}q\0X\x01\0\0\0ah\0s.", &[], &[]),
            "nested too deeply",
        ),
        case(
            "keys that are no list",
            [START, &facts, &values(), &values()].concat(),
            "the keys of its storages are not a list",
        ),
        case(
            "a key that is no text",
            [
                START,
                &facts,
                &values(),
                &Pickle::new().raw(b"](").integer(0).raw(b"e").end(),
            ]
            .concat(),
            "the key of a storage is not text",
        ),
    ]);
}

fn storages(cases: &mut Vec<Case>) {
    let two = |class: &str, length: i64| {
        let open = Pickle::new().raw(b"}").text("a");
        let first = tensor(open, "0", 4, &[4], &[1]).raw(b"s0");
        persistent_id(first, class, "0", length).raw(b"NtQ").end()
    };
    let twice = || [storage(4, &FOUR), storage(4, &FOUR)];
    let overflow = one(i64::MAX, &[1], &[1]);
    cases.extend([
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
            "a storage of which no tensor is",
            stream(&values(), &["1", "0"], &twice()),
            "no tensor is in its storage 1",
        ),
        case(
            "a storage twice",
            stream(&values(), &["0", "0"], &twice()),
            "it holds two storages 0",
        ),
        case(
            "fewer elements than claimed",
            stream(&values(), &["0"], &[storage(3, &FOUR)]),
            "has 3 elements, but according to its tensors 4",
        ),
        case(
            "more elements than memory has",
            stream(&values(), &["0"], &[storage(u64::MAX, &FOUR)]),
            "but according to its tensors 4",
        ),
        case(
            "more elements than bytes follow",
            stream(
                &one(1 << 40, &[4], &[1]),
                &["0"],
                &[storage(1 << 40, &FOUR)],
            ),
            "more than the 16 bytes that follow",
        ),
        case(
            "a length that overflows",
            stream(&overflow, &["0"], &[storage(i64::MAX as u64, &FOUR)]),
            "more than the 16 bytes that follow",
        ),
        case(
            "a storage that is cut",
            stream(&values(), &["0"], &[storage(4, &FOUR[..15])]),
            "more than the 15 bytes that follow",
        ),
        case(
            "a count that is cut",
            stream(&values(), &["0"], &[vec![4, 0, 0]]),
            "it ends before its storage 0",
        ),
        case(
            "two lengths of one storage",
            of_values(&two("FloatStorage", 5)),
            "storage 0 has 4 elements of f32, or 5 of f32",
        ),
        case(
            "two types of one storage",
            of_values(&two("DoubleStorage", 4)),
            "storage 0 has 4 elements of f32, or 4 of f64",
        ),
        case(
            "a negative length",
            of_values(&one(-1, &[1], &[1])),
            "is absurd",
        ),
        case(
            "a key with control characters",
            stream(&values(), &["\u{1b}[2J"], &[storage(4, &FOUR)]),
            "no tensor is in its storage",
        ),
    ]);
}

fn views(cases: &mut Vec<Case>) {
    let max = i64::MAX;
    for (name, shape, strides) in [
        ("longer than the storage", &[5][..], &[1][..]),
        ("with strides beyond the storage", &[2, 2], &[3, 1]),
        ("with strides far beyond", &[2, 2], &[max, max]),
        ("of 2^63 elements", &[max], &[1]),
        ("of 2^126 elements", &[max, max], &[1, 1]),
    ] {
        cases.push(case(
            &format!("a view {name}"),
            of_values(&one(4, shape, strides)),
            "weight",
        ));
    }
    for (name, shape, strides) in [
        ("a negative stride", &[4][..], &[-1][..]),
        ("a negative shape", &[-4], &[1]),
    ] {
        let file = of_values(&one(4, shape, strides));
        cases.push(case(name, file, "is absurd"));
    }
}

/// Files that are as large as the limits permit, or larger.
fn sizes(cases: &mut Vec<Case>) {
    // All of one storage.
    let id = persistent_id(Pickle::new(), "FloatStorage", "0", 4).raw(b"Ntq\0");
    let many = |count: usize| id.clone().raw(&b"h\0Q".repeat(count)).end();
    let nothing = |count: usize| Pickle::new().raw(&vec![b'N'; count]).end();
    let list = Pickle::new()
        .raw(b"](")
        .raw(&vec![b']'; 500_000])
        .raw(b"e")
        .end();
    // Each with a key of its own, as many as a pickle's values may be.
    let mut distinct = Pickle::new();
    for key in 0..120_000 {
        distinct = persistent_id(distinct, "FloatStorage", &key.to_string(), 4).raw(b"NtQ0");
    }
    cases.extend([
        case(
            "more keys than any model has storages",
            stream(&values(), &vec!["0"; 20_001], &[]),
            "more than 20000 storages",
        ),
        case(
            "facts, values and keys in great number",
            [START, &nothing(65_000), &many(900_000), &list].concat(),
            "more than 20000 storages",
        ),
        case(
            "more facts than may be",
            [START, &nothing(66_000)].concat(),
            "the pickle ends after 0",
        ),
        case(
            "more keys than may be",
            [START, &machine(true), &values(), &nothing(600_000)].concat(),
            "the pickle ends after 0",
        ),
        case(
            "more storages than may be",
            of_values(&many(1_100_000)),
            "more than 1000000 values",
        ),
        case(
            "many storages",
            stream(&distinct.raw(b"}").end(), &["x"], &[]),
            "no tensor is in its storage x",
        ),
        case(
            "text of 2^32 bytes",
            [START, &machine(true), b"\x80\x02X\xff\xff\xff\xff"].concat(),
            "4294967295 bytes are expected",
        ),
        case(
            "text of 2^64 bytes",
            [
                START,
                &machine(true),
                b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xff",
            ]
            .concat(),
            "bytes are expected",
        ),
        case(
            "a pickle of 17 MB",
            [
                START,
                &machine(true),
                b"\x80\x02X\0\0\x10\x01",
                &vec![b'a'; 17 << 20],
            ]
            .concat(),
            "bytes are expected",
        ),
    ]);
}

/// A good file cut anywhere, or with any byte changed.
fn mutations(cases: &mut Vec<Case>) {
    let whole = of_values(&values());
    for length in 0..whole.len() {
        cases.push(case(
            &format!("cut after {length}"),
            whole[..length].to_vec(),
            "",
        ));
    }
    for at in 0..whole.len() {
        for bits in [0x01, 0x80, 0xff] {
            let mut changed = whole.clone();
            changed[at] ^= bits;
            cases.push(Case::harmless_or_not(
                format!("stream: byte {at} changed by {bits:#x}"),
                changed,
                Use::File,
            ));
        }
    }
}
