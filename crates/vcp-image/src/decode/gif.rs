//! What is checked of a GIF file beside its decoder, which does not say it.

/// Whether there is more than one picture in it.
pub(super) fn is_animation(bytes: &[u8]) -> bool {
    pictures(bytes).nth(1).is_some()
}

/// An item for each picture, as far as the file can be followed.
fn pictures(bytes: &[u8]) -> impl Iterator<Item = ()> {
    // The signature and the screen, then perhaps its colours.
    let mut at = 13 + colours(bytes.get(10));
    std::iter::from_fn(move || {
        loop {
            match bytes.get(at)? {
                // An extension and its kind.
                0x21 => at = behind_blocks(bytes, at + 2)?,
                0x2C => {
                    // Place and size, perhaps colours, the size of the codes.
                    let data = at + 10 + colours(bytes.get(at + 9)) + 1;
                    at = behind_blocks(bytes, data)?;
                    return Some(());
                }
                _ => return None,
            }
        }
    })
}

/// Bytes of a table of colours, of which the flags say whether it is there and how long it is.
fn colours(flags: Option<&u8>) -> usize {
    flags.map_or(0, |flags| match flags & 0x80 {
        0 => 0,
        _ => 3 << ((flags & 7) + 1),
    })
}

/// The place behind blocks that begin with their lengths; the last is empty.
fn behind_blocks(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let length = usize::from(*bytes.get(at)?);
        at += 1 + length;
        if length == 0 {
            return Some(at);
        }
    }
}
