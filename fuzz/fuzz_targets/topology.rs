//! See [`df2redis_fuzz::topology`].
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| df2redis_fuzz::topology(data));
