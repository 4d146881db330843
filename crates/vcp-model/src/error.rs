//! What can go wrong when a model is made.

use crate::device_error::DeviceError;

/// A model cannot be made from these weights and settings.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The weights could not be read.
    #[error(transparent)]
    Weights(#[from] vcp_checkpoint::Error),
    /// The device could not take the model.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A template does not name the product exactly once.
    #[error(
        "The mark <|class|> was found in the template {:?} {found} times; it must stand \
         in it exactly once, set off by white space, where the name of the product would be.",
        start_of(template)
    )]
    ClassMark {
        /// The template.
        template: String,
        /// How often the mark was found.
        found: usize,
    },
    /// A template is too long for the text tower.
    #[error(
        "The template {:?} takes {found} rows in the text tower, which has positions \
         for {limit}; use a shorter text.",
        start_of(template)
    )]
    TooLong {
        /// The template.
        template: String,
        /// Rows with start, end and context vectors.
        found: usize,
        /// Length of the position table.
        limit: usize,
    },
    /// A template is longer than any text.
    #[error(
        "A template is {found} bytes long, more than the {limit} supported; use a shorter text."
    )]
    TooManyBytes {
        /// Its length in bytes.
        found: usize,
        /// Most that are read.
        limit: usize,
    },
    /// A token stands outside the embedding table.
    #[error(
        "The template {:?} uses token {token}, but the token embedding has only \
         {vocabulary} rows; this CLIP file has another vocabulary than OpenAI's.",
        start_of(template)
    )]
    UnknownToken {
        /// The template.
        template: String,
        /// The token.
        token: u32,
        /// Rows of the embedding table.
        vocabulary: usize,
    },
    /// The vision tower's width cannot be cut into Post-VCP's heads.
    #[error("The vision tower is {width} wide, which {heads} attention heads do not divide.")]
    HeadsDoNotFit {
        /// Width of the vision tower.
        width: usize,
        /// Heads of Post-VCP.
        heads: usize,
    },
    /// A side has no template.
    #[error("There is no template for {side} images; at least one is needed.")]
    NoTemplate {
        /// "normal" or "anomalous".
        side: &'static str,
    },
}

/// A template as far as a message needs it to be recognised.
fn start_of(template: &str) -> String {
    const MOST_CHARACTERS: usize = 80;
    match template.char_indices().nth(MOST_CHARACTERS) {
        Some((end, _)) => format!("{}…", &template[..end]),
        None => template.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_templates_are_not_repeated_whole() {
        let message = |template: &str| {
            let template = template.to_owned();
            Error::ClassMark { template, found: 0 }.to_string()
        };
        assert!(message("a photo").contains("template \"a photo\" 0 times"));
        let long = message(&"ü ".repeat(5000));
        assert!(long.contains("ü …\" 0 times") && long.len() < 400, "{long}");
    }
}
