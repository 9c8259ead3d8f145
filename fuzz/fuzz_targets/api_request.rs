//! See [`df2redis_fuzz::api_request`].
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| df2redis_fuzz::api_request(data));
