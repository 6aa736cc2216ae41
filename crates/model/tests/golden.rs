//! The bytes of stored formats, written out: a change of one of these is a change of what is on people's disks.

use std::collections::BTreeMap;

use drumlin_model::{
    Changes, Code, Commit, CommitId, ErrorKind, FormatError, Input, Nonce, Operation, OperationId, OperationPage,
    Provenance, ProvenanceId, Ref, RefChange, RefKind, RefName, RefTarget, Refs, Remote, RepoPath, RepositoryId,
    Requires, Rest, Root, Settings, Timestamp, TreeId,
};

fn target(text: &[u8]) -> Ref {
    RefTarget {
        commit: CommitId::of(text),
        tree: TreeId::of(text),
    }
    .into()
}

fn name(text: &str) -> RefName {
    RefName::new(text).expect("a name")
}

/// What a later program may have noted.
fn noted() -> Rest {
    Rest::from([("later".into(), serde_json::json!({ "a": [1, null] }))])
}

fn path(text: &str) -> RepoPath {
    RepoPath::new(text).expect("a path")
}

fn commit() -> Commit {
    Commit {
        tree: TreeId::of(b"tree"),
        parents: vec![CommitId::of(b"parent"), CommitId::of(b"merged")],
        generation: 7,
        time: Timestamp::from_micros(1_704_067_200_000_001),
        provenance: ProvenanceId::of(b"provenance"),
    }
}

fn provenance() -> Provenance {
    Provenance {
        message: "what was done".into(),
        verb: "apply".into(),
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
        nonce: Nonce::from_bytes(*b"0123456789abcdef"),
    }
}

fn operation() -> Operation {
    let mut elsewhere = RefChange::new(RefKind::Tag, &name("v1"), Some(target(b"after")), None);
    elsewhere.remote = Some(name("store"));
    elsewhere.rest = noted();
    Operation {
        id: OperationId::of(b"operation"),
        time: Timestamp::from_micros(2),
        actor: "ann".into(),
        verb: "commit".into(),
        summary: "what was done".into(),
        changes: vec![
            RefChange::new(RefKind::Branch, &name("main"), None, Some(target(b"after"))),
            elsewhere,
        ],
        changes_in: None,
        rest: noted(),
    }
}

fn changes() -> Changes {
    Changes {
        changes: operation().changes,
        rest: noted(),
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

fn root() -> Root {
    let refs = || BTreeMap::from([(name("main"), target(b"after"))]);
    let noted_ref = Ref {
        generation: Some(7),
        rest: noted(),
        ..target(b"before")
    };
    let remote = Remote {
        branches: refs(),
        tags: BTreeMap::new(),
        rest: noted(),
    };
    let large = Operation {
        id: OperationId::of(b"large"),
        changes: Vec::new(),
        changes_in: Some(changes().encode().0),
        ..operation()
    };
    Root {
        id: RepositoryId::of(b"repository"),
        created: Timestamp::from_micros(1),
        requires: Requires {
            rest: noted(),
            ..Requires::default()
        },
        settings: Settings {
            rest: noted(),
            ..Settings::new(name("main"))
        },
        refs: Refs {
            branches: refs(),
            tags: BTreeMap::from([(name("v1"), noted_ref)]),
            remotes: BTreeMap::from([(name("store"), remote)]),
            rest: noted(),
        },
        operations: vec![operation(), large],
        older_operations: Some(OperationId::of(b"older")),
        rest: noted(),
    }
}

#[test]
fn a_provenance() {
    let bytes = provenance().to_bytes();
    golden("provenance", &bytes);
    let read = Provenance::from_bytes(ProvenanceId::of(&bytes), &bytes);
    assert_eq!(read.expect("it is read"), provenance());
}

#[test]
fn the_root() {
    golden("root", &root().to_bytes());
    assert_eq!(Root::from_bytes(&root().to_bytes()).expect("it is read"), root());
}

#[test]
fn a_root_that_nobody_has_added_to() {
    let root = Root {
        requires: Requires::default(),
        settings: Settings::new(name("main")),
        refs: Refs {
            branches: BTreeMap::from([(name("main"), target(b"after"))]),
            ..Refs::default()
        },
        operations: Vec::new(),
        older_operations: None,
        rest: Rest::new(),
        ..root()
    };
    golden("root_plain", &root.to_bytes());
    assert_eq!(Root::from_bytes(&root.to_bytes()).expect("it is read"), root);
}

#[test]
fn a_page_of_operations() {
    let page = OperationPage {
        operations: vec![operation()],
        older: Some(OperationId::of(b"older")),
        rest: noted(),
    };
    golden("operations", &page.to_bytes());
    let read = OperationPage::from_bytes(OperationId::of(b"operation"), &page.to_bytes());
    assert_eq!(read.expect("it is read"), page);
}

#[test]
fn the_changes_of_a_large_operation() {
    let (id, bytes) = changes().encode();
    golden("changes", &bytes);
    assert_eq!(Changes::from_bytes(id, &bytes).expect("it is read"), changes());
    let other = Changes::from_bytes(drumlin_model::ChangesId::of(b"other"), &bytes);
    assert_eq!(other.expect_err("it is another").kind(), ErrorKind::Corrupt);
}

/// A root with one value replaced, as bytes.
fn root_with(pointer: &str, value: serde_json::Value) -> Vec<u8> {
    let mut json = serde_json::to_value(root()).expect("it is JSON");
    *json.pointer_mut(pointer).expect("the field is there") = value;
    let json = serde_json::to_vec(&json).expect("it is JSON");
    let mut bytes = format!("drumlin root 1 {}\n", blake3::hash(&json)).into_bytes();
    bytes.extend_from_slice(&json);
    bytes
}

#[test]
fn what_a_program_has_to_know_is_asked_for_by_name() {
    let read = |pointer, value| Root::from_bytes(&root_with(pointer, value));
    let refused = |error: FormatError| {
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        error.to_string()
    };
    let ends =
        |action, what| format!("the repository cannot be {action} by this program, which does not know the {what}");
    let error = read("/requires/read", serde_json::json!(["sealed"])).expect_err("it is refused");
    assert_eq!(refused(error), ends("read", "feature \"sealed\""));
    let error = read("/settings/hash", "sha256".into()).expect_err("it is refused");
    assert_eq!(refused(error), ends("read", "hash \"sha256\""));
    for (pointer, value, what) in [
        ("/requires/write", serde_json::json!(["sweep"]), "feature \"sweep\""),
        ("/settings/cutter", "rabin".into(), "cutter \"rabin\""),
        ("/settings/tree_cutter", "none".into(), "tree cutter \"none\""),
    ] {
        let root = read(pointer, value).expect("it may be read");
        assert_eq!(
            refused(root.check_write().expect_err("it is refused")),
            ends("changed", what)
        );
    }
    root().check_write().expect("nothing is asked for");
}

/// A later program may have changed what this one would not understand; it then says so in `requires`.
#[test]
fn what_cannot_be_understood_is_refused_for_what_it_requires() {
    let mut json = serde_json::to_value(root()).expect("it is JSON");
    json["refs"] = "elsewhere".into();
    json["requires"]["read"] = serde_json::json!(["far refs"]);
    let json = serde_json::to_vec(&json).expect("it is JSON");
    let mut bytes = format!("drumlin root 1 {}\n", blake3::hash(&json)).into_bytes();
    bytes.extend_from_slice(&json);
    let error = Root::from_bytes(&bytes).expect_err("it is refused");
    assert!(
        matches!(&error, FormatError::Unknown { name, .. } if name == "far refs"),
        "{error}"
    );
    let error = Root::from_bytes(&root_with("/refs", "elsewhere".into())).expect_err("it is refused");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[test]
fn what_is_longer_than_is_ever_written_is_damaged() {
    use drumlin_model::{operation::OPERATIONS_LEN_MAX, root::ROOT_LEN_MAX};
    for len in [ROOT_LEN_MAX, ROOT_LEN_MAX + 1] {
        let mut root = root();
        let spare = len - root.to_bytes().len();
        root.operations[0].summary.push_str(&"x".repeat(spare));
        assert_eq!(root.to_bytes().len(), len);
        assert_eq!(Root::from_bytes(&root.to_bytes()).is_ok(), len == ROOT_LEN_MAX);
    }
    for len in [OPERATIONS_LEN_MAX, OPERATIONS_LEN_MAX + 1] {
        let mut page = OperationPage {
            operations: vec![operation()],
            older: None,
            rest: Rest::new(),
        };
        let spare = len - page.to_bytes().len();
        page.operations[0].summary.push_str(&"x".repeat(spare));
        let read = OperationPage::from_bytes(operation().id, &page.to_bytes());
        assert_eq!(read.is_ok(), len == OPERATIONS_LEN_MAX);
    }
}
