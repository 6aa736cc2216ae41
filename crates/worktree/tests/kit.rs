//! What the tests of the working copy share: a folder with a repository in it, and plain pictures of disks and trees.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    sync::Arc,
};

use drumlin_chunks::{NoProgress, Place, Storage};
use drumlin_model::{CommitId, EntryKind, RepoPath};
use drumlin_repo::{Snapshot, SystemClock};
use drumlin_testkit::{author, info, name};
use drumlin_worktree::{AddSummary, ChangeKind, CheckoutSummary, Result, WorkingCopy};
use futures::TryStreamExt;
use tempfile::TempDir;

/// What stands at a path; a folder is listed only if it is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    File(Vec<u8>, bool),
    Link(String),
    Folder,
}

pub type Picture = BTreeMap<String, Node>;

pub struct Kit {
    pub folder: TempDir,
    pub copy: WorkingCopy,
}

pub fn clock() -> Arc<SystemClock> {
    Arc::new(SystemClock)
}

/// Opens what this program can open.
pub fn open(place: &Place) -> drumlin_chunks::Result<Storage> {
    Storage::open(place)
}

impl Kit {
    pub async fn new() -> Kit {
        let folder = TempDir::new().unwrap();
        let copy = WorkingCopy::init(folder.path(), clock(), &open).await.unwrap();
        Kit { folder, copy }
    }

    /// With these files committed.
    pub async fn with(files: &[(&str, &str)]) -> Kit {
        let kit = Kit::new().await;
        files.iter().for_each(|(path, content)| kit.write(path, content));
        kit.add_all().await;
        kit.commit("first").await;
        kit
    }

    /// The folder of the repository's packs.
    pub fn packs(&self) -> PathBuf {
        self.copy.layout().repository.folder().unwrap().join("packs")
    }

    pub fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.at(path)).unwrap()
    }

    pub fn remove(&self, path: &str) {
        fs::remove_file(self.at(path)).unwrap();
    }

    pub fn link(&self, path: &str, target: &str) {
        fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        symlink(target, self.at(path)).unwrap();
    }

    pub fn set_executable(&self, path: &str, executable: bool) {
        let mode = if executable { 0o755 } else { 0o644 };
        fs::set_permissions(self.at(path), fs::Permissions::from_mode(mode)).unwrap();
    }

    pub fn exists(&self, path: &str) -> bool {
        self.at(path).symlink_metadata().is_ok()
    }

    pub async fn add(&self, paths: &[&str]) -> Result<AddSummary> {
        let paths: Vec<PathBuf> = paths.iter().map(PathBuf::from).collect();
        self.copy.add(&paths, &NoProgress).await
    }

    pub async fn add_all(&self) -> AddSummary {
        self.add(&["."]).await.unwrap()
    }

    pub async fn commit(&self, message: &str) -> CommitId {
        self.copy.commit(info(message)).await.unwrap()
    }

    pub async fn checkout(&self, to: &str) -> Result<CheckoutSummary> {
        self.copy.checkout(&to.parse().unwrap(), false, &NoProgress).await
    }

    pub async fn force(&self, to: &str) -> CheckoutSummary {
        self.copy
            .checkout(&to.parse().unwrap(), true, &NoProgress)
            .await
            .unwrap()
    }

    pub async fn branch(&self, to: &str) -> CheckoutSummary {
        self.copy
            .checkout_new(&author(), &name(to), None, false, &NoProgress)
            .await
            .unwrap()
    }

    pub async fn restore(&self, path: &str, source: Option<&str>, staged: bool) {
        let source = source.map(|source| source.parse().unwrap());
        self.copy
            .restore(&[path.into()], source.as_ref(), staged, &NoProgress)
            .await
            .unwrap();
    }

    /// Staged, unstaged and untracked, as short lines.
    pub async fn status(&self) -> (Vec<String>, Vec<String>, Vec<String>) {
        let status = self.copy.status().await.unwrap();
        let lines = |list: &[(RepoPath, ChangeKind)]| list.iter().map(|(path, kind)| line(path, *kind)).collect();
        let untracked = status.untracked.iter().map(RepoPath::to_string).collect();
        (lines(&status.staged), lines(&status.unstaged), untracked)
    }

    pub async fn is_clean(&self) -> bool {
        self.copy.status().await.unwrap().is_clean()
    }

    pub fn disk(&self) -> Picture {
        picture(self.folder.path())
    }

    pub async fn tree(&self, of: &str) -> Picture {
        committed(&self.copy.repo().snapshot(&of.parse().unwrap()).await.unwrap()).await
    }
}

fn line(path: &RepoPath, kind: ChangeKind) -> String {
    let letter = match kind {
        ChangeKind::Added => "A",
        ChangeKind::Modified => "M",
        ChangeKind::Deleted => "D",
    };
    format!("{letter} {path}")
}

/// Everything in a folder but `.drumlin`.
pub fn picture(folder: &Path) -> Picture {
    let mut nodes = Picture::new();
    draw(folder, "", &mut nodes);
    nodes
}

fn draw(folder: &Path, prefix: &str, nodes: &mut Picture) {
    let mut is_empty = true;
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if name == ".drumlin" {
            continue;
        }
        is_empty = false;
        let path = if prefix.is_empty() {
            name
        } else {
            format!("{prefix}/{name}")
        };
        let metadata = entry.metadata().unwrap();
        if metadata.is_dir() {
            draw(&entry.path(), &path, nodes);
        } else if metadata.is_symlink() {
            let target = fs::read_link(entry.path())
                .unwrap()
                .into_os_string()
                .into_string()
                .unwrap();
            nodes.insert(path, Node::Link(target));
        } else if metadata.is_file() {
            let executable = metadata.permissions().mode() & 0o100 != 0;
            nodes.insert(path, Node::File(fs::read(entry.path()).unwrap(), executable));
        }
    }
    if is_empty && !prefix.is_empty() {
        nodes.insert(prefix.to_owned(), Node::Folder);
    }
}

pub async fn committed(snapshot: &Snapshot) -> Picture {
    let entries: Vec<_> = snapshot.list(None, None).try_collect().await.unwrap();
    let mut nodes = Picture::new();
    for (path, placed) in entries {
        let node = match &placed.entry.kind {
            EntryKind::File(file) => Node::File(snapshot.read(&path).await.unwrap().to_vec(), file.executable),
            EntryKind::Symlink { target } => Node::Link(target.clone()),
            EntryKind::Folder => Node::Folder,
            EntryKind::External(_) => panic!("nothing external here"),
        };
        nodes.insert(path.to_string(), node);
    }
    nodes
}
