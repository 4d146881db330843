//! Maps that are read row by row.

/// A map at a photo's resolution whose rows are made when asked for, so that it never has to be in
/// memory whole. From it regions and pictures are made.
///
/// They read the rows from the top down, each once or once per pass; an implementation may be slow
/// when rows are asked for in another order, but has to give the same values.
pub trait MapRows {
    /// Pixels per row.
    fn width(&self) -> usize;

    /// Rows.
    fn height(&self) -> usize;

    /// Writes row `y` to `out`.
    ///
    /// # Panics
    /// If `y` is not less than the height, or `out` is not `width` long.
    fn row(&self, y: usize, out: &mut [f32]);
}

/// Calls `visit` with every row's number and values, from the top.
pub(crate) fn for_each_row(map: &(impl MapRows + ?Sized), mut visit: impl FnMut(usize, &[f32])) {
    let mut values = vec![0.0; map.width()];
    for y in 0..map.height() {
        map.row(y, &mut values);
        visit(y, &values);
    }
}
