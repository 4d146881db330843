//! Panics of other people's code become values, without a word on the terminal.
//!
//! Decoders fed with strangers' bytes, and operations of a device, may panic where they should give
//! an error. [`caught`] makes an error of that. The standard library still prints what a panic says
//! before it is caught; a program that has called [`hush_caught`] prints it only of panics that
//! nobody catches.
//!
//! # Example
//!
//! ```
//! vcp_panics::hush_caught(); // once, in a program; without it the panic is printed all the same
//!
//! let decoded = vcp_panics::caught(|| -> u8 { panic!("index out of bounds") });
//! assert_eq!(decoded, Err("index out of bounds".to_owned()));
//! assert_eq!(vcp_panics::caught(|| 7), Ok(7));
//! ```
#![forbid(unsafe_code)]

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    /// How many calls of [`caught`] this thread is in.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// One call of [`caught`], until it is left in whatever way.
struct Guard;

impl Guard {
    fn enter() -> Self {
        DEPTH.set(DEPTH.get() + 1);
        Self
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

/// What `work` gives, or, if it panicked, what it said. Nothing that it left half done may be used
/// afterwards.
///
/// # Errors
/// The panic's message, if `work` panicked.
pub fn caught<R>(work: impl FnOnce() -> R) -> Result<R, String> {
    let guard = Guard::enter();
    let outcome = catch_unwind(AssertUnwindSafe(work));
    drop(guard);
    outcome.map_err(|said| message(&*said))
}

fn message(said: &(dyn Any + Send)) -> String {
    let text = said.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| said.downcast_ref::<&str>().copied());
    text.unwrap_or("it does not say why").to_owned()
}

/// From now on, panics inside [`caught`] are silent; all others are reported as before, also those of other
/// threads that work for a call of it. For programs: the hook belongs to the whole process.
pub fn hush_caught() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |information| {
            // A thread that is ending has no depth any more, and is in no call.
            if DEPTH.try_with(Cell::get).unwrap_or(0) == 0 {
                before(information);
            }
        }));
    });
}

/// The example of README.md, so that it is compiled too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
