//! The report on the steps of `device verify`, for the terminal, for programs, and as files to show
//! KRA.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;
use serde_json::json;

use super::captures::Captures;

/// How a step went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    Pass,
    Fail,
    Skip,
}

#[derive(Debug, Serialize)]
pub(crate) struct Step {
    step: &'static str,
    result: Verdict,
    detail: String,
}

#[derive(Debug)]
pub(crate) struct Report<'a> {
    folder: Option<&'a Path>,
    captures: Captures,
    steps: Vec<Step>,
}

impl<'a> Report<'a> {
    /// Makes the folder at once. A run whose captures cannot be written should not use up numbers.
    pub(crate) fn open(folder: Option<&'a Path>) -> Result<Self> {
        if let Some(folder) = folder {
            make_private(folder)
                .with_context(|| format!("cannot use the folder {}", folder.display()))?;
        }
        Ok(Self {
            folder,
            captures: Captures::default(),
            steps: Vec::new(),
        })
    }

    /// Where the client's exchanges are collected.
    pub(crate) fn captures(&self) -> Captures {
        self.captures.clone()
    }

    /// Adds a step, and writes its file with everything that was sent and received since the step
    /// before.
    pub(crate) fn add(&mut self, step: &'static str, result: Verdict, detail: &str) -> Result<()> {
        self.steps.push(Step {
            step,
            result,
            detail: detail.to_owned(),
        });
        let exchanges = self.captures.take();
        let Some(folder) = self.folder else {
            return Ok(());
        };
        let name = format!("{}-{}.json", self.steps.len(), step.replace(' ', "-"));
        let capture =
            json!({ "step": step, "result": result, "detail": detail, "exchanges": exchanges });
        let path = folder.join(name);
        write_private(&path, &format!("{capture:#}\n"))
            .with_context(|| format!("cannot write {}", path.display()))
    }

    pub(crate) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Whether the last step was reached and none failed.
    pub(crate) fn passed(&self) -> bool {
        self.steps
            .last()
            .is_some_and(|step| step.step == "credit note")
            && self.steps.iter().all(|step| step.result != Verdict::Fail)
    }

    pub(crate) fn text(&self) -> String {
        let line = |step: &Step| {
            let result = match step.result {
                Verdict::Pass => "pass",
                Verdict::Fail => "FAIL",
                Verdict::Skip => "skip",
            };
            format!("{result}  {:<18} {}", step.step, step.detail)
        };
        self.steps.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

/// Makes the folder for its owner only, whatever the umask. A link is refused: whoever made it
/// chooses where the captures go.
fn make_private(folder: &Path) -> io::Result<()> {
    match fs::symlink_metadata(folder) {
        Ok(found) if found.is_dir() => return Ok(()),
        Ok(_) => return Err(io::Error::other("it is a link or no folder")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    fs::set_permissions(folder, Permissions::from_mode(0o700))
}

/// Writes a file for its owner only. A file of an earlier run is taken away first, so that neither
/// its mode nor a link in its place counts.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    match fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn captures_are_for_their_owner_only() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("new/captures");
        let mut report = Report::open(Some(&folder)).unwrap();
        assert_eq!(mode(&folder), 0o700);

        // A file that was readable, and a link, are replaced.
        let elsewhere = parent.path().join("elsewhere");
        fs::write(&elsewhere, "x").unwrap();
        fs::write(folder.join("1-sale.json"), "x").unwrap();
        std::os::unix::fs::symlink(&elsewhere, folder.join("2-sale.json")).unwrap();
        for name in ["1-sale.json", "2-sale.json"] {
            report.add("sale", Verdict::Pass, "").unwrap();
            assert_eq!(mode(&folder.join(name)), 0o600, "{name}");
        }
        assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "x");
    }

    #[test]
    fn folder_that_is_a_link_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let link = parent.path().join("link");
        std::os::unix::fs::symlink(parent.path(), &link).unwrap();
        assert!(Report::open(Some(&link)).is_err());
        let file = parent.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(Report::open(Some(&file)).is_err());
    }

    #[test]
    fn report_passes_only_when_the_last_step_was_reached() {
        let mut report = Report::open(None).unwrap();
        report.add("token", Verdict::Skip, "").unwrap();
        report.add("sale", Verdict::Pass, "").unwrap();
        assert!(!report.passed());
        report.add("credit note", Verdict::Pass, "").unwrap();
        assert!(report.passed());
        report.add("credit note", Verdict::Fail, "").unwrap();
        assert!(!report.passed());
    }

    #[test]
    fn every_step_writes_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let mut report = Report::open(Some(folder.path())).unwrap();
        report.add("code list", Verdict::Pass, "read").unwrap();
        let text = fs::read_to_string(folder.path().join("1-code-list.json")).unwrap();
        assert!(text.contains("\"result\": \"pass\""), "{text}");
    }
}
