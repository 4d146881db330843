//! The header of a safetensors file; the input is the header, which is put in front of zeros.
#![no_main]

mod read_all;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|header: &[u8]| {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header);
    bytes.extend([0; 256]);
    read_all::read_all(bytes);
});
