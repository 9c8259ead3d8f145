//! CRC-64 as Redis and Dragonfly compute it: Jones polynomial, reflected, initial value 0, no final xor
//! (protocol section 7.9). The check value of `123456789` is `0xe9c6d914c4b8d9ca`.

use crc::{Crc, Digest, Table};

static JONES: Crc<u64, Table<16>> = Crc::<u64, Table<16>>::new(&crc::CRC_64_REDIS);

/// The CRC-64 of `data`.
pub fn checksum(data: &[u8]) -> u64 {
    JONES.checksum(data)
}

/// A CRC-64 of data that arrives in parts.
#[derive(Clone)]
pub struct Running(Digest<'static, u64, Table<16>>);

impl Running {
    /// The checksum of no data.
    pub fn new() -> Self {
        Self(JONES.digest())
    }

    /// Adds `data`.
    pub fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    /// The checksum of all added data.
    pub fn finish(&self) -> u64 {
        self.0.clone().finalize()
    }
}

impl Default for Running {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Running").field(&format_args!("{:#018x}", self.finish())).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_value() {
        assert_eq!(checksum(b"123456789"), 0xe9c6_d914_c4b8_d9ca);
        let mut running = Running::new();
        running.update(b"1234");
        running.update(b"56789");
        assert_eq!(running.finish(), checksum(b"123456789"));
    }
}
