//! `drumlin apply`.

use std::path::{Path, PathBuf};

use clap::Args;
use drumlin_features::{
    apply::{self, Scope},
    registry,
};
use drumlin_model::{By, ErrorKind};
use drumlin_verbs::DefinitionChange;
use drumlin_worktree::WorkingCopy;
use serde_json::json;

use crate::{
    commands::diff::print_definitions,
    context::{self, Context},
    error::CommandError,
    ui::{FAINT, NAME, paint},
};

/// Check feature definitions, show what would change, and commit them
///
/// Definitions are YAML files in `features/`. Given the folder, definitions whose files are gone are removed; given
/// files, the others stay. Nothing is committed when anything is wrong.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  drumlin apply\n  drumlin apply --dry-run\n  drumlin apply features/weather.yaml -m 'weather counts for one hour'"
)]
pub struct Apply {
    /// Files, or the folder `features`
    #[arg(default_value = "features")]
    paths: Vec<PathBuf>,
    /// Show the plan, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// The commit's message [default: what changed]
    #[arg(short, long)]
    message: Option<String>,
}

impl Apply {
    pub async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let copy = cx.working_copy().await?;
        let branch = context::current_branch(&copy)?;
        let engine = cx.engine(&copy)?;
        let started = cx.clock.now();
        let (files, scope) = self.read(cx, &copy)?;
        let plan = apply::plan(&engine, &branch, &files, scope).await?;
        let changes: Vec<DefinitionChange> = plan.changes.iter().cloned().map(DefinitionChange::of).collect();
        let mut value = json!({
            "branch": branch, "changes": changes, "unchanged": plan.unchanged,
            "training_sets": plan.training_sets, "online_views": plan.online_views, "dry_run": self.dry_run,
        });
        let (sets, views, unchanged, empty) = (
            plan.training_sets.clone(),
            plan.online_views.clone(),
            plan.unchanged,
            plan.is_empty(),
        );
        let mut commit = None;
        if !self.dry_run && !empty {
            let by = By { started, ..cx.by() };
            commit = Some(plan.commit(by, self.message.clone()).await?);
            copy.follow(&cx.ui.progress()).await?;
            let typed: Vec<PathBuf> = self.paths.iter().map(|path| cx.current.join(path)).collect();
            copy.add(&typed, &cx.ui.progress()).await?;
        }
        value["commit"] = json!(commit);
        cx.ui.emit(&value, |out| {
            writeln!(
                out,
                "Plan for branch {} ({} unchanged)",
                paint(NAME, &branch),
                unchanged
            )?;
            print_definitions(out, &changes)?;
            if changes.is_empty() {
                writeln!(out, "  {}", paint(FAINT, "no definition changes"))?;
            }
            for set in &sets {
                writeln!(
                    out,
                    "  {} training set {set} was made by older definitions; it stays, and rebuilds as it was",
                    paint(FAINT, "·")
                )?;
            }
            for view in &views {
                writeln!(
                    out,
                    "  {} online rows of {view} are made anew by the next: drumlin online materialize",
                    paint(FAINT, "·")
                )?;
            }
            match commit {
                Some(commit) => writeln!(out, "Applied as {}", paint(NAME, commit.short())),
                None if empty => writeln!(out, "Nothing to apply"),
                None => writeln!(out, "Dry run: nothing was changed"),
            }
        })
    }

    /// The files as they are on disk, under the paths that they have in the tree.
    fn read(&self, cx: &Context<'_>, copy: &WorkingCopy) -> Result<(registry::Files, Scope), CommandError> {
        let mut files = registry::Files::new();
        let mut scope = Scope::Given;
        for typed in &self.paths {
            let path = cx.current.join(typed);
            let metadata = std::fs::metadata(&path).map_err(|_| {
                CommandError::new(
                    ErrorKind::NotFound,
                    format!("there are no definitions at {}", typed.display()),
                )
                .with_hint("mkdir features    (and write features/NAME.yaml; see drumlin help apply)")
            })?;
            if metadata.is_file() {
                read_file(copy, &path, &mut files)?;
                continue;
            }
            if copy.to_repo_path(&path)? == registry::folder() {
                scope = Scope::Whole;
            }
            read_folder(copy, &path, &mut files)?;
        }
        Ok((files, scope))
    }
}

/// The definition files of a folder and of the folders in it, as the registry reads them from a commit.
fn read_folder(copy: &WorkingCopy, folder: &Path, files: &mut registry::Files) -> Result<(), CommandError> {
    let failed = |error| CommandError::io(format!("cannot read {}", folder.display()), error);
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = entry.path();
        if entry.file_type().map_err(failed)?.is_dir() {
            read_folder(copy, &path, files)?;
        } else if registry::is_definition_file(&copy.to_repo_path(&path)?) {
            read_file(copy, &path, files)?;
        }
    }
    Ok(())
}

fn read_file(copy: &WorkingCopy, path: &Path, files: &mut registry::Files) -> Result<(), CommandError> {
    let bytes =
        std::fs::read(path).map_err(|error| CommandError::io(format!("cannot read {}", path.display()), error))?;
    files.insert(copy.to_repo_path(path)?, bytes.into());
    Ok(())
}
