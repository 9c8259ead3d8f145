//! What readers of the page take from the replication.

use std::io::Read;
use std::time::{Duration, Instant};

use dfly_testkit::Op;
use replica_api::wire::Flow;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::page_run::{LIMIT, PageRun};

/// How many try to read at once. More than the page takes.
const READERS: usize = 100;

/// How many it takes.
const SERVED: usize = 64;

/// Records that wait for the target in each measurement.
const RECORDS: u32 = 20_000;

/// A record has no fewer bytes.
const RECORD_BYTES: u64 = 30;

/// Measurements with readers, each beside one without.
const PAIRS: usize = 6;

/// Over how long the processor time of the page is taken.
const WHILE: Duration = Duration::from_secs(5);

/// Readers that read until this is dropped.
struct Readers {
    served: usize,
    _reading: JoinSet<()>,
}

impl Readers {
    async fn open(address: &str, count: usize) -> Self {
        let (mut served, mut reading) = (0, JoinSet::new());
        for _ in 0..count {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let request = format!("GET /page/events HTTP/1.1\r\nHost: {address}\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut buffer = vec![0; 64 << 10];
            let read = stream.read(&mut buffer).await.unwrap();
            let answer = String::from_utf8_lossy(buffer.get(..read).unwrap()).into_owned();
            assert!(answer.contains(" 200 ") || answer.contains(" 503 "), "{answer}");
            served += usize::from(answer.contains(" 200 "));
            reading.spawn(async move { while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {} });
        }
        Self { served, _reading: reading }
    }
}

/// The processor time that the thread of the page has taken.
fn page_time(run: &PageRun) -> Duration {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", run.child.id())).unwrap();
    let of_page = tasks
        .map(|task| task.unwrap().path())
        .find(|task| std::fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim() == "page"));
    let mut text = String::new();
    let schedstat = of_page.unwrap().join("schedstat");
    std::fs::File::open(schedstat).unwrap().read_to_string(&mut text).unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

async fn page_time_in(run: &PageRun, time: Duration) -> Duration {
    let before = page_time(run);
    tokio::time::sleep(time).await;
    page_time(run) - before
}

/// How many records the run applies in a second, if they wait for it and nobody writes meanwhile.
async fn rate(run: &PageRun, round: usize) -> f64 {
    let client = run.client();
    client.order("pause").await.unwrap();
    let before = client.status().await.unwrap().bytes;
    (0..RECORDS).for_each(|nth| {
        run.master.apply(Op::line(&format!("HSET user:{} visits {round}", nth % 5000))).unwrap();
    });
    let lsns = run.master.lsns();
    let least = before + u64::from(RECORDS) * RECORD_BYTES;
    run.until_status("what waits for the target", |status| status.bytes >= least).await;
    let began = Instant::now();
    client.order("resume").await.unwrap();
    let is_applied =
        |flows: &[Flow]| flows.iter().zip(&lsns).all(|(flow, lsn)| flow.durable_lsn == Some(*lsn));
    while !is_applied(&client.status().await.unwrap().flows) {
        assert!(Instant::now() - began < LIMIT, "everything to be applied");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    f64::from(RECORDS) / (Instant::now() - began).as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    *values.get(values.len() / 2).unwrap()
}

/// Both ways in turns, so that what else the host does meets both.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_readers_take_nothing_from_the_replication() {
    let run = PageRun::start(5000, &[]).await;
    run.until_in_sync().await;
    rate(&run, 0).await;
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for pair in 1..=PAIRS {
        for with_readers in [pair % 2 == 0, pair % 2 == 1] {
            let readers = if with_readers { READERS } else { 0 };
            let readers = Readers::open(&run.address, readers).await;
            assert_eq!(readers.served, if with_readers { SERVED } else { 0 });
            let rate = rate(&run, pair).await;
            if with_readers { beside.push(rate) } else { alone.push(rate) }
        }
    }
    println!("records a second alone {alone:.0?}, beside {READERS} readers {beside:.0?}");
    let noise = alone.iter().copied().fold(f64::INFINITY, f64::min) / median(alone.clone());
    let share = median(beside) / median(alone);
    println!("beside readers {share:.3} of the rate alone, whose slowest was {noise:.3} of its median");
    // What a host with two cores makes of it is in the figures. A reader that held the replication up would show here.
    assert!(share > 0.7 * noise.min(1.0), "{share}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_nobody_reads_costs_nothing() {
    let run = PageRun::start(100, &[]).await;
    run.until_in_sync().await;
    let none = page_time_in(&run, WHILE).await;
    let reader = Readers::open(&run.address, 1).await;
    let one = page_time_in(&run, WHILE).await;
    drop(reader);
    println!("processor time of the page in {WHILE:?}: {none:?} without a reader, {one:?} with one");
    assert!(none < Duration::from_millis(5), "{none:?}");
    assert!(one < WHILE.mul_f64(0.01), "{one:?}");
}
