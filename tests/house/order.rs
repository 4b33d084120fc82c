//! The order of the library's modules, as ARCHITECTURE.md states it.

use std::path::Path;

use crate::modules::Library;

/// Returns the modules in the order of ARCHITECTURE.md: each may use those before it.
fn stated() -> Vec<String> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md")).expect("a file");
    let section = text.split_once("## The order of modules").expect("the section").1;
    let list = section.split("```").nth(1).expect("a list");
    list.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn modules_use_only_those_before_them() {
    let order = stated();
    let rank = |name: &str| order.iter().position(|stated| stated == name);
    let mut wrong = Vec::new();
    for ((user, used), items) in Library::read().uses() {
        let (Some(from), Some(to)) = (user.first(), used.first()) else { continue };
        if from == to {
            continue;
        }
        match (rank(from), rank(to)) {
            (Some(user), Some(used)) if used < user => {}
            (Some(_), Some(_)) => wrong.push(format!("{} uses {} ({items:?})", user.join("::"), used.join("::"))),
            _ => wrong.push(format!("{from} or {to} is not in ARCHITECTURE.md's order of modules")),
        }
    }
    wrong.dedup();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_order_names_every_module_once() {
    let mut order = stated();
    let count = order.len();
    order.sort();
    order.dedup();
    assert_eq!(order.len(), count, "a module is named twice");
    let mut modules: Vec<String> = std::fs::read_dir(crate::modules::source())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path().file_stem().expect("a name").to_string_lossy().into_owned())
        .filter(|name| name != "lib")
        .collect();
    modules.sort();
    assert_eq!(order, modules);
}
