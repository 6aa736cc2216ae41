//! `drumlin show`.

use std::io::{self, Write};

use clap::Args;
use drumlin_model::Cure;
use drumlin_verbs::{CommitPage, Desk, EntryView, FolderView, InputView, ProvenanceView, ShowAnswer, ShowRequest};
use futures::StreamExt;

use crate::{
    commands::diff::print_files,
    context::Context,
    error::CommandError,
    ui::{self, FAINT, NAME, paint},
};

/// Show a commit, or what stands at a path of one
#[derive(Args)]
#[command(
    after_help = "Examples:\n  drumlin show\n  drumlin show v1\n  drumlin show raw/planes.csv@v1\n  drumlin show --cat raw/airlines.csv@main~2"
)]
pub struct Show {
    /// REF, or PATH@REF
    #[arg(value_name = "REF | PATH@REF")]
    what: Option<String>,
    /// Write the file's bytes to stdout
    #[arg(long)]
    cat: bool,
}

impl Show {
    pub async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let desk = cx.desk().await?;
        let request = ShowRequest { what: self.what };
        if self.cat {
            return cat(&desk, request).await;
        }
        let shown = desk.show(request).await?;
        cx.ui.emit(&shown, |out| match &shown {
            ShowAnswer::Commit(page) => commit(out, page),
            ShowAnswer::Entry(found) => entry(out, found),
            ShowAnswer::Folder(found) => folder(out, found),
        })
    }
}

async fn cat(desk: &Desk, request: ShowRequest) -> Result<(), CommandError> {
    if request.what.as_deref().is_none_or(|what| !what.contains('@')) {
        return Err(CommandError::invalid("--cat needs PATH@REF").with_cure(Cure::say("drumlin show --cat PATH@main")));
    }
    let mut bytes = desk.show_bytes(request).await?;
    let mut out = io::stdout().lock();
    while let Some(next) = bytes.next().await {
        out.write_all(&next?)
            .map_err(|error| CommandError::io("cannot write the file", error))?;
    }
    Ok(())
}

fn provenance(out: &mut dyn Write, provenance: &ProvenanceView) -> io::Result<()> {
    writeln!(out, "by        {} with `{}`", provenance.actor, provenance.verb)?;
    if let Some(code) = &provenance.code {
        let dirty = if code.dirty { " (dirty)" } else { "" };
        writeln!(out, "code      git {}{dirty}", code.git_commit)?;
    }
    provenance.inputs.iter().try_for_each(|read| input(out, read))?;
    for output in &provenance.outputs {
        writeln!(out, "output    {output}")?;
    }
    for (name, value) in &provenance.parameters {
        writeln!(out, "parameter {name} = {value}")?;
    }
    Ok(())
}

fn commit(out: &mut dyn Write, page: &CommitPage) -> io::Result<()> {
    let commit = &page.commit;
    writeln!(out, "commit    {}", paint(NAME, commit.id))?;
    for parent in &commit.parents {
        writeln!(out, "parent    {parent}")?;
    }
    writeln!(out, "tree      {}", commit.tree)?;
    writeln!(out, "time      {}", commit.time)?;
    match &commit.provenance {
        Some(made) => provenance(out, made)?,
        None => writeln!(out, "what made it is gone")?,
    }
    let message = commit.message.as_deref().unwrap_or_default();
    writeln!(out, "\n    {}\n", message.trim_end().replace('\n', "\n    "))?;
    print_files(out, &page.changes)?;
    if page.more_changes {
        writeln!(out, "{}", paint(FAINT, "… and more: drumlin diff"))
    } else {
        Ok(())
    }
}

fn input(out: &mut dyn Write, input: &InputView) -> io::Result<()> {
    let at = input
        .commit
        .map(|commit| format!("@{}", commit.short()))
        .unwrap_or_default();
    let into: Vec<_> = input.into.iter().map(|path| path.as_str()).collect();
    let into = if into.is_empty() {
        String::new()
    } else {
        format!(" -> {}", into.join(", "))
    };
    writeln!(out, "input     {}{at}{into}", input.name)
}

fn entry(out: &mut dyn Write, entry: &EntryView) -> io::Result<()> {
    let at = entry.commit.short();
    writeln!(out, "{} {} at {at}", entry.kind, paint(NAME, &entry.path))?;
    if let Some(id) = entry.id {
        writeln!(out, "id        {id}")?;
    }
    writeln!(out, "size      {}", ui::bytes(entry.size))?;
    writeln!(out, "modified  {}", entry.modified)
}

fn folder(out: &mut dyn Write, folder: &FolderView) -> io::Result<()> {
    for row in &folder.entries {
        writeln!(out, "{:>10}  {}", ui::bytes(row.size), row.path)?;
    }
    if folder.more_entries {
        writeln!(out, "{}", paint(FAINT, "… and more"))
    } else {
        Ok(())
    }
}
