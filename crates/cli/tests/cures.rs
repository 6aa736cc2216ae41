//! Cures in the words of the command line: every verb that a cure may name is there, with the arguments that the code
//! names, and what is shown can be typed.

use std::{collections::BTreeSet, fs, path::Path};

use clap::Command;
use drumlin_cli::{command, cures};
use drumlin_model::{Cure, Verb};
use syn::visit::{self, Visit};

use crate::support::Place;

#[test]
fn every_verb_has_its_words() {
    let program = command();
    for &verb in Verb::ALL {
        let found = cures::command_of(&program, verb.as_str()).is_some();
        assert!(found, "drumlin {verb}");
    }
}

/// The arguments that the code gives to verbs in cures.
#[derive(Default)]
struct Named {
    found: BTreeSet<(String, String)>,
}

impl<'ast> Visit<'ast> for Named {
    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        if call.method == "with" || call.method == "flag" {
            let mut receiver = &*call.receiver;
            while let syn::Expr::MethodCall(inner) = receiver {
                receiver = &inner.receiver;
            }
            if let (Some(verb), Some(name)) = (verb_run(receiver), call.args.first().and_then(literal)) {
                self.found.insert((verb, name));
            }
        }
        visit::visit_expr_method_call(self, call);
    }
}

/// The verb of `Cure::run(Verb::TableShow)`.
fn verb_run(expression: &syn::Expr) -> Option<String> {
    let syn::Expr::Call(call) = expression else { return None };
    let syn::Expr::Path(function) = &*call.func else {
        return None;
    };
    let names: Vec<String> = function
        .path
        .segments
        .iter()
        .map(|part| part.ident.to_string())
        .collect();
    let syn::Expr::Path(verb) = call.args.first()? else {
        return None;
    };
    (names == ["Cure", "run"]).then(|| Some(verb.path.segments.last()?.ident.to_string()))?
}

fn literal(expression: &syn::Expr) -> Option<String> {
    match expression {
        syn::Expr::Lit(syn::ExprLit {
            lit: syn::Lit::Str(text),
            ..
        }) => Some(text.value()),
        _ => None,
    }
}

fn read_code(folder: &Path, named: &mut Named) {
    for entry in fs::read_dir(folder).expect("a folder of the code can be listed") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            read_code(&path, named);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = fs::read_to_string(&path).expect("code is text");
            let file = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            named.visit_file(&file);
        }
    }
}

#[test]
fn every_argument_that_the_code_names_is_one_of_its_verb() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut named = Named::default();
    for entry in fs::read_dir(&crates).expect("the crates can be listed") {
        let source = entry.expect("an entry").path().join("src");
        if source.is_dir() {
            read_code(&source, &mut named);
        }
    }
    assert!(
        named.found.contains(&("Log".to_owned(), "limit".to_owned())),
        "no cure was found in the code"
    );
    let program = command();
    for (variant, name) in &named.found {
        let verb = Verb::ALL.iter().find(|verb| format!("{verb:?}") == *variant);
        let verb = verb.unwrap_or_else(|| panic!("no verb is called {variant}"));
        let words = cures::command_of(&program, verb.as_str()).expect("every verb has its words");
        assert!(
            cures::argument_of(words, name).is_some(),
            "a cure gives {name:?} to `drumlin {verb}`, which has no such argument"
        );
    }
}

/// The text of a cure of an error of `table append`.
fn text(cure: &Cure) -> String {
    let program = command();
    let at_hand: Option<&Command> = cures::command_of(&program, "table append");
    cures::text(cure, &program, at_hand)
}

#[test]
fn a_cure_reads_as_a_command() {
    let says = |cure: Cure, words: &str| assert_eq!(text(&cure), words);
    says(Cure::run(Verb::Init), "drumlin init");
    says(
        Cure::run(Verb::Log).with("at", "main").with("limit", "5"),
        "drumlin log main --limit 5",
    );
    says(
        Cure::run(Verb::Restore)
            .with("source", "v1")
            .with("paths", "a b")
            .with("paths", "c"),
        "drumlin restore 'a b' c --source v1",
    );
    says(
        Cure::run(Verb::Checkout)
            .with("to", "main")
            .flag("force")
            .why("loses your changes"),
        "drumlin checkout main --force    (loses your changes)",
    );
    says(
        Cure::run(Verb::TableCreate).with("table", "rain"),
        "drumlin table create rain --from FILE",
    );
    says(
        Cure::run(Verb::Sql).with("memory", "8GB"),
        "drumlin sql QUERY --memory 8GB",
    );
}

#[test]
fn a_cure_may_change_an_argument_of_the_verb_at_hand() {
    assert_eq!(text(&Cure::give("nulls", "n/a")), "add --null n/a");
    assert_eq!(text(&Cure::give("evolve", "true")), "add --evolve");
    assert_eq!(text(&Cure::give("table", "it's")), r"write 'it'\''s' as TABLE");
    assert_eq!(text(&Cure::Leave { argument: "types" }), "leave out --type");
    assert_eq!(text(&Cure::did_you_mean("rain")), "did you mean \"rain\"?");
    assert_eq!(text(&Cure::choose("columns", ["a", "b"])), "columns: one of a, b");
}

/// Programs that read the errors get the cures as data, and the best one as text.
#[test]
fn an_error_in_json_holds_its_cures() {
    let place = Place::repository();
    let failed = place.run(&["show", "nowhere@main", "--json"]);
    let error: serde_json::Value = serde_json::from_str(&failed.err).expect("the error is JSON");
    let cures = error["error"]["cures"].as_array().expect("a list of cures");
    assert!(!cures.is_empty(), "{error}");
    assert!(error["error"]["hint"].is_string(), "{error}");
}
