//! The model names the rules and the functions that it models. Both must still exist.

use std::path::{Path, PathBuf};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    let path = repository().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Each variant of `Action` with its doc comment.
fn steps(source: &str) -> Vec<(String, String)> {
    let (_, body) = source
        .split_once("pub enum Action {")
        .expect("the source has an enum of actions");
    let mut steps = Vec::new();
    let mut comment = String::new();
    for line in body.lines().map(str::trim).take_while(|line| *line != "}") {
        match line.strip_prefix("///") {
            Some(text) => comment.push_str(text),
            None if line.is_empty() => {}
            None => steps.push((line.to_owned(), std::mem::take(&mut comment))),
        }
    }
    steps
}

/// Whether a word is the name of a rule, such as `D6`.
fn is_rule(word: &str) -> bool {
    let mut characters = word.chars();
    characters
        .next()
        .is_some_and(|letter| ('A'..='E').contains(&letter))
        && !characters.as_str().is_empty()
        && characters.all(|digit| digit.is_ascii_digit())
}

/// The rules and functions of one step's comment that do not exist.
fn defects(comment: &str, protocol: &str) -> Vec<String> {
    let mut defects = missing_rules(comment, protocol);

    let mut file = None;
    for quoted in comment.split('`').skip(1).step_by(2) {
        if quoted.starts_with("crates/") {
            file = Some((quoted, read(quoted)));
        } else if let Some((path, source)) = &file
            && !source.contains(&format!("fn {quoted}("))
            && !source.contains(&format!("fn {quoted}<"))
        {
            defects.push(format!("{path} has no function {quoted}"));
        }
    }

    let needs_no_code = ["Fault:", "The world:"]
        .iter()
        .any(|start| comment.trim().starts_with(start));
    if file.is_none() && !needs_no_code {
        defects.push("names no code".to_owned());
    }
    defects
}

fn missing_rules(comment: &str, protocol: &str) -> Vec<String> {
    comment
        .split(|character: char| !character.is_alphanumeric())
        .filter(|word| is_rule(word))
        .filter(|rule| !protocol.contains(&format!("- **{rule}** ")))
        .map(|rule| format!("docs/protocol.md has no rule {rule}"))
        .collect()
}

#[test]
fn steps_name_existing_rules_and_functions() {
    let protocol = read("docs/protocol.md");
    let steps: Vec<_> = ["acknowledge", "cap", "wake_up", "lane"]
        .iter()
        .flat_map(|name| steps(&read(&format!("crates/model/src/{name}/actions.rs"))))
        .collect();
    assert!(steps.len() > 80, "{} steps", steps.len());
    for (step, comment) in steps {
        assert_eq!(defects(&comment, &protocol), Vec::<String>::new(), "{step}");
    }
}

#[test]
fn missing_rules_and_functions_are_reported() {
    let protocol = read("docs/protocol.md");
    let defects = |comment| defects(comment, &protocol);
    assert_eq!(
        defects("D6: `crates/ledger/src/lanes/submissions.rs` `begin_send`"),
        Vec::<String>::new()
    );
    assert_eq!(
        defects("D99: `crates/ledger/src/lanes/submissions.rs` `began_send`").len(),
        2
    );
    assert_eq!(defects("D6, somewhere"), ["names no code"]);
}
