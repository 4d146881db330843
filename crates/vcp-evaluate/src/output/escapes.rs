//! Names from data sets in files that other programs open.

use std::borrow::Cow;

use vcp_report::visible::printable;

/// A text for a cell of a CSV file. Spreadsheets take one that begins in certain ways for a formula and
/// compute it; an apostrophe in front, which they do not show, makes it text.
///
/// See <https://owasp.org/www-community/attacks/CSV_Injection>.
pub(super) fn csv_text(text: &str) -> Cow<'_, str> {
    const BEGINNINGS: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];
    if text.starts_with(BEGINNINGS) {
        Cow::Owned(format!("'{text}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// A text for a line or a cell of a Markdown document, with nothing in it that would be taken for
/// Markdown or HTML.
pub(super) fn markdown_text(text: &str) -> String {
    let text = printable(text);
    let mut escaped = String::with_capacity(text.len());
    let mut before = None;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let is_word = |it: Option<char>| it.is_some_and(char::is_alphanumeric);
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            // Within a word it means nothing, and names are full of it.
            '_' if is_word(before) && is_word(characters.peek().copied()) => escaped.push('_'),
            // Lists and headings begin a line.
            '#' | '+' | '-' | '=' if before.is_some() => escaped.push(character),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '$' | '#' | '+' | '-' | '=' => {
                escaped.push('\\');
                escaped.push(character);
            }
            other => escaped.push(other),
        }
        before = Some(character);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        for text in [
            "=1+2", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1",
        ] {
            assert_eq!(csv_text(text), format!("'{text}"));
        }
        for text in ["", "bolt", "a=1", "'=1", "写真", "1-2"] {
            assert_eq!(csv_text(text), text);
        }
    }

    #[test]
    fn names_are_no_markdown() {
        for (text, expected) in [
            ("metal_nut", "metal_nut"),
            ("_nut_", r"\_nut\_"),
            ("a|b", r"a\|b"),
            ("<script>&", "&lt;script&gt;&amp;"),
            ("`[x](y)*", r"\`\[x\](y)\*"),
            ("# a\n# b", r"\# a\\n# b"),
            ("- a - b", r"\- a - b"),
            ("a\u{1b}[2J", r"a\\u{1b}\[2J"),
        ] {
            assert_eq!(markdown_text(text), expected);
        }
    }
}
