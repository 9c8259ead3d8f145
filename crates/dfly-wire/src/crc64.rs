//! CRC-64 as Redis and Dragonfly compute it: Jones polynomial, reflected, initial value 0, no final xor
//! (protocol section 7.9). The check value of `123456789` is `0xe9c6d914c4b8d9ca`.

use crc_fast::{CrcAlgorithm, Digest};

/// Parts shorter than this are gathered, because a call costs as much as a hundred bytes.
const GATHERED: usize = 256;

/// The CRC-64 of `data`.
pub fn checksum(data: &[u8]) -> u64 {
    crc_fast::checksum(CrcAlgorithm::Crc64Redis, data)
}

/// A CRC-64 of data that arrives in parts.
#[derive(Clone)]
pub struct Running {
    digest: Digest,
    /// The last parts, which the digest lacks.
    gathered: [u8; GATHERED],
    len: usize,
}

impl Running {
    /// The checksum of no data.
    pub fn new() -> Self {
        Self { digest: Digest::new(CrcAlgorithm::Crc64Redis), gathered: [0; GATHERED], len: 0 }
    }

    /// Adds `data`.
    #[inline]
    pub fn update(&mut self, data: &[u8]) {
        match self.gathered.get_mut(self.len..self.len + data.len()) {
            Some(room) => {
                room.copy_from_slice(data);
                self.len += data.len();
            }
            None => self.pass_on(data),
        }
    }

    #[cold]
    fn pass_on(&mut self, data: &[u8]) {
        self.digest.update(self.gathered.get(..self.len).unwrap_or_default());
        self.len = 0;
        match self.gathered.get_mut(..data.len()) {
            Some(room) => {
                room.copy_from_slice(data);
                self.len = data.len();
            }
            None => self.digest.update(data),
        }
    }

    /// The checksum of all added data.
    pub fn finish(&self) -> u64 {
        let mut digest = self.digest;
        digest.update(self.gathered.get(..self.len).unwrap_or_default());
        digest.finalize()
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
        assert_eq!(checksum(b""), 0);
        let mut running = Running::new();
        running.update(b"1234");
        running.update(b"56789");
        assert_eq!(running.finish(), checksum(b"123456789"));
    }

    /// Bit by bit, from the definition.
    fn slow(data: &[u8]) -> u64 {
        data.iter().fold(0, |crc, byte| {
            (0..8).fold(crc ^ u64::from(*byte), |crc, _| (crc >> 1) ^ ((crc & 1) * 0x95ac_9329_ac4b_c9b5))
        })
    }

    #[test]
    fn every_length_and_every_part() {
        let data: Vec<u8> = (0..2100_u32).map(|at| (at * 131 % 251) as u8).collect();
        for len in (0..600).chain([1023, 1024, 1025, 2099]) {
            assert_eq!(checksum(&data[..len]), slow(&data[..len]), "{len} bytes");
        }
        for part in [1, 7, 63, 255, 256, 257, 700] {
            let mut running = Running::new();
            data.chunks(part).for_each(|part| running.update(part));
            assert_eq!(running.finish(), slow(&data), "in parts of {part}");
        }
    }
}
