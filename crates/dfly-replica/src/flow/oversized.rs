//! Commands with an argument that the target does not take: it would close the connection, again and again. Pure.

use redis_resp::{CommandBatch, ServerError};
use redis_sink::Refusal;

/// Takes those commands out of the batch that have an argument of more than `largest` bytes, as if the target had refused
/// them.
pub(crate) fn set_aside(batch: &mut CommandBatch, largest: usize) -> Vec<Refusal> {
    if batch.byte_len() <= largest {
        return Vec::new();
    }
    let commands = batch.take();
    let mut refusals = Vec::new();
    for (place, command) in commands.iter().enumerate() {
        let is_large = command.wire().len() > largest;
        match command.arguments().map(<[u8]>::len).filter(|_| is_large).max() {
            Some(bytes) if bytes > largest => {
                refusals.push(Refusal::new(commands.part(place, usize::MAX), too_large(bytes, largest)));
            }
            _ => batch.push_encoded(command),
        }
    }
    refusals
}

fn too_large(bytes: usize, largest: usize) -> ServerError {
    let line = format!(
        "ERR an argument has {bytes} bytes, and the target takes {largest} (proto-max-bulk-len); the command was not sent"
    );
    ServerError::parse(line.as_bytes())
}

#[cfg(test)]
mod tests {
    use redis_resp::EncodedCommand;

    use super::*;

    /// C21: one argument counts, not the command.
    #[test]
    fn the_largest_argument_decides() {
        let mut batch = CommandBatch::default();
        batch.push_keyed(&[b"SET", b"small", b"v"], 1..2, 7);
        batch.push_keyed(&[b"RPUSH", b"wide", &[b'a'; 60], &[b'b'; 60]], 1..2, 8);
        batch.push_keyed(&[b"SET", b"large", &[b'c'; 101]], 1..2, 9);
        batch.push_keyed(&[b"DEL", b"behind"], 1..2, 10);
        let refusals = set_aside(&mut batch, 100);
        assert_eq!(batch.iter().map(EncodedCommand::tag).collect::<Vec<_>>(), [7, 8, 10]);
        let [refusal] = refusals.as_slice() else { panic!("{refusals:?}") };
        assert_eq!((refusal.describe().as_str(), refusal.tag()), ("SET \"large\"", 9));
        assert!(refusal.error.line.contains("101 bytes"), "{}", refusal.error);
        assert_eq!(refusal.rest().count(), 1);
        assert!(set_aside(&mut batch, 1000).is_empty() && batch.len() == 3);
    }
}
