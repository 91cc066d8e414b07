//! `schema/scenario.json` says of a scenario's form what the reader says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use expect_test::expect_file;
use jsonschema::Validator;
use regex::Regex;
use serde_json::{Map, Value};
use tidb_scenarios::engine::{Entry, Node, NodeKind, SourceFile, Span, parse};
use tidb_scenarios::engine::{PlanInput, Planned, plan};
use tidb_scenarios::schema::{schema, schema_text};
use tidb_scenarios::testing::keys::{self, Form, Key};

/// Files of `tests/language/invalid` whose mistake is one of form.
const MISTAKES_OF_FORM: &[&str] = &[
    "connections/connection_isolation",
    "states/concurrent_barrier_forms",
    "states/concurrent_on_forms",
    "states/concurrent_one_without_states",
    "states/concurrent_repeat_forms",
    "states/concurrent_retries_forms",
    "states/concurrent_shared_events_forms",
    "states/concurrent_shared_series_forms",
    "states/concurrent_signal_forms",
    "states/concurrent_state_blocked",
    "states/concurrent_state_blocked_in_expect",
    "states/concurrent_state_is_text",
    "states/concurrent_state_unknown_key",
    "states/concurrent_states_are_a_mapping",
    "states/concurrent_states_are_text",
    "states/concurrent_states_empty",
    "states/concurrent_until_not_a_mapping",
    "states/concurrent_wait_for_forms",
    "states/concurrent_watch_forms",
    "source/no_steps",
    "orders/orders_is_a_list",
    "orders/orders_is_text",
    "orders/orders_list_is_empty",
    "orders/orders_list_is_text",
    "orders/orders_list_of_mappings",
    "orders/orders_numbers",
    "orders/orders_prune_is_a_number",
    "orders/orders_unknown_key",
    "orders/outcomes_are_a_list",
    "orders/outcomes_forms",
    "orders/outcomes_hold_what_expect_does",
    "matrix/seed_forms",
    "matrix/seed_is_text",
    "steps/steps_as_mapping",
    "steps/timeout_without_unit",
    "source/unknown_key",
    "workloads/forms",
    "workloads/is_text",
    "workloads/no_kind",
    "workloads/numbers",
    "workloads/unknown_names",
];

fn validator() -> Validator {
    jsonschema::draft7::new(&schema()).expect("a schema")
}

/// All scenario files below a folder.
fn yaml_files(folder: &str) -> Vec<PathBuf> {
    let mut folders = vec![PathBuf::from(folder)];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "yaml") {
                files.push(path);
            }
        }
    }
    files.sort();
    assert!(!files.is_empty(), "{folder} has no scenarios");
    files
}

fn tree(path: &Path) -> Option<Node> {
    let file = SourceFile::read(path).ok()?;
    parse(&file).root
}

/// A tree as an editor's YAML support hands it to the schema.
fn json(node: &Node) -> Value {
    match &node.kind {
        NodeKind::Null => Value::Null,
        NodeKind::Bool(flag) => Value::Bool(*flag),
        NodeKind::Int(number) => i64::try_from(*number).map_or(Value::from(*number as f64), Value::from),
        NodeKind::Decimal(text) => Value::from(text.parse::<f64>().expect("a number")),
        NodeKind::Hex(text) => u64::from_str_radix(&text[2..], 16).map_or(Value::from(f64::MAX), Value::from),
        NodeKind::Str(text) => Value::from(text.clone()),
        NodeKind::Binary(_) => Value::from("bytes"),
        NodeKind::Seq(items) => Value::Array(items.iter().map(json).collect()),
        NodeKind::Map(entries) => {
            let entries = entries
                .iter()
                .map(|entry| (entry.key.text().expect("a key").into_owned(), json(&entry.value)));
            Value::Object(entries.collect::<Map<_, _>>())
        }
    }
}

/// A tree as YAML on one line.
fn yaml(node: &Node) -> String {
    match &node.kind {
        NodeKind::Str(text) => Value::from(text.clone()).to_string(),
        // What is in it does not matter to the form.
        NodeKind::Binary(_) => "!!binary AAAA".to_owned(),
        NodeKind::Seq(items) => format!("[{}]", items.iter().map(yaml).collect::<Vec<_>>().join(", ")),
        NodeKind::Map(entries) => {
            let entries = entries
                .iter()
                .map(|entry| format!("{}: {}", yaml(&entry.key), yaml(&entry.value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
        NodeKind::Null | NodeKind::Bool(_) | NodeKind::Int(_) | NodeKind::Decimal(_) | NodeKind::Hex(_) => {
            node.text().expect("a scalar").into_owned()
        }
    }
}

fn read(name: &str, text: &str) -> Planned {
    let input = PlanInput {
        name: "trial".to_owned(),
        env: BTreeMap::new(),
        ..PlanInput::default()
    };
    plan(Arc::new(SourceFile::new(name, text)), &input)
}

fn first_problem(planned: &Planned) -> Option<&str> {
    let mut errors = planned.problems.iter().filter(|problem| problem.is_error());
    errors.next().map(|problem| problem.message.as_str())
}

#[test]
fn the_file_is_up_to_date() {
    // `UPDATE_EXPECT=1 cargo test --test schema` writes it anew, and so does `just bless`.
    expect_file!["../../schema/scenario.json"].assert_eq(&schema_text());
}

#[test]
fn it_is_a_schema_of_draft_7() {
    let schema = schema();
    jsonschema::draft7::meta::validate(&schema).expect("draft 7");
}

#[test]
fn every_key_has_a_description() {
    fn walk(value: &Value, at: &str, count: &mut usize) {
        if let Some(properties) = value.get("properties").and_then(Value::as_object) {
            for (name, property) in properties {
                *count += 1;
                let about = property
                    .get("description")
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                assert!(!about.is_empty(), "{at}: `{name}` has no description");
            }
        }
        match value {
            Value::Object(entries) => entries
                .iter()
                .for_each(|(name, value)| walk(value, &format!("{at}/{name}"), count)),
            Value::Array(items) => items.iter().for_each(|value| walk(value, at, count)),
            _ => {}
        }
    }
    let mut count = 0;
    walk(&schema(), "", &mut count);
    assert!(count > 100, "only {count} keys were found");
}

#[test]
fn good_files_fit() {
    let validator = validator();
    for folder in ["scenarios", "tests/language/valid", "tests/language/fails"] {
        for path in yaml_files(folder) {
            let tree = tree(&path).expect("a tree");
            let mistakes: Vec<String> = validator
                .iter_errors(&json(&tree))
                .map(|mistake| format!("{}: {mistake}", mistake.instance_path()))
                .collect();
            assert!(
                mistakes.is_empty(),
                "{}:\n{}",
                path.display(),
                mistakes.join("\n")
            );
        }
    }
}

#[test]
fn mistakes_of_form_do_not_fit() {
    let validator = validator();
    assert!(MISTAKES_OF_FORM.len() >= 5);
    for name in MISTAKES_OF_FORM {
        let path = Path::new("tests/language/invalid")
            .join(name)
            .with_extension("yaml");
        let tree = tree(&path).unwrap_or_else(|| panic!("{} can be read", path.display()));
        assert!(!validator.is_valid(&json(&tree)), "{} fits", path.display());
    }
}

/// One mistake of form for each shape, refused by the reader and the schema; beside it the right form,
/// which both take.
#[test]
fn each_shape_has_its_wrong_twin() {
    let step = |step: &str| format!("{{scenario: s, connections: [a, b], steps: [{{{step}}}]}}");
    let end =
        |expect: &str| format!("{{scenario: s, connections: [a], steps: [a: select 1], expect: {expect}}}");
    let top = |more: &str| format!("{{scenario: s, connections: [a], steps: [a: select 1], {more}}}");
    let with =
        |connections: &str| format!("{{scenario: s, connections: {connections}, steps: [a: select 1]}}");
    let free = |connections: &str, more: &str| {
        format!("{{scenario: s, vars: {{n: 0}}, connections: {connections}{more}}}")
    };
    let others = "b: {states: [{state: go, sql: select 1 as v, signal: go, record: {s: v}, barrier: here}, \
                  {watch_ddl: {table: t}}]}, c: {states: [{barrier: here}]}";
    let state = |state: &str| free(&format!("{{a: {{states: [{{{state}}}]}}, {others}}}"), "");
    let shared = |shared: &str| {
        free(
            &format!("{{{others}}}"),
            &format!(", expect: {{shared: {shared}}}"),
        )
    };
    let seed = |seed: &str| free("{a: {states: [{sql: select 1}]}}", &format!(", seed: {seed}"));
    let orders = |orders: &str| {
        free(
            "{a: {states: [{sql: begin}]}, b: {states: [{sql: begin}]}}",
            &format!(", permutations: {orders}"),
        )
    };
    let outcomes = |outcomes: &str| orders(&format!("all, expect: {{outcomes: {outcomes}}}"));
    let pairs = [
        // The whole file.
        (top("serial: true"), top("serial: yes")),
        (top("timeout: 1.5s"), top("timeout: 1.5")),
        (top("step_timeout: 5m"), top("step_timeout: 5 days")),
        (top("tags: [x, y]"), top("tags: [[x]]")),
        (top("setup: [select 1, select 2]"), top("setup: {sql: select 1}")),
        (top("setup: select 1"), top("setup: null")),
        (top("vars: {x: 1}"), top("vars: [x]")),
        (
            top("matrix: {isolation: [read committed]}"),
            top("matrix: {isolation: [snapshot]}"),
        ),
        (top("matrix: {size: [1, 2]}"), top("matrix: {size: 1}")),
        (top("requires: {store: tikv}"), top("requires: {store: rocksdb}")),
        (top("requires: {docker: true}"), top("requires: {dokcer: true}")),
        (
            top("servers: {main: {store: persistent}}"),
            top("servers: {main: {store: disk}}"),
        ),
        (
            top("servers: {main: {flags: {lease: 1s}}}"),
            top("servers: {main: {flag: {lease: 1s}}}"),
        ),
        // Connections.
        (with("{a: {txn: optimistic}}"), with("{a: {txn: hopeful}}")),
        (
            with("{a: {isolation: rc}}"),
            with("{a: {isolation: serializable}}"),
        ),
        (with("{a: }"), with("{a: 1}")),
        (with("[a]"), with("[]")),
        (with("[a, b]"), with("[a, a]")),
        (
            with("{a: {}, b: {count: 9999}}"),
            with("{a: {}, b: {count: 10001}}"),
        ),
        (with("{a: {vars: {x: 1}}}"), with("{a: {vars: {x: [1]}}}")),
        // Steps.
        (step("a: [select 1, select 2]"), step("a: []")),
        (step("a: select 1"), step("a: 1")),
        (step("a: {sql: select 1}"), step("a: {slq: select 1}")),
        (step("a: select ?, params: [1]"), step("a: select ?, params: 1")),
        (step("a: select 1, as: look"), step("a: select 1, as: 1st")),
        (step("a: {sleep: 10ms}"), step("a: {sleep: 10}")),
        (step("a: {kill: b}"), step("a: {kill: {conection: b}}")),
        (step("a: {disconnect: true}"), step("a: {disconnect: false}")),
        (
            step("a: {load: {table: t, rows: [[1]]}}"),
            step("a: {load: {rows: [[1]]}}"),
        ),
        (
            step("a: select 1, save: {x: row.0.0}"),
            step("a: select 1, save: row.0.0"),
        ),
        (
            step("a: select 1, timeout: 1s"),
            step("a: select 1, timeout: soon"),
        ),
        (
            step("a: select 1, not_blocked: true"),
            step("a: select 1, not_blocked: 1"),
        ),
        // Expectations.
        (step("a: select 1, rows: [[1]]"), step("a: select 1, rows: [1]")),
        (
            step("a: select 1, unordered: [{x: 1}]"),
            step("a: select 1, unordered: {x: 1}"),
        ),
        (step("a: select 1, row: [1]"), step("a: select 1, row: 1")),
        (
            step("a: select 1, value: {any: true}"),
            step("a: select 1, value: {any: 1}"),
        ),
        (
            step("a: select 1, value: {between: [1, 2]}"),
            step("a: select 1, value: {between: [1]}"),
        ),
        (
            step("a: select 1, value: {not: {gt: 1}}"),
            step("a: select 1, value: {not: {gt: [1]}}"),
        ),
        (
            step("a: select 1, value: {gt: 1, lt: 3}"),
            step("a: select 1, value: {gt: 1, match: x}"),
        ),
        (
            step("a: select 1, value: {about: 1, within: 0.1}"),
            step("a: select 1, value: {about: x}"),
        ),
        (
            step("a: select 1, count: {gt: 1}"),
            step("a: select 1, count: -1"),
        ),
        (
            step("a: delete from t, affected: 1"),
            step("a: delete from t, affected: one"),
        ),
        (step("a: select 1, columns: [x]"), step("a: select 1, columns: x")),
        (
            step("a: select 1, warnings: [1292]"),
            step("a: select 1, warnings: [[1292]]"),
        ),
        (
            step("a: select 1, error: {code: 1213, sqlstate: '40001'}"),
            step("a: select 1, error: {code: 1213, state: '40001'}"),
        ),
        (step("a: select 1, error: any"), step("a: select 1, error: 12")),
        (
            step("a: select 1, one_of: [{value: 1}, {error: any}]"),
            step("a: select 1, one_of: [{value: 1}]"),
        ),
        (step("a: select 1, within: 1s"), step("a: select 1, within: [1s]")),
        (
            step("a: select 1, plan: {uses: i}"),
            step("a: select 1, plan: {use: i}"),
        ),
        (
            step("a: select 1, expect: {value: 1}"),
            step("a: select 1, expect: {valu: 1}"),
        ),
        // The end.
        (end("{states: {a: [select]}}"), end("{states: {a: select}}")),
        (end("{tables: {t: [[1]]}}"), end("{tables: {t: [1]}}")),
        (end("{tables: {t: {count: 1}}}"), end("{tables: {t: {cuont: 1}}}")),
        (
            end("{queries: [{sql: select 1, value: 1}]}"),
            end("{queries: [{sql: select 1}]}"),
        ),
        (end("{always: select 1}"), end("{always: ''}")),
        (end("{always: select 1}"), end("{always: 1}")),
        (
            end("{shared: {status: {a: completed}}}"),
            end("{shared: {status: {a: done}}}"),
        ),
        (end("{errors: {1213: 1}}"), end("{errors: [1213]}")),
        (end("{errors: {}}"), end("{error: {}}")),
        // Connections that run freely.
        (seed("7"), seed("lucky")),
        (seed("4294967295"), seed("4294967296")),
        (
            free("{a: {states: [{sql: select 1}]}}", ""),
            free("{a: {states: []}}", ""),
        ),
        (
            free("{a: {states: [{sql: select 1}]}}", ""),
            free("{a: {states: {sql: select 1}}}", ""),
        ),
        (
            free("{a: {states: [{sql: select 1}]}}", ""),
            free("{a: {states: [select 1]}}", ""),
        ),
        (
            free(
                "{a: {states: [{sql: select 1}]}, b: {states: [{sleep: 1ms}]}}",
                "",
            ),
            free("{a: {states: [{sql: select 1}]}, b: }", ""),
        ),
        (
            free("{a: {repeat: 1000000, states: [{sql: select 1}]}}", ""),
            free("{a: {repeat: 1000001, states: [{sql: select 1}]}}", ""),
        ),
        (
            state("sql: select 1, state: look"),
            state("sql: select 1, state: 1st"),
        ),
        (
            state("sql: select 1, state: look"),
            state("sql: select 1, as: look"),
        ),
        (
            state("sql: select 1, value: 1"),
            state("sql: select 1, blocked: true"),
        ),
        (
            state("sql: select 1, expect: {value: 1}"),
            state("sql: select 1, expect: {blocked: true}"),
        ),
        (
            state("sql: select ?, params: [1]"),
            state("sql: select ?, params: 1"),
        ),
        (state("wait_for: go"), state("wait_for: []")),
        (
            state("wait_for: [go, {b.go: 1}]"),
            state("wait_for: [go, {b.go: 0}]"),
        ),
        (state("wait_for: {go: 2}"), state("wait_for: {go: twice}")),
        (state("wait_for: {go: 2}"), state("wait_for: {}")),
        (state("barrier: here"), state("barrier: the door")),
        (
            state("barrier: {name: here, parties: 2}"),
            state("barrier: {name: here, parties: 1}"),
        ),
        (
            state("barrier: {name: here, parties: 2}"),
            state("barrier: {parties: 2}"),
        ),
        (
            state("barrier: {name: here}"),
            state("barrier: {name: here, party: 2}"),
        ),
        (
            state("sql: select 1, signal: [x, y]"),
            state("sql: select 1, signal: {x: 1}"),
        ),
        (
            state("sql: select 1, add: {n: 1}"),
            state("sql: select 1, add: n"),
        ),
        (
            state("sql: select 1, add: {n: 1}"),
            state("sql: select 1, add: {n: [1]}"),
        ),
        (
            state("sql: select 1 as v, record: {s: v}"),
            state("sql: select 1 as v, record: v"),
        ),
        (
            state("sql: select 1 as v, record: {s: v}"),
            state("sql: select 1 as v, record: {s: [v]}"),
        ),
        (
            state("sql: select 1, repeat: 2"),
            state("sql: select 1, repeat: 0"),
        ),
        (
            state("sql: select 1 as v, until: {v: 1}"),
            state("sql: select 1 as v, until: 1"),
        ),
        (
            state("sql: select 1 as v, until: {v: {ge: 1}}, every: 5ms, within: 1s"),
            state("sql: select 1 as v, until: {v: {ge: [1]}}, every: 5ms, within: 1s"),
        ),
        (
            state("sql: select 1 as v, until: {v: 1}, every: 5ms"),
            state("sql: select 1 as v, until: {v: 1}, every: 5"),
        ),
        (
            state("sql: select 1, next: end"),
            state("sql: select 1, next: [end]"),
        ),
        (
            state("state: l, sql: select 1, on: {1213: l}"),
            state("state: l, sql: select 1, on: l"),
        ),
        (
            state("state: l, sql: select 1, on: {1213: l}"),
            state("state: l, sql: select 1, on: {}"),
        ),
        (
            state("state: l, sql: select 1, on: {any: l}, retries: 0"),
            state("state: l, sql: select 1, on: {any: l}, retries: often"),
        ),
        (
            state(
                "state: l, sql: select 1, on: {any: l}, retries: {max: 3, backoff: 1ms, factor: 2, limit: 1s}",
            ),
            state(
                "state: l, sql: select 1, on: {any: l}, retries: {max: 3, backoff: 1, factor: 2, limit: 1s}",
            ),
        ),
        (
            state("state: l, sql: select 1, on: {any: l}, retries: {factor: 1.5}"),
            state("state: l, sql: select 1, on: {any: l}, retries: {factor: much}"),
        ),
        (
            state("state: l, sql: select 1, on: {any: l}, retries: {max: 3}"),
            state("state: l, sql: select 1, on: {any: l}, retries: {times: 3}"),
        ),
        (state("watch_ddl: {table: t}"), state("watch_ddl: {tabel: t}")),
        (state("watch_ddl: {table: t}"), state("watch_ddl: {}")),
        (state("watch_ddl: 7"), state("watch_ddl: [7]")),
        (state("watch_import: true"), state("watch_import: {table: t}")),
        (shared("{events: [go]}"), shared("{events: go}")),
        (shared("{events: {go: {ge: 1}}}"), shared("{events: {go: often}}")),
        (
            shared("{series: {s: {last: 1}}}"),
            shared("{series: {s: {lst: 1}}}"),
        ),
        (
            shared("{series: {s: {increasing: true}}}"),
            shared("{series: {s: {increasing: false}}}"),
        ),
        (
            shared("{series: {s: {values: [1]}}}"),
            shared("{series: {s: {values: 1}}}"),
        ),
        (
            shared("{series: {s: {count: 1}}}"),
            shared("{series: {s: {count: many}}}"),
        ),
        (shared("{retries: {b: {le: 3}}}"), shared("{retries: {b: few}}")),
        (
            shared("{ddl: {any: {status: synced}}}"),
            shared("{ddl: {any: synced}}"),
        ),
        (shared("{status: {b: completed}}"), shared("{status: {b: done}}")),
        // Every order.
        (orders("all"), orders("each")),
        (orders("{list: [a b, b a]}"), orders("[a b, b a]")),
        (orders("{list: [a b]}"), orders("{list: a b}")),
        (orders("{list: [[a.begin, b]]}"), orders("{list: [[[a], b]]}")),
        (orders("{list: [[a, b]]}"), orders("{list: [[]]}")),
        (
            outcomes("{x: {errors: {}}}").replace("all,", "{list: [{order: a b, outcome: x}]},"),
            outcomes("{x: {errors: {}}}").replace("all,", "{list: [{order: a b}]},"),
        ),
        (
            outcomes("{x: {errors: {}}}").replace("all,", "{list: [{order: [a, b], outcome: [x]}]},"),
            outcomes("{x: {errors: {}}}").replace("all,", "{list: [{order: a b, outcome: []}]},"),
        ),
        (orders("{list: [a b]}"), orders("{list: []}")),
        (orders("{sample: 10}"), orders("{sample: 0}")),
        (orders("{sample: 10}"), orders("{samples: 10}")),
        (orders("{sample: 10, seed: 0}"), orders("{sample: 10, seed: -1}")),
        (orders("{sample: 10, seed: 7}"), orders("{sample: 10, seed: x}")),
        (orders("{most: 10}"), orders("{most: 1.5}")),
        (orders("{prune: false}"), orders("{prune: 0}")),
        (
            outcomes("{x: {errors: {}, may: true}}"),
            outcomes("{x: {errors: {}, may: false}}"),
        ),
        (
            outcomes("{x: {errors: {1213: 1}}}"),
            outcomes("{x: {errors: {1213: one}}}"),
        ),
        (outcomes("{x: {errors: {}}}"), outcomes("[{errors: {}}]")),
        (outcomes("{x: {errors: {}}}"), outcomes("{x: errors}")),
        (
            outcomes("{x: {saw: {a.begin: 1, b.begin: {affected: 0}}}}"),
            outcomes("{x: {sees: {a.begin: 1}}}"),
        ),
        (
            outcomes("{x: {saw: {a.begin: 1}}}"),
            outcomes("{x: {saw: [a.begin]}}"),
        ),
        (
            outcomes("{x: {blocked: [a.begin]}}"),
            outcomes("{x: {blocked: a.begin}}"),
        ),
        (outcomes("{x: {blocked: []}}"), outcomes("{x: {blocked: true}}")),
        (
            outcomes("{x: {tables: {t: [[1]]}}}"),
            outcomes("{x: {tables: [[1]]}}"),
        ),
        (
            outcomes("{x: {states: {a: [begin]}}}"),
            outcomes("{x: {states: {a: begin}}}"),
        ),
        (
            outcomes("{x: {queries: [{sql: select 1, value: 1}]}}"),
            outcomes("{x: {queries: [{value: 1}]}}"),
        ),
        (
            outcomes("{x: {shared: {status: {a: completed}}}}"),
            outcomes("{x: {shared: {state: {a: completed}}}}"),
        ),
    ];
    let validator = validator();
    let fits = |text: &str| {
        let tree = parse(&SourceFile::new("twin.yaml", text)).root.expect(text);
        validator.is_valid(&json(&tree))
    };
    for (right, wrong) in pairs {
        assert_eq!(first_problem(&read("twin.yaml", &right)), None, "{right}");
        assert!(fits(&right), "the schema refuses {right}");
        assert!(read("twin.yaml", &wrong).is_broken(), "the reader takes {wrong}");
        assert!(!fits(&wrong), "the schema takes {wrong}");
    }
}

/// All keys that a form has, each by the keys that lead to it.
fn keys_of(form: Form, at: &str, found: &mut BTreeSet<String>) {
    for (name, _, form) in keys_here(form) {
        let at = format!("{at}/{name}");
        keys_of(form, &at, found);
        found.insert(at);
    }
    for form in forms_inside(form) {
        keys_of(form, at, found);
    }
}

/// The keys of a mapping of this form.
fn keys_here(form: Form) -> Vec<Key> {
    match form {
        Form::Object(keys, _) | Form::Settings(keys) | Form::ForVariants(keys) => keys.to_vec(),
        Form::Steps => [keys::ACTION, keys::STEP, keys::WAITING].concat(),
        Form::States => [keys::ACTION, keys::STATE_ACTION, keys::STATE].concat(),
        _ => Vec::new(),
    }
}

/// The forms of what a mapping or a list of this form has, and of what may stand in its place.
fn forms_inside(form: Form) -> Vec<Form> {
    match form {
        Form::List(_, item) | Form::Exactly(_, item) | Form::OneOrMany(item) | Form::Map(item) => vec![*item],
        Form::Either(forms) => forms.to_vec(),
        Form::Connections => vec![Form::Settings(keys::CONNECTION)],
        _ => Vec::new(),
    }
}

/// The keys that a tree uses, each by the keys that lead to it.
fn used_keys(node: &Node, form: Form, at: &str, found: &mut BTreeSet<String>) {
    let here = keys_here(form);
    match &node.kind {
        NodeKind::Map(entries) => {
            for entry in entries {
                let known = here.iter().find(|(name, ..)| entry.key.as_str() == Some(*name));
                if let Some((name, _, form)) = known {
                    let at = format!("{at}/{name}");
                    used_keys(&entry.value, *form, &at, found);
                    found.insert(at);
                } else if matches!(form, Form::Steps) && entry.value.as_map().is_some() {
                    // What stands below the connection's name is as if it stood beside it.
                    used_keys(&entry.value, form, at, found);
                } else if matches!(form, Form::Map(_) | Form::Connections) {
                    for inside in forms_inside(form) {
                        used_keys(&entry.value, inside, at, found);
                    }
                }
            }
        }
        NodeKind::Seq(items) => {
            for item in items {
                if !here.is_empty() {
                    used_keys(item, form, at, found);
                }
                for inside in forms_inside(form) {
                    used_keys(item, inside, at, found);
                }
            }
            return;
        }
        _ => return,
    }
    if matches!(form, Form::Either(_) | Form::OneOrMany(_)) {
        for inside in forms_inside(form) {
            used_keys(node, inside, at, found);
        }
    }
}

/// A key that no good file uses is one that nobody has tried.
#[test]
fn every_key_is_used_in_a_good_file() {
    let all = Form::Object(keys::TOP, &[]);
    let mut wanted = BTreeSet::new();
    keys_of(all, "", &mut wanted);
    for table in [
        keys::STATE_ACTION,
        keys::STATE,
        keys::BARRIER,
        keys::RETRIES,
        keys::WATCH_DDL,
        keys::SERIES,
        keys::SHARED,
    ] {
        for name in keys::names(table) {
            let there = wanted.iter().any(|key| key.ends_with(&format!("/{name}")));
            assert!(there, "`{name}` is looked for");
        }
    }
    let mut used = BTreeSet::new();
    for path in ["scenarios", "tests/language/valid"].map(yaml_files).concat() {
        used_keys(&tree(&path).expect("a tree"), all, "", &mut used);
    }
    // Those of a handler are used by the package in `tests/downstream`, which has one.
    let elsewhere = |key: &str| ["/handler", "/with"].iter().any(|end| key.ends_with(end));
    let missing: Vec<&String> = wanted.difference(&used).filter(|key| !elsewhere(key)).collect();
    assert!(missing.is_empty(), "no scenario that passes has {missing:?}");
}

/// A tree with one change.
struct Changed {
    tree: Node,
    /// Where, such as `steps/0/alice = 7`.
    at: String,
    /// Whether the change is one more key.
    adds_key: bool,
}

fn node(kind: NodeKind) -> Node {
    Node::new(Span::new(0, 0), kind)
}

fn text(text: &str) -> Node {
    node(NodeKind::Str(text.to_owned()))
}

/// The tree with each of its nodes in turn changed into something else, and with a key more in each of its
/// mappings.
fn changed(tree: &Node) -> Vec<Changed> {
    let stock = [
        NodeKind::Null,
        NodeKind::Bool(false),
        NodeKind::Bool(true),
        NodeKind::Int(7),
        NodeKind::Decimal("1.5".to_owned()),
        NodeKind::Str("word".to_owned()),
        NodeKind::Str("5s".to_owned()),
        NodeKind::Str(String::new()),
        NodeKind::Seq(Vec::new()),
        NodeKind::Seq(vec![text("word")]),
        NodeKind::Map(Vec::new()),
    ];
    let mut all: Vec<Changed> = stock
        .into_iter()
        .map(|kind| {
            let tree = node(kind);
            let at = format!(" = {}", yaml(&tree));
            Changed {
                tree,
                at,
                adds_key: false,
            }
        })
        .collect();
    match &tree.kind {
        NodeKind::Seq(items) => {
            for (number, item) in items.iter().enumerate() {
                all.extend(changed(item).into_iter().map(|inner| {
                    let mut items = items.clone();
                    items[number] = inner.tree;
                    Changed {
                        tree: node(NodeKind::Seq(items)),
                        at: format!("/{number}{}", inner.at),
                        ..inner
                    }
                }));
            }
        }
        NodeKind::Map(entries) => {
            let mut more = entries.clone();
            // Its value is none that a connection's name has, so that it is no second connection of a step.
            more.push(Entry {
                key: text("no_such_key"),
                value: node(NodeKind::Int(1)),
            });
            all.push(Changed {
                tree: node(NodeKind::Map(more)),
                at: "/no_such_key = 1".to_owned(),
                adds_key: true,
            });
            for (number, entry) in entries.iter().enumerate() {
                all.extend(changed(&entry.value).into_iter().map(|inner| {
                    let mut entries = entries.clone();
                    entries[number].value = inner.tree;
                    Changed {
                        tree: node(NodeKind::Map(entries)),
                        at: format!("/{}{}", yaml(&entry.key), inner.at),
                        ..inner
                    }
                }));
            }
        }
        NodeKind::Null
        | NodeKind::Bool(_)
        | NodeKind::Int(_)
        | NodeKind::Decimal(_)
        | NodeKind::Hex(_)
        | NodeKind::Str(_)
        | NodeKind::Binary(_) => {}
    }
    all
}

/// What the reader takes, the schema takes too; and a key that the reader does not know, the schema does
/// not know either.
#[test]
fn reader_and_schema_agree_on_changed_files() {
    let validator = validator();
    let mut differ = Vec::new();
    // The same change at the same place of another file, or of the next step, tells nothing new.
    let number = Regex::new("[0-9]+").expect("a pattern");
    let mut seen = BTreeSet::new();
    let (mut tried, mut both_refuse, mut reader_alone) = (0, 0, 0);
    let files = ["tests/language/valid", "tests/language/fails"]
        .map(yaml_files)
        .concat();
    for path in files {
        let name = path.display().to_string();
        let tree = tree(&path).expect("a tree");
        for Changed { tree, at, adds_key } in changed(&tree) {
            let (place, change) = at.split_once(" = ").expect("a change");
            if !seen.insert(format!("{} = {change}", number.replace_all(place, "#"))) {
                continue;
            }
            let planned = read(&name, &yaml(&tree));
            let takes = !planned.is_broken();
            let fits = validator.is_valid(&json(&tree));
            let unknown = first_problem(&planned).is_some_and(|problem| problem.starts_with("unknown key"));
            tried += 1;
            both_refuse += usize::from(!takes && !fits);
            reader_alone += usize::from(!takes && fits);
            if takes && !fits {
                differ.push(format!("{name}: only the schema refuses {at}"));
            } else if adds_key && unknown && fits {
                differ.push(format!("{name}: the schema takes an unknown key, {at}"));
            }
        }
    }
    println!("{tried} changes: both refuse {both_refuse}, only the reader {reader_alone}");
    assert!(
        differ.is_empty(),
        "{} differ:\n{}",
        differ.len(),
        differ.join("\n")
    );
    assert!(
        both_refuse > 1_000,
        "the schema refuses much of what the reader refuses: {both_refuse}"
    );
}
