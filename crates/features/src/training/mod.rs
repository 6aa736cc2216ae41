//! Training sets: features as of each row of a spine, pinned to a commit, stored as Parquet at `training/NAME/`.
//! `build` runs the join and writes the parts, `record` is `set.json`, `diff` compares two sets; the join is `drumlin-asof`'s.
//! Invariant: the id is a function of (commit, definitions, spine, options), and the content of the id: the same request gives
//! the same bytes.

mod build;
mod diff;
mod diff_join;
mod parts;
mod record;

use std::collections::BTreeSet;

use bytes::Bytes;
use drumlin_chunks::Progress;
use drumlin_model::{
    By, CommitId, EntryKind, Input, RefName, RepoPath,
    names::{SET_RECORD, TRAINING, Verb, did_you_mean},
};
use drumlin_repo::{CommitInfo, Snapshot};
use drumlin_tables::Engine;
use futures::TryStreamExt;
use tracing::instrument;

pub use diff::{ColumnDiff, DefinitionDiff, SetDiff, diff};
pub use record::{Column, Counts, Options, Part, Spine, SpineSource, TrainingSet, UsedView, ViewCounts};

use crate::{
    definition::ViewUse,
    error::{Error, Result},
    registry::Registry,
};

/// The longest name of a training set, in bytes.
const NAME_LEN_MAX: usize = 100;

/// What is to be made.
#[derive(Clone, Debug)]
pub struct Create {
    /// The branch that the set is committed to.
    pub branch: RefName,
    pub name: String,
    pub spine: SpineSource,
    /// The commit that the spine is read at.
    pub spine_at: Snapshot,
    pub features: Features,
    /// The commit that pins the views' definitions and data.
    pub at: Snapshot,
    pub options: Options,
    /// Whether a set of that name with other content may be replaced.
    pub replace: bool,
    /// The commit's message; a sentence of what was done when absent.
    pub message: Option<String>,
}

/// A training set of a commit.
#[derive(Clone, Copy, Debug)]
pub struct SetAt<'a> {
    pub at: &'a Snapshot,
    pub name: &'a str,
}

/// Which features: a service's, or some views as they are.
#[derive(Clone, Debug)]
pub enum Features {
    Service(String),
    Views(Vec<ViewUse>),
}

/// A set that was made, or found to be there already.
#[derive(Clone, Debug)]
pub struct Created {
    pub set: TrainingSet,
    /// The commit that wrote it; none when the branch had the same set.
    pub commit: Option<CommitId>,
    /// What a user should be told: times without a zone, rows without a time.
    pub notices: Vec<String>,
}

/// A set built again at its pinned commit, and whether it came out the same.
#[derive(Clone, Debug)]
pub struct Rebuilt {
    pub recorded: TrainingSet,
    pub content: String,
    pub rows: u64,
    /// Parts of the repository that are not, or no longer, what the record says.
    pub altered: Vec<String>,
    /// Whether the rebuilt content is the recorded one, and the stored one too.
    pub equal: bool,
}

/// The folder of a set.
pub fn folder_of(name: &str) -> Result<RepoPath> {
    let bad = || Error::TrainingSetName { name: name.to_owned() };
    let known = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.is_empty() || name.len() > NAME_LEN_MAX || !name.chars().all(known) {
        return Err(bad());
    }
    RepoPath::new(format!("{TRAINING}/{name}")).map_err(|_| bad())
}

fn record_path(folder: &RepoPath) -> RepoPath {
    folder
        .join(SET_RECORD)
        .expect("a short name below a folder that leaves room for it")
}

/// Makes a training set and commits it to its branch as one commit. An error, or dropping the future before its end, leaves
/// the branch as it was; content that was written by then is garbage that nothing names.
#[instrument(level = "debug", skip_all, fields(branch = %create.branch, set = create.name))]
pub async fn create(engine: &Engine, create: Create, by: By, progress: &dyn Progress) -> Result<Created> {
    let folder = folder_of(&create.name)?;
    let session = engine.repo().session(&create.branch).await?;
    let existing = find(&session.base(), &create.name).await?;
    let registry = Registry::load(&create.at).await?;
    let (service, uses) = match &create.features {
        Features::Service(name) => (Some(name.clone()), registry.service(name)?.views.clone()),
        Features::Views(uses) => (None, uses.clone()),
    };
    let pinned = build::Pinned {
        spine: Spine {
            source: create.spine.clone(),
            commit: create.spine_at.commit(),
        },
        spine_at: create.spine_at.clone(),
        at: create.at.clone(),
        service,
        uses,
        options: create.options.clone(),
    };
    let prepared = build::prepare(engine, &registry, pinned).await?;
    if let Some(existing) = existing.as_ref().filter(|existing| existing.id == prepared.id()) {
        return Ok(Created {
            set: existing.clone(),
            commit: None,
            notices: Vec::new(),
        });
    }
    let inputs = prepared.inputs();
    let built = build::run(engine, prepared, progress).await?;
    if let Some(existing) = existing.filter(|_| !create.replace) {
        // The branch moves with each set that is made on it: the same request at a later commit may well give the same set.
        if !built.repeats(&existing) {
            return Err(Error::TrainingSetExists { name: create.name });
        }
        return Ok(Created {
            set: existing,
            commit: None,
            notices: built.notices,
        });
    }
    session.remove_within(&folder).await?;
    for (part, file) in built.parts.iter() {
        session
            .write_blob_file(&folder.join(&part.file).expect("a short name"), file.path())
            .await?;
    }
    let set = built.set(&create.name);
    session.write(&record_path(&folder), Bytes::from(set.to_json())).await?;
    let commit = session
        .commit(commit_info(&set, folder, inputs, by, create.message))
        .await?;
    Ok(Created {
        set,
        commit: Some(commit),
        notices: built.notices,
    })
}

fn commit_info(set: &TrainingSet, folder: RepoPath, inputs: Vec<Input>, by: By, message: Option<String>) -> CommitInfo {
    let parameters = [
        ("id".to_owned(), set.id.as_str().into()),
        ("content".to_owned(), set.content.as_str().into()),
        ("rows".to_owned(), set.rows.into()),
        (
            "options".to_owned(),
            serde_json::to_value(&set.options).expect("options have only string keys"),
        ),
    ];
    let message = message.unwrap_or_else(|| {
        format!(
            "Create training set {}: {} rows at {}",
            set.name,
            set.rows,
            set.commit.short()
        )
    });
    CommitInfo {
        by,
        verb: Verb::TrainCreate,
        message,
        inputs,
        outputs: vec![folder],
        parameters: parameters.into_iter().collect(),
    }
}

/// The training sets of a commit, by name.
#[instrument(level = "debug", skip_all, fields(commit = %snapshot.commit()))]
pub async fn list(snapshot: &Snapshot) -> Result<Vec<TrainingSet>> {
    let folder = RepoPath::new(TRAINING).expect("a plain name is a path");
    let mut entries = snapshot.list(Some(&folder), None);
    let mut sets = Vec::new();
    while let Some((path, _)) = entries.try_next().await? {
        let below = path.as_str()[TRAINING.len() + 1..].split_once('/');
        if let Some((name, SET_RECORD)) = below {
            sets.push(TrainingSet::parse(name, &snapshot.read(&path).await?)?);
        }
    }
    Ok(sets)
}

/// One training set of a commit.
#[instrument(level = "debug", skip_all, fields(commit = %snapshot.commit(), set = name))]
pub async fn show(snapshot: &Snapshot, name: &str) -> Result<TrainingSet> {
    if let Some(set) = find(snapshot, name).await? {
        return Ok(set);
    }
    let sets = list(snapshot).await?;
    Err(Error::NotFound {
        noun: "training set",
        name: name.to_owned(),
        at: format!("commit {}", snapshot.commit().short()),
        similar: did_you_mean(name, sets.iter().map(|set| set.name.as_str())).map(str::to_owned),
        list: Verb::TrainList,
    })
}

async fn find(snapshot: &Snapshot, name: &str) -> Result<Option<TrainingSet>> {
    let path = record_path(&folder_of(name)?);
    match snapshot.entry(&path).await? {
        Some(placed) => TrainingSet::parse(name, &snapshot.read_placed(&path, &placed).await?).map(Some),
        None => Ok(None),
    }
}

/// The sets of a commit that were made by one of these views.
pub(crate) async fn using(snapshot: &Snapshot, views: &BTreeSet<String>) -> Result<Vec<String>> {
    if views.is_empty() {
        return Ok(Vec::new());
    }
    let sets = list(snapshot).await?;
    let used = |set: &TrainingSet| set.views.iter().any(|view| views.contains(&view.used.view));
    Ok(sets.into_iter().filter(used).map(|set| set.name).collect())
}

/// Builds a set again from what it is pinned to, and compares. Writes nothing to the repository.
#[instrument(level = "debug", skip_all, fields(commit = %set.at.commit(), set = set.name))]
pub async fn rebuild(engine: &Engine, set: SetAt<'_>, progress: &dyn Progress) -> Result<Rebuilt> {
    let recorded = show(set.at, set.name).await?;
    let at = engine.repo().snapshot_at(recorded.commit).await?;
    let spine_at = engine.repo().snapshot_at(recorded.spine.commit).await?;
    let registry = Registry::load(&at).await?;
    let pinned = build::Pinned {
        spine: recorded.spine.clone(),
        spine_at,
        at,
        service: recorded.service.clone(),
        uses: recorded.views.iter().map(|view| view.used.clone()).collect(),
        options: recorded.options.clone(),
    };
    let prepared = build::prepare(engine, &registry, pinned).await?;
    if prepared.id() != recorded.id {
        let detail = "its record does not have the id of what it is pinned to".into();
        return Err(Error::TrainingSetDamaged {
            name: recorded.name,
            detail,
        });
    }
    let built = build::run(engine, prepared, progress).await?;
    let (content, rows) = (built.content(), built.rows);
    let altered = altered(set.at, &recorded).await?;
    Ok(Rebuilt {
        equal: content == recorded.content && rows == recorded.rows && altered.is_empty(),
        recorded,
        content,
        rows,
        altered,
    })
}

/// The parts of a set whose content in the tree is not what the record says. A file's id is the hash of its content, so none
/// is read.
async fn altered(snapshot: &Snapshot, set: &TrainingSet) -> Result<Vec<String>> {
    let folder = folder_of(&set.name)?;
    let mut altered = Vec::new();
    for part in &set.parts {
        let path = folder.join(&part.file).map_err(|_| Error::TrainingSetDamaged {
            name: set.name.clone(),
            detail: format!("its record names a part {:?}", part.file),
        })?;
        let stored = snapshot.entry(&path).await?.map(|placed| placed.entry.kind);
        let same = matches!(stored, Some(EntryKind::File(file)) if file.id.to_string() == part.hash);
        if !same {
            altered.push(path.to_string());
        }
    }
    Ok(altered)
}
