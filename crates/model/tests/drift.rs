//! The model names the rules and the code it speaks of; both must still be there.

use std::path::{Path, PathBuf};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    let path = repository().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Each variant of `Action` with the text above it.
fn steps(source: &str) -> Vec<(String, String)> {
    let (mut steps, mut text) = (Vec::new(), String::new());
    let body = source
        .split_once("pub enum Action {")
        .expect("there are actions")
        .1;
    for line in body.lines().map(str::trim).take_while(|line| *line != "}") {
        match line.strip_prefix("///") {
            Some(more) => text.push_str(more),
            None if line.is_empty() => {}
            None => steps.push((line.to_owned(), std::mem::take(&mut text))),
        }
    }
    steps
}

/// `D6` and the like.
fn is_rule(word: &str) -> bool {
    let mut letters = word.chars();
    letters
        .next()
        .is_some_and(|letter| ('A'..='E').contains(&letter))
        && !letters.as_str().is_empty()
        && letters.all(|digit| digit.is_ascii_digit())
}

/// What is wrong with one step's text.
fn wrong(text: &str, protocol: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let words = text.split(|letter: char| !letter.is_alphanumeric());
    for rule in words.filter(|word| is_rule(word)) {
        if !protocol.contains(&format!("- **{rule}** ")) {
            wrong.push(format!("docs/protocol.md has no rule {rule}"));
        }
    }
    let mut file = None;
    for quoted in text.split('`').skip(1).step_by(2) {
        if quoted.starts_with("crates/") {
            file = Some((quoted, read(quoted)));
        } else if let Some((path, source)) = &file
            && !source.contains(&format!("fn {quoted}("))
            && !source.contains(&format!("fn {quoted}<"))
        {
            wrong.push(format!("{path} has no function {quoted}"));
        }
    }
    let of_the_world = ["Fault:", "The world:"]
        .iter()
        .any(|start| text.trim().starts_with(start));
    if file.is_none() && !of_the_world {
        wrong.push("names no code".to_owned());
    }
    wrong
}

#[test]
fn every_step_names_rules_and_functions_that_are_there() {
    let protocol = read("docs/protocol.md");
    let specifications = ["acknowledge", "token", "lane"];
    let steps: Vec<_> = specifications
        .iter()
        .flat_map(|name| steps(&read(&format!("crates/model/src/{name}/actions.rs"))))
        .collect();
    assert!(steps.len() > 80, "{} steps", steps.len());
    for (step, text) in steps {
        assert_eq!(wrong(&text, &protocol), Vec::<String>::new(), "{step}");
    }
}

#[test]
fn what_is_gone_is_noticed() {
    let protocol = read("docs/protocol.md");
    let wrong = |text| wrong(text, &protocol);
    assert_eq!(
        wrong("D6: `crates/ledger/src/submissions.rs` `begin_send`"),
        Vec::<String>::new()
    );
    assert_eq!(
        wrong("D99: `crates/ledger/src/submissions.rs` `began_send`").len(),
        2
    );
    assert_eq!(wrong("D6, somewhere"), ["names no code"]);
}
