//! Sorting many keys that lie in pieces, and walking through sorted pieces as if they were one.

use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use rayon::prelude::*;

/// Keys are told apart by their upper half first.
pub(crate) const HALF: usize = 1 << 16;

/// Buckets are sorted one by one while they fit into a core's cache, and by all cores together
/// when they do not (many values that differ little).
const LARGE_BUCKET: usize = 1 << 18;

/// More buckets than this write to more places than a processor can keep in view.
const BUCKETS: usize = 1 << 10;

/// All keys of the pieces, smallest first, in one more array of their size and no further memory
/// that grows with their number. The time is n log n at worst.
pub(crate) fn sorted(pieces: &[&[u32]]) -> Vec<u32> {
    let total: usize = pieces.iter().map(|piece| piece.len()).sum();
    let mut counts = vec![0_usize; HALF];
    for piece in pieces {
        for &key in *piece {
            counts[(key >> 16) as usize] += 1;
        }
    }
    // Neighbouring upper halves share a bucket until it has its part of the keys.
    let share = total / BUCKETS + 1;
    let mut bucket_of = vec![0_u16; HALF];
    let mut sizes: Vec<usize> = vec![0];
    for (half, &count) in counts.iter().enumerate() {
        let last = sizes.len() - 1;
        if sizes[last] > 0 && sizes[last] + count > share {
            sizes.push(0);
        }
        let last = sizes.len() - 1;
        sizes[last] += count;
        // At most two buckets in a row are less than half full, so there are far fewer than 2^16.
        bucket_of[half] = last as u16;
    }
    let mut ends = Vec::with_capacity(sizes.len());
    let mut end = 0;
    for size in &sizes {
        ends.push(end);
        end += size;
    }
    let mut keys = vec![0_u32; total];
    for piece in pieces {
        for &key in *piece {
            let end = &mut ends[usize::from(bucket_of[(key >> 16) as usize])];
            keys[*end] = key;
            *end += 1;
        }
    }
    let mut buckets = Vec::with_capacity(sizes.len());
    let mut rest = keys.as_mut_slice();
    for &size in &sizes {
        let (bucket, others) = rest.split_at_mut(size);
        buckets.push(bucket);
        rest = others;
    }
    buckets.into_par_iter().for_each(|bucket| {
        if bucket.len() > LARGE_BUCKET {
            bucket.par_sort_unstable();
        } else {
            bucket.sort_unstable();
        }
    });
    keys
}

/// Walks through several sorted arrays from the largest element to the smallest.
pub(crate) struct Merge<'a> {
    /// The largest element left of every array that has one, and which array that is.
    heap: BinaryHeap<(u64, usize)>,
    rest: Vec<&'a [u64]>,
}

impl<'a> Merge<'a> {
    /// `arrays` are sorted, smallest first.
    pub(crate) fn new(arrays: impl IntoIterator<Item = &'a [u64]>) -> Self {
        let mut heap = BinaryHeap::new();
        let mut rest = Vec::new();
        for (index, array) in arrays.into_iter().enumerate() {
            let mut array = array;
            if let Some((&last, others)) = array.split_last() {
                heap.push((last, index));
                array = others;
            }
            rest.push(array);
        }
        Self { heap, rest }
    }

    /// The largest element left.
    pub(crate) fn peek(&self) -> Option<u64> {
        self.heap.peek().map(|&(element, _)| element)
    }
}

impl Iterator for Merge<'_> {
    /// Element and number of its array.
    type Item = (u64, usize);

    fn next(&mut self) -> Option<(u64, usize)> {
        let mut top = self.heap.peek_mut()?;
        let found = *top;
        let rest = &mut self.rest[found.1];
        if let Some((&last, others)) = rest.split_last() {
            *rest = others;
            top.0 = last;
        } else {
            PeekMut::pop(top);
        }
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn sorts_pieces(
            pieces in prop::collection::vec(
                prop::collection::vec(
                    prop_oneof![any::<u32>(), 0x8000_0000_u32..0x8000_0010, 0_u32..0x4_0000],
                    0..200,
                ),
                0..6,
            )
        ) {
            let slices: Vec<&[u32]> = pieces.iter().map(Vec::as_slice).collect();
            let mut expected = pieces.concat();
            expected.sort_unstable();
            prop_assert_eq!(sorted(&slices), expected);
        }

        #[test]
        fn merges_from_the_largest(
            pieces in prop::collection::vec(prop::collection::vec(0_u64..50, 0..20), 0..6)
        ) {
            let mut pieces = pieces;
            for piece in &mut pieces {
                piece.sort_unstable();
            }
            let mut merge = Merge::new(pieces.iter().map(Vec::as_slice));
            let mut expected = pieces.concat();
            expected.sort_unstable_by(|a, b| b.cmp(a));
            for &element in &expected {
                prop_assert_eq!(merge.peek(), Some(element));
                let (found, piece) = merge.next().unwrap();
                prop_assert_eq!(found, element);
                prop_assert!(pieces[piece].contains(&found));
            }
            prop_assert_eq!(merge.next(), None);
        }
    }

    #[test]
    fn sorts_many_equal_keys() {
        let pieces: Vec<Vec<u32>> = (0..3)
            .map(|piece| {
                (0..LARGE_BUCKET as u32)
                    .map(|i| (i * 7 + piece) % 5)
                    .collect()
            })
            .collect();
        let slices: Vec<&[u32]> = pieces.iter().map(Vec::as_slice).collect();
        let mut expected = pieces.concat();
        expected.sort_unstable();
        assert_eq!(sorted(&slices), expected);
    }
}
