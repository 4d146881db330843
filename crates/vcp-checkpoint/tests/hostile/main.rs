//! Files made to do harm. Each gives an error of this crate (or, where a change happens to be
//! harmless, a normal result), none panics, and none takes more than a second or 256 MB.

#[path = "../support/mod.rs"]
mod support;

mod archives;
mod indexes;
mod mutations;
mod pickles;
mod safetensors_files;
mod streams;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use support::{openai, small_settings, small_weights};
use vcp_checkpoint::{Error, TensorFile, Weights};

const TIME_LIMIT: Duration = Duration::from_secs(1);
const MEMORY_LIMIT: usize = 256 << 20;

/// How far a file is taken.
#[derive(Debug, Clone, Copy)]
enum Use {
    /// Opened, and its tensors read.
    File,
    /// Also loaded as a checkpoint beside a good CLIP.
    Checkpoint,
    /// Also loaded as a bundle.
    Bundle,
    /// Written beside two good parts and opened as their index.
    Index,
}

struct Case {
    name: String,
    bytes: Vec<u8>,
    usage: Use,
    /// What the error says; `None` if the file may turn out to be harmless.
    says: Option<&'static str>,
}

impl Case {
    fn new(name: impl Into<String>, bytes: Vec<u8>, says: &'static str) -> Self {
        Self {
            name: name.into(),
            bytes,
            usage: Use::File,
            says: Some(says),
        }
    }

    fn harmless_or_not(name: impl Into<String>, bytes: Vec<u8>, usage: Use) -> Self {
        Self {
            name: name.into(),
            bytes,
            usage,
            says: None,
        }
    }

    fn used_as(self, usage: Use) -> Self {
        Self { usage, ..self }
    }
}

fn examine(bytes: Vec<u8>, usage: Use, clip: &TensorFile) -> Result<(), Error> {
    let file = match usage {
        Use::Index => indexes::open(&bytes)?,
        _ => TensorFile::from_bytes(bytes, "hostile")?,
    };
    let mut sum = 0.0;
    for name in file.names().take(50) {
        if let Some(tensor) = file.tensor(name) {
            sum += tensor.to_f32().iter().sum::<f32>();
            tensor.release();
        }
    }
    std::hint::black_box(sum);
    match usage {
        Use::File | Use::Index => {}
        Use::Checkpoint => drop(Weights::from_parts(clip, &file, small_settings())?),
        Use::Bundle => drop(Weights::from_bundle(&file)?),
    }
    Ok(())
}

/// One test, so that nothing else allocates meanwhile.
#[test]
fn no_file_does_harm() {
    let clip = support::file(&openai(&small_weights(20)), "clip");
    let mut cases = pickles::cases();
    cases.extend(archives::cases());
    cases.extend(safetensors_files::cases());
    cases.extend(indexes::cases());
    cases.extend(streams::cases());
    cases.extend(mutations::cases());
    assert!(cases.len() >= 200, "{} cases", cases.len());
    let (mut failures, mut errors) = (Vec::new(), 0);
    let (mut slowest, mut largest) = ((Duration::ZERO, ""), (0, ""));
    for case in &cases {
        let mut shortest = Duration::MAX;
        let mut outcome = Ok(Ok(()));
        let mut peak = 0;
        // Measured again when slow: the machine may have been busy with something else.
        for _ in 0..3 {
            let bytes = case.bytes.clone();
            let before = ALLOCATED.load(Ordering::Relaxed) - bytes.len();
            PEAK.store(before, Ordering::Relaxed);
            let start = Instant::now();
            outcome = std::panic::catch_unwind(|| examine(bytes, case.usage, &clip));
            shortest = shortest.min(start.elapsed());
            peak = PEAK.load(Ordering::Relaxed) - before;
            if shortest < TIME_LIMIT {
                break;
            }
        }
        slowest = slowest.max((shortest, &case.name));
        largest = largest.max((peak, &case.name));
        let mut fail = |what: String| failures.push(format!("{}: {what}", case.name));
        match (outcome, case.says) {
            (Err(_), _) => fail("panicked".to_owned()),
            (Ok(Ok(())), Some(says)) => fail(format!("was accepted, expected: {says}")),
            (Ok(Ok(())), None) => {}
            (Ok(Err(error)), says) => {
                errors += 1;
                let message = error.to_string();
                if says.is_some_and(|says| !message.contains(says)) {
                    fail(format!("says {message:?}, expected: {says:?}"));
                }
                if message.chars().any(|c| c.is_control() && c != '\n') {
                    fail(format!("puts control characters into {message:?}"));
                }
            }
        }
        if shortest > TIME_LIMIT {
            fail(format!("took {shortest:?}"));
        }
        if peak > MEMORY_LIMIT {
            fail(format!("took {} MB", peak >> 20));
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {} cases:\n{}",
        failures.len(),
        cases.len(),
        failures.join("\n")
    );
    println!(
        "{} cases, {errors} of them errors; slowest: {slowest:?}; most memory: {largest:?}",
        cases.len()
    );
}

/// The system's allocator, keeping count.
struct Counting;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged; counting touches atomics only.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(now, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;
