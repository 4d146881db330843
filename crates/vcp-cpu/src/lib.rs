//! The model's tensor operations on the CPU: prepacked matrix products, streaming attention.
