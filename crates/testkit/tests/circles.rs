//! Files of one crate import each other one way only: whoever changes a file need not hold another that leads back to it.
//! The circles that stand for now are in `circles.txt`; lines there may only shrink or go.

use std::collections::{BTreeMap, BTreeSet};

use syn::{UseTree, visit::Visit};

use crate::source::{Source, files, root};

/// A module's path inside its crate: `["sql", "names"]`; empty for the crate's root.
type Module = Vec<String>;

/// What one file says of others.
struct File {
    path: String,
    module: Module,
    /// Paths that it names, as written: imports, and paths in code.
    named: Vec<Vec<String>>,
    /// Names that it passes on from elsewhere (`pub use`), and the path of each.
    passed_on: BTreeMap<String, Vec<String>>,
}

#[derive(Default)]
struct Reader {
    named: Vec<Vec<String>>,
    passed_on: BTreeMap<String, Vec<String>>,
}

impl Reader {
    fn tree(&mut self, tree: &UseTree, before: &[String], public: bool) {
        let mut path = before.to_vec();
        match tree {
            UseTree::Path(step) => {
                path.push(step.ident.to_string());
                self.tree(&step.tree, &path, public);
            }
            UseTree::Group(group) => group.items.iter().for_each(|item| self.tree(item, before, public)),
            UseTree::Name(name) => self.leaf(path, &name.ident.to_string(), &name.ident.to_string(), public),
            UseTree::Rename(name) => self.leaf(path, &name.ident.to_string(), &name.rename.to_string(), public),
            UseTree::Glob(_) => self.named.push(path),
        }
    }

    fn leaf(&mut self, mut path: Vec<String>, name: &str, called: &str, public: bool) {
        if name != "self" {
            path.push(name.to_owned());
        }
        if public {
            self.passed_on.insert(called.to_owned(), path);
        } else {
            self.named.push(path);
        }
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let public = !matches!(item.vis, syn::Visibility::Inherited);
        self.tree(&item.tree, &[], public);
    }
    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.segments.len() > 1 {
            self.named
                .push(path.segments.iter().map(|step| step.ident.to_string()).collect());
        }
        syn::visit::visit_path(self, path);
    }
}

fn read(source: &Source) -> File {
    let file = syn::parse_file(&source.text).unwrap_or_else(|error| panic!("{}: {error}", source.path));
    let mut reader = Reader::default();
    reader.visit_file(&file);
    let inside = source.path.split_once("/src/").expect("library code stands in src").1;
    let mut module: Module = inside.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if module
        .last()
        .is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str()))
    {
        module.pop();
    }
    File {
        path: inside.to_owned(),
        module,
        named: reader.named,
        passed_on: reader.passed_on,
    }
}

/// The files of one crate.
struct House(Vec<File>);

impl House {
    fn at(&self, module: &[String]) -> Option<&File> {
        self.0.iter().find(|file| file.module == module)
    }

    /// The file that a path leads to, seen from `from`; none for other crates' names. Names that a module passes on
    /// lead to where they come from.
    fn resolve(&self, from: &File, path: &[String], steps_left: usize) -> Option<&File> {
        let mut place = from.module.clone();
        let mut rest = path;
        match rest.first()?.as_str() {
            "crate" => {
                place.clear();
                rest = &rest[1..];
            }
            "self" => rest = &rest[1..],
            "super" => {
                while rest.first().is_some_and(|step| step == "super") {
                    place.pop()?;
                    rest = &rest[1..];
                }
            }
            first => {
                let mut child = place.clone();
                child.push(first.to_owned());
                self.at(&child)?;
            }
        }
        while let Some((step, after)) = rest.split_first() {
            let mut child = place.clone();
            child.push(step.clone());
            if self.at(&child).is_none() {
                let here = self.at(&place)?;
                return match here.passed_on.get(step) {
                    Some(origin) if steps_left > 0 => self.resolve(here, origin, steps_left - 1),
                    _ => Some(here),
                };
            }
            place = child;
            rest = after;
        }
        self.at(&place)
    }

    fn imports(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut all: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for file in &self.0 {
            let targets = file.named.iter().filter_map(|path| self.resolve(file, path, 4));
            let others = targets.filter(|target| target.path != file.path);
            all.entry(&file.path)
                .or_default()
                .extend(others.map(|target| target.path.as_str()));
        }
        all
    }

    /// Each set of files that lead to each other, as `a.rs b.rs c.rs`.
    fn circles(&self) -> BTreeSet<String> {
        let imports = self.imports();
        let reach = |start: &str| -> BTreeSet<&str> {
            let mut seen = BTreeSet::new();
            let mut open: Vec<&str> = imports[start].iter().copied().collect();
            while let Some(next) = open.pop() {
                if seen.insert(next) {
                    open.extend(&imports[next]);
                }
            }
            seen
        };
        let reached: BTreeMap<&str, BTreeSet<&str>> = imports.keys().map(|&file| (file, reach(file))).collect();
        reached
            .keys()
            .filter(|file| reached[*file].contains(*file))
            .map(|file| {
                let ring = reached[file].iter().filter(|other| reached[*other].contains(file));
                ring.copied().collect::<Vec<_>>().join(" ")
            })
            .collect()
    }
}

#[test]
fn files_do_not_import_each_other_in_circles() {
    let mut crates: BTreeMap<String, Vec<File>> = BTreeMap::new();
    for source in files("crates", &[".rs"]).iter().filter(|source| !source.is_test()) {
        crates
            .entry(source.crate_name().to_owned())
            .or_default()
            .push(read(source));
    }
    let found: BTreeSet<String> = crates
        .into_iter()
        .flat_map(|(name, files)| {
            let circles = House(files).circles();
            circles.into_iter().map(move |circle| format!("{name}: {circle}"))
        })
        .collect();
    let text = std::fs::read_to_string(root().join("crates/testkit/tests/circles.txt")).expect("the list exists");
    let allowed: BTreeSet<String> = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(str::to_owned)
        .collect();
    let new: Vec<&String> = found.difference(&allowed).collect();
    assert!(new.is_empty(), "files that lead to each other, untie them:\n{new:#?}");
    let gone: Vec<&String> = allowed.difference(&found).collect();
    assert!(
        gone.is_empty(),
        "these circles are untied: take them out of circles.txt:\n{gone:#?}"
    );
}
