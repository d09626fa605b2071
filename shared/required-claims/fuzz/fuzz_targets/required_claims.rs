#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| microbus_required_claims::fuzz_entry::fuzz_required_claims(input));
