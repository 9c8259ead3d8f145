//! The demo needs nothing but a redis-server.

use crate::binary::{run, stderr};

#[test]
fn shows_a_table_and_ends_with_0() {
    let output = run(&["demo"]);
    let table = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(output.status.code(), Some(0), "{table}{}", stderr(&output));
    assert!(table.contains("all               148      137         11          0"), "{table}");
    assert!(table.contains("The Redis holds what the Dragonfly held."), "{table}");
}

#[test]
fn a_missing_redis_server_is_named() {
    let output = run(&["demo", "--redis-server", "/nonexistent/redis-server"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("cannot run /nonexistent/redis-server"), "{}", stderr(&output));
}
