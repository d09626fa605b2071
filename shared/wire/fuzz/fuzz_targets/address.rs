#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| microbus_wire::fuzz_entry::fuzz_address(bytes));
