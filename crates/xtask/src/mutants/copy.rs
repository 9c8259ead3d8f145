//! A copy of the workspace, in which files may be changed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// The copy is left where it is, so that another one costs no more than what has changed.
#[derive(Debug)]
pub(super) struct Copy {
    from: PathBuf,
    pub to: PathBuf,
}

impl Copy {
    pub(super) fn new(from: PathBuf, to: PathBuf) -> Self {
        Self { from, to }
    }

    /// Makes it equal to the tracked files of the workspace. Files that are equal are not touched, so that nothing is built twice.
    pub(super) fn renew(&self) -> Result<()> {
        let tracked = self.tracked()?;
        for name in &tracked {
            let (from, to) = (self.from.join(name), self.to.join(name));
            let wanted = match fs::read(&from) {
                Ok(wanted) => wanted,
                // Removed, and not yet in the index.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error).with_context(|| from.display().to_string()),
            };
            if fs::read(&to).is_ok_and(|found| found == wanted) {
                continue;
            }
            let folder = to.parent().context("a tracked file without a folder")?;
            fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
            // Copied and not written: scripts stay executable.
            fs::copy(&from, &to).with_context(|| to.display().to_string())?;
        }
        remove_others(&self.to, &self.to, &tracked)
    }

    fn tracked(&self) -> Result<BTreeSet<PathBuf>> {
        let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(&self.from).output()?;
        ensure!(listed.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listed.stderr));
        let names = String::from_utf8(listed.stdout)?;
        Ok(names.split_terminator('\0').map(PathBuf::from).collect())
    }

    /// Applies a patch.
    ///
    /// # Errors
    /// What git says of a patch that does not fit.
    pub(super) fn apply(&self, patch: &Path) -> Result<()> {
        let mut git = Command::new("git");
        // Without a repository, paths count from the current folder.
        git.env("GIT_CEILING_DIRECTORIES", self.to.parent().unwrap_or(&self.to));
        let applied = git.arg("apply").arg(patch).current_dir(&self.to).output()?;
        ensure!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stderr).trim_end());
        Ok(())
    }
}

/// Removes the files that `wanted` does not name.
fn remove_others(root: &Path, folder: &Path, wanted: &BTreeSet<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let (entry, path) = entry.map(|entry| (entry.file_type(), entry.path()))?;
        if entry?.is_dir() {
            remove_others(root, &path, wanted)?;
        } else if !path.strip_prefix(root).is_ok_and(|name| wanted.contains(name)) {
            fs::remove_file(&path).with_context(|| path.display().to_string())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git(folder: &Path, words: &[&str]) {
        assert!(Command::new("git").args(words).current_dir(folder).output().unwrap().status.success());
    }

    #[test]
    fn a_copy_is_changed_and_renewed() {
        let folder = std::env::temp_dir().join(format!("xtask-copy-{}", std::process::id()));
        let (from, to) = (folder.join("from"), folder.join("to"));
        fs::create_dir_all(from.join("a")).unwrap();
        git(&from, &["init", "--quiet"]);
        fs::write(from.join("a/one"), "1\n2\n3\n").unwrap();
        fs::write(from.join("two"), "2\n").unwrap();
        git(&from, &["add", "."]);
        fs::write(from.join("untracked"), "").unwrap();
        let patch = folder.join("patch");
        fs::write(&patch, "In words.\n\n--- a/a/one\n+++ b/a/one\n@@ -1,3 +1,3 @@\n 1\n-2\n+two\n 3\n")
            .unwrap();

        let copy = Copy::new(from, to.clone());
        copy.renew().unwrap();
        assert!(to.join("two").exists() && !to.join("untracked").exists());
        copy.apply(&patch).unwrap();
        assert_eq!(fs::read_to_string(to.join("a/one")).unwrap(), "1\ntwo\n3\n");
        assert!(copy.apply(&patch).unwrap_err().to_string().contains("patch does not apply"));
        fs::write(to.join("other"), "").unwrap();
        copy.renew().unwrap();
        assert_eq!(fs::read_to_string(to.join("a/one")).unwrap(), "1\n2\n3\n");
        assert!(!to.join("other").exists());
        fs::remove_dir_all(folder).unwrap();
    }
}
