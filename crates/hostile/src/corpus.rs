//! Hostile inputs that people thought of, kept as files.

use std::path::Path;

/// The files of a folder and its subfolders with their names, in the order of their names.
///
/// # Panics
/// If the folder cannot be read or has no file, because a test over an empty corpus proves nothing.
pub fn corpus(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    if let Err(error) = collect(folder, &mut found) {
        panic!("{}: {error}", folder.display());
    }
    assert!(!found.is_empty(), "{} has no file", folder.display());
    found.sort();
    found
}

fn collect(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, found)?;
        } else {
            found.push((path.display().to_string(), std::fs::read(&path)?));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_found_in_order() {
        let found = corpus(Path::new(env!("CARGO_MANIFEST_DIR")));
        assert!(
            found
                .iter()
                .any(|(name, bytes)| name.ends_with("src/corpus.rs") && !bytes.is_empty())
        );
        assert!(found.is_sorted());
    }

    #[test]
    #[should_panic(expected = "nowhere")]
    fn missing_folder_panics_with_its_name() {
        corpus(Path::new("nowhere"));
    }
}
