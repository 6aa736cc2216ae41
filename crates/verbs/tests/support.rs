//! `Place`: a folder with a repository, and a desk in it.

use std::{fs, path::Path, sync::Arc};

use drumlin_repo::SystemClock;
use drumlin_verbs::{AddRequest, CommitAnswer, CommitRequest, Desk, DeskOptions, InitRequest};
use tempfile::TempDir;

pub struct Place {
    pub desk: Desk,
    pub folder: TempDir,
}

pub fn options() -> DeskOptions {
    DeskOptions::new("tester", Arc::new(SystemClock))
}

impl Place {
    pub async fn new() -> Place {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let request = InitRequest { folder: ".".into() };
        let (desk, _) = Desk::init(folder.path(), options(), request)
            .await
            .expect("a new repository");
        Place { desk, folder }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn write(&self, name: &str, text: &str) {
        let file = self.path().join(name);
        fs::create_dir_all(file.parent().expect("a file has a folder")).expect("folders can be made");
        fs::write(file, text).expect("a file can be written");
    }

    /// Adds everything and commits it.
    pub async fn commit(&self, message: &str) -> CommitAnswer {
        let paths = vec![self.path().to_owned()];
        self.desk.add(AddRequest { paths }).await.expect("files can be added");
        let message = message.to_owned();
        self.desk
            .commit(CommitRequest { message })
            .await
            .expect("there is something to commit")
    }
}
