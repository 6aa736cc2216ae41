//! The registry: all definitions of one commit, read from `features/**/*.yaml` of its tree.
//! Pure once loaded; `source` holds it against the tables, `apply` changes it.
//! Invariant: a name means one definition of its kind, and each knows its file and line.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use drumlin_model::{
    EntryKind, RepoPath, Verb,
    names::{FEATURES, did_you_mean},
};
use drumlin_repo::Snapshot;
use futures::TryStreamExt;
use tracing::instrument;

use crate::{
    definition::{
        Definition, Entity, FeatureService, FeatureView, Kind, Spot,
        check::{self, Fault},
        parse::{Placed, Problem, parse_file},
    },
    error::{Error, Result},
};

/// The endings of a definition file.
const ENDINGS: [&str; 2] = [".yaml", ".yml"];

/// The definition files of a tree, by path.
pub type Files = BTreeMap<RepoPath, Bytes>;

/// All definitions of a set of files.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    definitions: BTreeMap<(Kind, String), Placed>,
    entities: BTreeMap<String, Entity>,
}

/// One hit of a search: where the words were found, best first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub kind: Kind,
    pub name: String,
    /// The feature within the view, when it is one.
    pub feature: Option<String>,
    pub description: Option<String>,
    pub file: RepoPath,
}

/// The folder of the tree that holds the definitions.
pub fn folder() -> RepoPath {
    RepoPath::new(FEATURES).expect("a plain name is a path")
}

/// Whether a path of the tree holds definitions.
pub fn is_definition_file(path: &RepoPath) -> bool {
    path.is_within(&folder()) && ENDINGS.iter().any(|ending| path.as_str().ends_with(ending))
}

/// The definition files of a snapshot.
pub async fn files_of(snapshot: &Snapshot) -> Result<Files> {
    let mut listed = snapshot.list(Some(&folder()), None);
    let mut paths = Vec::new();
    while let Some((path, placed)) = listed.try_next().await? {
        if is_definition_file(&path) && matches!(placed.entry.kind, EntryKind::File(_)) {
            paths.push(path);
        }
    }
    let mut files = Files::new();
    for path in paths {
        let bytes = snapshot.read(&path).await?;
        files.insert(path, bytes);
    }
    Ok(files)
}

impl Registry {
    /// The definitions of a commit, or all that is wrong with them.
    #[instrument(level = "debug", skip_all, fields(commit = %snapshot.commit()))]
    pub async fn load(snapshot: &Snapshot) -> Result<Registry> {
        Registry::from_files(&files_of(snapshot).await?)
    }

    /// Reads all files, or says all that is wrong with them.
    pub fn from_files(files: &Files) -> Result<Registry> {
        let mut registry = Registry::default();
        let mut problems = Vec::new();
        for (file, bytes) in files {
            let Ok(text) = std::str::from_utf8(bytes) else {
                let spot = Spot { line: 1, column: 1 };
                let message = "the file is not UTF-8 text".to_owned();
                problems.push(Problem {
                    file: file.clone(),
                    spot,
                    message,
                    cure: "save it as UTF-8".into(),
                });
                continue;
            };
            let (placed, found) = parse_file(file, text);
            problems.extend(found);
            for definition in placed {
                problems.extend(registry.insert(definition));
            }
        }
        if problems.is_empty() {
            Ok(registry)
        } else {
            Err(Error::Definitions { problems })
        }
    }

    fn insert(&mut self, placed: Placed) -> Option<Problem> {
        let key = (placed.definition.kind(), placed.definition.name().to_owned());
        if let Some(first) = self.definitions.get(&key) {
            return Some(Problem {
                file: placed.place.file,
                spot: placed.place.at,
                message: format!(
                    "{} {:?} is already defined in {}:{}",
                    key.0, key.1, first.place.file, first.place.at.line
                ),
                cure: "rename one of the two".into(),
            });
        }
        if let Definition::Entity(entity) = &placed.definition {
            self.entities.insert(entity.name.clone(), entity.clone());
        }
        self.definitions.insert(key, placed);
        None
    }

    /// All definitions, entities first, then views, then services, by name.
    pub fn definitions(&self) -> impl Iterator<Item = &Placed> {
        self.definitions.values()
    }
    pub fn entities(&self) -> &BTreeMap<String, Entity> {
        &self.entities
    }
    pub fn views(&self) -> impl Iterator<Item = &FeatureView> {
        self.definitions().filter_map(|placed| match &placed.definition {
            Definition::FeatureView(view) => Some(view),
            _ => None,
        })
    }
    pub fn services(&self) -> impl Iterator<Item = &FeatureService> {
        self.definitions().filter_map(|placed| match &placed.definition {
            Definition::FeatureService(service) => Some(service),
            _ => None,
        })
    }
    pub fn get(&self, kind: Kind, name: &str) -> Option<&Placed> {
        self.definitions.get(&(kind, name.to_owned()))
    }

    pub fn view(&self, name: &str) -> Result<&FeatureView> {
        match self.get(Kind::FeatureView, name).map(|placed| &placed.definition) {
            Some(Definition::FeatureView(view)) => Ok(view),
            _ => Err(self.missing(Kind::FeatureView, name)),
        }
    }

    pub fn service(&self, name: &str) -> Result<&FeatureService> {
        match self.get(Kind::FeatureService, name).map(|placed| &placed.definition) {
            Some(Definition::FeatureService(service)) => Ok(service),
            _ => Err(self.missing(Kind::FeatureService, name)),
        }
    }

    /// What `name` means: a view, a service or an entity, in this order.
    pub fn find(&self, name: &str) -> Result<&Placed> {
        [Kind::FeatureView, Kind::FeatureService, Kind::Entity]
            .into_iter()
            .find_map(|kind| self.get(kind, name))
            .ok_or_else(|| self.missing(Kind::FeatureView, name))
    }

    fn missing(&self, kind: Kind, name: &str) -> Error {
        let names = self
            .definitions
            .keys()
            .filter(|(known, _)| *known == kind)
            .map(|(_, name)| name.as_str());
        Error::NotFound {
            noun: kind.noun(),
            name: name.to_owned(),
            at: "this commit".into(),
            similar: did_you_mean(name, names).map(str::to_owned),
            list: Verb::FeatureList,
        }
    }

    /// The files that define a service (if one is named), views, and the entities of these.
    pub fn files_behind<'a>(
        &self,
        service: Option<&str>,
        views: impl IntoIterator<Item = &'a str>,
    ) -> BTreeSet<RepoPath> {
        let mut placed: Vec<_> = service
            .and_then(|name| self.get(Kind::FeatureService, name))
            .into_iter()
            .collect();
        for view in views {
            let Some(found) = self.get(Kind::FeatureView, view) else {
                continue;
            };
            placed.push(found);
            if let Definition::FeatureView(view) = &found.definition {
                placed.extend(view.entities.iter().filter_map(|name| self.get(Kind::Entity, name)));
            }
        }
        placed.into_iter().map(|placed| placed.place.file.clone()).collect()
    }

    /// The hash of what a view and its entities mean, without a look at any table.
    pub fn view_hash(&self, name: &str) -> Result<String> {
        let view = self.view(name)?;
        let entities = check::entities(view, &self.entities).map_err(|faults| Error::Definitions {
            problems: self.problems(Kind::FeatureView, name, faults),
        })?;
        Ok(check::view_hash(view, &entities))
    }

    /// Faults of one definition with its file and the lines of their fields.
    pub fn problems(&self, kind: Kind, name: &str, faults: Vec<Fault>) -> Vec<Problem> {
        let Some(placed) = self.get(kind, name) else {
            return Vec::new();
        };
        let place = &placed.place;
        let problem = |Fault { field, message, cure }| Problem {
            file: place.file.clone(),
            spot: place.of(&field),
            message,
            cure,
        };
        faults.into_iter().map(problem).collect()
    }

    /// Definitions and features that have every word of `words` in their name, description, owner or tags.
    pub fn search(&self, words: &str) -> Vec<Found> {
        let words: Vec<String> = words.split_whitespace().map(str::to_lowercase).collect();
        let mut found: Vec<(usize, Found)> = Vec::new();
        for placed in self.definitions() {
            let definition = &placed.definition;
            let about = definition.about();
            let hit = |name: &str, feature: Option<&str>, description: Option<&str>| {
                let tags = about
                    .tags
                    .iter()
                    .flat_map(|(key, value)| [key.as_str(), value.as_str()]);
                let text = [Some(name), feature, description, about.owner.as_deref()]
                    .into_iter()
                    .flatten()
                    .chain(tags);
                let text = text.collect::<Vec<_>>().join("\n").to_lowercase();
                words.iter().all(|word| text.contains(word)).then(|| Found {
                    kind: definition.kind(),
                    name: name.to_owned(),
                    feature: feature.map(str::to_owned),
                    description: description.map(str::to_owned),
                    file: placed.place.file.clone(),
                })
            };
            let own = hit(definition.name(), None, about.description.as_deref());
            found.extend(own.map(|hit| (rank(definition.name(), &words), hit)));
            if let Definition::FeatureView(view) = definition {
                for feature in &view.features {
                    let hit = hit(&view.name, Some(&feature.name), feature.description.as_deref());
                    found.extend(hit.map(|hit| (rank(&feature.name, &words) + 1, hit)));
                }
            }
        }
        found.sort_by_key(|(rank, _)| *rank);
        found.into_iter().map(|(_, found)| found).collect()
    }
}

/// Names that hold more of the words come first.
fn rank(name: &str, words: &[String]) -> usize {
    let name = name.to_lowercase();
    2 * words.iter().filter(|word| !name.contains(word.as_str())).count()
}
