//! Arrays of `NumPy`, given away and taken: without its C interface, so that no other crate has to know it.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use vcp_image::Photo;

use crate::errors::{Failure, Kind};
use crate::inspection::Inspection;

/// Memory that `NumPy` makes an array of without copying it; the array keeps it alive.
#[pyclass(frozen)]
pub(crate) struct Memory {
    /// Keeps the memory that `address` is of; nobody else reads or writes it.
    _owner: Owner,
    address: usize,
    is_readonly: bool,
    /// The type of its elements as `NumPy` writes it.
    kind: &'static str,
    shape: Vec<usize>,
}

/// What keeps memory alive, and is only ever dropped.
#[expect(dead_code, reason = "nothing reads it but arrays")]
pub(crate) enum Owner {
    Floats(Vec<f32>),
    Doubles(Vec<f64>),
    Bytes(Vec<u8>),
    /// Memory in an inspection, in which nothing is moved, changed or freed as long as it lives.
    Inspection(Py<Inspection>),
}

#[pymethods]
impl Memory {
    /// `NumPy`'s array interface, version 3.
    #[getter]
    fn __array_interface__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let interface = PyDict::new(py);
        interface.set_item("version", 3)?;
        interface.set_item("typestr", self.kind)?;
        interface.set_item("shape", PyTuple::new(py, &self.shape)?)?;
        interface.set_item("data", (self.address, self.is_readonly))?;
        Ok(interface)
    }
}

impl Memory {
    fn into_array(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        let memory = Py::new(py, self)?;
        py.import("numpy")?.call_method1("asarray", (memory,))
    }
}

/// A float32 array of this shape that takes over the memory of `values`.
pub(crate) fn of_floats(
    py: Python<'_>,
    mut values: Vec<f32>,
    shape: Vec<usize>,
) -> PyResult<Bound<'_, PyAny>> {
    let address = values.as_mut_ptr().expose_provenance();
    own(py, Owner::Floats(values), address, "=f4", shape)
}

/// As [`of_floats`], of float64.
pub(crate) fn of_doubles(
    py: Python<'_>,
    mut values: Vec<f64>,
    shape: Vec<usize>,
) -> PyResult<Bound<'_, PyAny>> {
    let address = values.as_mut_ptr().expose_provenance();
    own(py, Owner::Doubles(values), address, "=f8", shape)
}

/// An array of this shape that takes over the memory of `bytes`, which are elements of `kind`.
pub(crate) fn of_bytes<'py>(
    py: Python<'py>,
    mut bytes: Vec<u8>,
    kind: &'static str,
    shape: Vec<usize>,
) -> PyResult<Bound<'py, PyAny>> {
    let address = bytes.as_mut_ptr().expose_provenance();
    own(py, Owner::Bytes(bytes), address, kind, shape)
}

/// The pixels of a photo: uint8, [height, width] or [height, width, 3].
pub(crate) fn of_photo(py: Python<'_>, photo: Photo) -> PyResult<Bound<'_, PyAny>> {
    let mut shape = vec![photo.height(), photo.width()];
    if !photo.is_grey() {
        shape.push(photo.channels());
    }
    of_bytes(py, photo.into_pixels(), "|u1", shape)
}

fn own<'py>(
    py: Python<'py>,
    owner: Owner,
    address: usize,
    kind: &'static str,
    shape: Vec<usize>,
) -> PyResult<Bound<'py, PyAny>> {
    let memory = Memory {
        _owner: owner,
        address,
        is_readonly: false,
        kind,
        shape,
    };
    memory.into_array(py)
}

/// A float32 array [side, side] of values that lie in an inspection; it cannot be written to.
pub(crate) fn within<'py>(
    inspection: &Bound<'py, Inspection>,
    values: &[f32],
    side: usize,
) -> PyResult<Bound<'py, PyAny>> {
    let memory = Memory {
        _owner: Owner::Inspection(inspection.clone().unbind()),
        address: values.as_ptr().expose_provenance(),
        is_readonly: true,
        kind: "=f4",
        shape: vec![side, side],
    };
    memory.into_array(inspection.py())
}

/// Numbers of 32 bits from the bytes of an array, in the machine's order.
pub(crate) fn floats(bytes: &[u8]) -> Vec<f32> {
    let (numbers, _) = bytes.as_chunks::<4>();
    numbers.iter().map(|it| f32::from_ne_bytes(*it)).collect()
}

/// Numbers of 16 bits, likewise.
pub(crate) fn words(bytes: &[u8]) -> Vec<u16> {
    let (numbers, _) = bytes.as_chunks::<2>();
    numbers.iter().map(|it| u16::from_ne_bytes(*it)).collect()
}

/// What is said where the package's Python has let through what it should not.
pub(crate) fn unexpected() -> Failure {
    Failure::new(
        Kind::Input,
        "An array of another type or shape than expected was given.",
    )
}
