//! The text cleaning that comes before CLIP's tokenizer: what `ftfy.fix_text`,
//! `html.unescape` (twice) and the collapsing of white space do to ordinary text.
//!
//! ftfy also guesses at text that was decoded with the wrong encoding; templates are typed
//! or read as UTF-8, and that guessing is left out.

use unicode_normalization::UnicodeNormalization as _;

/// Cleaned text, case kept.
pub(crate) fn clean(text: &str) -> String {
    let once = html_escape::decode_html_entities(text);
    let twice = html_escape::decode_html_entities(&once);
    let mut fixed = String::with_capacity(twice.len());
    for letter in twice.chars() {
        match letter {
            '‘' | '’' | '‚' | '‛' | 'ʼ' => fixed.push('\''),
            '“' | '”' | '„' | '‟' => fixed.push('"'),
            // Latin ligatures, and letters of East Asian full or half width.
            'ﬀ'..='ﬆ' | 'Ĳ' | 'ĳ' | 'ŉ' | 'Ǆ'..='ǌ' | 'Ǳ'..='ǳ' | '\u{FF01}'..='\u{FFEF}' =>
            {
                fixed.extend(std::iter::once(letter).nfkc());
            }
            '\u{2028}' | '\u{2029}' | '\u{85}' => fixed.push('\n'),
            // Control characters, byte-order marks and the like.
            '\u{0}'..='\u{8}'
            | '\u{B}'
            | '\u{E}'..='\u{1F}'
            | '\u{7F}'
            | '\u{206A}'..='\u{206F}'
            | '\u{FEFF}'
            | '\u{FFF9}'..='\u{FFFC}' => {}
            other => fixed.push(other),
        }
    }
    let composed: String = fixed.nfc().collect();
    composed.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::clean;

    #[test]
    fn cleans_as_stated() {
        let cases = [
            ("  a \t b\n\nc ", "a b c"),
            ("ﬁne ‘quotes’ and “more”", "fine 'quotes' and \"more\""),
            ("a &amp;amp; b &lt;|class|&gt;", "a & b <|class|>"),
            ("ＡＢＣ１２", "ABC12"),
            ("e\u{301}", "é"),
            ("bell\u{7}\u{FEFF}", "bell"),
        ];
        for (text, expected) in cases {
            assert_eq!(clean(text), expected, "{text:?}");
        }
    }
}
