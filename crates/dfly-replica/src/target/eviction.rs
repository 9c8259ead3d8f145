//! Connections of sessions before: what they sent and the target has not read yet is never carried out once they are closed.

use redis_resp::Reply;
use tracing::debug;

use super::questions::{Part, TargetConnection};
use crate::error::Error;

/// Closes the connections of this task but the one that asks. The guard of a transaction keeps an older session's
/// transactions from being carried out too; values of a snapshot have none.
pub(crate) async fn evict_others(target: &mut TargetConnection) -> Result<(), Error> {
    for part in target.parts() {
        for id in others_at(target, &part).await? {
            if let Reply::Error(error) = target.ask_part(&part, &["CLIENT", "KILL", "ID", &id]).await? {
                debug!(%error, "a connection of a session before could not be closed");
            }
        }
    }
    Ok(())
}

/// How many connections this task has, but for the one that asks.
pub(crate) async fn count_others(target: &mut TargetConnection) -> Result<usize, Error> {
    let mut count = 0;
    for part in target.parts() {
        count += others_at(target, &part).await?.len();
    }
    Ok(count)
}

/// The numbers of this task's other connections at one server. A user that may not ask gets none.
async fn others_at(target: &mut TargetConnection, part: &Part) -> Result<Vec<String>, Error> {
    let name = target.names().connection();
    let Reply::Integer(own) = target.ask_part(part, &["CLIENT", "ID"]).await? else { return Ok(Vec::new()) };
    let Reply::Bulk(list) = target.ask_part(part, &["CLIENT", "LIST"]).await? else { return Ok(Vec::new()) };
    Ok(others(&String::from_utf8_lossy(&list), &name, &own.to_string()))
}

/// The connections with this name but `own`, in the text of `CLIENT LIST`.
fn others(list: &str, name: &str, own: &str) -> Vec<String> {
    let field = |client: &str, field: &str| {
        client.split(' ').find_map(|word| word.strip_prefix(field)).map(str::to_owned)
    };
    let ours = list.lines().filter(|client| field(client, "name=").as_deref() == Some(name));
    ours.filter_map(|client| field(client, "id=")).filter(|id| id != own).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Several runs with different names live in one target: each closes only its own.
    #[test]
    fn connections_of_other_tasks_are_spared() {
        let list = "id=3 addr=1:1 name=df2redis db=0\nid=4 addr=1:2 name=df2redis@a db=0\n\
                    id=5 addr=1:3 name= db=0\nid=6 addr=1:4 name=df2redis@a db=0";
        assert_eq!(others(list, "df2redis", "9"), ["3"]);
        assert_eq!(others(list, "df2redis@a", "4"), ["6"]);
    }
}
