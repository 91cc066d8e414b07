//! Which orders are run: all, those of a list, a sample, one of the command line.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use tidb_scenarios::engine::table;
use tidb_scenarios::engine::{LeftOut, OrderOutcome, random_schedules};
use tidb_scenarios::history::History;

use crate::{
    LOST_UPDATE, RUNTIME, SERVER, counts, explored, file, messages, run, settings, trial, withdrawals,
};

#[test]
fn every_real_order_is_run_once() {
    let text = "scenario: x
setup: create table t (id int primary key, n int)
connections:
  a: {states: [{sql: select 1}, {sql: select n from t}]}
  b: {states: [{sql: select 2}, {sql: \"insert into t values (1, 1)\"}]}
  c: {states: [{sql: select 3}]}
permutations: {prune: false}
";
    let all = explored(text);
    assert_eq!(
        (all.schedules, all.executed, all.distinct, all.trace_size),
        (30, 30, 30, 30)
    );
    assert_eq!(all.outcomes.iter().map(|class| class.executed).sum::<usize>(), 30);
    assert_eq!(all.left_out, None);
    assert!(all.restores, "only rows are changed");
    // Where somebody waits, fewer orders are real than can be written down.
    let text = withdrawals("  errors: {}").replace("permutations: all", "permutations: {prune: false}");
    let waits = explored(&text);
    assert_eq!(waits.schedules, 35);
    assert_eq!(waits.distinct as u128, waits.trace_size);
    assert!(waits.distinct < 35, "{}", waits.distinct);
    assert_eq!(waits.executed, waits.distinct, "no order is run in vain");
    assert_eq!(messages(&waits), "");
}

/// The command that a failure names for its order: the arguments after the tool's name.
fn commands(text: &str) -> Vec<Vec<String>> {
    let lines = text
        .lines()
        .filter_map(|line| line.strip_prefix("run this interleaving again: tidb-scenarios "));
    let words = |line: &str| {
        let (words, order) = line.split_once(" --order ").expect("an order");
        let mut words: Vec<String> = words.split(' ').map(str::to_owned).collect();
        words.extend(["--order".to_owned(), order.trim_matches('\'').to_owned()]);
        words
    };
    lines.map(words).collect()
}

#[test]
fn a_failure_names_the_order_and_the_flag_repeats_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = format!("{LOST_UPDATE}expect:\n  tables: {{t: [[1, 2]]}}\n");
    let path = file(folder.path(), "lost.yaml", &text);
    let (code, out, err) = run(&["run", &path]);
    assert_eq!(code, Some(101), "{out}{err}");
    let commands = commands(&out);
    assert!(!commands.is_empty(), "{out}{err}");
    for command in &commands {
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        let order = words.last().expect("an order");
        assert!(out.contains(&format!("in the interleaving {order}:")), "{out}");
        let (code, again, err) = run(&words);
        assert_eq!(code, Some(101), "{words:?}: {again}{err}");
        assert!(
            again.contains(&format!("in the interleaving {order}:")),
            "{again}"
        );
        let finding = |text: &str| {
            let from = text.find("in the interleaving").expect("an order");
            let to = text[from..].find(" │").expect("a timeline");
            // The last line before is the timeline's head.
            let story = text[from..from + to].trim_end();
            story.lines().take(8).collect::<Vec<_>>().join("\n")
        };
        if command == &commands[0] {
            assert_eq!(finding(&again), finding(&out));
        }
        assert!(again.contains("0 passed; 1 failed"), "{again}");
    }
    // One that is right passes.
    let (code, out, err) = run(&["run", &path, "--", "--order", "bob bob alice alice"]);
    assert_eq!(code, Some(0), "{out}{err}");
}

#[test]
fn an_order_that_does_not_fit_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = file(folder.path(), "lost.yaml", LOST_UPDATE);
    for (order, wanted) in [
        ("alice carol", "has no connection `carol`; it has alice, bob"),
        ("alice bbo", "it has alice, bob; did you mean `bob`?"),
        (
            "alice alice alice bob bob",
            "`alice` has 2 steps, and is named 3 times",
        ),
        ("", "`alice` has 2 steps, and is not named"),
        ("alice alice bob", "`bob` has 2 steps, and is named once"),
    ] {
        let (code, out, err) = run(&["run", &path, "--", "--order", order]);
        assert_eq!(code, Some(101), "{out}{err}");
        assert!(out.contains("--order: ") && out.contains(wanted), "{out}{err}");
    }
    let args = ["run", &path, "--", "--order", "alice bob bob", "--without"];
    for (without, wanted) in [
        (
            "alice.nope",
            "--without: `lost` has no step `alice.nope`; it has alice.select, alice.update, bob.select, bob.update",
        ),
        ("bob.update", "`alice` has 2 steps, and is named once"),
        (
            "alice.select alice.update",
            "`alice` has 0 steps, and is named once (2 steps left out)",
        ),
    ] {
        let (code, out, err) = run(&[&args[..], &[without]].concat());
        assert_eq!(code, Some(101), "{out}{err}");
        assert!(out.contains(wanted), "{out}{err}");
    }
    // A scenario without orders has none that could be asked for.
    let plain = "scenario: x\nconnections: [a]\nsteps: [{a: select 1}]\n";
    let path = file(folder.path(), "plain.yaml", plain);
    let (code, out, err) = run(&["run", &path, "--", "--order", "a"]);
    assert_eq!(code, Some(101), "{out}{err}");
    assert!(err.contains("--order: no trial here has `permutations`"), "{err}");
}

#[test]
fn each_order_of_a_list_is_a_trial() {
    let folder = tempfile::tempdir().expect("a folder");
    let list = "permutations: {list: [a b a b, [b.select, a.select, a.update, b.update]]}";
    // So it has on the command line, without its number, too; of variants those are meant that it fits.
    let variants = "scenario: x
matrix: {how: [long, short]}
connections:
  a: {states: [{sql: select 1}, {sql: select 2}, {sql: select 4, when: {how: long}}]}
  b: {states: [{sql: select 3}]}
permutations: all
";
    let path = file(folder.path(), "variants.yaml", variants);
    for (order, wanted) in [
        ("a b a a", "variants::how=long"),
        ("a.select b.select a.select.2", "variants::how=short"),
        ("a.select b.select a.select", "variants::how=short"),
    ] {
        let (code, out, err) = run(&["run", &path, "--", "--order", order]);
        assert_eq!(code, Some(0), "{out}{err}");
        assert!(
            out.contains(&format!("test {wanted} ... ok")) && out.contains("1 passed"),
            "{out}"
        );
        let (code, out, err) = run(&["explore", &path, "--order", order]);
        assert_eq!(code, Some(0), "{out}{err}");
        assert!(
            out.contains(&format!("{wanted} (x)")) && !out.contains("across"),
            "{out}"
        );
    }
    let (code, out, err) = run(&["run", &path, "--", "--order", "a.select.2 b a.select"]);
    assert_eq!(code, Some(101), "{out}{err}");
    assert!(
        out.contains("the next step is `a.select`, not `a.select.2` (in `variants::how=long`)"),
        "{out}"
    );
    // A step has the name that outcomes have for it, too.
    let twice = "scenario: x
connections:
  a: {states: [{sql: select 1}, {sql: select 2}]}
  b: {states: [{sql: select 3}]}
permutations: {list: [[a.select, b.select, a.select.2], [b, a.select, a.select]]}
";
    let path = file(folder.path(), "twice.yaml", twice);
    let (code, out, err) = run(&["run", &path]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(
        out.contains("order=a-b-a ... ok") && out.contains("order=b-a-a ... ok"),
        "{out}"
    );
    let text = LOST_UPDATE
        .replace("permutations: all", list)
        .replace("alice", "a")
        .replace("bob", "b");
    let text = format!("{text}expect: {{tables: {{t: [[1, 1]]}}}}\n");
    let path = file(folder.path(), "lost.yaml", &text);
    let (code, out, err) = run(&["run", &path, "--", "--list", "--format", "terse"]);
    assert_eq!(code, Some(0), "{err}");
    let names: Vec<&str> = out.lines().collect();
    assert_eq!(names, ["lost::order=a-b-a-b: test", "lost::order=b-a-a-b: test"]);
    let (code, out, err) = run(&["run", &path]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("2 passed"), "{out}");
    let (code, out, _) = run(&["run", &path, "--", "order=b-a"]);
    assert_eq!(code, Some(0), "{out}");
    assert!(
        out.contains("1 passed") && out.contains("1 filtered out"),
        "{out}"
    );
}

#[test]
fn an_order_of_a_list_comes_to_the_outcome_that_it_names() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "scenario: listed
setup: create table t (id int primary key, n int); insert into t values (1, 0)
connections:
  a: {states: [{sql: begin}, {sql: update t set n = 1 where id = 1}, {sql: commit}]}
  b: {states: [{sql: update t set n = 2 where id = 1 and n = 0}]}
permutations: {list: [{order: a a b a, outcome: too late}, {order: b a a a, outcome: [first]}]}
expect:
  outcomes:
    too late: {saw: {b.update: {affected: 0}}, blocked: [b.update]}
    first: {saw: {b.update: {affected: 1}}, blocked: []}
";
    let path = file(folder.path(), "listed.yaml", text);
    let (code, out, err) = run(&["run", &path]);
    assert_eq!(code, Some(0), "{out}{err}");
    let crossed = text
        .replace("outcome: too late", "outcome: x")
        .replace("outcome: [first]", "outcome: too late")
        .replace("outcome: x", "outcome: first");
    let path = file(folder.path(), "crossed.yaml", &crossed);
    let (code, out, err) = run(&["run", &path]);
    assert_eq!(code, Some(101), "{out}{err}");
    for part in [
        "this interleaving has the outcome `first`, not `too late`",
        "this interleaving has the outcome `too late`, not `first`",
        "not `too late`: b.update: expected 0 affected rows, got 1",
        "not `first`: b.update: expected 1 affected row, got 0",
        "2 failed",
    ] {
        assert!(out.contains(part), "`{part}` is missing:\n{out}");
    }
}

#[test]
fn of_a_list_an_order_is_chosen_and_others_are_explored() {
    let folder = tempfile::tempdir().expect("a folder");
    let list = "permutations: {list: [alice bob alice bob, alice alice bob bob]}";
    let path = file(
        folder.path(),
        "two.yaml",
        &LOST_UPDATE.replace("permutations: all", list),
    );
    let with = |more: &[&str]| run(&[&["run", path.as_str()][..], more].concat());
    let (code, out, err) = with(&["--", "--order", "alice alice bob bob"]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("running 1 test\n"), "{out}");
    assert!(out.contains("two::order=alice-alice-bob-bob ... ok"), "{out}");
    // What is not in the list has no name to be run under.
    let (code, out, err) = with(&["--", "--order", "bob bob alice alice"]);
    assert_eq!(code, Some(101), "{out}{err}");
    assert!(
        out.contains("--order: this order is not in the list"),
        "{out}{err}"
    );
    // Nor is a shorter one.
    let (code, out, err) = with(&["--", "--order", "alice bob bob", "--without", "alice.update"]);
    assert_eq!(code, Some(101), "{out}{err}");
    assert!(
        out.contains("--order: this order is not in the list"),
        "{out}{err}"
    );
    // One trial's name with another's order is none of them.
    let (code, out, err) = with(&[
        "--",
        "--exact",
        "two::order=alice-bob-alice-bob",
        "--order",
        "alice alice bob bob",
    ]);
    assert_eq!(code, Some(101), "{out}{err}");
    assert!(
        err.contains("--order: `two::order=alice-bob-alice-bob` is another order than this one"),
        "{out}{err}"
    );
    let (code, out, err) = run(&["explore", &path, "--order", "bob bob alice alice"]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(
        out.starts_with("two::order=bob-bob-alice-alice (an increment"),
        "{out}"
    );
    assert_eq!(out.matches("1 outcome in 1 interleaving").count(), 1, "{out}");
}

#[test]
fn one_order_shows_what_happens_in_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = file(folder.path(), "lost.yaml", LOST_UPDATE);
    let story = |text: &str| {
        let at = |part: &str| {
            text.find(part)
                .unwrap_or_else(|| panic!("`{part}` is missing:\n{text}"))
        };
        let head = at("│ alice");
        assert!(head < at("1 outcome in 1 interleaving"), "{text}");
        assert!(text.contains("update t set n = 0 + 1"), "{text}");
    };
    let (code, out, err) = run(&["explore", &path, "--order", "alice bob alice bob"]);
    assert_eq!(code, Some(0), "{out}{err}");
    story(&out);
    let (code, out, err) = run(&[
        "run",
        &path,
        "--",
        "--order",
        "alice bob alice bob",
        "--show-output",
    ]);
    assert_eq!(code, Some(0), "{out}{err}");
    story(&err);
    // What is printed for all of them names the command for one.
    let (_, out, _) = run(&["explore", &path]);
    let command = out.lines().last().expect("a line");
    let command = command
        .strip_prefix("one of them, step by step: tidb-scenarios ")
        .expect("a command");
    let words = shlex(command);
    let (code, out, err) = run(&words.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(code, Some(0), "{command}: {out}{err}");
    assert!(
        out.contains("│ alice") && out.contains("1 outcome in 1 interleaving"),
        "{out}"
    );
    // An order may name steps, as a list does.
    let steps = "alice.select bob.select alice bob.update";
    let (code, out, err) = run(&["explore", &path, "--order", steps]);
    assert_eq!(code, Some(0), "{out}{err}");
    story(&out);
    let wrong = "alice.update bob.select alice.select bob.update";
    let (code, out, err) = run(&["explore", &path, "--order", wrong]);
    assert_eq!(code, Some(1), "{out}{err}");
    assert!(
        err.contains("--order: the next step is `alice.select`, not `alice.update`"),
        "{err}"
    );
    let (code, out, err) = run(&["explore", &path, "--order", "alice bob"]);
    assert_eq!(code, Some(1), "{out}{err}");
    assert!(
        err.contains("--order: `alice` has 2 steps, and is named once"),
        "{err}"
    );
    let (code, out, err) = run(&["explore", &path, "--without", "alice.update"]);
    assert_eq!(code, Some(2), "{out}{err}");
}

/// The words of a command with `'…'` in it.
fn shlex(command: &str) -> Vec<String> {
    let parts = command.split('\'').enumerate();
    let words = parts.flat_map(|(number, part)| match number % 2 {
        0 => part.split_whitespace().map(str::to_owned).collect(),
        _ => vec![part.to_owned()],
    });
    words.collect()
}

#[test]
fn a_sample_is_the_same_for_the_same_seed() {
    let text = |permutations: &str| {
        LOST_UPDATE.replace("permutations: all", &format!("permutations: {permutations}"))
    };
    let orders = |text: &str| {
        let explored = explored(text);
        assert_eq!(explored.left_out, Some(LeftOut::Asked));
        let groups = explored.outcomes.iter();
        let groups: Vec<(OrderOutcome, u128, Vec<usize>)> = groups
            .map(|class| (class.outcome.clone(), class.trace_size, class.schedule.clone()))
            .collect();
        (explored.distinct, groups)
    };
    let one = orders(&text("{sample: 3, seed: 7}"));
    assert_eq!(one.0, 3);
    for _ in 0..3 {
        assert_eq!(orders(&text("{sample: 3, seed: 7}")), one);
    }
    let others = (1..6).map(|seed| orders(&text(&format!("{{sample: 3, seed: {seed}}}"))));
    assert!(
        others.into_iter().any(|other| other != one),
        "another seed is another sample"
    );
    assert_eq!(
        orders(&text("{sample: 100, seed: 1}")).0,
        6,
        "there are no more than six"
    );
    // Every order is as likely as any other.
    let mut counts: BTreeMap<Vec<usize>, usize> = BTreeMap::new();
    for seed in 0..6_000 {
        for order in random_schedules(&[2, 2], 1, seed) {
            *counts.entry(order).or_default() += 1;
        }
    }
    assert!(
        counts.len() == 6 && counts.values().all(|count| (850..1150).contains(count)),
        "{counts:?}"
    );
}

#[test]
fn most_says_what_was_left_out() {
    let text = LOST_UPDATE.replace("permutations: all", "permutations: {most: 3}");
    let explored = explored(&text);
    assert_eq!((explored.executed, explored.distinct), (3, 3));
    assert_eq!(explored.left_out, Some(LeftOut::Most(3)));
    let shown = table(&trial(&text), &explored);
    let first = shown.lines().next().expect("a line");
    for part in ["6", "`most` is 3", "left out"] {
        assert!(first.contains(part), "`{part}` is missing: {first}");
    }
    // Exactly as many as there are leave out nothing.
    let exact = LOST_UPDATE.replace("permutations: all", "permutations: {most: 6, prune: false}");
    assert_eq!(self::explored(&exact).left_out, None);
}

/// Whatever stage was faster: what is left out is chosen by the seed.
#[test]
fn most_runs_the_same_orders_each_time() {
    let text = |rows: [u32; 4]| {
        let [one, two, three, four] = rows;
        format!(
            "scenario: x
setup: create table t (id int primary key, n int); insert into t values (1, 0), (2, 0), (3, 0)
connections:
  a: {{states: [{{sql: begin}}, {{sql: update t set n = n + 1 where id = {one}}}, {{sql: update t set n = n + 1 where id = {two}}}, {{sql: commit}}]}}
  b: {{states: [{{sql: begin}}, {{sql: update t set n = n * 2 where id = {three}}}, {{sql: update t set n = n + 5 where id = {four}}}, {{sql: commit}}]}}
  c: {{states: [{{sql: select sum(n) from t}}]}}
"
        )
    };
    let orders = |text: &str, most: u32, how: &str, seed: u32| {
        let text = format!("{text}permutations: {{most: {most}, {how}seed: {seed}}}\n");
        let explored = explored(&text);
        assert_eq!(explored.left_out, Some(LeftOut::Most(most)), "{text}");
        let taken = |history: &History| history.steps.iter().map(|step| step.step).collect::<Vec<_>>();
        let orders: BTreeSet<_> = explored.histories.iter().map(taken).collect();
        (counts(&explored), orders)
    };
    let (waiting, apart) = (text([1, 2, 2, 1]), text([1, 1, 2, 3]));
    for (text, most, how) in [
        (&waiting, 12, ""),
        (&waiting, 40, "prune: false, "),
        (&apart, 60, "prune: false, "),
    ] {
        let first = orders(text, most, how, 1);
        for _ in 0..3 {
            assert!(
                orders(text, most, how, 1) == first,
                "other orders with the same seed: {text}"
            );
        }
        let mut others = (2..5).map(|seed| orders(text, most, how, seed));
        assert!(
            others.any(|other| other.1 != first.1),
            "another seed leaves out others: {text}"
        );
    }
}

#[test]
fn a_shorter_story_leaves_out_who_has_nothing_to_do_with_it() {
    let text = "scenario: x
setup: |
  create table t (id int primary key, n int);
  insert into t values (1, 0), (2, 0);
connections:
  a: {states: [{sql: select 1}, {sql: select n from t where id = 1, save: {n: n}}, {sql: \"update t set n = ${n} + 1 where id = 1\"}]}
  b: {states: [{sql: update t set n = n + 1 where id = 1}]}
  c: {states: [{sql: update t set n = n + 1 where id = 2}, {sql: select n from t where id = 2}]}
permutations: all
expect:
  queries: [{sql: select n from t where id = 1, value: 2}]
";
    let plan = trial(text);
    let began = Instant::now();
    let explored = explored(text);
    assert!(began.elapsed() < Duration::from_secs(60));
    let failing = explored.failing.first().expect("a failure");
    let shrunk = failing.shrunk.as_ref().expect("a shorter one");
    let order = plan.order_in_words(&shrunk.schedule);
    assert_eq!(order, "a b a", "{shrunk:?}");
    let mut without: Vec<String> = shrunk
        .without
        .iter()
        .map(|step| plan.describe(&plan.steps[*step]))
        .collect();
    without.sort();
    assert_eq!(without.len(), 3, "{without:?}");
    // As the report shows it.
    let folder = tempfile::tempdir().expect("a folder");
    let path = file(folder.path(), "three.yaml", text);
    let (code, out, err) = run(&["run", &path]);
    assert_eq!(code, Some(101), "{out}{err}");
    let story = out.split("it also fails").nth(1).expect("a shorter story");
    let story: Vec<&str> = story.lines().skip(1).take(4).collect();
    assert!(story[3].starts_with("run the smaller one: "), "{story:?}");
    assert!(
        story[0].starts_with("  - a: ") && story[1].starts_with("  - b: ") && story[2].starts_with("  - a: "),
        "{story:?}"
    );
    let command = out
        .lines()
        .find_map(|line| line.strip_prefix("run the smaller one: tidb-scenarios "));
    let words = shlex(command.expect("a command"));
    let (code, again, err) = run(&words.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(code, Some(101), "{words:?}: {again}{err}");
    assert!(again.contains("in the interleaving a b a:"), "{again}");
    assert!(again.contains("expected 2, got 1"), "{again}");
    assert!(
        !again.contains("select 1") && !again.contains("id = 2"),
        "{again}"
    );
    // No time is no search.
    let mut settings = settings();
    settings.shrink_max = Duration::ZERO;
    let none = tidb_scenarios::engine::explore(&plan, &SERVER, &[], &settings);
    let none = RUNTIME.block_on(none).expect("it runs");
    assert!(none.failing[0].shrunk.is_none());
}
