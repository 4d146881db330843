//! Matrix products of parts of slices.

/// A matrix in a slice: the element of a row and a column lies at
/// row · `row_stride` + column · `column_stride`.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

/// A matrix in a slice whose rows are contiguous.
pub(crate) struct MatrixMut<'a> {
    values: &'a mut [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
}

/// Who computes a product.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Threads {
    /// The one that asks.
    One,
    /// All, if it is worth it.
    All,
}

/// Multiplications below which a product is not worth more than one thread.
const WORTH_SHARING: usize = 1 << 22;

/// Whether the last element of a matrix lies in a slice.
fn fits(length: usize, [rows, columns]: [usize; 2], strides: [usize; 2]) -> bool {
    let last = |count: usize, stride: usize| (count - 1).checked_mul(stride);
    rows == 0
        || columns == 0
        || last(rows, strides[0])
            .zip(last(columns, strides[1]))
            .and_then(|(row, column)| row.checked_add(column))
            .is_some_and(|last| last < length)
}

impl<'a> Matrix<'a> {
    /// [rows, columns] with rows `row_stride` apart, from the beginning of the slice.
    pub(crate) fn rows(
        values: &'a [f32],
        [rows, columns]: [usize; 2],
        row_stride: usize,
    ) -> Matrix<'a> {
        assert!(
            fits(values.len(), [rows, columns], [row_stride, 1]),
            "the matrix lies in the slice"
        );
        Matrix {
            values,
            rows,
            columns,
            row_stride,
            column_stride: 1,
        }
    }

    /// All of a slice, row by row.
    pub(crate) fn all(values: &'a [f32], shape: [usize; 2]) -> Matrix<'a> {
        Matrix::rows(values, shape, shape[1])
    }

    pub(crate) fn transposed(self) -> Matrix<'a> {
        Matrix {
            values: self.values,
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
        }
    }
}

impl<'a> MatrixMut<'a> {
    /// As [`Matrix::rows`].
    pub(crate) fn rows(
        values: &'a mut [f32],
        [rows, columns]: [usize; 2],
        row_stride: usize,
    ) -> MatrixMut<'a> {
        assert!(
            fits(values.len(), [rows, columns], [row_stride, 1]),
            "the matrix lies in the slice"
        );
        assert!(rows <= 1 || row_stride >= columns, "rows do not overlap");
        MatrixMut {
            values,
            rows,
            columns,
            row_stride,
        }
    }

    /// As [`Matrix::all`].
    pub(crate) fn all(values: &'a mut [f32], shape: [usize; 2]) -> MatrixMut<'a> {
        MatrixMut::rows(values, shape, shape[1])
    }
}

/// `out` = factor · a · b; with `add`, that is added to `out`.
pub(crate) fn product(
    out: &mut MatrixMut<'_>,
    add: bool,
    a: Matrix<'_>,
    b: Matrix<'_>,
    factor: f32,
    threads: Threads,
) {
    let (rows, columns, inner) = (out.rows, out.columns, a.columns);
    assert!(
        a.rows == rows && b.columns == columns && b.rows == inner,
        "the shapes fit: {}x{} times {}x{} into {rows}x{columns}",
        a.rows,
        a.columns,
        b.rows,
        b.columns
    );
    let parallelism = match threads {
        Threads::All if rows.saturating_mul(columns).saturating_mul(inner) >= WORTH_SHARING => {
            gemm::Parallelism::Rayon(0)
        }
        _ => gemm::Parallelism::None,
    };
    let strides = [
        out.row_stride,
        a.row_stride,
        a.column_stride,
        b.row_stride,
        b.column_stride,
    ]
    .map(usize::cast_signed);
    let [out_row, a_row, a_column, b_row, b_column] = strides;
    // SAFETY: `Matrix` and `MatrixMut` have checked when they were made that every element lies in
    // its slice, and their fields do not change afterwards except by transposing, which keeps that.
    // The assertion above says that the three have the shapes that the product reads and writes.
    // `out` is borrowed mutably, so it overlaps neither `a` nor `b`; its elements do not overlap each
    // other, since its rows are contiguous and at least their length apart.
    unsafe {
        gemm::gemm(
            rows,
            columns,
            inner,
            out.values.as_mut_ptr(),
            1,
            out_row,
            add,
            a.values.as_ptr(),
            a_column,
            a_row,
            b.values.as_ptr(),
            b_column,
            b_row,
            1.0,
            factor,
            false,
            false,
            false,
            parallelism,
        );
    }
}
