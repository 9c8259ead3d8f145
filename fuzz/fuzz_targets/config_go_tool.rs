//! See [`df2redis_fuzz::config_go_tool`].
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| df2redis_fuzz::config_go_tool(data));
