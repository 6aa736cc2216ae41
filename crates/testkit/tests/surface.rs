//! The command line holds words and rendering alone: every verb is a method of the desk, and nothing below it is named.

use std::collections::BTreeSet;

use drumlin_model::Verb;
use syn::{ImplItem, Item, Type, Visibility};

use crate::source::{Source, files};

/// The longest file of the command line, in lines: the words of a verb and how its answer looks fit on a few screens.
const LINES_MAX: usize = 200;
/// What files of the command line may name of our crates: the verbs, plain values, and who watches long work.
const NAMED: [&str; 4] = [
    "drumlin_verbs::",
    "drumlin_model::",
    "drumlin_chunks::",
    "drumlin_cli::",
];

/// What a file does that the command line leaves to others.
fn faults(source: &Source) -> Vec<String> {
    let mut faults = Vec::new();
    let lines = source.text.lines().count();
    if lines > LINES_MAX {
        faults.push(format!("{}: {lines} lines; at most {LINES_MAX}", source.path));
    }
    let code = source.text.lines().filter(|line| !line.trim_start().starts_with("//"));
    for line in code {
        let ours = line.split("drumlin_").skip(1).map(|rest| format!("drumlin_{rest}"));
        let below = ours.filter(|name| name.contains("::") && !NAMED.iter().any(|allowed| name.starts_with(allowed)));
        faults.extend(below.map(|name| format!("{}: names {name}", source.path)));
        if line.contains("json!") {
            faults.push(format!("{}: makes JSON by hand: {}", source.path, line.trim()));
        }
    }
    faults
}

#[test]
fn the_command_line_asks_the_desk_alone() {
    let found: Vec<String> = files("crates/cli/src", &[".rs"]).iter().flat_map(faults).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// The public methods of `impl Desk`, wherever they stand, and of `Config`, whose verbs need no repository.
fn desk_methods() -> BTreeSet<String> {
    let mut methods = BTreeSet::new();
    for source in files("crates/verbs/src", &[".rs"]) {
        let file = syn::parse_file(&source.text).unwrap_or_else(|error| panic!("{}: {error}", source.path));
        for item in file.items {
            let Item::Impl(block) = item else { continue };
            let Type::Path(of) = &*block.self_ty else { continue };
            if block.trait_.is_some() || !["Desk", "Config"].iter().any(|name| of.path.is_ident(name)) {
                continue;
            }
            methods.extend(block.items.iter().filter_map(|item| match item {
                ImplItem::Fn(method) if matches!(method.vis, Visibility::Public(_)) => {
                    Some(method.sig.ident.to_string())
                }
                _ => None,
            }));
        }
    }
    methods
}

#[test]
fn every_verb_is_a_method_of_the_desk() {
    let methods = desk_methods();
    let missing: Vec<String> = Verb::ALL
        .iter()
        .map(|verb| verb.identifier())
        .filter(|name| !methods.contains(name))
        .collect();
    assert!(missing.is_empty(), "the desk has no {}", missing.join(", "));
}
