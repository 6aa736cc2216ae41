//! Verbs and cures: each verb has words of its own, and is found by them.

use std::collections::BTreeSet;

use drumlin_model::{Argument, Cure, Verb};

#[test]
fn a_verb_is_found_by_its_words() {
    let words: BTreeSet<&str> = Verb::ALL.iter().map(|verb| verb.as_str()).collect();
    let identifiers: BTreeSet<String> = Verb::ALL.iter().map(|verb| verb.identifier()).collect();
    assert_eq!(words.len(), Verb::ALL.len());
    assert_eq!(identifiers.len(), Verb::ALL.len());
    for &verb in Verb::ALL {
        assert_eq!(Verb::parse(verb.as_str()), Some(verb));
    }
    assert_eq!(Verb::parse("table"), None);
    assert_eq!(Verb::TableCreate.identifier(), "table_create");
    assert_eq!(Verb::CherryPick.identifier(), "cherry_pick");
}

#[test]
fn a_cure_names_its_arguments() {
    let cure = Cure::run(Verb::Checkout)
        .with("to", "main")
        .flag("force")
        .why("loses changes");
    let Cure::Run { verb, arguments, why } = &cure else {
        panic!("it runs a verb")
    };
    assert_eq!(*verb, Verb::Checkout);
    assert_eq!(
        arguments,
        &[
            Argument {
                name: "to",
                value: Some("main".into())
            },
            Argument {
                name: "force",
                value: None
            }
        ]
    );
    assert_eq!(why.as_deref(), Some("loses changes"));
    let json = serde_json::to_value(&cure).expect("a cure is plain data");
    assert_eq!(json["cure"], "run");
    assert_eq!(json["verb"], "checkout");
}
