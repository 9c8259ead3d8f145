//! See [`df2redis_fuzz::relay_segment`].
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| df2redis_fuzz::relay_segment(data));
