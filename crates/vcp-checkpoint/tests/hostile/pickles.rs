//! Pickles within otherwise good torch.save files.

#![allow(clippy::too_many_lines, reason = "the functions are tables")]
#![allow(
    clippy::needless_pass_by_value,
    reason = "reads better at the many callers"
)]

use crate::Case;
use crate::support::pickle::Pickle;
use crate::support::zip_file::torch;

/// Elements of entry `data/0`.
const DATA: [u8; 64] = [0; 64];

fn case(name: impl Into<String>, pickle: Vec<u8>, says: &'static str) -> Case {
    Case::new(
        format!("pickle: {}", name.into()),
        torch(&pickle, &[("0", &DATA)]),
        says,
    )
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    globals(&mut cases);
    operations(&mut cases);
    sizes(&mut cases);
    tensors(&mut cases);
    structures(&mut cases);
    cases
}

/// What an attacker would call.
fn globals(cases: &mut Vec<Case>) {
    for (module, name) in [
        ("os", "system"),
        ("posix", "system"),
        ("nt", "system"),
        ("builtins", "eval"),
        ("builtins", "exec"),
        ("builtins", "getattr"),
        ("__builtin__", "eval"),
        ("__builtin__", "apply"),
        ("subprocess", "Popen"),
        ("subprocess", "check_output"),
        ("runpy", "_run_code"),
        ("webbrowser", "open"),
        ("torch", "load"),
        ("torch", "FloatStorage.__class__"),
        ("torch.storage", "_load_from_bytes"),
        ("torch.hub", "load"),
        ("torch._utils", "_rebuild_tensor"),
        ("torch._utils", "_rebuild_sparse_tensor"),
        ("torch.serialization", "load"),
        ("torch.jit", "load"),
        ("torch.jit._pickle", "restore_type_tag"),
        ("torch._utils._rebuild_tensor_v2", "__globals__"),
        ("numpy.core.multiarray", "_reconstruct"),
        ("collections", "defaultdict"),
        ("collections", "OrderedDict.fromkeys"),
        ("_codecs", "encode"),
        ("copyreg", "_reconstructor"),
        ("__main__", "Model"),
        ("__torch", "Model"),
        ("__torch__evil", "Model"),
        ("", ""),
        ("os\u{1b}[2J", "system"),
    ] {
        let call = Pickle::new()
            .global(module, name)
            .raw(b"(")
            .text("id")
            .raw(b"tR")
            .end();
        cases.push(case(
            format!("global {module:?}.{name}"),
            call,
            "which is not permitted",
        ));
        let stack_global = Pickle::new().text(module).text(name).raw(b"\x93)R").end();
        cases.push(case(
            format!("stack global {module:?}.{name}"),
            stack_global,
            "which is not permitted",
        ));
    }
    // What is permitted cannot be called with anything else.
    for (name, call) in [
        (
            "storage class called",
            Pickle::new().global("torch", "FloatStorage").raw(b")R"),
        ),
        (
            "module class called",
            Pickle::new()
                .global("__torch__.os", "system")
                .raw(b"(")
                .text("id")
                .raw(b"tR"),
        ),
        (
            "ordered dictionary of pairs",
            Pickle::new()
                .global("collections", "OrderedDict")
                .raw(b"(]tR"),
        ),
        (
            "parameter of text",
            Pickle::new()
                .global("torch._utils", "_rebuild_parameter")
                .raw(b"(")
                .text("x")
                .raw(b"tR"),
        ),
        (
            "list of a dictionary",
            Pickle::new()
                .global("torch.jit._pickle", "build_intlist")
                .raw(b"(}tR"),
        ),
        ("text called", Pickle::new().text("os.system").raw(b")R")),
        (
            "arguments that are no tuple",
            Pickle::new()
                .global("collections", "OrderedDict")
                .raw(b"]R"),
        ),
        (
            "tensor of nothing",
            Pickle::new()
                .global("torch._utils", "_rebuild_tensor_v2")
                .raw(b")R"),
        ),
        (
            "tensor without a storage",
            Pickle::new()
                .global("torch._utils", "_rebuild_tensor_v2")
                .raw(b"(K\0K\0))\x89}tR"),
        ),
    ] {
        cases.push(case(name, call.end(), "The pickle cannot be read"));
    }
}

fn operations(cases: &mut Vec<Case>) {
    let says = "The pickle cannot be read";
    // Operations that PyTorch does not use, of old protocols or for purposes of their own.
    for code in [
        b'2', b'F', b'I', b'L', b'S', b'V', b'P', b'g', b'p', b'i', b'o', 0x82, 0x83, 0x84, 0x8f,
        0x90, 0x91, 0x92, 0x96, 0x97, 0x98, 0x00, 0x99, 0xff, b'\n', b'z',
    ] {
        let pickle = Pickle::new().raw(b"NN(").raw(&[code]).raw(b"1\n1\n").end();
        cases.push(case(
            format!("operation 0x{code:02x}"),
            pickle,
            "is unknown or not supported",
        ));
    }
    for version in [0, 1, 6, 255] {
        cases.push(case(
            format!("protocol {version}"),
            vec![0x80, version, b'N', b'.'],
            "is not supported",
        ));
    }
    for (name, bytes) in [
        ("empty", &b""[..]),
        ("protocol only", b"\x80\x02"),
        ("no end", b"\x80\x02}"),
        ("end of nothing", b"\x80\x02."),
        ("end within a mark", b"\x80\x02N(."),
        ("pop of nothing", b"\x80\x020."),
        ("pop through a mark", b"\x80\x02N(0."),
        ("pop to no mark", b"\x80\x021."),
        ("tuple of no mark", b"\x80\x02t."),
        ("tuple of too few", b"\x80\x02N\x86."),
        ("tuple through a mark", b"\x80\x02N(N\x86."),
        ("list of no mark", b"\x80\x02l."),
        ("dictionary of no mark", b"\x80\x02d."),
        ("dictionary of one", b"\x80\x02(Nd."),
        ("append to nothing", b"\x80\x02Na."),
        ("append to a dictionary", b"\x80\x02}Na."),
        ("append to a tuple", b"\x80\x02)(Ne."),
        ("key set on nothing", b"\x80\x02NNs."),
        ("key set on a list", b"\x80\x02]NNs."),
        ("key without a value", b"\x80\x02}(NNNu."),
        ("state of nothing", b"\x80\x02}b."),
        ("state of a number", b"\x80\x02K\x01}b."),
        ("state of a tuple", b"\x80\x02)}b."),
        ("memo of nothing", b"\x80\x02q\x00."),
        ("memo within a mark", b"\x80\x02N(q\x00t."),
        ("memo never set", b"\x80\x02h\x07."),
        ("long memo never set", b"\x80\x02j\xff\xff\xff\xff."),
        ("memo by count of nothing", b"\x80\x02\x94."),
        ("frame cut short", b"\x80\x04\x95\x00\x00"),
        ("number cut short", b"\x80\x02J\x00"),
        ("float cut short", b"\x80\x02G\x00"),
        ("global without a name", b"\x80\x02cos\n"),
        ("global without a newline", b"\x80\x02cossystem"),
        ("global that is not UTF-8", b"\x80\x02c\xff\xfe\n\n."),
        ("stack global of numbers", b"\x80\x02K\x01K\x02\x93."),
        (
            "text that is not UTF-8",
            b"\x80\x02X\x02\x00\x00\x00\xc3\x28.",
        ),
        (
            "text longer than the pickle",
            b"\x80\x02X\xff\xff\xff\x7fa.",
        ),
        ("text of 4 GB", b"\x80\x02X\xff\xff\xff\xffa."),
        ("text of 2^63 bytes", b"\x80\x02\x8d\0\0\0\0\0\0\0\x80a."),
        (
            "text of 2^64 bytes",
            b"\x80\x02\x8d\xff\xff\xff\xff\xff\xff\xff\xffa.",
        ),
        (
            "bytes longer than the pickle",
            b"\x80\x03B\xff\xff\xff\x7fa.",
        ),
        (
            "bytes of 2^64",
            b"\x80\x03\x8e\xff\xff\xff\xff\xff\xff\xff\xffa.",
        ),
        ("short bytes cut short", b"\x80\x03C\xffa."),
        (
            "old text with a negative length",
            b"\x80\x02T\xff\xff\xff\xffa.",
        ),
        ("integer of 255 bytes", b"\x80\x02\x8a\xff."),
        ("integer of 9 bytes", b"\x80\x02\x8a\x09123456789."),
        ("integer of 4 GB", b"\x80\x02\x8b\xff\xff\xff\xff."),
        ("persistent id of nothing", b"\x80\x02Q."),
        ("persistent id of text", b"\x80\x02X\x01\0\0\0aQ."),
        ("persistent id of a short tuple", b"\x80\x02)Q."),
        ("object of nothing", b"\x80\x02\x81."),
        ("object of a number", b"\x80\x02K\x01)\x81."),
        (
            "object of a storage class",
            b"\x80\x02ctorch\nFloatStorage\n)\x81.",
        ),
        (
            "object with arguments",
            b"\x80\x02c__torch__\nM\nN\x85\x81.",
        ),
        (
            "object with a state of text",
            b"\x80\x02c__torch__\nM\n)\x81X\x01\0\0\0ab.",
        ),
        (
            "object with two states",
            b"\x80\x02c__torch__\nM\n)\x81}b}b.",
        ),
    ] {
        cases.push(case(name, bytes.to_vec(), says));
    }
}

fn sizes(cases: &mut Vec<Case>) {
    cases.push(case(
        "17 MB long",
        Pickle::new().raw(&vec![b'N'; 17 << 20]).end(),
        "more than the 16777216 supported",
    ));
    cases.push(case(
        "a million values",
        Pickle::new().raw(&vec![b'N'; 1_100_000]).end(),
        "more than 1000000 values",
    ));
    cases.push(case(
        "a million marks",
        Pickle::new().raw(&vec![b'('; 1_000_000]).end(),
        "nested too deeply",
    ));
    let many = Pickle::new()
        .raw(b"Nq\0")
        .raw(&b"h\0".repeat(3_000_000))
        .end();
    cases.push(case(
        "millions of references",
        many,
        "more than 2000000 operations",
    ));
    let pushed_and_dropped = Pickle::new().raw(&b"N0".repeat(1_500_000)).end();
    cases.push(case(
        "millions of dropped values",
        pushed_and_dropped,
        "more than",
    ));
}

fn dict_of(tensor: Pickle) -> Vec<u8> {
    let tensor = &tensor.0[2..];
    Pickle::new()
        .raw(b"}")
        .text("t")
        .raw(tensor)
        .raw(b"s")
        .end()
}

fn tensors(cases: &mut Vec<Case>) {
    let max = i64::MAX;
    for (name, tensor, says) in [
        (
            "storage larger than its entry",
            Pickle::new().tensor("0", 17, 0, &[1], &[1]),
            "but its entry has 64 bytes",
        ),
        (
            "storage of 2^63 elements",
            Pickle::new().tensor("0", max, 0, &[1], &[1]),
            "but its entry has 64 bytes",
        ),
        (
            "wide elements",
            Pickle::new().tensor_of("DoubleStorage", "0", 16, 0, &[1], &[1]),
            "its entry has 64 bytes",
        ),
        (
            "storage of negative length",
            Pickle::new().tensor("0", -1, 0, &[1], &[1]),
            "is absurd",
        ),
        (
            "negative offset",
            Pickle::new().tensor("0", 16, -1, &[1], &[1]),
            "is absurd",
        ),
        (
            "negative length",
            Pickle::new().tensor("0", 16, 0, &[-4], &[1]),
            "is absurd",
        ),
        (
            "negative stride",
            Pickle::new().tensor("0", 16, 15, &[4], &[-1]),
            "is absurd",
        ),
        (
            "offset beyond",
            Pickle::new().tensor("0", 16, 16, &[1], &[1]),
            "leaves the 16 elements",
        ),
        (
            "offset of 2^63",
            Pickle::new().tensor("0", 16, max, &[1], &[1]),
            "leaves the 16 elements",
        ),
        (
            "offset of 2^63 of nothing",
            Pickle::new().tensor("0", 16, max, &[0], &[1]),
            "leaves the 16 elements",
        ),
        (
            "one element too many",
            Pickle::new().tensor("0", 16, 1, &[4, 4], &[4, 1]),
            "leaves the 16 elements",
        ),
        (
            "stride beyond",
            Pickle::new().tensor("0", 16, 0, &[2, 2], &[16, 1]),
            "leaves the 16 elements",
        ),
        (
            "product of 2^64",
            Pickle::new().tensor("0", 16, 0, &[1 << 32, 1 << 32], &[0, 0]),
            "leaves the 16 elements",
        ),
        (
            "stride of 2^63",
            Pickle::new().tensor("0", 16, 0, &[3], &[max]),
            "leaves the 16 elements",
        ),
        (
            "strides that sum to 2^64",
            Pickle::new().tensor("0", 16, 0, &[2, 2, 2], &[max, max, 2]),
            "leaves the 16 elements",
        ),
        (
            "expanded to terabytes",
            Pickle::new().tensor("0", 16, 0, &[1 << 40], &[0]),
            "leaves the 16 elements",
        ),
        (
            "expanded by one",
            Pickle::new().tensor("0", 16, 0, &[17], &[0]),
            "leaves the 16 elements",
        ),
        (
            "shape without strides",
            Pickle::new().tensor("0", 16, 0, &[2, 2], &[1]),
            "differ in number",
        ),
        (
            "nine dimensions",
            Pickle::new().tensor("0", 16, 0, &[1; 9], &[1; 9]),
            "at most 8 integers",
        ),
        (
            "unknown storage",
            Pickle::new().tensor("1", 16, 0, &[1], &[1]),
            "lacks the entry data/1",
        ),
        (
            "storage outside the folder",
            Pickle::new().tensor("../data.pkl", 1, 0, &[1], &[1]),
            "lacks the entry",
        ),
        (
            "storage with an absolute path",
            Pickle::new().tensor("/etc/passwd", 1, 0, &[1], &[1]),
            "lacks the entry",
        ),
        (
            "storage with an empty name",
            Pickle::new().tensor("", 1, 0, &[1], &[1]),
            "lacks the entry",
        ),
        (
            "unknown storage class",
            Pickle::new().tensor_of("ComplexFloatStorage", "0", 1, 0, &[1], &[1]),
            "not permitted",
        ),
        (
            "storage class of text",
            Pickle::new()
                .raw(b"(")
                .text("storage")
                .text("f")
                .text("0")
                .text("c")
                .raw(b"K\x01tQ"),
            "does not name a storage",
        ),
        (
            "persistent id of another kind",
            Pickle::new()
                .raw(b"(")
                .text("module")
                .global("torch", "FloatStorage")
                .text("0")
                .text("c")
                .raw(b"K\x01tQ"),
            "does not name a storage",
        ),
    ] {
        cases.push(case(name, dict_of(tensor), says));
    }
    let zero = |name: &str| {
        Pickle::default()
            .text(name)
            .tensor("0", 16, 0, &[1], &[1])
            .0
    };
    let twice = Pickle::new()
        .raw(b"}(")
        .raw(&zero("a"))
        .raw(&zero("a"))
        .raw(b"u")
        .end();
    cases.push(case("two of one name", twice, "two of that name"));
    let joined = Pickle::new()
        .raw(b"}(")
        .raw(&zero("a.b"))
        .text("a")
        .raw(b"}(")
        .raw(&zero("b"))
        .raw(b"uu")
        .end();
    cases.push(case("two of one joined name", joined, "two of that name"));
    let long = "n".repeat(10_000);
    cases.push(case(
        "a name of 10,000 letters",
        Pickle::new().raw(b"}(").raw(&zero(&long)).raw(b"u").end(),
        "absurdly long",
    ));
    let key = Pickle::new()
        .raw(b"}N")
        .tensor("0", 16, 0, &[1], &[1])
        .raw(b"s")
        .end();
    cases.push(case(
        "a name that is None",
        key,
        "neither text nor an integer",
    ));
    // 21,000 tensors, each of 17 bytes: all refer to the first.
    let mut many = Pickle::new()
        .raw(b"}(")
        .text("first")
        .tensor("0", 16, 0, &[1], &[1])
        .raw(b"q\0");
    for index in 0..21_000 {
        many = many.text(&format!("t{index}")).raw(b"h\0");
    }
    cases.push(case(
        "21,000 tensors",
        many.raw(b"u").end(),
        "more than 20000 tensors",
    ));
}

fn structures(cases: &mut Vec<Case>) {
    let deep = "nested too deeply";
    cases.push(case(
        "dictionary within itself",
        b"\x80\x02}q\0X\x01\0\0\0ah\0s.".to_vec(),
        deep,
    ));
    cases.push(case(
        "list within itself",
        b"\x80\x02]q\0h\0a.".to_vec(),
        deep,
    ));
    cases.push(case(
        "list within itself twice",
        b"\x80\x02]q\0(h\0h\0e.".to_vec(),
        deep,
    ));
    cases.push(case(
        "module within itself",
        b"\x80\x02c__torch__\nM\n)\x81q\0}X\x01\0\0\0mh\0sb.".to_vec(),
        deep,
    ));
    let tuples = Pickle::new().raw(b")").raw(&vec![0x85; 900_000]).end();
    cases.push(case("tuples 900,000 deep", tuples, deep));
    // Each level holds the level below twice: 2^60 leaves in a few hundred bytes.
    let doubled = |empty: &[u8], grow: &dyn Fn(Pickle, u8) -> Pickle| {
        (0..60u8)
            .fold(Pickle::new().raw(empty).raw(b"q\0"), grow)
            .end()
    };
    let tuples = doubled(b")", &|pickle, level| {
        pickle.raw(&[b'0', b'h', level, b'h', level, 0x86, b'q', level + 1])
    });
    cases.push(case("tuples doubled 60 times", tuples, "too many values"));
    let dicts = doubled(b"}", &|pickle, level| {
        let grown = pickle
            .raw(b"0}(")
            .text("a")
            .raw(&[b'h', level])
            .text("b")
            .raw(&[b'h', level]);
        grown.raw(&[b'u', b'q', level + 1])
    });
    cases.push(case(
        "dictionaries doubled 60 times",
        dicts,
        "too many values",
    ));
    // A wide list of references to one wide list: the product is 10^10.
    let wide = Pickle::new()
        .raw(b"](")
        .raw(&vec![b'N'; 100_000])
        .raw(b"eq\0")
        .raw(b"](")
        .raw(&b"h\0".repeat(100_000))
        .raw(b"e")
        .end();
    cases.push(case(
        "100,000 times a list of 100,000",
        wide,
        "too many values",
    ));
    // The same with tensors at the end, whose names would fill memory.
    let tensors = Pickle::new()
        .raw(b"](")
        .tensor("0", 16, 0, &[1], &[1])
        .raw(b"q\x01")
        .raw(&b"h\x01".repeat(5_000))
        .raw(b"eq\0")
        .raw(b"](")
        .raw(&b"h\0".repeat(5_000))
        .raw(b"e")
        .end();
    cases.push(case(
        "5,000 times 5,000 tensors",
        tensors,
        "more than 20000 tensors",
    ));
    let long_keys = (0..60u8).fold(Pickle::new().raw(b"}q\0"), |pickle, level| {
        pickle
            .raw(b"0}")
            .text(&"k".repeat(400))
            .raw(&[b'h', level, b's', b'q', level + 1])
    });
    cases.push(case(
        "names joined to 24,000 letters",
        long_keys.end(),
        "absurdly long",
    ));
}
