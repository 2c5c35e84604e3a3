//! Checks what documents say against the code, so that they stay true.

mod text;

use std::collections::{BTreeMap, BTreeSet};

use text::{
    anchor, attributes, between, code_spans, documents, files, names_after, prose, read, root,
    rows, section, sources,
};

const OPERATING: &str = "docs/operating.md";
const DATA_MODEL: &str = "docs/data-model.md";
/// Crates whose settings and metrics people rely on.
const PRODUCT: [&str; 6] = [
    "service",
    "ingress",
    "ledger-worker",
    "etims-worker",
    "replay",
    "admin",
];

/// Returns the variables of the product with their defaults, where a setting has one.
fn settings() -> BTreeMap<String, Option<String>> {
    let mut settings = BTreeMap::new();
    for (_, source) in sources(&PRODUCT) {
        for attribute in attributes(&source, "arg") {
            for variable in between(&attribute, "env = \"", "\"") {
                let text = between(&attribute, "default_value = \"", "\"")
                    .first()
                    .copied();
                let number = attribute
                    .split_once("default_value_t = ")
                    .and_then(|(_, rest)| rest.split([',', ')']).next());
                let default = text.or(number).map(|default| default.replace('_', ""));
                settings.insert(variable.to_owned(), default);
            }
        }
    }
    settings.retain(|variable, _| !variable.starts_with("RISITI_TEST_"));
    assert!(settings.len() > 20, "{settings:?}");
    settings
}

#[test]
fn every_setting_is_documented_with_its_default_and_no_other() {
    let document = read(OPERATING);
    let table = rows(section(&document, "## Settings"));
    let documented: BTreeMap<&str, &str> = table
        .iter()
        .map(|row| (row[0].trim_matches('`'), row[2].trim_matches('`')))
        .collect();
    let settings = settings();
    for (variable, default) in &settings {
        let documented_default = documented
            .get(variable.as_str())
            .unwrap_or_else(|| panic!("{OPERATING} does not name {variable}"));
        if let Some(default) = default {
            assert_eq!(documented_default, default, "{variable}");
        }
    }
    let mentioned = code_spans(&document)
        .into_iter()
        .filter(|code| code.starts_with("RISITI_"));
    let mentioned = mentioned.map(|code| code.split('=').next().expect("a split has a first part"));
    let script = read("deploy/local/services.sh");
    for variable in documented.keys().copied().chain(mentioned) {
        let of_the_script = script.contains(&format!("${{{variable}:-}}"));
        let known = settings.contains_key(variable) || of_the_script || variable == "RUST_LOG";
        assert!(known, "there is no {variable}");
    }
}

#[test]
fn every_metric_is_documented_and_no_other() {
    let document = read(OPERATING);
    let name = |code: &str| {
        code.split('{')
            .next()
            .expect("a split has a first part")
            .to_owned()
    };
    let alerts = section(&document, "## What to alert on");
    let metrics = code_spans(alerts)
        .into_iter()
        .filter(|code| code.starts_with("risiti_"))
        .map(name);
    let documented: BTreeSet<String> = metrics.collect();
    let mut exported = BTreeSet::new();
    for (path, source) in sources(&PRODUCT) {
        // The module of the metrics' constructors has names in its tests only.
        let constructors = path == "crates/service/src/metrics.rs";
        let other = path.ends_with("/log_queue.rs") || path.ends_with("/queue_gauges.rs");
        if path.ends_with("/metrics.rs") && !constructors || other {
            let literals = between(&source, "\"", "\"")
                .into_iter()
                .filter(|text| text.starts_with("risiti_"));
            let names =
                literals.filter(|text| text.chars().all(|c| c.is_ascii_lowercase() || c == '_'));
            exported.extend(names.map(str::to_owned));
        }
    }
    assert_eq!(documented, exported);
}

#[test]
fn relative_links_lead_somewhere() {
    let mut seen = 0;
    for path in documents() {
        let document = read(&path);
        for link in prose(&document)
            .into_iter()
            .flat_map(|line| between(line, "](", ")"))
        {
            if link.contains("://") {
                continue;
            }
            seen += 1;
            let (file, fragment) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => root().join(&path),
                file => root()
                    .join(&path)
                    .parent()
                    .expect("a file has a folder")
                    .join(file),
            };
            assert!(target.exists(), "{path} links to {link}");
            if !fragment.is_empty() {
                let text =
                    std::fs::read_to_string(&target).expect("a target with an anchor is text");
                let headings = prose(&text)
                    .into_iter()
                    .filter(|line| line.starts_with('#'));
                let mut anchors = headings.map(|line| anchor(line.trim_start_matches('#').trim()));
                assert!(
                    anchors.any(|anchor| anchor == fragment),
                    "{path} links to {link}"
                );
            }
        }
    }
    assert!(seen > 5);
}

#[test]
fn files_that_are_named_exist() {
    let files = files();
    for path in documents().iter().filter(|path| path.starts_with("docs/")) {
        let document = read(path);
        for code in code_spans(&document) {
            let is_file = [".rs", ".sh", ".sql", ".toml"]
                .iter()
                .any(|end| code.ends_with(end));
            if is_file && !code.contains(['*', ' ', '{']) {
                let named = |file: &String| file == code || file.ends_with(&format!("/{code}"));
                assert!(files.iter().any(named), "{path} names {code}");
            }
        }
    }
}

/// Returns the names of all functions, tests included.
fn functions() -> BTreeSet<String> {
    let mut functions = BTreeSet::new();
    for path in files()
        .iter()
        .filter(|path| path.starts_with("crates/") && path.ends_with(".rs"))
    {
        functions.extend(names_after(&read(path), "fn "));
    }
    functions
}

#[test]
fn tests_that_reach_the_limits_exist() {
    let tests = functions();
    let document = read(OPERATING);
    let limits = prose(section(&document, "## Limits"))
        .into_iter()
        .filter(|line| line.starts_with("| "));
    let mut cited = 0;
    for row in limits {
        let reached_by = row
            .trim_end_matches(" |")
            .rsplit('|')
            .next()
            .expect("a split has a last part");
        for name in between(reached_by, "`", "`") {
            assert!(tests.contains(name), "no test is called {name}");
            cited += 1;
        }
    }
    assert!(cited >= 30, "{cited}");
}

/// Checks that every row of these tables names existing tests in its last cell, and counts them.
fn cited(lines: &[&str]) -> usize {
    let files = files();
    let tests = functions();
    let rows = lines
        .iter()
        .filter(|line| line.starts_with("| ") && !line.contains("Shown by"));
    let mut cited = 0;
    for row in rows {
        let shown_by = row
            .trim_end_matches(" |")
            .rsplit('|')
            .next()
            .expect("a split has a last part");
        let names: Vec<&str> = between(shown_by, "`", "`")
            .into_iter()
            .filter(|name| {
                !name.contains("make ")
                    && (!name.contains('-') || files.iter().any(|file| file == name))
            })
            .collect();
        assert!(!names.is_empty(), "nothing shows {row}");
        for name in names {
            let known = tests.contains(name) || files.iter().any(|file| file == name);
            assert!(known, "no test is called {name}");
            cited += 1;
        }
    }
    cited
}

#[test]
fn tests_that_decisions_rest_on_exist() {
    assert!(cited(&prose(&read("docs/decisions.md"))) >= 7);
}

#[test]
fn tests_that_stop_threats_exist() {
    let document = read("docs/security.md");
    assert!(cited(&prose(section(&document, "## Threats"))) >= 40);
}

#[test]
fn the_data_model_names_every_table_and_every_rule() {
    let document = read(DATA_MODEL);
    let named: BTreeSet<String> = code_spans(&document)
        .into_iter()
        .map(str::to_owned)
        .collect();
    let migrations: Vec<String> = files()
        .into_iter()
        .filter(|path| path.starts_with("migrations/"))
        .collect();
    let schema: String = migrations.iter().map(|path| read(path)).collect();
    // Neither names a rule: one takes a rule away, and the other passes the name of one on.
    let schema = schema
        .replace("DROP CONSTRAINT ", "")
        .replace("CONSTRAINT = rule", "");
    let tables = names_after(&schema, "CREATE TABLE ");
    let mut rules = names_after(&schema, "CONSTRAINT ");
    rules.extend(names_after(&schema, "CREATE UNIQUE INDEX "));
    assert!(tables.len() > 15 && rules.len() > 40);
    for name in tables.iter().chain(&rules).filter(|name| !name.is_empty()) {
        assert!(named.contains(name), "{DATA_MODEL} does not name {name}");
    }
    for row in rows(section(&document, "## What the database itself refuses")) {
        for name in between(row[0], "`", "`")
            .into_iter()
            .filter(|name| !tables.contains(*name))
        {
            assert!(
                schema.contains(name),
                "{DATA_MODEL} names {name}, which no migration does"
            );
        }
    }
}

#[test]
fn every_crate_has_a_row_and_a_readme() {
    let architecture = read("docs/architecture.md");
    let table: BTreeSet<&str> = rows(section(&architecture, "## 8. Crates"))
        .iter()
        .map(|row| row[0].trim_matches('`'))
        .collect();
    for manifest in files()
        .iter()
        .filter(|path| path.starts_with("crates/") && path.ends_with("/Cargo.toml"))
    {
        let text = read(manifest);
        let name = between(&text, "name = \"", "\"")[0];
        assert!(
            table.contains(name),
            "docs/architecture.md has no row for {name}"
        );
        let readme = read(&manifest.replace("Cargo.toml", "README.md"));
        assert!(
            readme.starts_with(&format!("# {name}\n")),
            "{manifest}: its README is not headed {name}"
        );
    }
}

#[test]
fn a_newcomer_needs_two_commands() {
    let readme = read("README.md");
    let (_, after) = readme
        .split_once("```sh\n")
        .expect("the README has a block of commands");
    let (commands, _) = after.split_once("```").expect("the block ends");
    assert_eq!(commands, "make demo\nmake test\n");
}

#[test]
fn no_path_of_a_machine_is_kept() {
    let paths = [
        concat!("/wo", "rk/"),
        concat!("/tmp/", "risiti"),
        concat!("/ro", "ot/"),
    ];
    for file in files() {
        let Ok(text) = std::fs::read_to_string(root().join(&file)) else {
            continue;
        };
        for path in paths {
            assert!(
                !text.contains(path),
                "{file} holds a path of somebody's machine"
            );
        }
    }
}
