//! Requests of the protocol: JSON, with tensors in it or as bytes behind it.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf as _, Bytes};
use schemars::JsonSchema;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::response::{OUTPUTS, unknown};
use crate::json::object;
use crate::limits::NAME_BYTES;
use crate::refusal::{Refusal, beginning};

/// The header that says how long the JSON before the binary tensors is.
pub(super) const HEADER_LENGTH: &str = "inference-header-content-length";

/// What is asked.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct InferenceRequest {
    /// Given back as it is.
    #[serde(default)]
    pub(super) id: Option<String>,
    #[serde(default)]
    pub(super) parameters: RequestParameters,
    /// One: `image` (BYTES) or `normalised` (FP32).
    #[serde(deserialize_with = "few")]
    pub(super) inputs: Vec<InputTensor>,
    /// Which outputs are wanted; all if none is named.
    #[serde(default, deserialize_with = "few")]
    pub(super) outputs: Vec<OutputRequest>,
}

/// How the request is answered.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct RequestParameters {
    /// Whether outputs are given as bytes behind the JSON, unless they say otherwise.
    pub(super) binary_data_output: bool,
    /// Whether the results of image files go into the history, if there is one; true if not given.
    pub(super) keep: bool,
}

impl Default for RequestParameters {
    fn default() -> Self {
        Self {
            binary_data_output: false,
            keep: true,
        }
    }
}

/// A tensor of a request.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct InputTensor {
    /// `image` or `normalised`.
    pub(super) name: String,
    #[serde(deserialize_with = "few")]
    pub(super) shape: Vec<u64>,
    /// `BYTES` or `FP32`.
    pub(super) datatype: String,
    #[serde(default)]
    pub(super) parameters: TensorParameters,
    /// The values in row-major order, nested or not. Of BYTES, image files in Base64. Not given where the values are
    /// bytes behind the JSON.
    #[serde(default)]
    #[schemars(with = "Option<Vec<serde_json::Value>>")]
    data: Option<Values>,
}

/// Where the values of a tensor are.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct TensorParameters {
    /// How many of the bytes behind the JSON are this tensor's.
    binary_data_size: Option<usize>,
}

/// An output that is wanted.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct OutputRequest {
    pub(super) name: String,
    #[serde(default)]
    pub(super) parameters: OutputParameters,
}

/// How an output is given.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct OutputParameters {
    /// Whether as bytes behind the JSON.
    pub(super) binary_data: Option<bool>,
}

/// Entries of a list that no request needs more of: a body of numbers or braces would take many times its length.
const MOST_ENTRIES: usize = 16;

/// A list of a few entries.
fn few<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    struct Few<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Few<T> {
        type Value = Vec<T>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a list")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
            let mut entries = Vec::new();
            while let Some(entry) = items.next_element()? {
                if entries.len() == MOST_ENTRIES {
                    let error = format!("a list has more than {MOST_ENTRIES} entries");
                    return Err(serde::de::Error::custom(error));
                }
                entries.push(entry);
            }
            Ok(entries)
        }
    }

    deserializer.deserialize_seq(Few(PhantomData))
}

/// Values of a tensor in JSON, without the lists around them.
#[derive(Debug, Default)]
struct Values {
    numbers: Vec<f32>,
    texts: Vec<String>,
}

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut values = Self::default();
        deserializer.deserialize_seq(Gather(&mut values))?;
        Ok(values)
    }
}

/// Puts values where they belong, however deep they are nested: none of the lists is built.
struct Gather<'a>(&'a mut Values);

impl<'de> Visitor<'de> for Gather<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("numbers or texts, in lists")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Gather(&mut *self.0))?.is_some() {}
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.0.numbers.push(value as f32);
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.0.numbers.push(value as f32);
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.0.numbers.push(value as f32);
        Ok(())
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<(), E> {
        // An image each.
        if self.0.texts.len() == super::MOST_IMAGES {
            return Err(E::custom(format!(
                "there are more than {} texts",
                super::MOST_IMAGES
            )));
        }
        self.0.texts.push(value.to_owned());
        Ok(())
    }
}

impl<'de> serde::de::DeserializeSeed<'de> for Gather<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// What is to be inspected.
#[derive(Debug)]
pub(super) enum Input {
    /// Image files.
    Images(Vec<Bytes>),
    /// Images of the model's size, normalised.
    Normalised(Vec<Vec<f32>>),
}

/// Takes a body apart.
pub(super) fn read(
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<(InferenceRequest, Bytes), Refusal> {
    let length = match headers.get(HEADER_LENGTH) {
        None => body.len(),
        Some(length) => length
            .to_str()
            .ok()
            .and_then(|length| length.parse().ok())
            .filter(|&length| length <= body.len())
            .ok_or_else(|| {
                Refusal::bad_request(
                    "The header Inference-Header-Content-Length is no length within the body.",
                )
            })?,
    };
    let json = &body[..length];
    check_texts(json)?;
    Ok((object(json)?, body.slice(length..)))
}

/// Refuses long texts that are no images in Base64, wherever they stand: the parser's sentences repeat a text that is
/// where none belongs, with each invisible character many times as long.
fn check_texts(json: &[u8]) -> Result<(), Refusal> {
    const LONG: usize = 4096;
    let mut rest = json;
    while let Some(begin) = rest.iter().position(|&byte| byte == b'"') {
        rest = &rest[begin + 1..];
        let (mut end, mut is_base64) = (0, true);
        loop {
            match rest.get(end..) {
                // The parser says what is wrong.
                None | Some([]) => return Ok(()),
                Some([b'"', ..]) => break,
                // Some write slashes so, and others +, / and = by their numbers.
                Some([b'\\', b'/', ..]) => end += 2,
                Some(
                    [b'\\', b'u', b'0', b'0', b'2', b'b' | b'B' | b'f' | b'F', ..]
                    | [b'\\', b'u', b'0', b'0', b'3', b'd' | b'D', ..],
                ) => end += 6,
                Some([b'\\', ..]) => (end, is_base64) = (end + 2, false),
                Some([byte, ..]) => {
                    is_base64 &= byte.is_ascii_alphanumeric() || b"+/=".contains(byte);
                    end += 1;
                }
            }
        }
        if end > LONG && !is_base64 {
            return Err(Refusal::bad_request(format!(
                "A text of more than {LONG} bytes in the JSON is not in Base64, as image files have to be."
            )));
        }
        rest = &rest[end + 1..];
    }
    Ok(())
}

impl Input {
    /// How many images there are.
    pub(super) fn images(&self) -> usize {
        match self {
            Self::Images(images) => images.len(),
            Self::Normalised(images) => images.len(),
        }
    }
}

impl InferenceRequest {
    /// Refuses outputs that there are not, and identifiers that are no names.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        if self.id.as_ref().is_some_and(|id| id.len() > NAME_BYTES) {
            return Err(Refusal::bad_request(format!(
                "An id has at most {NAME_BYTES} bytes."
            )));
        }
        // Each costs a map.
        let is_twice = |(index, output): (usize, &OutputRequest)| {
            let mut before = self.outputs[..index].iter();
            before.any(|other| other.name == output.name)
        };
        if self.outputs.iter().enumerate().any(is_twice) {
            return Err(Refusal::bad_request(
                "A request names each output at most once.",
            ));
        }
        let known = |name: &str| OUTPUTS.iter().any(|(known, ..)| *known == name);
        match self.outputs.iter().find(|output| !known(&output.name)) {
            Some(output) => Err(unknown(&output.name)),
            None => Ok(()),
        }
    }

    /// The outputs that are wanted, and whether each is given as bytes behind the JSON.
    pub(super) fn wanted(&self) -> Vec<(String, bool)> {
        let all = self.parameters.binary_data_output;
        if self.outputs.is_empty() {
            let names = OUTPUTS.iter();
            return names.map(|(name, ..)| ((*name).to_owned(), all)).collect();
        }
        let outputs = self.outputs.iter();
        let wanted = outputs.map(|output| {
            let is_binary = output.parameters.binary_data.unwrap_or(all);
            (output.name.clone(), is_binary)
        });
        wanted.collect()
    }

    /// The images of a request for a model with this image size, at most `most`. `bytes` are those behind the JSON.
    pub(super) fn input(
        &mut self,
        side: usize,
        bytes: Bytes,
        most: usize,
    ) -> Result<Input, Refusal> {
        let [tensor] = &mut self.inputs[..] else {
            return Err(Refusal::bad_request(
                "A request has one input: image, image files as BYTES, or normalised, images of the model's size as \
                 FP32 [N, 3, S, S].",
            ));
        };
        let size = tensor.parameters.binary_data_size;
        if size.is_some() && tensor.data.is_some() {
            return Err(Refusal::bad_request(
                "The values of an input are in its data, or behind the JSON where it has a binary_data_size; this one \
                 has both.",
            ));
        }
        if size.unwrap_or(0) != bytes.len() {
            return Err(Refusal::bad_request(format!(
                "{} bytes are behind the JSON, but the input's binary_data_size is {}.",
                bytes.len(),
                size.map_or("not given".to_owned(), |size| size.to_string())
            )));
        }
        let data = tensor.data.take().unwrap_or_default();
        let count = tensor.shape.first().copied().unwrap_or(0);
        let too_many = || {
            Refusal::bad_request(format!(
                "A request has from 1 to {most} images, and this one {count}."
            ))
        };
        let count = usize::try_from(count).map_err(|_| too_many())?;
        if !(1..=most).contains(&count) {
            return Err(too_many());
        }
        match (tensor.name.as_str(), tensor.datatype.as_str()) {
            ("image", "BYTES") => {
                if tensor.shape[1..].iter().any(|&length| length != 1) {
                    return Err(Refusal::bad_request(
                        "The shape of image is [N] or [N, 1]: a text of bytes for each.",
                    ));
                }
                let images = match size {
                    Some(_) => pieces(bytes)?,
                    None => decoded(data.texts)?,
                };
                if images.len() != count {
                    return Err(Refusal::bad_request(format!(
                        "The shape of image says {count} images, and {} are there.",
                        images.len()
                    )));
                }
                Ok(Input::Images(images))
            }
            ("normalised", "FP32") => {
                let wanted = [3, side as u64, side as u64];
                if tensor.shape[1..] != wanted {
                    return Err(Refusal::bad_request(format!(
                        "The shape of normalised is [N, 3, {side}, {side}] for this model."
                    )));
                }
                let values = match size {
                    Some(_) => floats(&bytes)?,
                    None => data.numbers,
                };
                images(&values, count, 3 * side * side).map(Input::Normalised)
            }
            (name, kind) => Err(Refusal::bad_request(format!(
                "There is no input {} of {}; there are image of BYTES and normalised of FP32.",
                shown(name),
                shown(kind)
            ))),
        }
    }
}

/// A name that a client sent, as part of a sentence.
pub(super) fn shown(name: &str) -> Cow<'_, str> {
    vcp_report::visible::printable(beginning(name, 100))
}

/// Values of so many images.
fn images(values: &[f32], count: usize, length: usize) -> Result<Vec<Vec<f32>>, Refusal> {
    if values.len() != count * length {
        return Err(Refusal::bad_request(format!(
            "The shape of normalised takes {} values, and {} are there.",
            count * length,
            values.len()
        )));
    }
    if !values.iter().all(|value| value.is_finite()) {
        return Err(Refusal::bad_request(
            "normalised holds values that are no finite numbers.",
        ));
    }
    Ok(values.chunks_exact(length).map(<[f32]>::to_vec).collect())
}

/// Texts of bytes, each behind its length.
fn pieces(mut bytes: Bytes) -> Result<Vec<Bytes>, Refusal> {
    let mut pieces = Vec::new();
    while !bytes.is_empty() {
        if pieces.len() == super::MOST_IMAGES {
            return Err(Refusal::bad_request(format!(
                "A request has at most {} images.",
                super::MOST_IMAGES
            )));
        }
        let piece = bytes.split_first_chunk().and_then(|(length, rest)| {
            let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
            (length <= rest.len()).then_some(length)
        });
        let Some(length) = piece else {
            return Err(Refusal::bad_request(
                "The bytes of image are not texts, each behind its length in four bytes.",
            ));
        };
        bytes.advance(size_of::<u32>());
        pieces.push(bytes.split_to(length));
    }
    Ok(pieces)
}

/// Texts in Base64, each of which is given back once it is decoded.
fn decoded(texts: Vec<String>) -> Result<Vec<Bytes>, Refusal> {
    let images = texts
        .into_iter()
        .map(|text| STANDARD.decode(text).map(Bytes::from));
    let images = images.collect::<Result<_, _>>();
    images.map_err(|error| {
        Refusal::bad_request(format!(
            "In JSON, image holds image files in Base64; one of them is not: {}.",
            error.to_string().trim_end_matches('.')
        ))
    })
}

fn floats(bytes: &[u8]) -> Result<Vec<f32>, Refusal> {
    let (values, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(Refusal::bad_request(
            "The bytes of normalised are no whole number of floats.",
        ));
    }
    Ok(values
        .iter()
        .map(|value| f32::from_le_bytes(*value))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(json: &str) -> InferenceRequest {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn values_are_taken_out_of_their_lists() {
        let mut nested = request(
            r#"{"inputs":[{"name":"normalised","datatype":"FP32","shape":[1,3,1,1],"data":[[[[1]],[[2.5]],[[-3e0]]]]}]}"#,
        );
        let input = nested.input(1, Bytes::new(), 4).unwrap();
        let Input::Normalised(images) = input else {
            panic!("{input:?}")
        };
        assert_eq!(images, [[1.0, 2.5, -3.0]]);
        // As deep as a list can be nested, which the parser limits.
        let deep = format!(
            r#"{{"inputs":[{{"name":"image","datatype":"BYTES","shape":[1],"data":{}{}}}]}}"#,
            "[".repeat(100_000),
            "]".repeat(100_000)
        );
        assert!(serde_json::from_str::<InferenceRequest>(&deep).is_err());
    }

    #[test]
    fn lists_are_short() {
        let input = r#"{"name":"image","datatype":"BYTES","shape":[1],"data":["YQ=="]}"#;
        let output = r#"{"name":"pred_score"}"#;
        for (inputs, shape, outputs, fits) in [
            (1, 4, 5, true),
            (17, 4, 5, false),
            (1, 17, 5, false),
            (1, 4, 17, false),
        ] {
            let input = input.replace("[1]", &format!("[{}]", vec!["1"; shape].join(",")));
            let json = format!(
                r#"{{"inputs":[{}],"outputs":[{}]}}"#,
                vec![input.as_str(); inputs].join(","),
                vec![output; outputs].join(",")
            );
            let read = serde_json::from_str::<InferenceRequest>(&json);
            assert_eq!(read.is_ok(), fits, "{json}");
        }
        let mut request = request(&format!(r#"{{"inputs":[{input}]}}"#));
        assert!(request.check().is_ok());
        request.id = Some("n".repeat(2000));
        assert!(request.check().is_err());
    }

    #[test]
    fn what_is_said_is_short_however_long_a_text_is() {
        let long = "\u{7f}".repeat(1 << 20);
        let base64 = "A".repeat(1 << 20);
        let tensor = r#""datatype":"BYTES","shape":[1]"#;
        let refusal = |json: String| {
            let (mut request, behind) = match read(&HeaderMap::new(), &Bytes::from(json)) {
                Ok(read) => read,
                Err(refusal) => return refusal,
            };
            let checked = request.check();
            checked.map_or_else(
                |refusal| refusal,
                |()| request.input(1, behind, 4).unwrap_err(),
            )
        };
        for text in [&long, &base64] {
            for json in [
                format!(r#""{text}""#),
                format!(r#"{{"inputs":"{text}"}}"#),
                format!(r#"{{"inputs":["{text}"]}}"#),
                format!(r#"{{"inputs":[{{"name":"image",{tensor},"data":"{text}"}}]}}"#),
                format!(r#"{{"inputs":[{{"name":"{text}",{tensor},"data":[]}}]}}"#),
                format!(
                    r#"{{"inputs":[{{"name":"image",{tensor},"data":[]}}],"parameters":"{text}"}}"#
                ),
                format!(
                    r#"{{"inputs":[{{"name":"image",{tensor},"data":[]}}],"outputs":[{{"name":"{text}"}}]}}"#
                ),
            ] {
                let sentence = refusal(json).sentence;
                assert!(sentence.len() < 700, "{} bytes", sentence.len());
            }
        }
        let numbered = r"AAAA\u002b\u002FAAA\u003D".repeat(1000);
        assert!(check_texts(format!(r#"["{numbered}"]"#).as_bytes()).is_ok());
        let slashed = "AAAA\\/AAA".repeat(1000);
        assert!(check_texts(format!(r#"["{slashed}","\u00e9"]"#).as_bytes()).is_ok());
        assert!(check_texts(br#"["\"]"#).is_ok());
    }

    #[test]
    fn bytes_are_taken_from_behind_the_json() {
        let mut binary = request(
            r#"{"inputs":[{"name":"image","datatype":"BYTES","shape":[2,1],"parameters":{"binary_data_size":11}}]}"#,
        );
        let bytes = Bytes::from_static(b"\x02\0\0\0ab\x01\0\0\0c");
        let input = binary.input(70, bytes, 4).unwrap();
        let Input::Images(images) = input else {
            panic!("{input:?}")
        };
        assert_eq!(images, [&b"ab"[..], b"c"]);
        assert!(pieces(Bytes::from_static(b"\xff\xff\xff\xffabc")).is_err());
        assert!(pieces(Bytes::from_static(b"\x01")).is_err());
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let image = r#""name":"image","datatype":"BYTES""#;
        let normalised = r#""name":"normalised","datatype":"FP32""#;
        for input in [
            format!(r#"{{{image},"shape":[2],"data":["YQ=="]}}"#),
            format!(r#"{{{image},"shape":[1],"data":["?"]}}"#),
            format!(r#"{{{image},"shape":[9],"data":["YQ=="]}}"#),
            format!(r#"{{{image},"shape":[],"data":[]}}"#),
            format!(r#"{{{image},"shape":[1,2],"data":["YQ==","YQ=="]}}"#),
            format!(r#"{{{image},"shape":[18446744073709551615],"data":[]}}"#),
            format!(r#"{{{image},"shape":[1],"parameters":{{"binary_data_size":5}}}}"#),
            format!(r#"{{{normalised},"shape":[1,3,1,1],"data":[1,2]}}"#),
            format!(r#"{{{normalised},"shape":[1,3,2,2],"data":[1,2,3]}}"#),
            format!(r#"{{{normalised},"shape":[1,3,1,1],"data":[1,2,1e39]}}"#),
            r#"{"name":"other","datatype":"FP32","shape":[1],"data":[1]}"#.to_owned(),
        ] {
            let mut request = request(&format!(r#"{{"inputs":[{input}]}}"#));
            assert!(request.input(1, Bytes::new(), 4).is_err(), "{input}");
        }
        assert!(
            request(r#"{"inputs":[]}"#)
                .input(1, Bytes::new(), 4)
                .is_err()
        );
    }
}
