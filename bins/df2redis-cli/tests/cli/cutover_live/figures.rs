//! For how long writes were stopped.

use std::time::Duration;

/// Times of one method.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// In milliseconds, as the evidence says.
    told: Vec<u64>,
    /// In milliseconds, from the last acknowledged write until the command that says that it is safe had ended.
    seen: Vec<u64>,
}

impl Figures {
    pub(crate) fn add(&mut self, said: &str, seen: Duration) {
        self.told.extend(millis(said));
        self.seen.push(u64::try_from(seen.as_millis()).unwrap());
    }

    #[expect(clippy::print_stdout, reason = "figures are what it is run for")]
    pub(crate) fn print(self, what: &str, writes: u64) {
        let (count, told, seen) = (self.seen.len(), spread(self.told), spread(self.seen));
        println!("{what}: {count} times at {writes} writes/s; by the evidence {told}, by the writers {seen}");
    }
}

/// What the evidence says.
fn millis(told: &str) -> Option<u64> {
    let before = told.split("writes have been stopped for ").nth(1)?;
    before.split(' ').next()?.parse().ok()
}

fn spread(mut times: Vec<u64>) -> String {
    times.sort_unstable();
    match (times.get(times.len() / 2), times.last()) {
        (Some(median), Some(worst)) => format!("{median} ms (median), {worst} ms (worst)"),
        _ => "nothing".to_owned(),
    }
}
