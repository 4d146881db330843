//! A whole file as it is: zip archives above all (give it some as a corpus, such as small
//! checkpoints), but any other format is found too.
#![no_main]

mod read_all;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| read_all::read_all(bytes.to_vec()));
