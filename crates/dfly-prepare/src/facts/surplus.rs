//! What the keys of the measured second cost a server more than those of a run: they have an expiry, and a run writes plain strings
//! together.

use std::time::Duration;

use redis_resp::connection::ConnectionError;
use redis_resp::{CommandBatch, Reply};

use super::ask::Asker;
use crate::info::Info;

/// Keys of a round.
const KEYS: usize = 1024;

/// Rounds of each form, in turns.
const ROUNDS: u32 = 5;

/// Strings that a run writes together.
const TOGETHER: usize = 64;

/// A short value.
const VALUE: &[u8] = &[b'v'; 32];

/// How keys are written.
#[derive(Debug, Clone, Copy)]
enum Form {
    Alone,
    Together,
    WithExpiry,
}

/// The server's time for a key that a run does not need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Surplus {
    pub string: Duration,
    pub other: Duration,
}

impl Surplus {
    /// Asks the server. Keys are written and removed in one transaction, so nothing is ever left.
    pub(super) async fn of(asker: &mut Asker, prefix: &str) -> Result<Self, ConnectionError> {
        let names: Vec<Vec<u8>> = (0..KEYS).map(|nth| format!("{prefix}{nth}").into_bytes()).collect();
        let (mut alone, mut together, mut expiring) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
        for _ in 0..ROUNDS {
            alone += round(asker, &names, Form::Alone).await?;
            together += round(asker, &names, Form::Together).await?;
            expiring += round(asker, &names, Form::WithExpiry).await?;
        }
        let keys = ROUNDS * u32::try_from(KEYS).unwrap_or(u32::MAX);
        let more = |than: Duration| expiring.saturating_sub(than) / keys;
        Ok(Self { string: more(together), other: more(alone) })
    }
}

/// The server's time for writing and removing the keys.
async fn round(asker: &mut Asker, names: &[Vec<u8>], form: Form) -> Result<Duration, ConnectionError> {
    let mut batch = CommandBatch::default();
    batch.push(&[b"MULTI"]);
    match form {
        Form::Alone => names.iter().for_each(|name| batch.push(&[b"SET", name, VALUE])),
        Form::WithExpiry => names.iter().for_each(|name| batch.push(&[b"SET", name, VALUE, b"PX", b"20000"])),
        Form::Together => {
            for names in names.chunks(TOGETHER) {
                let pairs = names.iter().flat_map(|name| [name.as_slice(), VALUE]);
                batch.push(&[&b"MSET"[..]].into_iter().chain(pairs).collect::<Vec<_>>());
            }
        }
    }
    let all = names.iter().map(Vec::as_slice);
    batch.push(&[&b"UNLINK"[..]].into_iter().chain(all).collect::<Vec<_>>());
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
