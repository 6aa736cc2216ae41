//! The published shapes of answers: a JSON Schema for each verb, generated from the answer's type.
//! `docs/reference/schemas` holds them as files; a test fails when a type and its file differ.

use drumlin_model::Verb;
use schemars::{JsonSchema, r#gen::SchemaSettings, schema::RootSchema};

use crate::{
    AddAnswer, ApplyAnswer, BranchRow, CheckoutAnswer, CloneAnswer, CommitAnswer, CommitView, ConfigChangeAnswer,
    DiffAnswer, ErrorAnswer, FeatureHit, FeatureRow, FeatureShowAnswer, FsckAnswer, InitAnswer, LineageAnswer,
    MaterializedRow, MergeAnswer, OnlinePushAnswer, OnlineRow, OnlineViewRow, OperationView, RefAnswer, ResetAnswer,
    RestoreAnswer, SettingView, ShowAnswer, StatusAnswer, TableDeleteAnswer, TableHistoryRow, TableRow,
    TableShowAnswer, TableWriteAnswer, TagRow, TrainCreateAnswer, TrainDiffAnswer, TrainRebuildAnswer, TrainingSetView,
    VerifyAnswer,
};

/// The schema of what `verb` answers; none for a verb that answers with rows of data.
pub fn answer_schema(verb: Verb) -> Option<RootSchema> {
    let schema = match verb {
        Verb::Init => of::<InitAnswer>(),
        Verb::Clone => of::<CloneAnswer>(),
        Verb::Status => of::<StatusAnswer>(),
        Verb::Add => of::<AddAnswer>(),
        Verb::Restore => of::<RestoreAnswer>(),
        Verb::Commit => of::<CommitAnswer>(),
        Verb::Log => of::<Vec<CommitView>>(),
        Verb::Show => of::<ShowAnswer>(),
        Verb::Diff => of::<DiffAnswer>(),
        Verb::BranchList => of::<Vec<BranchRow>>(),
        Verb::TagList => of::<Vec<TagRow>>(),
        Verb::BranchCreate | Verb::BranchRename | Verb::BranchDelete | Verb::TagCreate | Verb::TagDelete => {
            of::<RefAnswer>()
        }
        Verb::Checkout => of::<CheckoutAnswer>(),
        Verb::Merge | Verb::Revert | Verb::CherryPick => of::<MergeAnswer>(),
        Verb::Reset => of::<ResetAnswer>(),
        Verb::Undo => of::<OperationView>(),
        Verb::OpLog => of::<Vec<OperationView>>(),
        Verb::Lineage => of::<LineageAnswer>(),
        Verb::Fsck => of::<FsckAnswer>(),
        Verb::ConfigList => of::<Vec<SettingView>>(),
        Verb::ConfigGet => of::<SettingView>(),
        Verb::ConfigSet | Verb::ConfigUnset => of::<ConfigChangeAnswer>(),
        Verb::TableCreate | Verb::TableAppend | Verb::TableOverwrite | Verb::TableUpsert => of::<TableWriteAnswer>(),
        Verb::TableDelete => of::<TableDeleteAnswer>(),
        Verb::TableList => of::<Vec<TableRow>>(),
        Verb::TableShow => of::<TableShowAnswer>(),
        Verb::TableHistory => of::<Vec<TableHistoryRow>>(),
        Verb::Apply => of::<ApplyAnswer>(),
        Verb::FeatureList => of::<Vec<FeatureRow>>(),
        Verb::FeatureShow => of::<FeatureShowAnswer>(),
        Verb::FeatureSearch => of::<Vec<FeatureHit>>(),
        Verb::TrainCreate => of::<TrainCreateAnswer>(),
        Verb::TrainList => of::<Vec<TrainingSetView>>(),
        Verb::TrainShow => of::<TrainingSetView>(),
        Verb::TrainRebuild => of::<TrainRebuildAnswer>(),
        Verb::TrainDiff => of::<TrainDiffAnswer>(),
        Verb::OnlineMaterialize => of::<Vec<MaterializedRow>>(),
        Verb::OnlineGet => of::<Vec<OnlineRow>>(),
        Verb::OnlinePush => of::<OnlinePushAnswer>(),
        Verb::OnlineList => of::<Vec<OnlineViewRow>>(),
        Verb::Verify => of::<VerifyAnswer>(),
        Verb::Sql => return None,
    };
    Some(schema)
}

/// The schema of an error, which is the same for every verb.
pub fn error_schema() -> RootSchema {
    of::<ErrorAnswer>()
}

fn of<T: JsonSchema>() -> RootSchema {
    SchemaSettings::draft2019_09()
        .into_generator()
        .into_root_schema_for::<T>()
}
