//! `git_code`: the state of the code's own Git, for the provenance of commits. A surface calls it where it runs beside code.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use drumlin_model::Code;

/// The Git commit that the code in `folder` stands at; none outside Git or where `git` is not installed.
pub fn git_code(folder: &Path) -> Option<Code> {
    folder.ancestors().find(|above| above.join(".git").exists())?;
    let git_commit = git(folder, &["rev-parse", "HEAD"])?;
    let dirty =
        git(folder, &["status", "--porcelain", "--untracked-files=no"]).is_none_or(|changes| !changes.is_empty());
    Some(Code { git_commit, dirty })
}

/// What `git` prints, or none when it fails.
fn git(folder: &Path, words: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(words)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    output.status.success().then_some(text)
}
