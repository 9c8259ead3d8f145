//! See [`df2redis_fuzz::resp_split`].
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| df2redis_fuzz::resp_split(data));
