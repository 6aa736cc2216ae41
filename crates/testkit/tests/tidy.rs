//! Taste as a test: lengths with a ratchet, banned calls with the replacement named, no forgotten test file.
//! To accept a shorter function, run the test and take over the line that it prints; entries may only shrink or go.

use std::collections::BTreeMap;

use syn::{spanned::Spanned, visit::Visit};

use crate::source::{Source, files, root};

/// The longest file, in lines that are neither blank nor comment.
const FILE_LINES_MAX: usize = 800;
/// The longest function, in lines from `fn` to its closing brace.
const FUNCTION_LINES_MAX: usize = 70;

/// Calls that the code does not use, and what it uses instead. Tests may.
const BANNED: [(&str, &str); 9] = [
    (".unwrap()", "`?`, or `expect(\"why it cannot be\")`"),
    ("println!", "a value that the command line prints"),
    ("todo!", "the code itself"),
    ("TODO", "the code itself, or a line in the closing note"),
    ("FIXME", "the mend"),
    ("#[allow(", "`#[expect(..., reason = \"...\")]`"),
    ("SystemTime::now", "the Clock that the repository was opened with"),
    ("Utc::now", "the Clock that the repository was opened with"),
    ("std::process::exit", "an ExitCode returned from main"),
];
/// Where a banned call is at home: (path ending, call).
const AT_HOME: [(&str, &str); 1] = [("crates/repo/src/clock.rs", "SystemTime::now")];

/// What a library of any floor below the command line must not do.
const BANNED_BELOW_CLI: [(&str, &str); 3] = [
    ("std::env::", "a parameter: libraries take values"),
    ("env::var", "a parameter: libraries take values"),
    ("eprint", "a value that the command line prints"),
];

fn library_code() -> Vec<Source> {
    files("crates", &[".rs"])
        .into_iter()
        .filter(|source| !source.is_test())
        .collect()
}

/// The text without comment lines, so that prose may name what code may not.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .map(|(at, line)| (at + 1, line))
}

#[test]
fn no_banned_calls() {
    let mut found = Vec::new();
    for source in library_code() {
        let below_cli = source.crate_name() != "cli";
        let banned = BANNED.iter().chain(BANNED_BELOW_CLI.iter().filter(|_| below_cli));
        for (call, instead) in banned {
            if AT_HOME
                .iter()
                .any(|(path, at_home)| source.path.ends_with(path) && at_home == call)
            {
                continue;
            }
            let hits = code_lines(&source.text).filter(|(_, line)| line.contains(call));
            found.extend(hits.map(|(at, _)| format!("{}:{at}: {call}: use {instead}", source.path)));
        }
    }
    assert!(found.is_empty(), "banned calls:\n{}", found.join("\n"));
}

#[test]
fn files_fit() {
    let long: Vec<String> = files("crates", &[".rs"])
        .iter()
        .map(|source| {
            (
                &source.path,
                code_lines(&source.text)
                    .filter(|(_, line)| !line.trim().is_empty())
                    .count(),
            )
        })
        .filter(|(_, lines)| *lines > FILE_LINES_MAX)
        .map(|(path, lines)| format!("{path}: {lines} lines of code; at most {FILE_LINES_MAX}: split it by noun"))
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn modules_say_their_job_first() {
    let silent: Vec<String> = files("crates", &[".rs"])
        .into_iter()
        .filter(|source| !source.text.starts_with("//!"))
        .map(|source| source.path)
        .collect();
    assert!(
        silent.is_empty(),
        "start these with `//!` and the module's job:\n{}",
        silent.join("\n")
    );
}

/// Collects the length of every function of a file.
#[derive(Default)]
struct Lengths {
    found: Vec<(String, usize)>,
}

impl Lengths {
    fn note(&mut self, name: &syn::Ident, start: proc_macro2::Span, block: &syn::Block) {
        let lines = block.span().end().line - start.start().line + 1;
        self.found.push((name.to_string(), lines));
    }
}

impl<'ast> Visit<'ast> for Lengths {
    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.note(&function.sig.ident, function.sig.span(), &function.block);
        syn::visit::visit_item_fn(self, function);
    }
    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.note(&function.sig.ident, function.sig.span(), &function.block);
        syn::visit::visit_impl_item_fn(self, function);
    }
    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        if let Some(block) = &function.default {
            self.note(&function.sig.ident, function.sig.span(), block);
        }
        syn::visit::visit_trait_item_fn(self, function);
    }
}

/// The functions that are longer than the limit for now: `path function lines`, a line each.
fn ratchet() -> BTreeMap<String, usize> {
    let text =
        std::fs::read_to_string(root().join("crates/testkit/tests/long_functions.txt")).expect("the ratchet exists");
    text.lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| {
            let (name, lines) = line.rsplit_once(' ').expect("a name and a number");
            (name.to_owned(), lines.parse().expect("a number of lines"))
        })
        .collect()
}

#[test]
fn functions_fit_a_screen() {
    let mut long = BTreeMap::new();
    for source in files("crates", &[".rs"]) {
        let file = syn::parse_file(&source.text).unwrap_or_else(|error| panic!("{}: {error}", source.path));
        let mut lengths = Lengths::default();
        lengths.visit_file(&file);
        let over = lengths
            .found
            .into_iter()
            .filter(|(_, lines)| *lines > FUNCTION_LINES_MAX);
        long.extend(over.map(|(name, lines)| (format!("{} {name}", source.path), lines)));
    }
    let allowed = ratchet();
    let show = |map: &BTreeMap<String, usize>| {
        map.iter()
            .map(|(name, lines)| format!("{name} {lines}\n"))
            .collect::<String>()
    };
    let worse: BTreeMap<_, _> = long
        .iter()
        .filter(|(name, lines)| allowed.get(*name).is_none_or(|max| *lines > max))
        .map(|(n, l)| (n.clone(), *l))
        .collect();
    assert!(
        worse.is_empty(),
        "longer than {FUNCTION_LINES_MAX} lines, split them:\n{}",
        show(&worse)
    );
    let slack: BTreeMap<_, _> = allowed
        .iter()
        .filter(|(name, max)| long.get(*name) != Some(max))
        .map(|(n, l)| (n.clone(), *l))
        .collect();
    assert!(
        slack.is_empty(),
        "shorter than the ratchet says; the whole list is now:\n{}",
        show(&long)
    );
}

#[test]
fn no_forgotten_test_files() {
    let tests = files("crates", &[".rs"]);
    for source in tests
        .iter()
        .filter(|source| source.path.contains("/tests/") && !source.path.ends_with("/main.rs"))
    {
        let (folder, file) = source.path.rsplit_once('/').expect("a path with a folder");
        let module = file.trim_end_matches(".rs");
        let (owner, name) = if folder.ends_with("/tests") {
            (format!("{folder}/main.rs"), module)
        } else if module == "mod" {
            let (above, name) = folder.rsplit_once('/').expect("a folder below tests");
            (
                if above.ends_with("/tests") {
                    format!("{above}/main.rs")
                } else {
                    format!("{above}/mod.rs")
                },
                name,
            )
        } else {
            (format!("{folder}/mod.rs"), module)
        };
        let beside = format!("{folder}.rs");
        let declares = |path: &str| {
            tests.iter().any(|other| {
                other.path == path
                    && other.text.lines().any(|line| {
                        let line = line.trim_start_matches("pub ").trim_start_matches("pub(crate) ");
                        line == format!("mod {name};")
                    })
            })
        };
        assert!(
            declares(&owner) || declares(&beside),
            "{} is never compiled: add `mod {name};` to {owner}",
            source.path
        );
    }
}

#[test]
fn the_project_speaks_of_itself_alone() {
    // Spelled in halves, so that this file does not find itself.
    let foreign = [
        ("/wo", "rk/"),
        ("farm-", "studio"),
        ("farm-", "bench"),
        ("sub", "agent"),
        ("sha", "red/spec"),
        ("pypi", ".org"),
        ("crates", ".io"),
    ];
    let mut found = Vec::new();
    for source in files("", &[".rs", ".md", ".toml", ".sh", ".py", ".yaml", "Makefile", "run"]) {
        for (a, b) in foreign {
            let word = format!("{a}{b}");
            let hits = source.text.lines().enumerate().filter(|(_, line)| line.contains(&word));
            found.extend(hits.map(|(at, _)| format!("{}:{}: {word}", source.path, at + 1)));
        }
    }
    assert!(found.is_empty(), "words of a workplace:\n{}", found.join("\n"));
}
