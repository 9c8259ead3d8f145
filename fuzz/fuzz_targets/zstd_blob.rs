//! See [`df2redis_fuzz::zstd_blob`].
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| df2redis_fuzz::zstd_blob(data));
