//! CLIP's byte-pair encoding (`clip/simple_tokenizer.py`), with `<|class|>` as an extra
//! token.

use crate::cleaning;
use flate2::read::GzDecoder;
use regex::Regex;
use std::collections::HashMap;
use std::io::Read as _;
use std::sync::LazyLock;

/// Id of the mark that starts every text.
pub const START: u32 = 49406;
/// Id of the mark that ends every text; its row becomes the text's feature.
pub const END: u32 = 49407;
/// Id of `<|class|>`, the place of the product's name.
pub const CLASS: u32 = 49408;

/// OpenAI's merge list (MIT licence), cut to the entries that CLIP uses.
const MERGES: &[u8] = include_bytes!("../data/bpe_merges.txt.gz");

const MARKS: [(&str, u32); 3] = [
    ("<|startoftext|>", START),
    ("<|endoftext|>", END),
    ("<|class|>", CLASS),
];

/// Text → token ids.
pub struct Tokenizer {
    words: Regex,
    /// The character that stands for each byte.
    byte_letters: [char; 256],
    ids: HashMap<String, u32>,
    /// How early a pair is merged.
    ranks: HashMap<(String, String), usize>,
}

impl Default for Tokenizer {
    fn default() -> Self {
        Self::new()
    }
}

impl Tokenizer {
    /// The one tokenizer, made when it is first asked for, which takes some milliseconds.
    #[must_use]
    pub fn shared() -> &'static Self {
        static SHARED: LazyLock<Tokenizer> = LazyLock::new(Tokenizer::new);
        &SHARED
    }

    /// Unpacks the merge list that is part of the program.
    ///
    /// # Panics
    /// Never: the list and the pattern are constants that the tests exercise.
    #[must_use]
    pub fn new() -> Self {
        let mut list = String::new();
        GzDecoder::new(MERGES)
            .read_to_string(&mut list)
            .expect("the built-in merge list is valid");
        let merges: Vec<(&str, &str)> = list
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(' '))
            .collect();
        let (byte_letters, order) = byte_letters();
        let mut vocabulary: Vec<String> = order.iter().map(char::to_string).collect();
        vocabulary.extend(order.iter().map(|letter| format!("{letter}</w>")));
        vocabulary.extend(merges.iter().map(|(left, right)| format!("{left}{right}")));
        vocabulary.extend(MARKS.iter().map(|(mark, _)| (*mark).to_owned()));
        let ids = vocabulary
            .into_iter()
            .enumerate()
            .map(|(id, token)| (token, id as u32));
        let ranks = merges
            .iter()
            .enumerate()
            .map(|(rank, (left, right))| (((*left).to_owned(), (*right).to_owned()), rank));
        let pattern = r"(?i)<\|startoftext\|>|<\|endoftext\|>|<\|class\|>|'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+";
        Self {
            words: Regex::new(pattern).expect("the pattern is valid"),
            byte_letters,
            ids: ids.collect(),
            ranks: ranks.collect(),
        }
    }

    /// Token ids of a text, without start and end marks.
    #[must_use]
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let text = cleaning::clean(text).to_lowercase();
        let mut ids = Vec::new();
        for word in self.words.find_iter(&text) {
            if let Some((_, id)) = MARKS.iter().find(|(mark, _)| *mark == word.as_str()) {
                ids.push(*id);
            } else {
                ids.extend(self.encode_word(word.as_str()));
            }
        }
        ids
    }

    /// Merges the pairs of a word's letters, the earliest in the list first.
    fn encode_word(&self, word: &str) -> Vec<u32> {
        let mut parts: Vec<String> = word
            .bytes()
            .map(|byte| self.byte_letters[usize::from(byte)].to_string())
            .collect();
        if let Some(last) = parts.last_mut() {
            last.push_str("</w>");
        }
        loop {
            let best = parts
                .windows(2)
                .filter_map(|pair| self.ranks.get(&(pair[0].clone(), pair[1].clone())))
                .min();
            let Some(&best) = best else { break };
            let mut merged: Vec<String> = Vec::with_capacity(parts.len());
            let mut rest = parts.into_iter().peekable();
            while let Some(part) = rest.next() {
                let partner = rest
                    .next_if(|next| self.ranks.get(&(part.clone(), next.clone())) == Some(&best));
                merged.push(match partner {
                    Some(next) => part + &next,
                    None => part,
                });
            }
            parts = merged;
        }
        parts
            .iter()
            .filter_map(|part| self.ids.get(part).copied())
            .collect()
    }
}

/// The letter for each byte, and all letters in the order of the vocabulary: printable bytes
/// stand for themselves, the others for letters from U+0100 on.
fn byte_letters() -> ([char; 256], Vec<char>) {
    let printable = |byte: u8| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    let mut letters = ['\0'; 256];
    let mut order = Vec::with_capacity(256);
    for byte in (0..=255_u8).filter(|&byte| printable(byte)) {
        letters[usize::from(byte)] = char::from(byte);
        order.push(char::from(byte));
    }
    let others = (0..=255_u8).filter(|&byte| !printable(byte));
    for (byte, letter) in others.zip('\u{100}'..) {
        letters[usize::from(byte)] = letter;
        order.push(letter);
    }
    (letters, order)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_texts() {
        let tokenizer = Tokenizer::new();
        let cases: [(&str, &[u32]); 6] = [
            (
                "a photo of a good <|class|>",
                &[320, 1125, 539, 320, 886, CLASS],
            ),
            (
                "a photo of a damaged <|class|>",
                &[320, 1125, 539, 320, 13568, CLASS],
            ),
            ("<|class|> without defect.", &[CLASS, 2193, 44013, 269]),
            (
                "metal-nut_03  (scratch)",
                &[4044, 268, 6491, 318, 271, 274, 263, 13258, 264],
            ),
            ("<|startoftext|>inside<|endoftext|>", &[START, 2912, END]),
            ("", &[]),
        ];
        for (text, ids) in cases {
            assert_eq!(tokenizer.encode(text), ids, "{text:?}");
        }
    }

    #[test]
    fn vocabulary_is_complete() {
        let tokenizer = Tokenizer::new();
        assert_eq!(tokenizer.ids.len(), 49409);
        assert_eq!(tokenizer.ids["<|class|>"], CLASS);
    }

    /// Every byte of every word finds a token: nothing is dropped.
    #[test]
    fn no_letter_is_lost() {
        let tokenizer = Tokenizer::new();
        for letter in ('\u{1}'..'\u{3000}').filter(|letter| letter.is_alphanumeric()) {
            assert!(
                !tokenizer.encode(&letter.to_string()).is_empty(),
                "{letter:?}"
            );
        }
    }
}
