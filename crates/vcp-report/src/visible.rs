//! Text from elsewhere made harmless: names, paths, keys of files, whatever a file or an argument
//! holds. A terminal obeys control characters, and a reader is misled by characters that show nothing
//! or turn the text around; both are replaced by their numbers.
//!
//! ```
//! use vcp_report::visible::{json, printable};
//!
//! assert_eq!(printable("photo.png"), "photo.png");
//! assert_eq!(printable("gpj.\u{202e}png"), r"gpj.\u{202e}png");
//! assert_eq!(json("\"\u{9b}31m\""), r#""\u009b31m""#);
//! ```

use std::borrow::Cow;
use std::fmt::Write as _;

/// Whether a character does not show itself: controls, formats (with the marks that turn the direction
/// of text), separators of lines and paragraphs, and what Unicode lets programs ignore, such as
/// fillers, variation selectors and tags.
#[must_use]
pub fn is_invisible(character: char) -> bool {
    matches!(character,
        '\0'..='\u{1f}'
        | '\u{7f}'..='\u{9f}'
        | '\u{ad}'
        | '\u{34f}'
        | '\u{600}'..='\u{605}'
        | '\u{61c}'
        | '\u{6dd}'
        | '\u{70f}'
        | '\u{890}'..='\u{891}'
        | '\u{8e2}'
        | '\u{115f}'..='\u{1160}'
        | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{110bd}'
        | '\u{110cd}'
        | '\u{13430}'..='\u{1343f}'
        | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}'
    )
}

/// The text as one line that shows every character: line breaks and tabs as `\n`, `\r` and `\t`, other
/// characters that do not show themselves by their numbers, as `\u{1b}`. Nothing changes when this is
/// done a second time.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    replaced(text, |_, character| is_invisible(character), braced)
}

/// What [`printable`] does, for a text of several lines: line breaks stay. Text from elsewhere in it
/// has to be made [`printable`] first, or it could begin lines of its own.
#[must_use]
pub fn printable_lines(text: &str) -> Cow<'_, str> {
    let is_replaced = |_: &str, character| character != '\n' && is_invisible(character);
    replaced(text, is_replaced, braced)
}

/// What [`printable`] does, for a message that continues in further lines which begin with a space, as
/// lists do: line breaks before a space stay. Other line breaks came with a name, and would let that
/// begin a line which looks like the program's own.
#[must_use]
pub fn printable_message(text: &str) -> Cow<'_, str> {
    let is_replaced = |rest: &str, character| match character {
        '\n' => !rest.starts_with(' '),
        other => is_invisible(other),
    };
    replaced(text, is_replaced, braced)
}

/// A document in JSON as a serializer made it, with every character that does not show itself escaped
/// as JSON has it (`\u001b`). What its strings mean stays the same.
#[must_use]
pub fn json(document: &str) -> Cow<'_, str> {
    let is_replaced = |_: &str, character| character != '\n' && is_invisible(character);
    replaced(document, is_replaced, |text, character| {
        for unit in character.encode_utf16(&mut [0; 2]) {
            // Writing to a string cannot fail.
            let _ = write!(text, "\\u{unit:04x}");
        }
    })
}

fn braced(text: &mut String, character: char) {
    match character {
        '\n' => text.push_str("\\n"),
        '\r' => text.push_str("\\r"),
        '\t' => text.push_str("\\t"),
        other => text.extend(other.escape_unicode()),
    }
}

/// `text` with `replace` in place of each character for which `is_replaced`, which is also told what
/// follows it.
fn replaced(
    text: &str,
    is_replaced: impl Fn(&str, char) -> bool,
    replace: impl Fn(&mut String, char),
) -> Cow<'_, str> {
    let is_replaced = |at: usize, character: char| {
        let rest = &text[at + character.len_utf8()..];
        is_replaced(rest, character)
    };
    let mut all = text.char_indices();
    let Some((first, _)) = all.find(|&(at, character)| is_replaced(at, character)) else {
        return Cow::Borrowed(text);
    };
    let mut visible = String::with_capacity(text.len() + 16);
    visible.push_str(&text[..first]);
    for (offset, character) in text[first..].char_indices() {
        if is_replaced(first + offset, character) {
            replace(&mut visible, character);
        } else {
            visible.push(character);
        }
    }
    Cow::Owned(visible)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::Regex;

    use super::*;

    #[test]
    fn text_shows_what_it_holds() {
        for (text, expected) in [
            ("photos/a b.png", "photos/a b.png"),
            (r"C:\photos\ü.png", r"C:\photos\ü.png"),
            ("写真\u{3000}1.png", "写真\u{3000}1.png"),
            ("e\u{301}", "e\u{301}"),
            ("a\u{1b}[2Jb", r"a\u{1b}[2Jb"),
            ("a\nb\r\tc\0", r"a\nb\r\tc\u{0}"),
            ("\u{7f}\u{9b}31m", r"\u{7f}\u{9b}31m"),
            ("gpj.\u{202e}png", r"gpj.\u{202e}png"),
            ("a\u{2028}b\u{feff}", r"a\u{2028}b\u{feff}"),
            ("\u{e0041}", r"\u{e0041}"),
        ] {
            assert_eq!(printable(text), expected);
            assert_eq!(printable(&printable(text)), expected, "a second time");
        }
        assert_eq!(printable_lines("a\nb\r\n"), "a\nb\\r\n");
        assert_eq!(
            printable_message("two:\n  one\n  a\nerror: b\n"),
            "two:\n  one\n  a\\nerror: b\\n"
        );
        assert_eq!(
            json("{\n  \"a\": \"\u{7f}\u{9b}\u{202e}\u{e0041}ü\"\n}"),
            "{\n  \"a\": \"\\u007f\\u009b\\u202e\\udb40\\udc41ü\"\n}"
        );
    }

    #[test]
    fn unicode_agrees_about_what_is_invisible() {
        let invisible = Regex::new(r"^[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]$").unwrap();
        // Not in these categories, but "default ignorable".
        let ignorable = Regex::new(
            r"^[\x{34f}\x{115f}\x{1160}\x{17b4}\x{17b5}\x{180b}-\x{180f}\x{2060}-\x{206f}\x{3164}\x{fe00}-\x{fe0f}\x{ffa0}\x{fff0}-\x{fff8}\x{e0000}-\x{e0fff}]$",
        )
        .unwrap();
        for character in '\0'..=char::MAX {
            let text = character.to_string();
            assert_eq!(
                is_invisible(character),
                invisible.is_match(&text) || ignorable.is_match(&text),
                "{}",
                character.escape_unicode()
            );
        }
    }

    /// Any text, with many characters of the kinds that this is about.
    fn hostile() -> impl Strategy<Value = String> {
        let wicked = prop::sample::select(vec![
            '\u{1b}',
            '\n',
            '\r',
            '\t',
            ' ',
            '\\',
            '"',
            '\u{7f}',
            '\u{85}',
            '\u{9b}',
            '\u{200e}',
            '\u{202e}',
            '\u{2066}',
            '\u{2069}',
            '\u{61c}',
            '\u{feff}',
            '\u{e0001}',
        ]);
        let character = prop_oneof![any::<char>(), wicked];
        prop::collection::vec(character, 0..40).prop_map(String::from_iter)
    }

    proptest! {
        #[test]
        fn nothing_invisible_comes_through(text in hostile()) {
            let line = printable(&text);
            prop_assert!(!line.contains(is_invisible), "{line:?}");
            prop_assert_eq!(printable(&line), line.clone());
            let others = |text: &str| text.chars().filter(|it| !is_invisible(*it)).count();
            prop_assert!(others(&line) >= others(&text));

            for several in [printable_lines(&text), printable_message(&text)] {
                prop_assert!(several.lines().all(|line| !line.contains(is_invisible)));
            }
            let message = printable_message(&text);
            for line in message.split('\n').skip(1) {
                prop_assert!(line.starts_with(' '), "{message:?}");
            }
        }

        #[test]
        fn json_says_the_same_as_before(text in hostile(), key in hostile()) {
            let value = serde_json::json!({ key: [text] });
            for document in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
                let visible = json(&document);
                prop_assert!(!visible.replace('\n', "").contains(is_invisible), "{visible:?}");
                let read: serde_json::Value = serde_json::from_str(&visible).unwrap();
                prop_assert_eq!(&read, &value);
            }
        }
    }
}
