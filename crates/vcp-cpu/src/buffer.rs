//! Aligned memory in large pages, used again and again.
//!
//! A forward pass asks for the same few sizes thousands of times. Fresh pages from the
//! operating system cost about as much as a layer norm, so buffers go back to a pool. And
//! matrices of many megabytes in pages of 4 KiB make the processor look up addresses all the
//! time: asking for large pages makes the matrix products a tenth faster.

use memmap2::MmapMut;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

/// One cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; LINE]);

const LINE: usize = 16;

/// Size of a large page on x86-64 and most 64-bit ARM systems, in bytes.
const LARGE_PAGE: usize = 2 << 20;

/// Memory aligned to cache lines, initialised, of a size that never changes.
pub(crate) struct Memory(Kind);

enum Kind {
    Lines(Vec<Line>),
    Pages(MmapMut),
}

impl Memory {
    /// At least `bytes` zero bytes.
    pub(crate) fn zeroed(bytes: usize) -> Self {
        if bytes >= LARGE_PAGE / 2
            && let Ok(pages) = MmapMut::map_anon(bytes.next_multiple_of(LARGE_PAGE))
        {
            // Only advice: without large pages the memory is as good, just slower.
            #[cfg(target_os = "linux")]
            let _ = pages.advise(memmap2::Advice::HugePage);
            return Self(Kind::Pages(pages));
        }
        Self(Kind::Lines(vec![
            Line([0.0; LINE]);
            bytes.div_ceil(size_of::<Line>())
        ]))
    }

    /// As [`Memory::zeroed`], for what stays as long as the model: hundreds of pieces, each of which would fill up its
    /// last large page for nothing. Only whole large pages are asked for; the rest are small ones.
    pub(crate) fn lasting(bytes: usize) -> Self {
        let whole = bytes - bytes % LARGE_PAGE;
        if bytes >= LARGE_PAGE / 2
            && let Ok(pages) = MmapMut::map_anon(bytes)
        {
            #[cfg(target_os = "linux")]
            if whole > 0 {
                let _ = pages.advise_range(memmap2::Advice::HugePage, 0, whole);
            }
            return Self(Kind::Pages(pages));
        }
        Self::zeroed(bytes)
    }

    /// Size in bytes.
    pub(crate) fn bytes(&self) -> usize {
        match &self.0 {
            Kind::Lines(lines) => size_of_val(lines.as_slice()),
            Kind::Pages(pages) => pages.len(),
        }
    }

    fn address(&self) -> *const u8 {
        match &self.0 {
            Kind::Lines(lines) => lines.as_ptr().cast(),
            Kind::Pages(pages) => pages.as_ptr(),
        }
    }

    fn address_mut(&mut self) -> *mut u8 {
        match &mut self.0 {
            Kind::Lines(lines) => lines.as_mut_ptr().cast(),
            Kind::Pages(pages) => pages.as_mut_ptr(),
        }
    }

    /// The first `count` elements.
    pub(crate) fn elements<T: Element>(&self, count: usize) -> &[T] {
        assert!(count <= self.bytes() / size_of::<T>(), "within the memory");
        // SAFETY: the memory is initialised, aligned to at least a cache line and large
        // enough, and every bit pattern is an `Element`.
        unsafe { std::slice::from_raw_parts(self.address().cast(), count) }
    }

    /// The first `count` elements.
    pub(crate) fn elements_mut<T: Element>(&mut self, count: usize) -> &mut [T] {
        assert!(count <= self.bytes() / size_of::<T>(), "within the memory");
        // SAFETY: as above, and `self` is borrowed uniquely.
        unsafe { std::slice::from_raw_parts_mut(self.address_mut().cast(), count) }
    }
}

/// Types of which every bit pattern is a value.
///
/// # Safety
/// That has to be so, and the alignment must not exceed 64 bytes.
pub(crate) unsafe trait Element: Copy {}
// SAFETY: every bit pattern is a number.
unsafe impl Element for f32 {}
// SAFETY: every bit pattern is a number.
unsafe impl Element for u16 {}
// SAFETY: every bit pattern is a number.
unsafe impl Element for u32 {}
// SAFETY: every bit pattern is a number.
unsafe impl Element for i8 {}

/// `f32` memory; goes back to its pool when dropped.
pub(crate) struct Buffer {
    /// `None` only while it is being dropped.
    memory: Option<Memory>,
    length: usize,
    pool: Arc<Pool>,
}

impl Buffer {
    /// The elements' bits: for groups of narrow numbers, which lie in words of 32 bits.
    pub(crate) fn words(&self) -> &[u32] {
        self.memory
            .as_ref()
            .map_or(&[], |memory| memory.elements(self.length))
    }

    /// The first `count` numbers of 16 bits, two of which lie in the place of an element.
    pub(crate) fn halves(&self, count: usize) -> &[u16] {
        assert!(count <= 2 * self.length, "within the buffer");
        self.memory
            .as_ref()
            .map_or(&[], |memory| memory.elements(count))
    }

    /// As [`Buffer::words`].
    pub(crate) fn words_mut(&mut self) -> &mut [u32] {
        let length = self.length;
        self.memory
            .as_mut()
            .map_or(&mut [], |memory| memory.elements_mut(length))
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        self.memory
            .as_ref()
            .map_or(&[], |memory| memory.elements(self.length))
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        let length = self.length;
        self.memory
            .as_mut()
            .map_or(&mut [], |memory| memory.elements_mut(length))
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(memory) = self.memory.take() {
            self.pool.give_back(memory);
        }
    }
}

/// Memory waiting to be used again. Only large pieces wait: the allocator is good at small
/// ones.
#[derive(Default)]
pub(crate) struct Pool {
    free: Mutex<Vec<Memory>>,
}

impl Pool {
    /// Most pieces that wait at once: a forward pass has fewer alive.
    const MOST: usize = 24;

    /// A buffer of `length` elements with **arbitrary** (but initialised) contents.
    pub(crate) fn take(self: &Arc<Self>, length: usize) -> Buffer {
        let needed = length
            .checked_mul(size_of::<f32>())
            .unwrap_or_else(|| panic!("{length} elements are more than memory has addresses"));
        let found = {
            let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
            let best = free
                .iter()
                .enumerate()
                // One much too large would be missed by whoever needs its size.
                .filter(|(_, memory)| (needed..=2 * needed).contains(&memory.bytes()))
                .min_by_key(|(_, memory)| memory.bytes())
                .map(|(index, _)| index);
            best.map(|index| free.remove(index))
        };
        let mut memory = found.unwrap_or_else(|| Memory::zeroed(needed));
        if cfg!(test) {
            // The worst that arbitrary contents can be, for whoever reads before writing.
            memory.elements_mut::<f32>(length).fill(f32::NAN);
        }
        Buffer {
            memory: Some(memory),
            length,
            pool: Arc::clone(self),
        }
    }

    /// Pieces that wait to be used again.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.len()
    }

    /// As [`Pool::take`], filled with zeros.
    pub(crate) fn take_zeroed(self: &Arc<Self>, length: usize) -> Buffer {
        let mut buffer = self.take(length);
        buffer.fill(0.0);
        buffer
    }

    fn give_back(&self, memory: Memory) {
        if memory.bytes() < LARGE_PAGE {
            return;
        }
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() >= Self::MOST {
            // The first has waited longest without being wanted.
            free.remove(0);
        }
        free.push(memory);
    }
}
