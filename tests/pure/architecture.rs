//! Holds the code to the table of layers in ARCHITECTURE.md.

use std::collections::{BTreeMap, BTreeSet};
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

/// The modules of the crate by their paths, each with its code: no tests, no comments.
fn modules() -> BTreeMap<Vec<String>, String> {
    let mut files = Vec::new();
    sources(Path::new("src"), &mut files);
    let mut modules = BTreeMap::new();
    for file in files {
        let below = file.strip_prefix("src").expect("below src").with_extension("");
        let mut path: Vec<String> = below
            .components()
            .map(|part| part.as_os_str().to_string_lossy().into_owned())
            .collect();
        if path.last().is_some_and(|last| last == "mod") {
            path.pop();
        }
        let text = fs::read_to_string(&file).expect("source");
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        let code: Vec<&str> = code
            .lines()
            .map(|line| line.split("//").next().unwrap_or_default())
            .collect();
        modules.insert(path, code.join("\n"));
    }
    modules
}

/// The paths that a `use` names: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn expanded(tree: &str, before: &[String], found: &mut Vec<Vec<String>>) {
    let mut depth = 0;
    let mut part = String::new();
    let mut parts = Vec::new();
    for c in tree.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if c == ',' && depth == 0 {
            parts.push(std::mem::take(&mut part));
        } else {
            part.push(c);
        }
    }
    parts.push(part);
    for part in parts {
        let part = part.trim();
        let (names, inside) = match part.split_once('{') {
            Some((names, inside)) => (names, inside.strip_suffix('}')),
            None => (part.split(" as ").next().unwrap_or_default(), None),
        };
        let names = names.split("::").map(str::trim).filter(|name| !name.is_empty());
        let path: Vec<String> = before.iter().cloned().chain(names.map(str::to_owned)).collect();
        match inside {
            Some(inside) => expanded(inside, &path, found),
            None if path.len() > before.len() => found.push(path),
            None => {}
        }
    }
}

/// What a module names: the path from the crate's root, and whether it only hands it on (`pub use`).
fn named(module: &[String], code: &str, modules: &BTreeMap<Vec<String>, String>) -> Vec<(Vec<String>, bool)> {
    let absolute = |path: &[String]| -> Option<Vec<String>> {
        let mut base = module.to_vec();
        match path.first()?.as_str() {
            "crate" => return Some(path[1..].to_vec()),
            "self" => return Some([base, path[1..].to_vec()].concat()),
            "super" => {}
            child => {
                base.push(child.to_owned());
                return modules
                    .contains_key(&base)
                    .then(|| [module.to_vec(), path.to_vec()].concat());
            }
        }
        let ups = path.iter().take_while(|name| *name == "super").count();
        base.truncate(base.len().checked_sub(ups)?);
        Some([base, path[ups..].to_vec()].concat())
    };
    let mut found = Vec::new();
    let mut rest = String::new();
    for statement in code.split_inclusive(';') {
        let Some((before, tree)) = statement
            .rsplit_once("use ")
            .filter(|(before, _)| before.is_empty() || before.ends_with(['\n', ' ']))
        else {
            rest.push_str(statement);
            continue;
        };
        let line = before.rsplit('\n').next().unwrap_or_default().trim();
        let hands_on = line.starts_with("pub");
        if !(line.is_empty() || hands_on) {
            rest.push_str(statement);
            continue;
        }
        rest.push_str(before);
        let mut paths = Vec::new();
        expanded(tree.trim_end_matches(';'), &[], &mut paths);
        found.extend(paths.iter().filter_map(|path| Some((absolute(path)?, hands_on))));
    }
    let word = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    for path in rest.split(|c| !word(c)).filter(|path| path.contains("::")) {
        let path: Vec<String> = path.split("::").map(str::to_owned).collect();
        found.extend(absolute(&path).map(|path| (path, false)));
    }
    found
}

/// Two files that name each other are one file in two halves: neither can be read, tested or moved by itself.
#[test]
fn the_files_of_a_module_name_each_other_in_no_circle() {
    let modules = modules();
    let mut handed_on: BTreeMap<Vec<String>, Vec<String>> = BTreeMap::new();
    for (module, code) in &modules {
        for (path, hands_on) in named(module, code, &modules) {
            if let (true, Some(name)) = (hands_on, path.last()) {
                handed_on.insert([module.clone(), vec![name.clone()]].concat(), path);
            }
        }
    }
    // The file in which a path ends, whoever hands it on.
    let home = |path: &[String]| -> Option<Vec<String>> {
        let mut path = path.to_vec();
        for _ in 0..6 {
            let file = (1..=path.len())
                .rev()
                .find(|length| modules.contains_key(&path[..*length]))?;
            let next = path.get(..=file).and_then(|name| handed_on.get(name));
            match next {
                Some(next) => path = [next.clone(), path[file + 1..].to_vec()].concat(),
                None => return Some(path[..file].to_vec()),
            }
        }
        None
    };
    let mut below: BTreeMap<&Vec<String>, BTreeSet<Vec<String>>> = BTreeMap::new();
    for (module, code) in &modules {
        let uses = named(module, code, &modules);
        let homes = uses
            .iter()
            .filter(|(_, hands_on)| !hands_on)
            .filter_map(|(path, _)| home(path));
        let same = homes.filter(|file| file != module && file.first() == module.first());
        below.insert(module, same.collect());
    }
    assert!(
        below.values().map(BTreeSet::len).sum::<usize>() > 100,
        "the uses are read"
    );
    // Whoever names nobody that is left goes; what stays is in circles, or above one.
    loop {
        let left: BTreeSet<Vec<String>> = below.keys().map(|module| (*module).clone()).collect();
        let before = below.len();
        below.retain(|_, uses| uses.iter().any(|file| left.contains(file)));
        let used: BTreeSet<Vec<String>> = below.values().flatten().cloned().collect();
        below.retain(|module, _| used.contains(*module));
        if below.len() == before {
            break;
        }
    }
    let shown: Vec<String> = below
        .iter()
        .map(|(module, uses)| {
            let uses: Vec<String> = uses
                .iter()
                .filter(|file| below.contains_key(file))
                .map(|file| file.join("/"))
                .collect();
            format!("{} names {}", module.join("/"), uses.join(", "))
        })
        .collect();
    assert!(
        shown.is_empty(),
        "files that name each other in a circle:\n{}",
        shown.join("\n")
    );
}

/// A long file has more than one subject. Tables are as long as what they list.
#[test]
fn no_file_is_too_long() {
    const LINES_MAX: usize = 450;
    const TABLES: [&str; 2] = ["src/sql/error_table.rs", "src/scenario/keys.rs"];
    let mut files = Vec::new();
    sources(Path::new("src"), &mut files);
    let mut long = Vec::new();
    for file in files
        .iter()
        .filter(|file| !TABLES.iter().any(|table| **file == Path::new(table)))
    {
        let text = fs::read_to_string(file).expect("source");
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        let lines = code.lines().count();
        if lines > LINES_MAX {
            long.push(format!("{}: {lines} lines", file.display()));
        }
    }
    assert!(
        long.is_empty(),
        "over {LINES_MAX} lines without tests:\n{}",
        long.join("\n")
    );
}

/// What is public is what others build on: the rest may change from one version to the next.
#[test]
fn the_public_modules_are_these() {
    let root = fs::read_to_string("src/lib.rs").expect("the crate's root");
    let public = root.lines().filter_map(|line| line.strip_prefix("pub mod "));
    let public: Vec<&str> = public
        .map(|rest| rest.trim_end_matches([';', ' ', '{']))
        .collect();
    let wanted = [
        "connection",
        "handler",
        "harness",
        "history",
        "isolation",
        "multi",
        "policy",
        "schema",
        "server",
        "engine",
        "testing",
    ];
    assert_eq!(public, wanted);
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
    let text = fs::read_to_string("src/expect/kinds.rs").expect("source");
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
    assert_eq!(count, tidb_scenarios::testing::KINDS.len());
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
    let kinds: Vec<&str> = tidb_scenarios::testing::KINDS
        .iter()
        .map(|kind| kind.key)
        .collect();
    assert_eq!(kinds, tidb_scenarios::testing::keys::EXPECTATIONS);
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
    let test = fs::read_to_string("tests/live/language.rs").expect("the test of the corpus");
    for path in all_files(Path::new("tests/language")) {
        let place = path.display();
        let folder = path.parent().expect("a folder");
        let below = folder.strip_prefix("tests/language").expect("below it");
        let kind = Path::new(below.iter().next().expect("a kind"));
        assert!(
            test.contains(&format!("corpus(\"{}\")", kind.display())),
            "{place}: tests/live/language.rs reads no such folder"
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
