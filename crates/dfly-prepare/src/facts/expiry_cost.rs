//! What it costs a server to give a key an expiry. The keys of the measured second have one, and those of a run have none.

use std::time::Duration;

use redis_resp::connection::ConnectionError;
use redis_resp::{CommandBatch, Reply};

use super::ask::Asker;
use crate::info::Info;

/// Keys of a round.
const KEYS: usize = 1000;

/// Rounds of each kind, in turns.
const ROUNDS: usize = 5;

/// A short value.
const VALUE: [u8; 32] = [b'v'; 32];

/// The server's time for the expiry of one key. Keys are written and removed in one transaction, so nothing is ever left.
pub(super) async fn expiry_cost(asker: &mut Asker, prefix: &str) -> Result<Duration, ConnectionError> {
    let names: Vec<Vec<u8>> = (0..KEYS).map(|nth| format!("{prefix}{nth}").into_bytes()).collect();
    let (mut with, mut without) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..ROUNDS {
        without += round(asker, &names, None).await?;
        with += round(asker, &names, Some(b"20000")).await?;
    }
    let keys = u32::try_from(KEYS * ROUNDS).unwrap_or(u32::MAX);
    Ok(with.saturating_sub(without) / keys)
}

/// The server's time for writing and removing the keys.
async fn round(
    asker: &mut Asker,
    names: &[Vec<u8>],
    expiry: Option<&[u8]>,
) -> Result<Duration, ConnectionError> {
    let mut batch = CommandBatch::default();
    batch.push(&[b"MULTI"]);
    for name in names {
        match expiry {
            Some(millis) => batch.push(&[b"SET", name, &VALUE, b"PX", millis]),
            None => batch.push(&[b"SET", name, &VALUE]),
        }
    }
    let unlink: Vec<&[u8]> = [&b"UNLINK"[..]].into_iter().chain(names.iter().map(Vec::as_slice)).collect();
    batch.push(&unlink);
    batch.push(&[b"EXEC"]);
    let before = cpu(asker).await?;
    let replies = asker.ask_batch(&mut batch).await?;
    let after = cpu(asker).await?;
    // A server that does not carry it out says nothing of its cost.
    let is_done = matches!(replies.last(), Some(Reply::Array(_)));
    Ok(if is_done { after.saturating_sub(before) } else { Duration::ZERO })
}

/// The time that the server has worked.
async fn cpu(asker: &mut Asker) -> Result<Duration, ConnectionError> {
    let info = Info::parse(&asker.text(&["INFO", "cpu"]).await?);
    let seconds = |name: &str| info.text(name).and_then(|text| text.parse::<f64>().ok());
    let user = seconds("used_cpu_user_main_thread").or_else(|| seconds("used_cpu_user"));
    let system = seconds("used_cpu_sys_main_thread").or_else(|| seconds("used_cpu_sys"));
    let both = user.unwrap_or(0.0) + system.unwrap_or(0.0);
    Ok(Duration::try_from_secs_f64(both).unwrap_or_default())
}
