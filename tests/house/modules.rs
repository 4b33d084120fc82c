//! The library's modules as they are on disk, and what each file takes from which other file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::visit::Visit;

/// A module's path below the crate's root: `broker::amqp` is `["broker", "amqp"]`, the root is empty.
pub type Name = Vec<String>;

/// The library, parsed. Unit tests are left out: they may import whatever they test.
pub struct Library {
    modules: BTreeMap<Name, Module>,
}

struct Module {
    /// Names that `use` brings into the module, and where each comes from, as written.
    imports: Vec<Import>,
    /// Paths in the module's code, as written.
    paths: BTreeSet<Name>,
}

struct Import {
    /// The name in this module; none for a glob.
    name: Option<String>,
    path: Name,
}

impl Library {
    /// Reads all of `src/`.
    pub fn read() -> Library {
        let mut library = Library { modules: BTreeMap::new() };
        library.read_folder(&source(), &mut Name::new());
        assert!(library.modules.len() > 100, "the library's files were found");
        library
    }

    fn read_folder(&mut self, folder: &Path, name: &mut Name) {
        for entry in std::fs::read_dir(folder).expect("a folder of the library") {
            let path = entry.expect("an entry").path();
            let stem = path.file_stem().and_then(|stem| stem.to_str()).expect("a name in UTF-8").to_owned();
            if path.is_dir() {
                name.push(stem);
                self.read_folder(&path, name);
                name.pop();
            } else if path.extension().is_some_and(|extension| extension == "rs") && stem != "tests" {
                let is_of_folder = stem == "mod" || (stem == "lib" && name.is_empty());
                let module: Name = name.iter().cloned().chain((!is_of_folder).then_some(stem)).collect();
                self.modules.insert(module, Module::read(&path));
            }
        }
    }

    /// Returns each pair of files of which the first uses an item of the second, with the names of these items.
    pub fn uses(&self) -> BTreeMap<(Name, Name), BTreeSet<String>> {
        let mut uses: BTreeMap<(Name, Name), BTreeSet<String>> = BTreeMap::new();
        for (module, content) in &self.modules {
            let written = content.imports.iter().map(|import| &import.path).chain(&content.paths);
            for path in written {
                let Some((target, item)) = self.resolve(module, path, 0) else { continue };
                if target != *module && !item.is_empty() {
                    uses.entry((module.clone(), target)).or_default().insert(item);
                }
            }
        }
        uses
    }

    /// Returns the module that defines what `path` means in `module`, and the item's name there. Nothing for what comes
    /// from other crates. Re-exports are followed to the file of the definition.
    fn resolve(&self, module: &Name, path: &[String], depth: usize) -> Option<(Name, String)> {
        const MAX_REEXPORTS: usize = 8;
        if depth > MAX_REEXPORTS {
            return None;
        }
        let Some((mut at, mut rest)) = self.start(module, path) else {
            let (first, others) = path.split_first()?;
            let import = self.modules[module].imports.iter().find(|import| import.name.as_ref() == Some(first))?;
            let path: Name = import.path.iter().chain(others).cloned().collect();
            return self.resolve(module, &path, depth + 1);
        };
        while let Some((first, others)) = rest.split_first() {
            let below: Name = at.iter().chain([first]).cloned().collect();
            if self.modules.contains_key(&below) {
                (at, rest) = (below, others);
                continue;
            }
            let reexport = self.modules.get(&at)?.imports.iter().find(|import| import.name.as_ref() == Some(first));
            let followed = reexport.and_then(|import| {
                let path: Name = import.path.iter().chain(others).cloned().collect();
                self.resolve(&at, &path, depth + 1)
            });
            return Some(followed.unwrap_or_else(|| (at, first.clone())));
        }
        Some((at, String::new()))
    }

    /// Returns where a path begins, and what is left of it.
    fn start<'a>(&self, module: &Name, path: &'a [String]) -> Option<(Name, &'a [String])> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => Some((Name::new(), rest)),
            "self" => Some((module.clone(), rest)),
            "super" => {
                let mut at = module.clone();
                at.pop()?;
                let mut rest = rest;
                while let Some(("super", others)) = rest.split_first().map(|(first, others)| (first.as_str(), others)) {
                    at.pop()?;
                    rest = others;
                }
                Some((at, rest))
            }
            // Otherwise a module below this one, or a name that is imported here.
            _ => {
                let below: Name = module.iter().chain([first]).cloned().collect();
                self.modules.contains_key(&below).then(|| (module.clone(), path))
            }
        }
    }
}

impl Module {
    fn read(file: &Path) -> Module {
        let text = std::fs::read_to_string(file).expect("a file of the library");
        let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let mut module = Module { imports: Vec::new(), paths: BTreeSet::new() };
        module.visit_file(&parsed);
        module
    }

    fn import(&mut self, tree: &syn::UseTree, before: &Name) {
        let with = |ident: &syn::Ident| -> Name { before.iter().cloned().chain([ident.to_string()]).collect() };
        match tree {
            syn::UseTree::Path(path) => self.import(&path.tree, &with(&path.ident)),
            syn::UseTree::Name(name) if name.ident == "self" => {
                self.imports.push(Import { name: before.last().cloned(), path: before.clone() });
            }
            syn::UseTree::Name(name) => {
                self.imports.push(Import { name: Some(name.ident.to_string()), path: with(&name.ident) });
            }
            syn::UseTree::Rename(rename) => {
                self.imports.push(Import { name: Some(rename.rename.to_string()), path: with(&rename.ident) });
            }
            syn::UseTree::Glob(_) => self.imports.push(Import { name: None, path: before.clone() }),
            syn::UseTree::Group(group) => group.items.iter().for_each(|tree| self.import(tree, before)),
        }
    }
}

impl<'ast> Visit<'ast> for Module {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.import(&item.tree, &Name::new());
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.segments.len() > 1 {
            self.paths.insert(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        }
        syn::visit::visit_path(self, path);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        let is_test = item.attrs.iter().any(|attribute| attribute.path().is_ident("cfg"));
        if !is_test {
            syn::visit::visit_item_mod(self, item);
        }
    }
}

/// Returns the folder of the library's code.
pub fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Returns every Rust file of the library and the program, with its text.
pub fn files() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("src"), root.join("commands")];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder of the code") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("a file of the code");
                files.push((path.strip_prefix(root).expect("below the root").to_owned(), text));
            }
        }
    }
    files.sort();
    files
}
