//! Finds things in text without a parser for each language.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Folders that `.gitignore` names. A copy without git must skip them too.
const IGNORED: [&str; 5] = [".git", ".local", ".risiti", ".tools", "target"];

pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    here.canonicalize()
        .expect("the workspace is where this crate is")
}

pub(crate) fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns all paths from the root, without what building or running left there.
pub(crate) fn files() -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of the workspace can be read") {
            let path = entry.expect("an entry can be read").path();
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            if path.is_symlink() || IGNORED.contains(&name) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(path) = path.strip_prefix(root()) {
                found.push(path.to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    found
}

/// Returns the Rust sources of these crates, without their tests folders.
pub(crate) fn sources(crates: &[&str]) -> Vec<(String, String)> {
    let of = |path: &String| {
        crates
            .iter()
            .any(|name| path.starts_with(&format!("crates/{name}/src/")))
            && path.ends_with(".rs")
    };
    files()
        .into_iter()
        .filter(of)
        .map(|path| (path.clone(), read(&path)))
        .collect()
}

pub(crate) fn documents() -> Vec<String> {
    files()
        .into_iter()
        .filter(|path| path.ends_with(".md"))
        .collect()
}

/// Returns the text between each `open` and the `close` that follows on the same line.
pub(crate) fn between<'a>(text: &'a str, open: &str, close: &str) -> Vec<&'a str> {
    let mut found = Vec::new();
    for line in text.lines() {
        let mut rest = line;
        while let Some((_, after)) = rest.split_once(open) {
            let Some((inside, more)) = after.split_once(close) else {
                break;
            };
            found.push(inside);
            rest = more;
        }
    }
    found
}

/// Returns what each `#[name(…)]` of a Rust source holds, on one line however rustfmt broke it.
pub(crate) fn attributes(source: &str, name: &str) -> Vec<String> {
    let open = format!("#[{name}(");
    let starts = source.match_indices(&open).map(|(at, _)| at + open.len());
    starts
        .filter_map(|start| source[start..].split_once(")]"))
        .map(|(inside, _)| inside.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

/// Returns inline code, without fenced blocks.
pub(crate) fn code_spans(markdown: &str) -> Vec<&str> {
    prose(markdown)
        .into_iter()
        .flat_map(|line| between(line, "`", "`"))
        .collect()
}

/// Returns the lines outside of fenced blocks.
pub(crate) fn prose(markdown: &str) -> Vec<&str> {
    let mut fenced = false;
    let outside = |line: &&str| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fence && !fenced
    };
    markdown.lines().filter(outside).collect()
}

/// Returns the cells of each table row whose first cell is code.
pub(crate) fn rows(markdown: &str) -> Vec<Vec<&str>> {
    let lines = prose(markdown)
        .into_iter()
        .filter(|line| line.starts_with("| `"));
    lines
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect()
}

/// Returns the part of a document below a heading, up to the next heading of its rank.
pub(crate) fn section<'a>(markdown: &'a str, heading: &str) -> &'a str {
    let (_, below) = markdown
        .split_once(&format!("\n{heading}\n"))
        .unwrap_or_else(|| panic!("no {heading}"));
    let rank = heading
        .split(' ')
        .next()
        .expect("a heading starts with its rank");
    below
        .split_once(&format!("\n{rank} "))
        .map_or(below, |(inside, _)| inside)
}

/// Returns a heading as the anchor of a link names it.
pub(crate) fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase().replace(' ', "-");
    kept.chars()
        .filter(|c| c.is_alphanumeric() || "-_".contains(*c))
        .collect()
}

/// Returns the names that follow a keyword in SQL or Rust.
pub(crate) fn names_after(text: &str, keyword: &str) -> BTreeSet<String> {
    let name = |rest: &str| -> String {
        let name = rest.trim_start_matches([' ', '=', '\'']);
        name.chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
            .collect()
    };
    text.match_indices(keyword)
        .map(|(at, _)| name(&text[at + keyword.len()..]))
        .collect()
}
