//! Names that stand once: the folders and files that have a meaning in a tree, and the verbs; and which name was meant.
//! A surface shows a verb by `Verb::as_str`; provenance and operations record it as that text.

use std::fmt;

use crate::path::RepoPath;

/// How alike two names must be for one to be offered in place of the other (0 to 1).
const LIKENESS_MIN: f64 = 0.7;

/// The folder of the tables, at the top of a tree.
pub const TABLES: &str = "tables";
/// The folder of the training sets, at the top of a tree.
pub const TRAINING: &str = "training";
/// The folder of the feature definitions, at the top of a tree.
pub const FEATURES: &str = "features";
/// The folder of a table's log, inside the table.
pub const DELTA_LOG: &str = "_delta_log";
/// The file that records what a training set is, inside the set.
pub const SET_RECORD: &str = "set.json";

/// What people call the table at `path`: `flights` for `tables/flights`, and the whole path elsewhere.
pub fn table_name(path: &RepoPath) -> &str {
    let name = path
        .as_str()
        .strip_prefix(TABLES)
        .and_then(|rest| rest.strip_prefix('/'));
    name.filter(|name| !name.contains('/')).unwrap_or(path.as_str())
}

macro_rules! verbs {
    ($($variant:ident = $text:literal),* $(,)?) => {
        /// Everything that a person can ask for. The same words name it on every surface.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Verb { $($variant),* }

        impl Verb {
            pub const ALL: &[Verb] = &[$(Verb::$variant),*];

            /// The words of the verb, as typed at the command line.
            pub const fn as_str(self) -> &'static str {
                match self { $(Verb::$variant => $text),* }
            }
        }
    };
}

verbs! {
    Init = "init",
    Clone = "clone",
    Status = "status",
    Add = "add",
    Restore = "restore",
    Commit = "commit",
    Log = "log",
    Show = "show",
    Diff = "diff",
    BranchList = "branch list",
    BranchCreate = "branch create",
    BranchRename = "branch rename",
    BranchDelete = "branch delete",
    TagList = "tag list",
    TagCreate = "tag create",
    TagDelete = "tag delete",
    Checkout = "checkout",
    Merge = "merge",
    Revert = "revert",
    CherryPick = "cherry-pick",
    Reset = "reset",
    Undo = "undo",
    OpLog = "op log",
    TableCreate = "table create",
    TableAppend = "table append",
    TableOverwrite = "table overwrite",
    TableUpsert = "table upsert",
    TableDelete = "table delete",
    TableList = "table list",
    TableShow = "table show",
    TableHistory = "table history",
    Sql = "sql",
    Apply = "apply",
    FeatureList = "feature list",
    FeatureShow = "feature show",
    FeatureSearch = "feature search",
    TrainCreate = "train create",
    TrainList = "train list",
    TrainShow = "train show",
    TrainRebuild = "train rebuild",
    TrainDiff = "train diff",
    OnlineMaterialize = "online materialize",
    OnlineGet = "online get",
    OnlinePush = "online push",
    OnlineList = "online list",
    Verify = "verify",
    Lineage = "lineage",
    Fsck = "fsck",
    ConfigList = "config list",
    ConfigGet = "config get",
    ConfigSet = "config set",
    ConfigUnset = "config unset",
}

impl Verb {
    /// The verb of those words; none for words of a program that knows other verbs.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|verb| verb.as_str() == text)
    }

    /// The verb as one identifier: what a library method or an HTTP operation is called.
    pub fn identifier(self) -> String {
        self.as_str().replace([' ', '-'], "_")
    }

    /// Whether what the verb writes is made from the version before it.
    pub const fn changes_in_place(self) -> bool {
        matches!(self, Verb::TableAppend | Verb::TableUpsert | Verb::TableDelete)
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl serde::Serialize for Verb {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// The name among `known` that `text` most likely meant; none when no name is close.
pub fn did_you_mean<'a>(text: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = text.to_lowercase();
    known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(&lower, &name.to_lowercase()), name))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}
