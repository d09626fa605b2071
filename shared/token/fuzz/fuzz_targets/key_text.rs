#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| microbus_token::fuzz_entry::fuzz_key_text(input));
