//! `drumlin feature`.

use std::io::{self, Write};

use clap::{Args, Subcommand};
use drumlin_model::RefExpr;
use drumlin_verbs::{FeatureListRequest, FeatureSearchRequest, FeatureShowAnswer, FeatureShowRequest};
use serde_json::Value;

use crate::{
    context::Context,
    error::CommandError,
    ui::{FAINT, NAME, paint},
};

/// Look at entities, feature views and feature services
///
/// They are made and changed by `drumlin apply`.
#[derive(Subcommand)]
pub enum Feature {
    List(List),
    Show(Show),
    Search(Search),
}

/// List all definitions
#[derive(Args)]
#[command(after_help = "Examples:\n  drumlin feature list\n  drumlin feature list --at v1 --json")]
pub struct List {
    /// The version [default: the current branch]
    #[arg(long, value_name = "REF")]
    at: Option<RefExpr>,
}

/// Show one definition
#[derive(Args)]
#[command(after_help = "Examples:\n  drumlin feature show weather\n  drumlin feature show weather --at v1")]
pub struct Show {
    name: String,
    /// The version [default: the current branch]
    #[arg(long, value_name = "REF")]
    at: Option<RefExpr>,
}

/// Find definitions and features by words in names, descriptions, owners and tags
#[derive(Args)]
#[command(after_help = "Examples:\n  drumlin feature search delay\n  drumlin feature search 'wind speed'")]
pub struct Search {
    words: String,
    /// The version [default: the current branch]
    #[arg(long, value_name = "REF")]
    at: Option<RefExpr>,
}

impl Feature {
    pub async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        match self {
            Feature::List(verb) => verb.run(cx).await,
            Feature::Show(verb) => verb.run(cx).await,
            Feature::Search(verb) => verb.run(cx).await,
        }
    }
}

impl List {
    async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let rows = cx
            .desk()
            .await?
            .feature_list(FeatureListRequest { at: self.at })
            .await?;
        cx.ui.emit(&rows, |out| {
            for row in &rows {
                let about = paint(FAINT, row.description.as_deref().unwrap_or_default());
                writeln!(out, "{:<16} {:<24} {about}", row.kind, paint(NAME, &row.name))?;
            }
            Ok(())
        })
    }
}

impl Show {
    async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let request = FeatureShowRequest {
            name: self.name,
            at: self.at,
        };
        let shown = cx.desk().await?.feature_show(request).await?;
        cx.ui.emit(&shown, |out| print(out, &shown))
    }
}

fn print(out: &mut dyn Write, shown: &FeatureShowAnswer) -> io::Result<()> {
    let text = |field: &str| shown.definition[field].as_str();
    let (kind, name) = (text("kind").unwrap_or_default(), text("name").unwrap_or_default());
    let (noun, file) = (kind.replace('_', " "), paint(FAINT, &shown.file));
    writeln!(out, "{noun} {}  {file}", paint(NAME, name))?;
    if kind == "feature_view" {
        let entities = shown.definition["entities"].as_array().into_iter().flatten();
        let entities: Vec<&str> = entities.filter_map(Value::as_str).collect();
        let time = text("event_time").unwrap_or_default();
        let age = text("max_age").unwrap_or("unlimited");
        writeln!(
            out,
            "entities {}; event time {time}; max age {age}",
            entities.join(", ")
        )?;
    }
    writeln!(out, "{:#}", shown.definition)
}

impl Search {
    async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let request = FeatureSearchRequest {
            words: self.words,
            at: self.at,
        };
        let found = cx.desk().await?.feature_search(request).await?;
        cx.ui.emit(&found, |out| {
            for hit in &found {
                let name = match &hit.feature {
                    Some(feature) => format!("{}.{feature}", hit.name),
                    None => hit.name.clone(),
                };
                let about = paint(FAINT, hit.description.as_deref().unwrap_or_default());
                writeln!(out, "{:<16} {:<32} {about}", hit.kind, paint(NAME, name))?;
            }
            if found.is_empty() {
                writeln!(out, "Nothing has all of these words")
            } else {
                Ok(())
            }
        })
    }
}
