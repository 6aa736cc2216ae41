//! The bytes of stored formats, written out: a change of one of these is a change of what is on people's disks.

use std::collections::BTreeMap;

use drumlin_model::{
    Code, Commit, CommitId, Input, Operation, OperationId, OperationPage, Provenance, RefChange, RefKind, RefName,
    RefTarget, Refs, RepoPath, Root, Timestamp, TreeId,
};

fn target(text: &[u8]) -> RefTarget {
    RefTarget {
        commit: CommitId::of(text),
        tree: TreeId::of(text),
    }
}

fn path(text: &str) -> RepoPath {
    RepoPath::new(text).expect("a path")
}

fn commit() -> Commit {
    let provenance = Provenance {
        operation: "apply".into(),
        actor: "ann".into(),
        started: Timestamp::from_micros(1),
        finished: Timestamp::from_micros(1_704_067_200_000_001),
        inputs: vec![Input {
            name: "tables/t".into(),
            commit: Some(CommitId::of(b"read")),
            version: Some("3".into()),
            into: vec![path("features/a.yaml")],
        }],
        outputs: vec![path("features/a.yaml"), path("features/b.yaml")],
        parameters: BTreeMap::from([("rows".into(), 2.into())]),
        code: Some(Code {
            git_commit: "0123".into(),
            dirty: true,
        }),
    };
    Commit {
        tree: TreeId::of(b"tree"),
        parents: vec![CommitId::of(b"parent")],
        message: "what was done".into(),
        provenance,
    }
}

fn operation() -> Operation {
    let change = RefChange {
        kind: RefKind::Branch,
        name: RefName::new("main").expect("a name"),
        before: None,
        after: Some(target(b"after")),
    };
    Operation {
        id: OperationId::of(b"operation"),
        time: Timestamp::from_micros(2),
        actor: "ann".into(),
        verb: "commit".into(),
        summary: "what was done".into(),
        changes: vec![change],
    }
}

/// The bytes are those of the file, and are read back as what they were made of.
fn golden(name: &str, bytes: &[u8]) {
    let file = format!("{}/tests/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    let stored = std::fs::read(&file).unwrap_or_default();
    assert_eq!(
        String::from_utf8_lossy(bytes),
        String::from_utf8_lossy(&stored),
        "{name} is not what is stored"
    );
}

#[test]
fn a_commit() {
    let bytes = commit().to_bytes();
    golden("commit", &bytes);
    assert_eq!(
        Commit::from_bytes(CommitId::of(&bytes), &bytes).expect("it is read"),
        commit()
    );
}

#[test]
fn the_root() {
    let root = Root {
        refs: Refs {
            branches: BTreeMap::from([(RefName::new("main").expect("a name"), target(b"after"))]),
            tags: BTreeMap::from([(RefName::new("v1").expect("a name"), target(b"before"))]),
        },
        operations: vec![operation()],
        older_operations: Some(OperationId::of(b"older")),
    };
    golden("root", &root.to_bytes());
    assert_eq!(Root::from_bytes(&root.to_bytes()).expect("it is read"), root);
}

#[test]
fn a_page_of_operations() {
    let page = OperationPage {
        operations: vec![operation()],
        older: Some(OperationId::of(b"older")),
    };
    golden("operations", &page.to_bytes());
    let read = OperationPage::from_bytes(OperationId::of(b"operation"), &page.to_bytes());
    assert_eq!(read.expect("it is read"), page);
}
