//! The binary needs nothing but itself (P35).

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use dfly_testkit::{MasterOptions, RedisOptions, RedisServer, Script, ScriptedMaster, install_program};
use rustix::process::geteuid;

/// A user that owns nothing.
const NOBODY: u32 = 65_534;

/// In an empty folder, without a variable, a home directory or rights: a migration to its end.
#[tokio::test(flavor = "multi_thread")]
async fn in_an_empty_folder_as_another_user() {
    let master =
        ScriptedMaster::start(Script::new(1).before("SET k v"), MasterOptions::default()).await.unwrap();
    let redis = RedisServer::start(RedisOptions::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (home, binary) = (folder.path().join("empty"), folder.path().join("df2redis-cli"));
    fs::create_dir(&home).unwrap();
    install_program(Path::new(env!("CARGO_BIN_EXE_df2redis-cli")), &binary).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(&binary);
    command.env_clear().current_dir(&home).stdin(Stdio::null());
    command.args(["migrate", "--source", &master.address().to_string(), "--verify", "full"]);
    command.args(["--target", &redis.address().to_string(), "--state-dir", "state"]);
    if geteuid().is_root() {
        chown(&home, Some(NOBODY), Some(NOBODY)).unwrap();
        command.uid(NOBODY).gid(NOBODY);
    }
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{told}{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("both sides are equal"), "{told}");
    let made: Vec<_> = fs::read_dir(&home).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(made, ["state"], "nothing else was written");
}
