//! The comparison in step, against a replication that is played.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use dfly_check::{
    Certainty, CheckConfig, CheckError, Finding, InStep, Outcome, Progress, Rounds, RunSignals, Settled,
    Step, StepError, StepRun, Store, Verdict, WatchId, What,
};
use dfly_journal::Lsn;
use dfly_replica::SourceKey;
use dfly_testkit::{Answer, RefusingProxy};
use dfly_wire::DbIndex;
use tokio::sync::watch;

use crate::sides::{Sides, config};

/// A replication of one flow that does what its script says.
#[derive(Debug, Default, Clone)]
pub(crate) struct Played(Arc<Mutex<Script>>);

#[derive(Debug, Default)]
struct Script {
    /// The watches that are open.
    open: BTreeMap<WatchId, Vec<SourceKey>>,
    /// How many keys each watch with a hold had, and how many watches there were.
    held: Vec<usize>,
    watches: u32,
    /// How many more times a record of a key comes while it is compared.
    touches: BTreeMap<Bytes, u32>,
    moving: BTreeSet<Bytes>,
    refetching: BTreeSet<Bytes>,
    /// What happens to the target while it catches up.
    while_settling: Vec<(SocketAddr, Vec<&'static str>)>,
    /// The session ends before this many watches.
    ends_after: Option<u32>,
}

impl Step for Played {
    async fn watch(&mut self, keys: &[SourceKey], hold: bool) -> Result<WatchId, StepError> {
        let mut script = self.0.lock().unwrap();
        assert!(keys.len() <= dfly_check::MOST_WATCHED);
        if script.ends_after.is_some_and(|most| script.watches >= most) {
            return Err(StepError::NoSession);
        }
        script.watches += 1;
        if hold {
            script.held.push(keys.len());
        }
        let id = WatchId(u64::from(script.watches));
        script.open.insert(id, keys.to_vec());
        Ok(id)
    }

    async fn settle(
        &mut self,
        watch: WatchId,
        before: &[Lsn],
        behind: &[Lsn],
    ) -> Result<Vec<Settled>, StepError> {
        let mut script = self.0.lock().unwrap();
        assert_eq!((before, behind), (&[Lsn(100)][..], &[Lsn(100)][..]));
        for (address, words) in script.while_settling.drain(..) {
            let mut client = dfly_testkit::RedisClient::connect(address).unwrap();
            client.expect(&words.iter().map(|word| word.as_bytes()).collect::<Vec<_>>()).unwrap();
        }
        let settled = |key: &SourceKey| match &key.name {
            name if script.moving.contains(name) => Settled::Moving,
            name if script.refetching.contains(name) => Settled::Refetching,
            _ => Settled::Stands { lsn: Lsn(100) },
        };
        Ok(script.open[&watch].iter().map(settled).collect())
    }

    async fn refetch(&mut self, _keys: &[SourceKey]) -> Result<Vec<SourceKey>, StepError> {
        Ok(Vec::new())
    }

    async fn release(&mut self, watch: WatchId) -> Result<Vec<bool>, StepError> {
        let mut script = self.0.lock().unwrap();
        let keys = script.open.remove(&watch).unwrap();
        let mut touched = |key: &SourceKey| match script.touches.get_mut(&key.name) {
            Some(left) if *left > 0 => {
                *left -= 1;
                true
            }
            _ => false,
        };
        Ok(keys.iter().map(&mut touched).collect())
    }
}

/// A source that tells its one flow's LSN.
pub(crate) async fn telling(sides: &Sides) -> (RefusingProxy, CheckConfig) {
    let source = RefusingProxy::start(sides.source.address()).await.unwrap();
    source.answer([Answer { command: "DFLY".into(), argument: None, reply: "*1\r\n:100\r\n".into() }]);
    let config = config(source.address(), sides.target.address());
    (source, config)
}

pub(crate) async fn run(
    config: CheckConfig,
    played: &Played,
) -> (dfly_check::Summary, Vec<(dfly_check::Pair, Finding)>) {
    let store = Store::temporary().unwrap();
    let (progress, _shown) = watch::channel(Progress::default());
    let (_stop, stopped) = watch::channel(false);
    let summary = StepRun::new(config, &store, RunSignals { progress, stop: stopped })
        .run(played.clone())
        .await
        .unwrap();
    assert!(played.0.lock().unwrap().open.is_empty(), "every watch is released");
    (summary, store.findings(None, 1000).unwrap())
}

async fn every_verdict_is_exact(sides: Sides) {
    let (_source, config) = telling(&sides).await;
    for nth in 0..600 {
        sides.on_both(0, &format!("SET key:{nth} v"));
    }
    sides.on_both(0, "HSET hash f v");
    let played = Played::default();
    let (summary, findings) = run(config.clone(), &played).await;
    assert_eq!((summary.outcome(), summary.equal), (Outcome::Equal, 601), "{findings:?}");
    sides.target.run(0, &["SET", "key:7", "w"]);
    sides.target.run(0, &["SET", "extra", "w"]);
    sides.on_source(0, &["SET", "missing", "w"]);
    let (summary, findings) = run(config, &played).await;
    assert_eq!((summary.equal, summary.different, summary.certain), (600, 3, 3));
    let mut found = Vec::new();
    for (pair, finding) in findings {
        let Finding::Different { different, certainty } = finding else { panic!() };
        assert_eq!(certainty, Certainty::Exact { lsn: 100 });
        found.push((String::from_utf8(pair.target.name.to_vec()).unwrap(), different.what));
    }
    found.sort();
    let expected = [("extra", What::Extra), ("key:7", What::Value), ("missing", What::Missing)];
    assert_eq!(found, expected.map(|(key, what)| (key.to_owned(), vec![what])));
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_server() {
    every_verdict_is_exact(Sides::standalone()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_cluster() {
    every_verdict_is_exact(Sides::cluster()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_stand_still_is_not_called_different() {
    let sides = Sides::standalone();
    let (_source, config) = telling(&sides).await;
    // All of these look different. Some had a record meanwhile, and so may be equal.
    for key in ["soon", "later", "never", "moving", "refetching", "stands"] {
        sides.on_source(0, &["SET", key, "v"]);
    }
    let played = Played::default();
    {
        let mut script = played.0.lock().unwrap();
        script.touches = [("soon", 1), ("later", 5), ("never", 1000)]
            .into_iter()
            .map(|(key, times)| (Bytes::from(key), times))
            .collect();
        script.moving.insert("moving".into());
        script.refetching.insert("refetching".into());
        // The target catches up with one of them while it is compared.
        script.while_settling.push((sides.target.address(), vec!["SET", "soon", "v"]));
    }
    let mut in_step = InStep::connect(config, played.clone()).await.unwrap();
    let key = |name: &str| SourceKey::new(DbIndex(0), name.to_owned());
    let keys = ["soon", "later", "never", "moving", "refetching", "stands"].map(key);
    let pairs = keys.iter().map(|key| in_step.pair(key).unwrap()).collect();
    let told = in_step.compare(pairs).await.unwrap();
    let verdict = |name: &str| {
        let found: Vec<_> = told.iter().filter(|told| told.pair.source.name == name).collect();
        assert_eq!(found.len(), 1, "{name}");
        (found[0].verdict.clone(), found[0].lsn)
    };
    assert_eq!(verdict("soon"), (Verdict::Equal, Some(Lsn(100))));
    for name in ["later", "stands"] {
        let (verdict, lsn) = verdict(name);
        assert!(matches!(verdict, Verdict::Different(_)) && lsn == Some(Lsn(100)), "{name}: {verdict:?}");
    }
    for (name, why) in [
        ("never", "it changes all the time"),
        ("moving", "its slot is being moved"),
        ("refetching", "it waits to be refetched"),
    ] {
        assert_eq!(verdict(name), (Verdict::NotCompared(why.to_owned()), None), "{name}");
    }
    let script = played.0.lock().unwrap();
    // While the flows wait, those that change are compared together, and then each alone.
    let (together, alone): (Vec<usize>, Vec<usize>) = script.held.iter().partition(|keys| **keys > 1);
    assert_eq!((together.len(), together[0], together[7]), (8, 5, 3), "{together:?}");
    assert_eq!(alone.len(), 3 * 60);
    assert!(script.open.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_ends_is_a_gap() {
    let sides = Sides::standalone();
    let (_source, config) = telling(&sides).await;
    for nth in 0..1000 {
        sides.on_both(0, &format!("SET key:{nth} v"));
    }
    let played = Played::default();
    played.0.lock().unwrap().ends_after = Some(2);
    let (summary, _) = run(config, &played).await;
    assert_eq!(summary.outcome(), Outcome::Incomplete);
    assert!(summary.equal < 1000 && summary.gaps[0].contains("no session"), "{summary:?}");
}

/// A comparison whose session ended goes on where it was, once there is another, and counts every key once.
#[tokio::test(flavor = "multi_thread")]
async fn it_goes_on_in_step() {
    let sides = Sides::standalone();
    let (_source, config) = telling(&sides).await;
    for nth in 0..3000 {
        sides.on_both(0, &format!("SET key:{nth} v"));
    }
    let whole = Played::default();
    assert_eq!(run(config.clone(), &whole).await.0.equal, 3000);
    sides.target.run(0, &["SET", "key:7", "w"]);
    sides.target.run(0, &["SET", "extra", "w"]);
    let store = Store::temporary().unwrap();
    let (played, (_stop, stopped)) = (Played::default(), watch::channel(false));
    let signals = || RunSignals { progress: watch::channel(Progress::default()).0, stop: stopped.clone() };
    let run = StepRun::new(config.clone(), &store, signals());
    assert!(matches!(run.resume(played.clone()).await, Err(CheckError::NothingToResume)));
    played.0.lock().unwrap().ends_after = Some(7);
    let summary = run.run(played.clone()).await.unwrap();
    assert!(summary.equal > 0 && summary.equal < 3000 && !summary.gaps.is_empty(), "{summary:?}");
    let rounds = Rounds::new(config.clone(), &store, signals());
    assert!(matches!(rounds.resume().await, Err(CheckError::WasInStep)));
    let other = CheckConfig { mode: dfly_check::Mode::Outline, ..config.clone() };
    let other = StepRun::new(other, &store, signals()).resume(played.clone()).await;
    assert!(matches!(other, Err(CheckError::OtherSettings)));
    played.0.lock().unwrap().ends_after = None;
    played.0.lock().unwrap().watches = 0;
    let summary = run.resume(played.clone()).await.unwrap();
    assert_eq!((summary.equal, summary.different, summary.certain), (2999, 2, 2), "{summary:?}");
    assert!(summary.gaps.is_empty(), "{summary:?}");
    let (all, behind) = (whole.0.lock().unwrap().watches, played.0.lock().unwrap().watches);
    assert!(behind < all, "{behind} of {all}: what was compared is not compared again");
    assert!(matches!(run.resume(played.clone()).await, Err(CheckError::NothingToResume)));
}

/// A large value is compared in pieces, and is exact only if no record of it came until its last piece was read.
#[tokio::test(flavor = "multi_thread")]
async fn pieces_in_step() {
    let sides = Sides::standalone();
    let (_source, config) = telling(&sides).await;
    let members: Vec<String> = (0..2000).map(|nth| format!("member:{nth}")).collect();
    let words: Vec<&str> = ["SADD", "set"].into_iter().chain(members.iter().map(String::as_str)).collect();
    sides.on_source(0, &words);
    sides.target.run(0, &words);
    sides.target.run(0, &["SREM", "set", "member:77"]);
    sides.target.run(0, &["SADD", "set", "other"]);
    let limits = dfly_check::ReadLimits { text: 64, value: 600, together: 4096 };
    let config = CheckConfig { limits, piece: 1024, ..config };
    // A key that changes all the time is read whole: then both sides are looked through, not one for the other's elements.
    for (touches, differ) in [(2, 1), (10, 2)] {
        let played = Played::default();
        played.0.lock().unwrap().touches.insert("set".into(), touches);
        let (summary, findings) = run(config.clone(), &played).await;
        assert_eq!(summary.certain, 1);
        let Finding::Different { different, certainty } = &findings[0].1 else { panic!() };
        assert_eq!(
            (&different.what[..], *certainty),
            (&[What::Elements { differ }][..], Certainty::Exact { lsn: 100 })
        );
    }
}
