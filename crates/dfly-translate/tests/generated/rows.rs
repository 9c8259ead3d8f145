//! The facts in `data/commands.txt`.

/// One line of `data/commands.txt`, with the column names of that file.
pub(crate) struct Row {
    pub name: &'static str,
    pub keys: &'static str,
    pub args: usize,
    pub again: &'static str,
    pub works_on: &'static str,
    pub members: &'static str,
    pub since: (u8, u8),
    pub target: &'static str,
    pub rule: &'static str,
}

pub(crate) fn rows() -> Vec<Row> {
    let lines = include_str!("../../data/commands.txt").lines();
    let rows: Vec<Row> = lines.filter(|line| !line.starts_with('#') && !line.is_empty()).map(row).collect();
    assert!(rows.is_sorted_by(|a, b| a.name < b.name), "the names must be unique and in alphabetical order");
    rows
}

fn row(line: &'static str) -> Row {
    let columns: Vec<&'static str> = line.split_whitespace().collect();
    let [name, keys, args, again, works_on, members, since, target, rule] = columns.as_slice() else {
        panic!("a line must have nine columns: {line}")
    };
    Row {
        name,
        keys,
        args: args.parse().unwrap(),
        again,
        works_on,
        members,
        since: version(since),
        target,
        rule,
    }
}

pub(crate) fn version(text: &str) -> (u8, u8) {
    let (major, minor) = text.split_once('.').unwrap();
    (major.parse().unwrap(), minor.parse().unwrap())
}
