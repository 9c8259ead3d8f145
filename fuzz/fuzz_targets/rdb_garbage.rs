//! See [`df2redis_fuzz::rdb_garbage`].
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| df2redis_fuzz::rdb_garbage(data));
