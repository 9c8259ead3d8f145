//! See [`df2redis_fuzz::stream_value`].
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| df2redis_fuzz::stream_value(data));
