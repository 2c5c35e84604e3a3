//! The output of a command, which is either text for a person or JSON for a program.

use std::io::Write as _;

use serde_json::Value;

/// Prints results to standard output, and notes and errors to standard error.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Prints the result of a command.
    pub(crate) fn object(&self, object: &Value, text: &str) {
        print(if self.json {
            object.to_string()
        } else {
            text.to_owned()
        });
    }

    /// Prints one object a line, or for a person a table of the named keys.
    pub(crate) fn list(&self, objects: &[Value], columns: &[&str], when_empty: &str) {
        self.list_with_details(objects, columns, when_empty, |_| Vec::new());
    }

    /// Prints as [`Output::list`] does, and for a person these lines below each row.
    pub(crate) fn list_with_details(
        &self,
        objects: &[Value],
        columns: &[&str],
        when_empty: &str,
        details: impl Fn(&Value) -> Vec<String>,
    ) {
        if self.json {
            objects.iter().for_each(|object| print(object.to_string()));
            return;
        }
        if objects.is_empty() {
            print(when_empty.to_owned());
            return;
        }
        let mut lines = table(objects, columns).into_iter();
        lines.next().into_iter().for_each(print);
        for (row, object) in lines.zip(objects) {
            print(row);
            for detail in details(object) {
                print(format!("    {detail}"));
            }
        }
    }

    /// Prints one object, for a person with one key and its value a line as in `shown`.
    pub(crate) fn details(&self, object: &Value, shown: &Value) {
        let width = shown
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, _)| key.len())
            .max()
            .unwrap_or(0);
        let lines = shown.as_object().into_iter().flatten();
        let lines: Vec<String> = lines
            .map(|(key, value)| format!("{key:width$}  {}", cell(value)))
            .collect();
        self.object(object, &lines.join("\n"));
    }

    /// Prints a note beside the result.
    pub(crate) fn note(&self, text: &str) {
        eprintln!("{text}");
    }

    /// Prints why the command was refused or failed.
    pub(crate) fn problem(&self, text: &str) {
        eprintln!("error: {text}");
    }
}

/// Ignores a closed standard output, because the command has done its work by then.
fn print(text: String) {
    writeln!(std::io::stdout().lock(), "{text}").ok();
}

fn table(objects: &[Value], columns: &[&str]) -> Vec<String> {
    let mut rows: Vec<Vec<String>> =
        vec![columns.iter().map(|column| column.to_uppercase()).collect()];
    rows.extend(objects.iter().map(|object| {
        columns
            .iter()
            .map(|column| cell(&object[*column]))
            .collect()
    }));
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let lines = rows.iter().map(|row| {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    });
    lines.collect()
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(values) if values.is_empty() => "-".to_owned(),
        Value::Array(values) => values.iter().map(cell).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn table_column_is_as_wide_as_its_widest_cell() {
        let rows = [
            json!({ "slug": "acme", "codes": ["1", "2"] }),
            json!({ "slug": "b", "codes": [] }),
        ];
        assert_eq!(
            table(&rows, &["slug", "codes"]),
            ["SLUG  CODES", "acme  1,2", "b     -"]
        );
    }
}
