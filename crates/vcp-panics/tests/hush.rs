//! The hook belongs to the process, so this has a process of its own.

use std::panic::{catch_unwind, set_hook};
use std::sync::atomic::{AtomicUsize, Ordering};

use vcp_panics::{caught, hush_caught};

static REPORTED: AtomicUsize = AtomicUsize::new(0);

fn reported() -> usize {
    REPORTED.load(Ordering::SeqCst)
}

#[test]
fn only_panics_that_nobody_catches_are_reported() {
    set_hook(Box::new(|_| {
        REPORTED.fetch_add(1, Ordering::SeqCst);
    }));
    assert_eq!(caught(|| 7), Ok(7));
    let _ = caught(|| panic!("before"));
    assert_eq!(reported(), 1, "the hook is asked for, not built in");

    hush_caught();
    hush_caught();
    assert_eq!(
        caught(|| panic!("as {}", "text")),
        Err::<(), _>("as text".to_owned())
    );
    let nested = caught(|| {
        let _ = caught(|| panic!("inner"));
        panic!("outer");
    });
    assert_eq!(nested, Err::<(), _>("outer".to_owned()));
    assert_eq!(reported(), 1, "caught panics are silent");

    // After a caught panic, and in another thread meanwhile, panics are reported as before.
    assert!(catch_unwind(|| panic!("not guarded")).is_err());
    assert_eq!(reported(), 2);
    let in_another_thread = caught(|| std::thread::spawn(|| panic!("elsewhere")).join().is_err());
    assert_eq!(in_another_thread, Ok(true));
    assert_eq!(reported(), 3);
}
