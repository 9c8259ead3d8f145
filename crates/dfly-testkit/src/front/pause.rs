//! A pause of writes (`CLIENT PAUSE <ms> WRITE`, `CLIENT UNPAUSE`). Whoever applies operations asks whether one goes on.

use std::time::{Duration, Instant};

use bytes::Bytes;

/// Until when writes are paused, if they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Pause(Option<Instant>);

impl Pause {
    pub(crate) fn goes_on(self, now: Instant) -> bool {
        self.0.is_some_and(|until| now < until)
    }

    /// Carries out a `CLIENT` command. Those that are not about a pause do nothing.
    ///
    /// # Errors
    /// What a master answers to a time that is none.
    pub(super) fn client(&mut self, args: &[Bytes], now: Instant) -> Result<(), &'static str> {
        let words: Vec<Vec<u8>> = args.iter().map(|word| word.to_ascii_uppercase()).collect();
        match words.iter().map(Vec::as_slice).collect::<Vec<_>>().as_slice() {
            [b"PAUSE", millis] | [b"PAUSE", millis, b"WRITE" | b"ALL"] => {
                match str::from_utf8(millis).ok().and_then(|millis| millis.parse().ok()) {
                    Some(millis) => self.0 = now.checked_add(Duration::from_millis(millis)),
                    None => return Err("ERR timeout is not an integer or out of range"),
                }
            }
            [b"UNPAUSE"] => self.0 = None,
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_ends_by_itself_or_by_a_word() {
        let (mut pause, now) = (Pause::default(), Instant::now());
        let mut tell = |words: &[&'static str], at| {
            let args: Vec<Bytes> = words.iter().map(|word| Bytes::from_static(word.as_bytes())).collect();
            let outcome = pause.client(&args, at);
            (outcome.is_ok(), pause.goes_on(at + Duration::from_millis(999)))
        };
        assert_eq!(tell(&["SETNAME", "x"], now), (true, false));
        assert_eq!(tell(&["pause", "1000", "write"], now), (true, true));
        assert_eq!(tell(&["SETNAME", "x"], now + Duration::from_millis(1)), (true, false));
        assert_eq!(tell(&["PAUSE", "x"], now), (false, true));
        assert_eq!(tell(&["UNPAUSE"], now), (true, false));
    }
}
