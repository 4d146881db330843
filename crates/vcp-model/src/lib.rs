//! VCP-CLIP stated once, against a small trait of tensor operations; the tokenizer.
