//! Products in AMX's tiles: the same blocks of the result, each 32 rows and 32 columns at once over the whole depth.

use super::block::{Call, Panels, Task};
use crate::tile;
use vcp_simd::Dot;
use vcp_simd::dot::amx::{SIDE, STEP, Tiles, with_tiles};

/// Rows of sums that become values at a time.
const ROWS: usize = 8;

/// Does a task. A row of sums is so many registers.
///
/// # Safety
/// As [`super::block::block`], with rows that lie one after the other, 32 to a panel, whole [`STEP`]s of groups long.
#[inline(always)]
pub(super) unsafe fn block<D: Dot, P: Panels<D>, const REGISTERS: usize>(
    dot: D,
    tiles: impl Tiles,
    call: &Call<'_, P>,
    task: Task<'_>,
) {
    const { assert!(REGISTERS * D::LANES == SIDE && SIDE.is_multiple_of(ROWS)) };
    let groups = call.groups;
    assert!(groups > 0 && groups.is_multiple_of(STEP));
    assert!(call.packed.len() >= task.row_panels.end * groups * SIDE);
    let mut sums = [0_u32; SIDE * SIDE];
    with_tiles(tiles, || {
        for column_panel in task.column_panels {
            for row_panel in task.row_panels.clone() {
                // SAFETY: the packed rows hold 32 rows of `groups` for each panel, the weights as many groups of 32
                // columns, and `sums` the product of both; the caller's promise for the rest.
                unsafe {
                    let scratch = task.weights.as_mut_ptr();
                    let columns = call.panels.bring(dot, column_panel, 0, groups, scratch);
                    let rows = call.packed.as_ptr().add(row_panel * groups * SIDE);
                    let to = sums.as_mut_ptr();
                    tiles.multiply(rows, groups, columns.groups, groups / STEP, to);
                    for first in (0..SIDE).step_by(ROWS) {
                        let (row, column) = (row_panel * SIDE + first, column_panel * SIDE);
                        if row >= call.output.rows {
                            break;
                        }
                        let from = sums.as_ptr().add(first * SIDE);
                        let sums = tile::load::<D, ROWS, REGISTERS>(dot, from, SIDE);
                        let values = call.panels.values(dot, row, column, &sums);
                        call.output.write(dot.simd(), row, column, &values);
                    }
                }
            }
        }
    });
}
