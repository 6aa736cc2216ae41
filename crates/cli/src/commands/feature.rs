//! `drumlin feature`.

use clap::{Args, Subcommand};
use drumlin_features::{Registry, definition::Definition};
use drumlin_model::RefExpr;
use serde_json::json;

use crate::{
    context::{self, Context},
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

async fn registry(cx: &Context<'_>, at: Option<&RefExpr>) -> Result<Registry, CommandError> {
    let copy = cx.working_copy().await?;
    Ok(Registry::load(&context::snapshot(&copy, at).await?).await?)
}

impl List {
    async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let registry = registry(cx, self.at.as_ref()).await?;
        let rows: Vec<_> = registry
            .definitions()
            .map(|placed| {
                let definition = &placed.definition;
                let (kind, name) = (definition.kind().as_str(), definition.name().to_owned());
                json!({ "kind": kind, "name": name, "file": placed.place.file, "description": definition.about().description })
            })
            .collect();
        cx.ui.emit(&rows, |out| {
            for placed in registry.definitions() {
                let definition = &placed.definition;
                let about = definition.about().description.clone().unwrap_or_default();
                writeln!(
                    out,
                    "{:<16} {:<24} {}",
                    definition.kind().as_str(),
                    paint(NAME, definition.name()),
                    paint(FAINT, about)
                )?;
            }
            Ok(())
        })
    }
}

impl Show {
    async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let registry = registry(cx, self.at.as_ref()).await?;
        let placed = registry.find(&self.name)?;
        let value =
            json!({ "file": placed.place.file, "definition": placed.definition, "hash": placed.definition.hash() });
        cx.ui.emit(&value, |out| {
            let definition = &placed.definition;
            writeln!(
                out,
                "{} {}  {}",
                definition.kind(),
                paint(NAME, definition.name()),
                paint(FAINT, &placed.place.file)
            )?;
            if let Definition::FeatureView(view) = definition {
                let age = view.max_age.map_or("unlimited".to_owned(), |age| age.to_string());
                writeln!(
                    out,
                    "entities {}; event time {}; max age {age}",
                    view.entities.join(", "),
                    view.event_time
                )?;
            }
            let json = serde_json::to_string_pretty(definition).expect("a definition has only string keys");
            writeln!(out, "{json}")
        })
    }
}

impl Search {
    async fn run(self, cx: &Context<'_>) -> Result<(), CommandError> {
        let found = registry(cx, self.at.as_ref()).await?.search(&self.words);
        let rows: Vec<_> = found
            .iter()
            .map(|hit| json!({ "kind": hit.kind.as_str(), "name": hit.name, "feature": hit.feature, "description": hit.description, "file": hit.file }))
            .collect();
        cx.ui.emit(&rows, |out| {
            for hit in &found {
                let name = hit
                    .feature
                    .as_ref()
                    .map_or(hit.name.clone(), |feature| format!("{}.{feature}", hit.name));
                let about = hit.description.as_deref().unwrap_or_default();
                writeln!(
                    out,
                    "{:<16} {:<32} {}",
                    hit.kind.as_str(),
                    paint(NAME, name),
                    paint(FAINT, about)
                )?;
            }
            if found.is_empty() {
                writeln!(out, "Nothing has all of these words")
            } else {
                Ok(())
            }
        })
    }
}
