//! See [`df2redis_fuzz::lz4_blob`].
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| df2redis_fuzz::lz4_blob(data));
