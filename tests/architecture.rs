//! Holds the code to the table of layers in ARCHITECTURE.md.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn layers() -> BTreeMap<String, u32> {
    let text = fs::read_to_string("ARCHITECTURE.md").expect("ARCHITECTURE.md");
    let mut layers = BTreeMap::new();
    for line in text.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, layer, modules, ..] = cells.as_slice() else {
            continue;
        };
        let Ok(layer) = layer.parse() else { continue };
        for module in modules.split(',') {
            layers.insert(module.trim().trim_matches('`').to_owned(), layer);
        }
    }
    layers
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Each use of another module of this crate: the file, its module, the module that it names.
fn uses() -> Vec<(PathBuf, String, String)> {
    let mut files = Vec::new();
    sources(Path::new("src"), &mut files);
    let mut uses = Vec::new();
    for file in files {
        let below = file.strip_prefix("src").expect("below src");
        let module = below
            .components()
            .next()
            .expect("a name")
            .as_os_str()
            .to_string_lossy()
            .into_owned();
        let module = module.trim_end_matches(".rs").to_owned();
        let text = fs::read_to_string(&file).expect("source");
        for part in text.split("crate::").skip(1) {
            let other: String = part
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            uses.push((file.clone(), module.clone(), other));
        }
    }
    uses
}

#[test]
fn arrows_point_down_only() {
    let layers = layers();
    assert!(layers.len() > 10, "the table of layers is read: {layers:?}");
    let mut wrong = Vec::new();
    for (file, module, other) in uses() {
        if module == other || module == "lib" {
            continue;
        }
        let (Some(own), Some(theirs)) = (layers.get(&module), layers.get(&other)) else {
            continue;
        };
        if theirs >= own {
            wrong.push(format!(
                "{}: {module} (layer {own}) uses {other} (layer {theirs})",
                file.display()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_module_has_its_row() {
    let layers = layers();
    for (file, module, _) in uses() {
        assert!(
            module == "lib" || layers.contains_key(&module),
            "{} has no row",
            file.display()
        );
    }
}

#[test]
fn only_connection_names_the_driver() {
    let mut files = Vec::new();
    sources(Path::new("src"), &mut files);
    for file in files {
        let text = fs::read_to_string(&file).expect("source");
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        let names = code.filter(|line| line.contains("mysql_async")).count();
        assert!(
            names == 0 || file.starts_with("src/connection"),
            "{} names mysql_async",
            file.display()
        );
    }
}

#[test]
fn every_expectation_is_registered_in_both_lists() {
    let kinds: Vec<&str> = tidb_scenarios::expect::KINDS
        .iter()
        .map(|kind| kind.key)
        .collect();
    assert_eq!(kinds, tidb_scenarios::scenario::keys::EXPECTATIONS);
}

#[test]
fn every_shipped_scenario_says_what_it_shows() {
    let mut folders = vec![PathBuf::from("scenarios")];
    let mut count = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            // What a scenario loads.
            if path.extension().is_none_or(|extension| extension != "yaml") {
                continue;
            }
            count += 1;
            let text = fs::read_to_string(&path).expect("a scenario");
            let comments = text.lines().take_while(|line| line.starts_with('#')).count();
            assert!(
                comments >= 3,
                "{} opens with what it shows and what it would catch",
                path.display()
            );
        }
    }
    assert!(count > 10);
}
