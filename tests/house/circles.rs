//! Files that import each other.

use std::collections::{BTreeMap, BTreeSet};

use crate::modules::{Library, Name};

type Uses = BTreeMap<(Name, Name), BTreeSet<String>>;

#[test]
fn no_files_import_each_other_in_a_circle() {
    let mut uses = Library::read().uses();
    // The `mod.rs` of a folder and the files below it share one subject: these may use its types, and it uses theirs.
    uses.retain(|(user, used), _| !user.starts_with(used) && !used.starts_with(user));
    let circles = circles(&uses);
    let told: Vec<String> = circles.iter().map(|edges| edges.join("\n")).collect();
    assert!(told.is_empty(), "{} circles of imports:\n{}", told.len(), told.join("\n\n"));
}

/// Returns the circles, each as the lines "a uses b: names" that make it.
fn circles(uses: &Uses) -> Vec<Vec<String>> {
    let modules: BTreeSet<&Name> = uses.keys().flat_map(|(user, used)| [user, used]).collect();
    let reached: BTreeMap<&Name, BTreeSet<&Name>> =
        modules.iter().map(|module| (*module, reached_from(module, uses))).collect();
    let mut circles: BTreeMap<Vec<&Name>, Vec<String>> = BTreeMap::new();
    for ((user, used), items) in uses {
        let members: Vec<&Name> =
            reached[user].iter().filter(|other| reached[*other].contains(user)).copied().collect();
        if reached[used].contains(user) {
            let items: Vec<&str> = items.iter().map(String::as_str).collect();
            let line = format!("  {} uses {}: {}", user.join("::"), used.join("::"), items.join(", "));
            circles.entry(members).or_default().push(line);
        }
    }
    circles.into_values().collect()
}

/// Returns every module that `module` uses, directly or through others.
fn reached_from<'a>(module: &'a Name, uses: &'a Uses) -> BTreeSet<&'a Name> {
    let mut reached = BTreeSet::new();
    let mut open = vec![module];
    while let Some(next) = open.pop() {
        let used = uses.keys().filter(|(user, _)| user == next).map(|(_, used)| used);
        open.extend(used.filter(|used| reached.insert(*used)));
    }
    reached
}

#[test]
fn a_circle_is_found() {
    let name = |name: &str| vec![name.to_owned()];
    let edge = |user: &str, used: &str| ((name(user), name(used)), BTreeSet::from(["Item".to_owned()]));
    let apart = Uses::from([edge("a", "b"), edge("b", "c"), edge("a", "c")]);
    assert!(circles(&apart).is_empty());
    let circle = Uses::from([edge("a", "b"), edge("b", "c"), edge("c", "b")]);
    assert_eq!(circles(&circle), [["  b uses c: Item", "  c uses b: Item"]]);
}
