//! Errors and their causes in one sentence.

/// What an error says, followed by its causes where it does not say them itself.
#[must_use]
pub fn sentence(error: &(dyn std::error::Error + 'static)) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !message.contains(&said) {
            message = format!("{}: {said}", message.trim_end_matches(['.', ':']));
        }
        cause = error.source();
    }
    message
}
