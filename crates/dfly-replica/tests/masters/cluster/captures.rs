//! All sixteen recorded sessions into a cluster of three nodes.

use dfly_replica::{Blame, Error};
use dfly_testkit::{Dumps, MasterOptions, RecordedMaster, Recording, dumps};

use super::{cluster, differences, empty, to_the_end, without_db_3};
use crate::run::{self, config, redis, until_it_ends};

#[tokio::test(flavor = "multi_thread")]
async fn all_of_them_end_equal() {
    let cluster = cluster();
    for name in Recording::bundled_names().unwrap() {
        let recording = Recording::bundled(&name).unwrap();
        let options =
            MasterOptions { values: Some(values(&recording).await.into()), ..MasterOptions::default() };
        let master = RecordedMaster::start(recording, options).await.unwrap();
        let mut config = without_db_3(&master, &cluster);
        config.force_resync = true;
        config.on_start = dfly_replica::OnStart::Mirror;
        to_the_end(config, &master).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        let comparison = differences(&cluster, master.recording());
        assert!(comparison.is_equal(), "{name}: {:#?}", comparison.differences);
        assert!(comparison.equal > 0 || name == "flushall-in-stable", "{name}");
        assert_eq!(master.violations(), [""; 0], "{name}");
        empty(&cluster);
    }
}

/// What the master held at the end, as a single Redis has it then.
async fn values(recording: &Recording) -> Dumps {
    let (redis, options) = (redis(), MasterOptions::default());
    let master = RecordedMaster::start(recording.clone(), options).await.unwrap();
    run::to_the_end(config(&master, &redis), &master).await.unwrap();
    dumps(&mut redis.client().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn another_database_is_refused_by_name() {
    let cluster = cluster();
    let recording = Recording::bundled("journal-1shard").unwrap();
    let master = RecordedMaster::start(recording, MasterOptions::default()).await.unwrap();
    let error = until_it_ends(config(&master, &cluster)).await.unwrap_err();
    assert_eq!(error.blame(), Blame::Target);
    assert!(matches!(error, Error::Flow { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("database 3") && text.contains("a cluster has database 0 alone"), "{text}");
}
