//! Makes pickles, one operation after the other.

/// A pickle without its end mark.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pickle(pub(crate) Vec<u8>);

impl Pickle {
    pub(crate) fn new() -> Self {
        Self(vec![0x80, 2])
    }

    /// Any bytes.
    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    pub(crate) fn text(self, text: &str) -> Self {
        self.raw(b"X")
            .raw(&(text.len() as u32).to_le_bytes())
            .raw(text.as_bytes())
    }

    pub(crate) fn integer(self, value: i64) -> Self {
        self.raw(&[0x8a, 8]).raw(&value.to_le_bytes())
    }

    pub(crate) fn global(self, module: &str, name: &str) -> Self {
        self.raw(b"c")
            .raw(module.as_bytes())
            .raw(b"\n")
            .raw(name.as_bytes())
            .raw(b"\n")
    }

    pub(crate) fn integers(self, values: &[i64]) -> Self {
        let open = self.raw(b"(");
        values
            .iter()
            .fold(open, |pickle, value| pickle.integer(*value))
            .raw(b"t")
    }

    pub(crate) fn storage(self, class: &str, key: &str, length: i64) -> Self {
        self.raw(b"(")
            .text("storage")
            .global("torch", class)
            .text(key)
            .text("cuda:7")
            .integer(length)
            .raw(b"tQ")
    }

    /// A tensor of f32 in entry `data/KEY`.
    pub(crate) fn tensor(
        self,
        key: &str,
        length: i64,
        offset: i64,
        shape: &[i64],
        strides: &[i64],
    ) -> Self {
        self.tensor_of("FloatStorage", key, length, offset, shape, strides)
    }

    pub(crate) fn tensor_of(
        self,
        class: &str,
        key: &str,
        length: i64,
        offset: i64,
        shape: &[i64],
        strides: &[i64],
    ) -> Self {
        self.global("torch._utils", "_rebuild_tensor_v2")
            .raw(b"(")
            .storage(class, key, length)
            .integer(offset)
            .integers(shape)
            .integers(strides)
            .raw(b"\x89")
            .global("collections", "OrderedDict")
            .raw(b")RtR")
    }

    pub(crate) fn end(self) -> Vec<u8> {
        self.raw(b".").0
    }
}
