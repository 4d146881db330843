//! Results whose pictures were promised by links and are kept nowhere else, for a while.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use serde_json::Value;

use crate::limits::{RECENT_BYTES, RECENT_RESULTS};
use crate::pictures::File;

/// What a result takes besides its files, about.
pub(crate) const ENTRY_BYTES: usize = 4096;

/// A bounded memory of results: the oldest make room for new ones.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    kept: Mutex<Kept>,
    count: AtomicU64,
}

#[derive(Debug, Default)]
struct Kept {
    results: BTreeMap<String, RecentResult>,
    /// The oldest first.
    order: VecDeque<String>,
    bytes: usize,
}

/// A result in memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct RecentResult {
    /// What is answered when it is asked for, unless the history knows it.
    pub(crate) entry: Option<Value>,
    /// Files by name.
    pub(crate) files: Vec<(File, Bytes)>,
}

impl RecentResult {
    fn bytes(&self) -> usize {
        let files = self.files.iter().map(|(_, bytes)| bytes.len());
        files.sum::<usize>() + ENTRY_BYTES
    }

    pub(crate) fn file(&self, file: File) -> Option<Bytes> {
        let found = self.files.iter().find(|(kind, _)| *kind == file);
        found.map(|(_, bytes)| bytes.clone())
    }
}

impl Recent {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An identifier that no other result of this run has, in the form of those of histories.
    pub(crate) fn identifier(&self) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let milliseconds = now.map_or(0, |now| now.as_millis());
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        format!("{milliseconds:012x}{count:08x}{:08x}", 0)
    }

    /// Keeps a result. One that is larger than all that may be kept is not.
    pub(crate) fn keep(&self, identifier: &str, result: RecentResult) {
        let size = result.bytes();
        if size > RECENT_BYTES {
            return;
        }
        let mut kept = self.kept();
        while kept.bytes + size > RECENT_BYTES || kept.order.len() >= RECENT_RESULTS {
            let Some(oldest) = kept.order.pop_front() else {
                break;
            };
            if let Some(oldest) = kept.results.remove(&oldest) {
                kept.bytes -= oldest.bytes();
            }
        }
        if let Some(replaced) = kept.results.insert(identifier.to_owned(), result) {
            kept.bytes -= replaced.bytes();
        } else {
            kept.order.push_back(identifier.to_owned());
        }
        kept.bytes += size;
    }

    pub(crate) fn get(&self, identifier: &str) -> Option<RecentResult> {
        self.kept().results.get(identifier).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: usize) -> RecentResult {
        RecentResult {
            entry: None,
            files: vec![(File::Overlay, vec![0; bytes].into())],
        }
    }

    #[test]
    fn memory_is_bounded() {
        let recent = Recent::default();
        for number in 0..3 * RECENT_RESULTS {
            recent.keep(&number.to_string(), of(1));
        }
        assert!(recent.get("0").is_none());
        assert!(recent.get(&(3 * RECENT_RESULTS - 1).to_string()).is_some());
        for number in 0..5 {
            recent.keep(
                &format!("large {number}"),
                of(RECENT_BYTES / 2 - ENTRY_BYTES),
            );
        }
        assert!(recent.get("large 2").is_none());
        assert!(recent.get("large 3").is_some() && recent.get("large 4").is_some());
        recent.keep("too large", of(RECENT_BYTES));
        assert!(recent.get("too large").is_none());
        let kept = recent.kept();
        let bytes: usize = kept.results.values().map(RecentResult::bytes).sum();
        assert_eq!(kept.bytes, bytes);
        assert_eq!(kept.order.len(), kept.results.len());
    }

    #[test]
    fn identifiers_differ_and_are_in_order() {
        let recent = Recent::default();
        let identifiers: Vec<_> = (0..100).map(|_| recent.identifier()).collect();
        assert!(identifiers.is_sorted_by(|one, next| one < next));
    }
}
