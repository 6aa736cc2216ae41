//! Commits and provenance: what is refused, at the limit and one beyond, and what a later program may add.

use drumlin_model::{
    Commit, CommitId, FormatError, Provenance, ProvenanceId, Timestamp, TooManyParents, TreeId,
    commit::{COMMIT_LEN_MAX, PARENTS_MAX},
    provenance::PROVENANCE_LEN_MAX,
};

fn on(parents: &[(CommitId, &Commit)]) -> Result<Commit, TooManyParents> {
    let (time, provenance) = (Timestamp::from_micros(1), ProvenanceId::of(b"provenance"));
    let parents = parents.iter().map(|(id, commit)| (*id, commit.generation));
    Commit::on(parents, TreeId::of(b"tree"), time, provenance)
}

fn numbered(number: usize) -> CommitId {
    CommitId::of(&number.to_le_bytes())
}

fn read(bytes: &[u8]) -> Result<Commit, FormatError> {
    Commit::from_bytes(CommitId::of(bytes), bytes)
}

#[test]
fn a_generation_is_one_more_than_the_greatest_of_the_parents() {
    let first = on(&[]).unwrap();
    let second = on(&[(numbered(1), &first)]).unwrap();
    let merge = on(&[(numbered(1), &first), (numbered(2), &second)]).unwrap();
    assert_eq!((first.generation, second.generation, merge.generation), (1, 2, 3));
    for commit in [first, second, merge] {
        assert_eq!(read(&commit.to_bytes()).unwrap(), commit);
    }
}

#[test]
fn as_many_parents_as_allowed_are_written_and_read_and_no_more() {
    let first = on(&[]).unwrap();
    let parents = |count: usize| (0..count).map(|number| (numbered(number), &first)).collect::<Vec<_>>();
    let most = on(&parents(PARENTS_MAX)).unwrap();
    assert_eq!(read(&most.to_bytes()).unwrap(), most);
    let count = PARENTS_MAX + 1;
    assert_eq!(on(&parents(count)), Err(TooManyParents { count }));
    let beyond = Commit {
        parents: (0..count).map(numbered).collect(),
        ..most
    };
    assert!(matches!(read(&beyond.to_bytes()), Err(FormatError::Damaged { .. })));
}

#[test]
fn a_generation_that_cannot_be_is_damage() {
    let good = on(&[(numbered(1), &on(&[]).unwrap())]).unwrap();
    let bad = [
        (0, vec![]),
        (2, vec![]),
        (0, vec![numbered(1)]),
        (1, vec![numbered(1)]),
        (u64::MAX, vec![numbered(1)]),
    ];
    for (generation, parents) in bad {
        let commit = Commit {
            generation,
            parents,
            ..good.clone()
        };
        assert!(
            matches!(read(&commit.to_bytes()), Err(FormatError::Damaged { .. })),
            "{commit:?}"
        );
    }
}

/// The document with one more field, which fills it up to a length.
fn with_field(document: Vec<u8>, len: usize) -> Vec<u8> {
    let text = String::from_utf8(document).unwrap();
    let field = |filler: &str| {
        text.replacen("{\n", &format!("{{\n  \"new\": \"{filler}\",\n"), 1)
            .into_bytes()
    };
    let filler = "x".repeat(len - field("").len());
    field(&filler)
}

#[test]
fn fields_of_a_later_program_are_passed_over_up_to_the_limit() {
    let commit = on(&[]).unwrap();
    assert_eq!(read(&with_field(commit.to_bytes(), COMMIT_LEN_MAX)).unwrap(), commit);
    let beyond = read(&with_field(commit.to_bytes(), COMMIT_LEN_MAX + 1)).unwrap_err();
    assert!(beyond.to_string().contains("65537 bytes"), "{beyond}");

    let provenance = Provenance::default();
    let read = |bytes: &[u8]| Provenance::from_bytes(ProvenanceId::of(bytes), bytes);
    let longest = with_field(provenance.to_bytes(), PROVENANCE_LEN_MAX);
    assert_eq!(read(&longest).unwrap(), provenance);
    assert!(read(&with_field(provenance.to_bytes(), PROVENANCE_LEN_MAX + 1)).is_err());
}

#[test]
fn a_later_format_is_too_new_and_other_bytes_are_damage() {
    let document = String::from_utf8(on(&[]).unwrap().to_bytes()).unwrap();
    let newer = document.replacen("drumlin commit 1\n", "drumlin commit 2\n", 1);
    assert!(matches!(
        read(newer.as_bytes()),
        Err(FormatError::TooNew { found: 2, .. })
    ));
    let other = document.replacen("commit", "comment", 1);
    assert!(matches!(read(other.as_bytes()), Err(FormatError::Damaged { .. })));
    let named = Commit::from_bytes(numbered(0), document.as_bytes());
    assert!(matches!(named, Err(FormatError::Damaged { .. })));
}
