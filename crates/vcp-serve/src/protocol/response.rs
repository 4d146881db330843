//! Answers of the protocol.

use schemars::JsonSchema;
use serde::Serialize;
use vcp_clip::DecisionThresholds;
use vcp_clip::record::RegionRecord;
use vcp_image::{PlainMap, Region};

use super::request::InferenceRequest;
use crate::limits::ANSWER_BYTES;
use crate::refusal::{Reason, Refusal};

/// Names, types and lengths besides the first of all outputs; S stands for the model's image size.
pub(super) const OUTPUTS: [(&str, &str, usize); 5] = [
    ("pred_score", "FP32", 0),
    ("pred_label", "BOOL", 0),
    ("anomaly_map", "FP32", 3),
    ("pred_mask", "BOOL", 3),
    ("regions", "BYTES", 0),
];

/// What is answered.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct InferenceResponse {
    model_name: String,
    model_version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    outputs: Vec<OutputTensor>,
}

/// A tensor of an answer.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct OutputTensor {
    name: &'static str,
    datatype: &'static str,
    shape: Vec<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<BinaryData>,
    /// The values, unless they are bytes behind the JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Data>,
}

/// How long the values behind the JSON are.
#[derive(Debug, Serialize, JsonSchema)]
struct BinaryData {
    binary_data_size: usize,
}

/// Values in JSON.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
enum Data {
    Numbers(Vec<f32>),
    Truths(Vec<bool>),
    Texts(Vec<String>),
}

impl Data {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Numbers(values) => values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect(),
            Self::Truths(values) => values.iter().map(|&value| u8::from(value)).collect(),
            Self::Texts(values) => {
                let texts = values.iter().map(|text| {
                    let length = (text.len() as u32).to_le_bytes();
                    [&length, text.as_bytes()].concat()
                });
                texts.collect::<Vec<_>>().concat()
            }
        }
    }
}

/// What is known of one image.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) score: f32,
    /// [side, side].
    pub(super) map: Vec<f32>,
    /// In pixels of the photo, or of the image where it came normalised.
    pub(super) regions: Vec<RegionRecord>,
}

impl Answered {
    /// Of an image that came normalised.
    pub(super) fn of_map(score: f32, map: Vec<f32>, side: usize, pixel: f32) -> Self {
        let regions: Vec<Region> = vcp_image::regions(&PlainMap::new(&map, side), pixel);
        Self {
            score,
            regions: regions.iter().map(RegionRecord::from).collect(),
            map,
        }
    }
}

/// Refuses a request whose answer would be too long to be held, before it is worked on.
pub(super) fn check_length(
    request: &InferenceRequest,
    images: usize,
    side: usize,
) -> Result<(), Refusal> {
    let wanted = request.wanted();
    let bytes = wanted.iter().map(|(name, is_binary)| {
        // In JSON a number has up to 12 characters with what separates it from the next, a truth 6.
        let value = match (name.as_str(), is_binary) {
            ("anomaly_map", true) => 4,
            ("anomaly_map", false) => 12,
            ("pred_mask", true) => 1,
            ("pred_mask", false) => 6,
            _ => 0,
        };
        images.saturating_mul(side * side).saturating_mul(value)
    });
    let bytes = bytes.fold(0, usize::saturating_add);
    if bytes <= ANSWER_BYTES {
        return Ok(());
    }
    Err(Refusal::new(
        Reason::TooLarge,
        format!(
            "The answer would have {} MiB, more than the {} that it may have. Send fewer images, name the outputs that \
             are needed, or ask for them as binary data.",
            bytes.div_ceil(1 << 20),
            ANSWER_BYTES >> 20
        ),
    ))
}

/// The answer: JSON, and the bytes behind it.
pub(super) fn answer(
    request: InferenceRequest,
    model_name: &str,
    thresholds: DecisionThresholds,
    side: usize,
    images: &[Answered],
) -> Result<(InferenceResponse, Vec<u8>), Refusal> {
    let mut outputs = Vec::new();
    let mut behind = Vec::new();
    for (name, is_binary) in request.wanted() {
        let Some(&(name, datatype, rank)) = OUTPUTS.iter().find(|(known, ..)| *known == name)
        else {
            return Err(unknown(&name));
        };
        let data = match name {
            "pred_score" => Data::Numbers(images.iter().map(|image| image.score).collect()),
            "pred_label" => Data::Truths(
                images
                    .iter()
                    .map(|image| image.score >= thresholds.score)
                    .collect(),
            ),
            "anomaly_map" => Data::Numbers(
                images
                    .iter()
                    .flat_map(|image| image.map.iter().copied())
                    .collect(),
            ),
            "pred_mask" => {
                let values = images.iter().flat_map(|image| &image.map);
                Data::Truths(values.map(|&value| value >= thresholds.pixel).collect())
            }
            _ => Data::Texts(
                images
                    .iter()
                    .map(|image| crate::json::to_json(&image.regions))
                    .collect(),
            ),
        };
        let mut shape = vec![images.len()];
        shape.extend([1, side, side].iter().take(rank));
        let bytes = is_binary.then(|| data.bytes());
        outputs.push(OutputTensor {
            name,
            datatype,
            shape,
            parameters: bytes.as_ref().map(|bytes| BinaryData {
                binary_data_size: bytes.len(),
            }),
            data: bytes.is_none().then_some(data),
        });
        behind.extend(bytes.unwrap_or_default());
    }
    let response = InferenceResponse {
        model_name: model_name.to_owned(),
        model_version: super::VERSION,
        id: request.id,
        outputs,
    };
    Ok((response, behind))
}

/// Refuses an output that there is not.
pub(super) fn unknown(name: &str) -> Refusal {
    let names: Vec<_> = OUTPUTS.iter().map(|(name, ..)| *name).collect();
    Refusal::bad_request(format!(
        "There is no output {}; there are {}.",
        super::request::shown(name),
        names.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_answers_are_refused_before_they_are_made() {
        let image = r#"{"name":"image","datatype":"BYTES","shape":[1]}"#;
        let of = |rest: &str| -> InferenceRequest {
            serde_json::from_str(&format!(r#"{{"inputs":[{image}]{rest}}}"#)).unwrap()
        };
        let everything = of("");
        assert!(check_length(&everything, 10, 518).is_ok());
        let refusal = check_length(&everything, 64, 518).unwrap_err();
        assert_eq!(refusal.status().as_u16(), 413);
        assert!(check_length(&everything, usize::MAX, 518).is_err());
        let binary = of(r#","parameters":{"binary_data_output":true}"#);
        assert!(check_length(&binary, 48, 518).is_ok());
        assert!(check_length(&binary, 64, 518).is_err());
        let scores = of(r#","outputs":[{"name":"pred_score"},{"name":"regions"}]"#);
        assert!(check_length(&scores, 64, 518).is_ok());
    }
}
