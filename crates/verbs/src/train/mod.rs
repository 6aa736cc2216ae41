//! `train ...`: training sets made, looked at, built again and compared.

mod create;
mod diff;
mod look;
mod rebuild;
mod view;

pub use create::{TrainCreateAnswer, TrainCreateRequest};
pub use diff::{TrainColumnDiff, TrainDefinitionDiff, TrainDiffAnswer, TrainDiffRequest};
pub use look::{TrainListRequest, TrainShowRequest};
pub use rebuild::{TrainRebuildAnswer, TrainRebuildRequest};
pub use view::{
    KnownAtView, TrainingColumn, TrainingCounts, TrainingOptions, TrainingPart, TrainingSetView, TrainingSpine,
    TrainingView, TrainingViewCounts,
};
