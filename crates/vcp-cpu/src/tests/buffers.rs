//! Memory: alignment, zeros, and what a pool keeps.

use super::pool;
use crate::buffer::Memory;
use std::sync::Arc;

/// From one cache line to several large pages.
const SIZES: [usize; 7] = [0, 1, 15, 16, 1000, 300_000, 1_300_000];

#[test]
fn memory_is_zero_aligned_and_large_enough() {
    for size in SIZES {
        let mut memory = Memory::zeroed(size * size_of::<f32>());
        assert!(memory.bytes() >= size * size_of::<f32>());
        let elements = memory.elements_mut::<f32>(size);
        assert_eq!(elements.len(), size);
        assert!(elements.as_ptr().addr().is_multiple_of(64), "{size}");
        assert!(elements.iter().all(|value| value.to_bits() == 0), "{size}");
        elements.fill(1.0);
        assert!(
            memory
                .elements::<f32>(size)
                .iter()
                .all(|&value| value == 1.0)
        );
    }
}

#[test]
#[should_panic(expected = "within the memory")]
fn more_elements_than_bytes_are_refused() {
    let memory = Memory::zeroed(4 * 64);
    let _ = memory.elements::<f32>(65);
}

/// The poison that the other tests rely on.
#[test]
fn buffers_hold_nan_in_tests() {
    let pool = pool();
    for size in SIZES {
        let buffer = pool.take(size);
        assert_eq!(buffer.len(), size);
        assert!(buffer.iter().all(|value| value.is_nan()), "{size}");
        let zeros = pool.take_zeroed(size);
        assert!(zeros.iter().all(|value| value.to_bits() == 0), "{size}");
    }
}

#[test]
fn large_memory_is_used_again_and_never_twice_at_once() {
    let pool = pool();
    let size = 600_000;
    let first = pool.take(size);
    let second = pool.take(size);
    assert_ne!(first.as_ptr(), second.as_ptr());
    let address = first.as_ptr();
    drop(first);
    let again = pool.take(size);
    assert_eq!(again.as_ptr(), address, "the free piece is taken");
    assert_ne!(again.as_ptr(), second.as_ptr());
    // A piece more than twice too large is left for those who need it.
    drop(again);
    let smaller = pool.take(size / 4);
    assert_ne!(smaller.as_ptr(), address);
}

/// However many pieces come back, few wait.
#[test]
fn a_pool_does_not_grow_without_end() {
    let pool = pool();
    let held: Vec<_> = (0..60).map(|_| pool.take(600_000)).collect();
    let addresses: Vec<_> = held.iter().map(|buffer| buffer.as_ptr()).collect();
    drop(held);
    assert!(pool.waiting() <= 24, "{} wait", pool.waiting());
    let next = pool.take(600_000);
    assert!(addresses.contains(&next.as_ptr()));
    assert_eq!(Arc::strong_count(&pool), 2);
}
