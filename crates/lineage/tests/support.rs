//! Hand-made histories: each step is a real commit of a real session, over a repository in memory.

use std::collections::BTreeMap;

use bytes::Bytes;
use drumlin_lineage::{Graph, Limits, Lineage};
use drumlin_model::{By, Code, CommitId, Input, Timestamp, Verb};
use drumlin_repo::{CommitInfo, Merged};
use drumlin_testkit::{TestRepo, author, name, path};

/// A repository, and the names that its steps were given.
pub struct Story {
    pub repo: TestRepo,
    pub steps: BTreeMap<&'static str, CommitId>,
    written: u64,
}

/// What a commit of Ann's says of itself.
pub fn by_ann(verb: Verb, message: &str) -> CommitInfo {
    CommitInfo::new(By::new("ann", Timestamp::default()), verb, message)
}

/// Something outside the repository.
pub fn outside(name: &str) -> Input {
    Input {
        name: name.into(),
        ..Input::default()
    }
}

impl Story {
    pub async fn new() -> Self {
        Self {
            repo: TestRepo::memory().await,
            steps: BTreeMap::new(),
            written: 0,
        }
    }

    /// A path as it was at a step.
    pub fn at(&self, path: &str, step: &str) -> Input {
        Input {
            name: path.into(),
            commit: Some(self.steps[step]),
            ..Input::default()
        }
    }

    /// A run on a branch, and what it read and wrote. The step is what the test calls its commit.
    pub async fn made(
        &mut self,
        branch: &str,
        step: &'static str,
        verb: Verb,
        inputs: Vec<Input>,
        outputs: &[&str],
    ) -> CommitId {
        let session = self.repo.session(branch).await;
        for output in outputs {
            self.written += 1;
            // Tables and training sets are folders; the rest are files.
            let is_folder = output.starts_with("tables/") || output.starts_with("training/");
            let file = if is_folder {
                format!("{output}/part")
            } else {
                output.to_string()
            };
            session
                .write(&path(&file), Bytes::from(self.written.to_string()))
                .await
                .unwrap();
        }
        let info = CommitInfo {
            inputs,
            outputs: outputs.iter().map(|output| path(output)).collect(),
            ..by_ann(verb, step)
        };
        let commit = session.commit(info).await.unwrap();
        self.steps.insert(step, commit);
        commit
    }

    pub async fn branch(&self, branch: &str, at: &str) {
        self.repo
            .repo
            .branch_create(&author(), &name(branch), self.steps[at])
            .await
            .unwrap();
    }

    pub async fn merge(&mut self, step: &'static str, into: &str, from: &str) -> CommitId {
        let from = self.repo.head(from).await.unwrap();
        let info = by_ann(Verb::Merge, step);
        let merged = self.repo.repo.merge(&name(into), from, info).await.unwrap();
        let Merged::Committed(commit) = merged else {
            panic!("{merged:?}")
        };
        self.steps.insert(step, commit);
        commit
    }

    pub async fn lineage(&self, branch: &str) -> Lineage {
        Lineage::at(&self.repo.repo, self.repo.head(branch).await.unwrap())
            .await
            .unwrap()
    }

    pub async fn origins(&self, path: &str) -> Graph {
        self.origins_at(path, "main").await
    }

    pub async fn origins_at(&self, asked: &str, branch: &str) -> Graph {
        let head = self.repo.head(branch).await.unwrap();
        self.lineage(branch)
            .await
            .origins(&path(asked), head, Limits::default())
            .unwrap()
    }

    pub async fn impact(&self, asked: &str) -> Graph {
        self.lineage("main")
            .await
            .impact(&path(asked), Limits::default())
            .unwrap()
    }

    /// Text with the names of steps in place of commits and without times, so that a test can be read.
    pub fn readable(&self, graph: &Graph) -> String {
        let mut text = graph.to_text();
        for (step, commit) in &self.steps {
            text = text.replace(&commit.short(), step);
        }
        let lines = text.lines().map(|line| match line.split_once(" by ann, ") {
            Some((start, rest)) => {
                let after = rest.split_once(['Z']).map_or("", |(_, after)| after);
                format!("{start}{after}")
            }
            None => line.to_owned(),
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// The demo's story: raw files to tables, features over them, and a training set over all.
    pub async fn flights() -> Story {
        let mut story = Story::new().await;
        let raw = ["raw/airlines.csv", "raw/flights.csv", "raw/weather.csv"];
        story.made("main", "raw", Verb::Commit, vec![], &raw).await;
        for (step, table) in [("flights", "tables/flights"), ("weather", "tables/weather")] {
            let inputs = vec![story.at(&format!("raw/{step}.csv"), "raw")];
            story.made("main", step, Verb::TableCreate, inputs, &[table]).await;
        }
        let inputs = vec![
            story.at("tables/flights", "weather"),
            story.at("tables/weather", "weather"),
        ];
        let outputs = ["features/carrier.yaml", "features/weather.yaml"];
        story.made("main", "apply", Verb::Apply, inputs, &outputs).await;
        let read = [
            "tables/flights",
            "tables/weather",
            "features/carrier.yaml",
            "features/weather.yaml",
        ];
        let inputs = read.iter().map(|path| story.at(path, "apply")).collect();
        let outputs = &["training/delays"];
        story.made("main", "train", Verb::TrainCreate, inputs, outputs).await;
        story
    }
}

/// The state of some code.
pub fn code(dirty: bool) -> Code {
    Code {
        git_commit: "0123456789abcdef0123456789abcdef01234567".into(),
        dirty,
    }
}
