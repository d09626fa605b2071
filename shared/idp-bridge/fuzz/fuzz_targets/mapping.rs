#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| microbus_idp_bridge::fuzz_entry::fuzz_mapping(input));
