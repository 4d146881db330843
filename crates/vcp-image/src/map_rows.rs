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

/// A map that is in memory whole.
#[derive(Clone, Copy, Debug)]
pub struct PlainMap<'a> {
    values: &'a [f32],
    width: usize,
}

impl<'a> PlainMap<'a> {
    /// A map of these values, row by row, each row `width` long. Values behind the last whole row are
    /// not part of it.
    #[must_use]
    pub fn new(values: &'a [f32], width: usize) -> Self {
        Self { values, width }
    }
}

impl MapRows for PlainMap<'_> {
    fn width(&self) -> usize {
        self.width
    }

    fn height(&self) -> usize {
        self.values.len().checked_div(self.width).unwrap_or(0)
    }

    fn row(&self, y: usize, out: &mut [f32]) {
        out.copy_from_slice(&self.values[y * self.width..][..self.width]);
    }
}

/// Calls `visit` with every row's number and values, from the top.
pub(crate) fn for_each_row(map: &(impl MapRows + ?Sized), mut visit: impl FnMut(usize, &[f32])) {
    let mut values = vec![0.0; map.width()];
    for y in 0..map.height() {
        map.row(y, &mut values);
        visit(y, &values);
    }
}
