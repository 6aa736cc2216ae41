//! `drumlin table`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use drumlin_model::RefExpr;
use drumlin_tables::{
    AppendRows, ColumnType, CreateTable, DeleteRows, FileFormat, FromFile, OverwriteTable, ReadOptions, Source,
    UpsertRows, WriteRequest, Written, type_name,
};
use drumlin_worktree::WorkingCopy;
use serde_json::json;

use crate::{
    context::{self, Context},
    error::CommandError,
    ui::{self, BOLD, FAINT, NAME, count, paint, plural},
};

/// Make, change and look at tables
///
/// A table is a Delta table in the repository, at `tables/NAME`. Each verb that writes is one commit.
#[derive(Subcommand)]
pub enum Table {
    Create(Create),
    Append(Append),
    Overwrite(Overwrite),
    Upsert(Upsert),
    Delete(Delete),
    List(List),
    Show(Show),
    History(History),
}

/// Make a table from a file
#[derive(Args)]
#[command(
    after_help = "Examples:\n  drumlin table create flights --from raw/flights.csv\n  drumlin table create weather --from raw/weather.csv --key origin,time_hour\n  drumlin table create planes --from raw/planes.csv --type seats=int32 --null NA --null unknown"
)]
pub struct Create {
    table: String,
    #[command(flatten)]
    input: Input,
    /// Columns that name a row, for upserts and row diffs
    #[arg(long, value_name = "COLUMN,...", value_delimiter = ',')]
    key: Vec<String>,
    /// The commit's message [default: what was done]
    #[arg(short, long)]
    message: Option<String>,
}

/// Add the rows of a file
#[derive(Args)]
#[command(
    after_help = "Examples:\n  drumlin table append flights --from raw/flights-2014.csv\n  drumlin table append flights --from new.parquet --evolve"
)]
pub struct Append {
    table: String,
    #[command(flatten)]
    input: Input,
    /// Take over columns that the table lacks
    #[arg(long)]
    evolve: bool,
    /// The commit's message [default: what was done]
    #[arg(short, long)]
    message: Option<String>,
}

/// Replace all rows, and the schema, by those of a file
#[derive(Args)]
#[command(after_help = "Examples:\n  drumlin table overwrite airlines --from raw/airlines.csv")]
pub struct Overwrite {
    table: String,
    #[command(flatten)]
    input: Input,
    /// The commit's message [default: what was done]
    #[arg(short, long)]
    message: Option<String>,
}

/// Replace rows with the same key, and add the others
#[derive(Args)]
#[command(
    after_help = "Examples:\n  drumlin table upsert weather --from corrections.csv\n  drumlin table upsert planes --from new.csv --key tailnum"
)]
pub struct Upsert {
    table: String,
    #[command(flatten)]
    input: Input,
    /// Columns that name a row [default: the table's key]
    #[arg(long, value_name = "COLUMN,...", value_delimiter = ',')]
    key: Vec<String>,
    /// Take over columns that the table lacks
    #[arg(long)]
    evolve: bool,
    /// The commit's message [default: what was done]
    #[arg(short, long)]
    message: Option<String>,
}

/// Delete the rows that a condition is true of
#[derive(Args)]
#[command(
    after_help = "Examples:\n  drumlin table delete flights --where \"carrier = 'HA'\" --dry-run\n  drumlin table delete flights --where 'dep_time IS NULL'"
)]
pub struct Delete {
    table: String,
    #[arg(long = "where", value_name = "CONDITION")]
    condition: String,
    /// Count the rows, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// The commit's message [default: what was done]
    #[arg(short, long)]
    message: Option<String>,
}

/// List the tables
#[derive(Args)]
#[command(after_help = "Examples:\n  drumlin table list\n  drumlin table list --at v1")]
pub struct List {
    /// The version [default: the current branch]
    #[arg(long, value_name = "REF")]
    at: Option<RefExpr>,
}

/// Show a table's columns, rows and size
#[derive(Args)]
#[command(after_help = "Examples:\n  drumlin table show flights\n  drumlin table show flights --at v1")]
pub struct Show {
    table: String,
    /// The version [default: the current branch]
    #[arg(long, value_name = "REF")]
    at: Option<RefExpr>,
}

/// Show the commits that changed a table, newest first
#[derive(Args)]
#[command(after_help = "Examples:\n  drumlin table history flights -n 5")]
pub struct History {
    table: String,
    #[arg(short = 'n', long, default_value_t = 20)]
    limit: usize,
    /// Where to start [default: the current branch]
    #[arg(long, value_name = "REF")]
    at: Option<RefExpr>,
}

/// Which file, and how it is read.
#[derive(Args)]
pub struct Input {
    /// A CSV, JSON lines or Parquet file; PATH@REF takes it from a version of the repository
    #[arg(long, value_name = "FILE")]
    from: String,
    /// What the file is [default: by its ending]
    #[arg(long, value_name = "csv|jsonl|parquet")]
    format: Option<FileFormat>,
    /// The type of a column; the others are inferred from the whole file
    #[arg(long = "type", value_name = "COLUMN=TYPE", value_parser = parse_type)]
    types: Vec<(String, ColumnType)>,
    /// A CSV field that means "no value" [default: empty and NA]
    #[arg(long = "null", value_name = "TEXT")]
    nulls: Vec<String>,
    /// The character between CSV fields
    #[arg(long, default_value = ",", value_parser = parse_delimiter)]
    delimiter: u8,
    /// The CSV's first line holds values, not names
    #[arg(long)]
    no_header: bool,
}

impl Table {
    pub async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        match self {
            Table::Create(verb) => verb.run(cx).await,
            Table::Append(verb) => verb.run(cx).await,
            Table::Overwrite(verb) => verb.run(cx).await,
            Table::Upsert(verb) => verb.run(cx).await,
            Table::Delete(verb) => verb.run(cx).await,
            Table::List(verb) => verb.run(cx).await,
            Table::Show(verb) => verb.run(cx).await,
            Table::History(verb) => verb.run(cx).await,
        }
    }
}

impl Create {
    async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let copy = cx.working_copy().await?;
        let (from, to) = (self.input.from_file(cx, &copy)?, request(cx, &copy, self.message)?);
        let request = CreateTable {
            key: self.key,
            ..CreateTable::new(self.table, from)
        };
        let engine = cx.engine(&copy)?;
        finish(cx, &copy, engine.table_create(&to, &request, &cx.ui.progress()).await?).await
    }
}

impl Append {
    async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let copy = cx.working_copy().await?;
        let (from, to) = (self.input.from_file(cx, &copy)?, request(cx, &copy, self.message)?);
        let request = AppendRows {
            evolve: self.evolve,
            ..AppendRows::new(self.table, from)
        };
        let engine = cx.engine(&copy)?;
        finish(cx, &copy, engine.table_append(&to, &request, &cx.ui.progress()).await?).await
    }
}

impl Overwrite {
    async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let copy = cx.working_copy().await?;
        let (from, to) = (self.input.from_file(cx, &copy)?, request(cx, &copy, self.message)?);
        let request = OverwriteTable::new(self.table, from);
        let engine = cx.engine(&copy)?;
        finish(
            cx,
            &copy,
            engine.table_overwrite(&to, &request, &cx.ui.progress()).await?,
        )
        .await
    }
}

impl Upsert {
    async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let copy = cx.working_copy().await?;
        let (from, to) = (self.input.from_file(cx, &copy)?, request(cx, &copy, self.message)?);
        let request = UpsertRows {
            key: self.key,
            evolve: self.evolve,
            ..UpsertRows::new(self.table, from)
        };
        let engine = cx.engine(&copy)?;
        finish(cx, &copy, engine.table_upsert(&to, &request, &cx.ui.progress()).await?).await
    }
}

impl Delete {
    async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let copy = cx.working_copy().await?;
        let (engine, to) = (cx.engine(&copy)?, request(cx, &copy, self.message)?);
        let request = DeleteRows::new(self.table, self.condition);
        if self.dry_run {
            let head = copy.repo().snapshot(&to.branch.into()).await?;
            let plan = engine.table_delete_plan(&head, &request, &cx.ui.progress()).await?;
            let value = json!({ "table": request.table, "rows_deleted": plan.rows, "dry_run": true });
            return cx.ui.emit(&value, |out| {
                let rows = plural(plan.rows, "row");
                writeln!(out, "Would delete {rows} of {}", paint(NAME, &request.table))
            });
        }
        finish(cx, &copy, engine.table_delete(&to, &request, &cx.ui.progress()).await?).await
    }
}

impl List {
    async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let copy = cx.working_copy().await?;
        let engine = cx.engine(&copy)?;
        let snapshot = context::snapshot(&copy, self.at.as_ref()).await?;
        let tables = engine.table_list(&snapshot).await?;
        let rows: Vec<_> = tables
            .iter()
            .map(|table| json!({ "name": table.name, "path": table.path, "rows": table.rows, "bytes": table.bytes, "version": table.version, "key": table.key }))
            .collect();
        cx.ui.emit(&rows, |out| {
            for table in &tables {
                let about = format!("{}, version {}", ui::bytes(table.bytes), table.version);
                writeln!(
                    out,
                    "{:<24} {:>14} rows  {}",
                    table.name,
                    count(table.rows),
                    paint(FAINT, about)
                )?;
            }
            Ok(())
        })
    }
}

impl Show {
    async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let copy = cx.working_copy().await?;
        let snapshot = context::snapshot(&copy, self.at.as_ref()).await?;
        let table = cx.engine(&copy)?.table_show(&snapshot, &self.table).await?;
        let columns: Vec<_> = table
            .schema
            .fields()
            .iter()
            .map(|field| json!({ "name": field.name(), "type": type_name(field.data_type()), "nullable": field.is_nullable() }))
            .collect();
        let value = json!({
            "name": table.name, "path": table.path, "rows": table.rows, "bytes": table.bytes, "files": table.files,
            "version": table.version, "key": table.key, "commit": table.commit, "columns": columns,
        });
        cx.ui.emit(&value, |out| {
            writeln!(out, "{} at {}", paint(NAME, &table.path), table.commit.short())?;
            let files = plural(table.files as u64, "file");
            writeln!(
                out,
                "{} rows, {}, {files}, version {}",
                count(table.rows),
                ui::bytes(table.bytes),
                table.version
            )?;
            if !table.key.is_empty() {
                writeln!(out, "row key: {}", table.key.join(", "))?;
            }
            writeln!(out, "{}", paint(BOLD, "columns"))?;
            table
                .schema
                .fields()
                .iter()
                .try_for_each(|field| writeln!(out, "  {:<24} {}", field.name(), type_name(field.data_type())))
        })
    }
}

impl History {
    async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let copy = cx.working_copy().await?;
        let snapshot = context::snapshot(&copy, self.at.as_ref()).await?;
        let changes = cx
            .engine(&copy)?
            .table_history(&snapshot, &self.table, self.limit)
            .await?;
        let rows: Vec<_> = changes
            .iter()
            .map(|change| json!({ "commit": change.commit, "time": change.time.to_string(), "actor": change.actor, "operation": change.operation, "message": change.message, "version": change.version, "parameters": change.parameters }))
            .collect();
        cx.ui.emit(&rows, |out| {
            for change in &changes {
                let version = change
                    .version
                    .map_or("gone".to_owned(), |version| format!("v{version}"));
                writeln!(
                    out,
                    "{}  {version:<5} {}",
                    paint(NAME, change.commit.short()),
                    change.message
                )?;
                writeln!(
                    out,
                    "              {}",
                    paint(
                        FAINT,
                        format!("{} · {} · {}", change.time, change.actor, change.operation)
                    )
                )?;
            }
            Ok(())
        })
    }
}

impl Input {
    fn source(&self, cx: &Context<'_>, copy: &WorkingCopy) -> Result<Source, CommandError> {
        let file: PathBuf = cx.current.join(&self.from);
        if let (false, Some((path, at))) = (file.exists(), self.from.rsplit_once('@')) {
            return Ok(Source::Path {
                path: drumlin_model::RepoPath::new(path)?,
                at: at.parse()?,
            });
        }
        let path = copy.to_repo_path(&file).ok();
        Ok(Source::File {
            file,
            name: self.from.clone(),
            path,
        })
    }

    fn from_file(&self, cx: &Context<'_>, copy: &WorkingCopy) -> Result<FromFile, CommandError> {
        let (source, read) = (self.source(cx, copy)?, self.options());
        Ok(FromFile { source, read })
    }

    fn options(&self) -> ReadOptions {
        let defaults = ReadOptions::default();
        ReadOptions {
            format: self.format,
            types: self.types.clone(),
            nulls: if self.nulls.is_empty() {
                defaults.nulls
            } else {
                self.nulls.clone()
            },
            delimiter: self.delimiter,
            header: !self.no_header,
        }
    }
}

fn parse_type(text: &str) -> Result<(String, ColumnType), String> {
    let (column, kind) = text.split_once('=').ok_or("write COLUMN=TYPE, such as seats=int32")?;
    Ok((
        column.to_owned(),
        kind.parse().map_err(|error: drumlin_tables::Error| error.to_string())?,
    ))
}

fn parse_delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        [byte] => Ok(*byte),
        b"\\t" => Ok(b'\t'),
        _ => Err("a delimiter is one character, or \\t".into()),
    }
}

fn request(cx: &Context<'_>, copy: &WorkingCopy, message: Option<String>) -> Result<WriteRequest, CommandError> {
    Ok(WriteRequest {
        branch: context::current_branch(copy)?,
        by: cx.by(),
        message,
    })
}

/// Renders what a write did, and moves the working copy along.
async fn finish(cx: &Context<'_>, copy: &WorkingCopy, written: Written) -> Result<(), CommandError> {
    copy.follow(&cx.ui.progress()).await?;
    let value = json!({
        "table": written.table, "commit": written.commit, "version": written.version, "rows_added": written.rows_added,
        "rows_updated": written.rows_updated, "rows_deleted": written.rows_deleted,
    });
    cx.ui.emit(&value, |out| {
        let Some(commit) = written.commit else {
            return writeln!(out, "{}: nothing to do", paint(NAME, &written.table));
        };
        let rows = [
            (written.rows_added, "added"),
            (written.rows_updated, "updated"),
            (written.rows_deleted, "deleted"),
        ];
        let rows: Vec<String> = rows
            .iter()
            .filter(|(rows, _)| *rows > 0)
            .map(|(rows, did)| format!("{} {did}", plural(*rows, "row")))
            .collect();
        let rows = if rows.is_empty() {
            "no rows".to_owned()
        } else {
            rows.join(", ")
        };
        writeln!(
            out,
            "{}: {rows}; version {} as {}",
            paint(NAME, &written.table),
            written.version,
            paint(NAME, commit.short())
        )
    })
}
