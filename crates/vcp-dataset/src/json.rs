//! Lists in one JSON text, read entry by entry: as a whole they would take many times their size.

use std::fmt;
use std::marker::PhantomData;
use std::path::Path;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::Error;

/// What becomes of the entries of a list: arrays that stand under keys.
pub(crate) trait Entries<'de> {
    type Entry: Deserialize<'de>;

    /// Whether to look at what stands under these keys, from the outermost to the one just met.
    fn wants(&mut self, keys: &[String]) -> Result<bool, Error>;

    fn entry(&mut self, keys: &[String], entry: Self::Entry) -> Result<(), Error>;
}

/// Reads the entries of arrays that lie under `depth` keys each, in their order. Keys may repeat.
///
/// # Errors
/// [`Error::Invalid`] if the text is something else, and what `entries` returns.
pub(crate) fn read<'de, E: Entries<'de>>(
    path: &Path,
    text: &'de str,
    depth: usize,
    entries: &mut E,
) -> Result<(), Error> {
    let mut state = State {
        depth,
        keys: Vec::new(),
        entries,
        stopped: None,
        text: PhantomData,
    };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let read = Level(&mut state)
        .deserialize(&mut deserializer)
        .and_then(|()| deserializer.end());
    match (state.stopped, read) {
        (Some(error), _) => Err(error),
        (None, Ok(())) => Ok(()),
        (None, Err(error)) => Err(Error::Invalid {
            path: path.to_owned(),
            line: Some(error.line() as u64),
            reason: error.to_string(),
        }),
    }
}

struct State<'a, 'de, E> {
    depth: usize,
    keys: Vec<String>,
    entries: &'a mut E,
    /// Why `entries` does not go on.
    stopped: Option<Error>,
    text: PhantomData<&'de str>,
}

impl<E> State<'_, '_, E> {
    fn stop<T: serde::de::Error>(&mut self, error: Error) -> T {
        let message = error.to_string();
        self.stopped = Some(error);
        T::custom(message)
    }
}

/// An object whose values are levels, or, under as many keys as there are, an array of entries.
struct Level<'s, 'a, 'de, E>(&'s mut State<'a, 'de, E>);

impl<'de, E: Entries<'de>> DeserializeSeed<'de> for Level<'_, '_, 'de, E> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.0.keys.len() < self.0.depth {
            deserializer.deserialize_map(self)
        } else {
            deserializer.deserialize_seq(self)
        }
    }
}

impl<'de, E: Entries<'de>> Visitor<'de> for Level<'_, '_, 'de, E> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.0.keys.len() < self.0.depth {
            "an object"
        } else {
            "a list of entries"
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            self.0.keys.push(key);
            match self.0.entries.wants(&self.0.keys) {
                Ok(true) => map.next_value_seed(Level(&mut *self.0))?,
                Ok(false) => {
                    map.next_value::<IgnoredAny>()?;
                }
                Err(error) => return Err(self.0.stop(error)),
            }
            self.0.keys.pop();
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(entry) = list.next_element::<E::Entry>()? {
            if let Err(error) = self.0.entries.entry(&self.0.keys, entry) {
                return Err(self.0.stop(error));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Seen(Vec<String>);

    impl Entries<'_> for Seen {
        type Entry = u32;

        fn wants(&mut self, keys: &[String]) -> Result<bool, Error> {
            Ok(keys.last().is_some_and(|key| key != "other"))
        }

        fn entry(&mut self, keys: &[String], entry: u32) -> Result<(), Error> {
            if entry == 7 {
                return Err(Error::Exists {
                    path: "seven".into(),
                });
            }
            self.0.push(format!("{} {entry}", keys.join(".")));
            Ok(())
        }
    }

    fn seen(text: &str) -> Result<Vec<String>, Error> {
        let mut seen = Seen::default();
        read(Path::new("list.json"), text, 2, &mut seen)?;
        Ok(seen.0)
    }

    #[test]
    fn entries_come_with_their_keys() {
        let text = r#"{"b": {"x": [1, 2]}, "other": [{}], "a": {"other": "?", "x": [3], "x": []}}"#;
        assert_eq!(seen(text).unwrap(), ["b.x 1", "b.x 2", "a.x 3"]);
        assert_eq!(seen("{}").unwrap(), [""; 0]);
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in [
            "",
            "[]",
            r#"{"a": []}"#,
            r#"{"a": {"x": {}}}"#,
            "{} {}",
            r#"{"a": {"x": ["1"]}}"#,
        ] {
            let error = seen(text).unwrap_err();
            assert!(
                matches!(error, Error::Invalid { line: Some(_), .. }),
                "{text}: {error}"
            );
        }
        let error = seen(r#"{"a": {"x": [6, 7, "8"]}}"#).unwrap_err();
        assert!(matches!(error, Error::Exists { .. }), "{error}");
    }
}
