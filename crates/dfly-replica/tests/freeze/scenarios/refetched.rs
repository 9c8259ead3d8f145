//! Records that do not tell what the source did: their keys are read again.

use bytes::Bytes;
use dfly_testkit::Op;

use super::{TARGETS, a_little, raw};
use crate::run::Stage;

/// Written as a HyperLogLog of this size is, it comes of PFMERGE.
const DENSE: usize = 12304;

fn merged() -> Op {
    let mut value = b"HYLL".to_vec();
    value.resize(DENSE, 0);
    Op::new([Bytes::from("SET"), Bytes::from("s"), value.into()]).raw()
}

#[tokio::test]
async fn one_by_one() {
    for nodes in TARGETS {
        let mut stage = Stage::set(a_little(1).before("SADD t2 z"), nodes).await;
        stage.go();
        stage.settled().await;
        stage.one_by_one([raw("SORT {l}1 STORE {l}2"), raw("SORT l STORE s"), raw("DELEX s IFDEQ 00")]).await;
        stage.one_by_one([merged(), raw("ZUNIONSTORE z"), raw("SMOVE t t2 a"), raw("SET n 5 ODD")]).await;
        stage.one_by_one([raw("SET nowhere 5 ODD"), raw("DEL nowhere")]).await;
        stage.stop().await;
        stage.compare("refetched");
    }
}

/// Other records of such a key come with the first.
#[tokio::test]
async fn with_records_behind() {
    for nodes in TARGETS {
        let mut stage = Stage::set(a_little(1), nodes).await;
        stage.go();
        stage.settled().await;
        stage.together([raw("SET s 5 ODD"), Op::line("APPEND s x"), Op::line("INCR n")]).await;
        stage.together([raw("SET s 5 ODD"), Op::line("DEL s"), Op::line("INCR n")]).await;
        stage.together([raw("SET n 5 ODD"), Op::line("RENAME n m"), Op::line("RENAME m n")]).await;
        stage.stop().await;
        stage.compare("refetched-with-records");
    }
}
