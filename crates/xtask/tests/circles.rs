//! No files of a crate depend on each other in a circle.

#![expect(clippy::unwrap_used, reason = "a failed expectation must stop the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// A module: the names from the crate's root to it. The root has none.
type Module = Vec<String>;

/// The text of each module's file.
type Files = BTreeMap<Module, String>;

/// For each module the modules that it names, each with the paths by which it does.
type Graph = BTreeMap<Module, BTreeMap<Module, BTreeSet<String>>>;

/// The module that a file below `src` holds.
fn module(file: &str) -> Module {
    let mut names: Module = file.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if matches!(names.last().map(String::as_str), Some("mod")) || matches!(file, "lib.rs" | "main.rs") {
        names.pop();
    }
    names
}

/// What follows `keyword` if `item` begins with it, behind a visibility or none.
fn declared<'a>(item: &'a str, keyword: &str) -> Option<&'a str> {
    let (visibility, rest) = item.trim_start().split_once(keyword)?;
    (visibility.is_empty() || visibility.starts_with("pub") && !visibility.contains('\n')).then_some(rest)
}

/// What is compiled for others than tests: no line of comment, no test module at the end, no import for tests.
fn production(text: &str) -> String {
    let mut tests = text.match_indices("\n#[cfg(test)]\nmod ").filter(|(at, found)| {
        let rest = text.get(at + found.len()..).unwrap_or_default();
        rest.find(['{', ';']).is_some_and(|end| rest.get(end..).is_some_and(|rest| rest.starts_with('{')))
    });
    let code = text.get(..tests.next().map_or(text.len(), |(at, _)| at)).unwrap_or_default();
    let lines: Vec<&str> = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let code = lines.join("\n");
    let mut parts = code.split("#[cfg(test)]\n");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let import = declared(part, "use ").and_then(|import| import.split_once(';'));
        out.push_str(import.map_or(part, |(_, rest)| rest));
    }
    out
}

/// The modules that are declared for tests alone, and those called `tests`.
fn for_tests(files: &Files) -> BTreeSet<Module> {
    let mut found = BTreeSet::new();
    for (module, text) in files {
        for part in text.split("#[cfg(test)]").skip(1) {
            if let Some((name, _)) = declared(part, "mod ").and_then(|rest| rest.split_once(';')) {
                found.insert([&module[..], &[name.to_owned()]].concat());
            }
        }
        if module.iter().any(|name| name == "tests") {
            found.insert(module.clone());
        }
    }
    found
}

/// The start of `text` that is an identifier, and the rest.
fn identifier(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    text.split_at(end)
}

/// Reads the tree of paths at the start of `text`, below `prefix`; gives what follows it.
fn tree<'a>(text: &'a str, prefix: &[&'a str], out: &mut Vec<Vec<&'a str>>) -> &'a str {
    let text = text.trim_start();
    if let Some(mut rest) = text.strip_prefix('{') {
        loop {
            rest = tree(rest, prefix, out).trim_start();
            // A new name for what is imported.
            if let Some(renamed) = rest.strip_prefix("as ") {
                rest = identifier(renamed).1.trim_start();
            }
            rest = match rest.strip_prefix(',') {
                Some(more) => more.trim_start(),
                None => return rest.strip_prefix('}').unwrap_or(rest),
            };
            if let Some(after) = rest.strip_prefix('}') {
                return after;
            }
        }
    }
    let (name, rest) = identifier(text);
    if name.is_empty() || name == "self" {
        out.push(prefix.to_vec());
        return rest.strip_prefix('*').unwrap_or(rest);
    }
    let path = [prefix, &[name]].concat();
    match rest.trim_start().strip_prefix("::") {
        Some(below) => tree(below, &path, out),
        None => {
            out.push(path);
            rest
        }
    }
}

/// Every path of `code` that begins with `crate::` or `super::`, with groups taken apart. The scope of a visibility is
/// none of them.
fn paths(code: &str) -> Vec<Vec<&str>> {
    let mut out = Vec::new();
    let mut rest = code;
    while let Some(at) = [rest.find("crate::"), rest.find("super::")].into_iter().flatten().min() {
        let before = rest.get(..at).unwrap_or_default();
        let here = rest.get(at..).unwrap_or_default();
        let is_inside = before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
        rest = if is_inside || before.ends_with("(in ") {
            here.get("crate::".len()..).unwrap_or_default()
        } else {
            tree(here, &[], &mut out)
        };
    }
    out
}

/// The file that `path` leads into from the module `from`.
fn target(from: &Module, path: &[&str], files: &Files) -> Module {
    let mut at = if path.first() == Some(&"super") { from.clone() } else { Module::new() };
    for name in path {
        match *name {
            "crate" => {}
            "super" => drop(at.pop()),
            name => at.push(name.to_owned()),
        }
    }
    while !at.is_empty() && !files.contains_key(&at) {
        at.pop();
    }
    at
}

/// Which file names which. Not counted: the root, which names its modules to make them public, and any module above
/// others as the user of those, which it is composed of.
fn graph(files: &Files) -> Graph {
    let tests = for_tests(files);
    let is_test = |module: &Module| tests.iter().any(|test| module.starts_with(test));
    let mut graph = Graph::new();
    for (from, text) in files.iter().filter(|(from, _)| !is_test(from)) {
        let code = production(text);
        let edges = graph.entry(from.clone()).or_default();
        for path in paths(&code) {
            let to = target(from, &path, files);
            if !to.starts_with(from) && !to.is_empty() && !is_test(&to) {
                edges.entry(to).or_default().insert(path.join("::"));
            }
        }
    }
    graph
}

/// All modules that can be reached from `from`.
fn reached<'a>(from: &'a Module, graph: &'a Graph) -> BTreeSet<&'a Module> {
    let (mut found, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(module) = open.pop() {
        let next = graph.get(module).into_iter().flat_map(BTreeMap::keys);
        open.extend(next.filter(|next| found.insert(*next)));
    }
    found
}

/// Every set of files that all depend on each other: the edges among them, as text.
fn circles(files: &Files) -> Vec<Vec<String>> {
    let graph = graph(files);
    let reach: BTreeMap<&Module, BTreeSet<&Module>> =
        graph.keys().map(|module| (module, reached(module, &graph))).collect();
    let mut seen = BTreeSet::new();
    let mut circles = Vec::new();
    for (module, reached) in &reach {
        let circle: BTreeSet<&Module> = reached
            .iter()
            .copied()
            .filter(|other| reach.get(other).is_some_and(|r| r.contains(module)))
            .collect();
        if circle.is_empty() || !seen.insert(circle.clone()) {
            continue;
        }
        let edges = graph.iter().filter(|(from, _)| circle.contains(from));
        let edges = edges.flat_map(|(from, edges)| edges.iter().map(move |(to, paths)| (from, to, paths)));
        let edges = edges.filter(|(_, to, _)| circle.contains(to)).map(|(from, to, paths)| {
            let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
            format!("{} -> {}: {}", from.join("/"), to.join("/"), paths.join(", "))
        });
        circles.push(edges.collect());
    }
    circles
}

/// Adds the files of `dir`, which is `below` the sources of a crate.
fn read(dir: &Path, below: &str, files: &mut Files) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("{below}{}", path.file_name().unwrap().to_string_lossy());
        if path.is_dir() {
            read(&path, &format!("{name}/"), files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.insert(module(&name), fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn modules_form_no_circles_of_files() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found = Vec::new();
    let mut edges = 0;
    for dir in ["crates", "bins"] {
        for entry in fs::read_dir(root.join(dir)).unwrap() {
            let krate = entry.unwrap().path();
            let mut files = Files::new();
            read(&krate.join("src"), "", &mut files);
            edges += graph(&files).values().map(BTreeMap::len).sum::<usize>();
            let name = krate.file_name().unwrap().to_string_lossy().into_owned();
            found.extend(circles(&files).into_iter().map(|circle| (name.clone(), circle)));
        }
    }
    assert!(edges > 300, "{edges} uses of one file by another found");
    assert!(found.is_empty(), "files that depend on each other: {found:#?}");
}

fn made_up(files: &[(&str, &str)]) -> Files {
    files.iter().map(|(file, text)| (module(file), (*text).to_owned())).collect()
}

#[test]
fn a_circle_is_found() {
    let files = made_up(&[
        ("lib.rs", "mod a;\nmod b;\nmod c;\npub use a::A;"),
        ("a.rs", "use crate::{\n    b::{self, B},\n    c::C as D,\n};"),
        ("b/mod.rs", "mod inner;\nmod other;\npub use inner::B;"),
        ("b/inner.rs", "fn f() -> super::other::Other { loop {} }"),
        ("b/other.rs", "use super::super::c::{C};"),
        ("c.rs", "use super::{a::{A}, b::*};"),
    ]);
    let edges = ["a -> c: crate::c::C", "c -> a: super::a::A"];
    assert_eq!(circles(&files), [edges.map(str::to_owned).to_vec()]);

    // Through the module above, which uses a file that uses the one below.
    let files = made_up(&[
        ("above.rs", "mod below;\nuse crate::beside::X;"),
        ("above/below.rs", "use super::Above;"),
        ("beside.rs", "fn f() { $crate::above::below::g::<u8>() }"),
    ]);
    let edges = [
        "above -> beside: crate::beside::X",
        "above/below -> above: super::Above",
        "beside -> above/below: crate::above::below::g",
    ];
    assert_eq!(circles(&files), [edges.map(str::to_owned).to_vec()]);
}

#[test]
fn what_is_no_circle() {
    let files = made_up(&[
        ("lib.rs", "mod a;\nmod b;\npub use a::A;"),
        // A module may use what it is composed of, and that may use it.
        ("a/mod.rs", "mod part;\n#[cfg(test)]\nmod fake;\nuse crate::a::part::Part;\nuse crate::b::B;"),
        ("a/part.rs", "use super::A;\npub(in crate::a) struct Part;\n#[cfg(test)]\nuse crate::b::tests::F;"),
        // Compiled for tests only.
        ("a/fake.rs", "use super::part::Part;"),
        // The crate's root, comments and test modules are left out.
        (
            "b.rs",
            "//! `crate::a::A`\nuse crate::A;\n// crate::a::A\n\n#[cfg(test)]\nmod tests {\n    use crate::a::A;\n}",
        ),
    ]);
    assert_eq!(circles(&files), [[""; 0]; 0]);
    let edges: Vec<(String, Vec<String>)> = graph(&files)
        .iter()
        .map(|(from, edges)| (from.join("/"), edges.keys().map(|to| to.join("/")).collect()))
        .collect();
    let expected = [("", &[][..]), ("a", &["b"]), ("a/part", &["a"]), ("b", &[])];
    let expected =
        expected.map(|(from, to)| (from.to_owned(), to.iter().map(|to| (*to).to_owned()).collect()));
    assert_eq!(edges, expected);
}
