//! How much memory things take at most, counted by the allocator.

#![allow(clippy::unwrap_used)] // helpers of tests, too

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use vcp_image::{DecodeOptions, Photo, decode_bytes};

thread_local! {
    /// Bytes held by what runs on this thread, and the most it has held.
    static HELD: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

struct Counting;

fn count(more: usize, less: usize) {
    // A thread that ends has none any more.
    let _ = HELD.try_with(|held| {
        let (now, most) = held.get();
        let now = (now + more).saturating_sub(less);
        held.set((now, most.max(now)));
    });
}

// SAFETY: everything is left to the system's allocator; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: what this function's caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size, layout.size());
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most bytes that `work` holds at a time, beside those held before.
fn most(work: impl FnOnce()) -> usize {
    let (before, _) = HELD.get();
    HELD.set((before, before));
    work();
    HELD.get().1 - before
}

#[test]
fn a_long_narrow_photo_is_resized_in_little_memory() {
    const LENGTH: usize = 60_000;
    // Between the passes, 518 × 60,000 bytes would be 31 MB.
    for (width, height) in [(1, LENGTH), (LENGTH, 1)] {
        let photo = Photo::from_grey(width, height, vec![77; LENGTH]).unwrap();
        let bytes = most(|| {
            let resized = photo.resize_bicubic(518, 518);
            assert!(resized.pixels().iter().all(|&value| value == 77));
        });
        assert!(bytes < 4 << 20, "{width} × {height}: {bytes} bytes");
    }
}

/// With alpha and 16 bits a pixel of a PNG has eight bytes, of which three are kept.
#[test]
fn a_deep_png_with_alpha_is_never_in_memory_whole() {
    const SIDE: u32 = 1000;
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, SIDE, SIDE);
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_depth(png::BitDepth::Sixteen);
    let rows = vec![200; (SIDE * SIDE) as usize * 8];
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&rows).unwrap();
    writer.finish().unwrap();
    let pixels = (SIDE * SIDE) as usize;
    let bytes = most(|| {
        let photo = decode_bytes(&file, "deep", &DecodeOptions::default()).unwrap();
        assert_eq!(photo.pixels(), vec![200; 3 * pixels]);
    });
    // The photo and, for the comparison, as much again; rows and tables beside them.
    assert!(bytes < 6 * pixels + (1 << 20), "{bytes} bytes");
}
