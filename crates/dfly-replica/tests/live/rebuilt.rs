//! C9: a large key that the source builds anew all the time, by a command whose record does not tell what it became.

use std::time::Duration;

use dfly_replica::Report;
use tokio::time::{sleep, timeout};

use crate::source::{binary, start};
use crate::switchover::Following;
use crate::sync::assert_equal;

const MEMBERS: usize = 50_000;

/// Between two times that the key is built.
const EVERY: Duration = Duration::from_millis(100);

/// How long the target may take behind the last time; alone on a machine it takes less than a second.
const QUIET: Duration = Duration::from_secs(5);

/// While it goes on, the target's value is never older than a few seconds, and soon after it is equal.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_rebuilt_all_the_time() {
    let Some(binary) = binary("a_key_that_is_rebuilt_all_the_time") else { return };
    let source = start(&binary, &["--proactor_threads=1"]);
    let mut client = source.client().unwrap();
    for chunk in (0..MEMBERS).collect::<Vec<_>>().chunks(1000) {
        let members = chunk.iter().flat_map(|n| [format!("{n}34567.891"), format!("m{n}")]);
        let words: Vec<String> =
            ["ZADD".to_owned(), "bulk:z".to_owned()].into_iter().chain(members).collect();
        let words: Vec<&[u8]> = words.iter().map(String::as_bytes).collect();
        client.expect(&words).unwrap();
    }
    let mut run = Following::start(&[&source]);
    run.caught_up(&source).await;
    let mut oldest = Duration::ZERO;
    for n in 0..50 {
        client.expect(&[b"ZADD", b"bulk:z", format!("{n}.125").as_bytes(), b"m0"]).unwrap();
        client.expect(&[b"ZUNIONSTORE", b"bulk:k", b"1", b"bulk:z"]).unwrap();
        sleep(EVERY).await;
        let waited = run.reports.borrow().flows.iter().filter_map(|flow| flow.oldest_refetch).max();
        oldest = oldest.max(waited.unwrap_or_default());
    }
    let rests = |report: &Report| report.refetching() == 0;
    let quiet = timeout(QUIET, run.reports.wait_for(rests)).await.is_ok();
    assert!(quiet, "{:?}", run.reports.borrow());
    assert!(oldest < Duration::from_secs(3), "a value was {oldest:?} old");
    run.caught_up(&source).await;
    assert_equal(&source, &run.redis);
    let report = run.end().await;
    assert!(report.refetched > 1, "the key was not refetched: {report:?}");
}
