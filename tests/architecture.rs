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
fn every_module_has_its_row_and_every_row_its_module() {
    let mut modules: Vec<String> = fs::read_dir("src")
        .expect("src")
        .map(|entry| entry.expect("an entry").path())
        .map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned())
        .filter(|module| module != "lib")
        .collect();
    modules.sort();
    let rows: Vec<String> = layers().into_keys().collect();
    assert_eq!(
        rows, modules,
        "the table of layers in ARCHITECTURE.md against src/"
    );
}

/// A file that no `mod` line names is not compiled, and nobody says so.
#[test]
fn every_file_has_its_mod_line() {
    let mut files = Vec::new();
    sources(Path::new("src"), &mut files);
    for file in files {
        let name = file.file_stem().expect("a name").to_string_lossy().into_owned();
        let folder = file.parent().expect("a folder");
        let (module, parent) = match name.as_str() {
            _ if folder == Path::new("src") && (name == "lib" || name == "main") => continue,
            "mod" => (
                folder.file_name().expect("a name").to_string_lossy().into_owned(),
                folder.parent().expect("a folder"),
            ),
            _ => (name, folder),
        };
        let parent = if parent == Path::new("src") {
            parent.join("lib.rs")
        } else {
            parent.join("mod.rs")
        };
        let text = fs::read_to_string(&parent).unwrap_or_default();
        let line = format!("mod {module};");
        let has = text
            .lines()
            .any(|found| found == line || found.starts_with("pub") && found.ends_with(&format!(" {line}")));
        assert!(has, "{}: add `{line}` to {}", file.display(), parent.display());
    }
}

/// A row of the table under "To add".
struct ToAdd {
    what: String,
    folder: PathBuf,
    known_by: String,
    /// Each file with the text that it must have.
    rows: Vec<(String, String)>,
}

fn code_spans(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn to_add() -> Vec<ToAdd> {
    let text = fs::read_to_string("ARCHITECTURE.md").expect("ARCHITECTURE.md");
    let (_, table) = text.split_once("## To add").expect("how to add");
    table
        .lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let [_, what, file, known_by, rows, _] = cells.as_slice() else {
                return None;
            };
            let file = code_spans(file);
            let folder = file.first()?.strip_suffix("/NAME.rs")?;
            let rows = code_spans(rows);
            Some(ToAdd {
                what: (*what).to_owned(),
                folder: PathBuf::from(folder),
                known_by: code_spans(known_by).remove(0),
                rows: rows
                    .chunks(2)
                    .map(|pair| (pair[0].clone(), pair[1].clone()))
                    .collect(),
            })
        })
        .collect()
}

#[test]
fn every_file_is_registered_where_architecture_says() {
    let kinds = to_add();
    assert!(kinds.len() >= 2, "the table under \"To add\" is read");
    for kind in kinds {
        let mut files = Vec::new();
        sources(&kind.folder, &mut files);
        let mut count = 0;
        for file in files.iter().filter(|file| file.parent() == Some(&kind.folder)) {
            let name = file.file_stem().expect("a name").to_string_lossy().into_owned();
            let text = fs::read_to_string(file).expect("source");
            if name == "mod" || !text.contains(&kind.known_by.replace("NAME", &name)) {
                continue;
            }
            count += 1;
            for (table, row) in &kind.rows {
                let row = row.replace("NAME", &name);
                let text = fs::read_to_string(table).expect(table);
                assert!(
                    text.contains(&row),
                    "{} is {}: add a row with `{row}` to {table}",
                    file.display(),
                    kind.what
                );
            }
        }
        assert!(count > 2, "{} files are known as {}", count, kind.what);
    }
}

/// What begins with `NAME` in a table names a file that is there.
#[test]
fn every_expectation_has_a_file_of_its_own() {
    let text = fs::read_to_string("src/expect/mod.rs").expect("source");
    let reads = text.lines().filter_map(|line| line.trim().strip_prefix("read: "));
    let mut count = 0;
    for read in reads {
        let (file, _) = read
            .split_once("::")
            .unwrap_or_else(|| panic!("`{read}` names no file"));
        let path = Path::new("src/expect").join(file).with_extension("rs");
        assert!(path.exists(), "{} is not there", path.display());
        count += 1;
    }
    assert_eq!(count, tidb_scenarios::expect::KINDS.len());
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

/// `print_results` of the coordinators prints by its nature: a thin line over what is a text already.
const PRINTS: &str = "src/multi/results.rs";

#[test]
fn only_harness_and_main_print_and_read_the_environment() {
    let mut files = Vec::new();
    sources(Path::new("src"), &mut files);
    files.retain(|file| !file.starts_with("src/harness") && file != Path::new("src/main.rs"));
    for file in files {
        let text = fs::read_to_string(&file).expect("source");
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        let count = |words: &[&str]| {
            let lines = code.clone();
            lines
                .filter(|line| words.iter().any(|word| line.contains(word)))
                .count()
        };
        // `eprintln!(` has `println!(` in it.
        let prints = count(&["print!(", "println!(", "dbg!("]);
        let allowed = usize::from(file == Path::new(PRINTS));
        assert_eq!(prints, allowed, "{} prints", file.display());
        let reads = count(&["env::var(", "env::vars(", "env::var_os(", "env::vars_os("]);
        assert_eq!(reads, 0, "{} reads the environment", file.display());
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

/// Files below a folder, all of them.
fn all_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(all_files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml")
}

#[test]
fn every_shipped_scenario_says_what_it_shows() {
    let files = all_files(Path::new("scenarios"));
    for path in files.iter().filter(|path| is_yaml(path)) {
        let place = path.display();
        let text = fs::read_to_string(path).expect("a scenario");
        let up = "../".repeat(path.components().count() - 1);
        let schema = format!("# yaml-language-server: $schema={up}schema/scenario.json");
        assert_eq!(
            text.lines().next(),
            Some(schema.as_str()),
            "the first line of {place}"
        );
        let comments = text.lines().take_while(|line| line.starts_with('#')).count();
        assert!(
            comments >= 3,
            "{place} opens with what it shows and what it would catch"
        );
    }
    assert!(files.len() > 60);
}

/// A file of the corpus that no test reads would look like a test and be none.
#[test]
fn every_file_of_the_corpus_is_used() {
    let test = fs::read_to_string("tests/language.rs").expect("the test of the corpus");
    for path in all_files(Path::new("tests/language")) {
        let place = path.display();
        let folder = path.parent().expect("a folder");
        let kind = folder.strip_prefix("tests/language").expect("below it");
        assert!(
            test.contains(&format!("corpus(\"{}\")", kind.display())),
            "{place}: tests/language.rs reads no such folder"
        );
        if is_yaml(&path) {
            continue;
        }
        // What stands beside scenarios is either what one of them loads or what one of them must say.
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let loaded = all_files(folder)
            .iter()
            .filter(|other| is_yaml(other))
            .any(|other| {
                let text = fs::read_to_string(other).unwrap_or_default();
                text.contains(&name)
            });
        let own = path.with_extension("yaml").exists()
            && path
                .extension()
                .is_some_and(|extension| test.contains(&*extension.to_string_lossy()));
        assert!(loaded || own, "{place} belongs to no scenario beside it");
    }
}
