//! What clap says about arguments, which it repeats.

use std::io::{self, Write};

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue};

use vcp_report::visible::{printable, printable_lines};

/// clap's error with what it repeats of the arguments made visible, so that line breaks in its message
/// are its own.
pub(crate) fn made_visible(mut error: clap::Error) -> clap::Error {
    let styled = |text: &StyledStr| StyledStr::from(printable(&text.to_string()).into_owned());
    let visible = |value: &ContextValue| match value {
        ContextValue::String(text) => ContextValue::String(printable(text).into_owned()),
        ContextValue::Strings(texts) => {
            let texts = texts.iter().map(|text| printable(text).into_owned());
            ContextValue::Strings(texts.collect())
        }
        ContextValue::StyledStr(text) => ContextValue::StyledStr(styled(text)),
        ContextValue::StyledStrs(texts) => {
            ContextValue::StyledStrs(texts.iter().map(styled).collect())
        }
        other => other.clone(),
    };
    let facts: Vec<(ContextKind, ContextValue)> = error
        .context()
        // Usage is clap's own text, in lines.
        .filter(|(kind, _)| *kind != ContextKind::Usage)
        .map(|(kind, value)| (kind, visible(value)))
        .collect();
    for (kind, value) in facts {
        error.insert(kind, value);
    }
    error
}

/// Prints what clap says, which for `--help` and `--version` is no error.
pub(crate) fn usage_error(error: clap::Error) {
    // Nothing is left to be said if this cannot be printed.
    let _ = if error.use_stderr() {
        let message = made_visible(error).render().to_string();
        write!(io::stderr().lock(), "{}", printable_lines(&message))
    } else {
        error.print()
    };
}
