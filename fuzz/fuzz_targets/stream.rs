//! A file of torch.save's older format; the input is what follows the magic number and the version.
#![no_main]

mod read_all;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|rest: &[u8]| {
    let mut bytes = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.".to_vec();
    bytes.extend(rest);
    read_all::read_all(bytes);
});
