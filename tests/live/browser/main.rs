//! Opens the page of `--report-html` in Chromium, and does there what a person does. Without Chromium these trials are
//! ignored, and say so; what can be seen without a browser is tested beside `src/report/page`.

#[path = "../../support/mod.rs"]
mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use serde_json::{Value, json};

const BLOCKED: &str = "scenario: the wait is not expected </script><script>document.title='ran'</script>
setup: |
  create table t (id int primary key, v int);
  insert into t values (1, 0);
connections: [alice, bob]
steps:
  - alice: begin pessimistic
  - alice: update t set v = 1 where id = 1
  - bob: update t set v = 2 where id = 1
  - alice: commit
";

const ORDERS: &str = "scenario: both orders
setup: |
  create table t (id int primary key, v int);
  insert into t values (1, 0);
connections:
  alice: {states: [{sql: select v from t}, {sql: update t set v = 1}]}
  bob: {states: [{sql: select v from t}, {sql: update t set v = 2}]}
permutations: {prune: false}
";

const PASSES: &str = "scenario: passes
connections: [alice]
steps:
  - alice: select 1 as one, 'two' as two
    rows: [[1, two]]
";

/// Where Chromium is.
fn chromium() -> Option<&'static str> {
    ["chromium", "chromium-browser", "google-chrome"]
        .into_iter()
        .find(|name| {
            let mut command = Command::new(name);
            command
                .arg("--version")
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        })
}

/// What a page has come to after this script has run in it: the script's own answer.
fn answer_of(chromium: &str, page: &str, hash: &str, script: &str) -> Result<Value, Failed> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("report.html");
    let told = format!(
        "<script>addEventListener('load', () => setTimeout(() => {{ let told; try {{ told = (() => {{ {script} }})(); }} \
         catch (error) {{ told = String(error); }} const pre = document.createElement('pre'); pre.id = 'told'; \
         pre.textContent = JSON.stringify(told); document.body.append(pre); }}, 50));</script></body>"
    );
    fs::write(&path, page.replacen("</body>", &told, 1))?;
    let output = Command::new(chromium)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--window-size=1400,900",
            "--dump-dom",
        ])
        .arg("--virtual-time-budget=5000")
        .arg(format!(
            "--user-data-dir={}",
            folder.path().join("profile").display()
        ))
        .arg(format!("file://{}{hash}", path.display()))
        .stderr(Stdio::null())
        .output()?;
    let document = String::from_utf8_lossy(&output.stdout).into_owned();
    let told = document
        .split_once("<pre id=\"told\">")
        .and_then(|(_, rest)| rest.split_once("</pre>"))
        .ok_or_else(|| format!("the page gave no answer:\n{document}"))?;
    let text = told
        .0
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&");
    Ok(serde_json::from_str(&text)?)
}

/// The page of a run of the scenarios above.
fn page() -> Result<String, Failed> {
    let folder = tempfile::tempdir()?;
    for (name, text) in [
        ("blocked.yaml", BLOCKED),
        ("orders.yaml", ORDERS),
        ("passes.yaml", PASSES),
    ] {
        fs::write(folder.path().join(name), text)?;
    }
    let report = folder.path().join("report.html");
    let mut command = support::binary();
    command
        .arg("run")
        .arg("--report-html")
        .arg(&report)
        .arg(folder.path());
    command.env("TIDB_PROVIDER", "embedded").env_remove("TIDB_URL");
    let (code, text) = support::told(&mut command);
    if code == Some(101) && Path::new(&report).exists() {
        Ok(fs::read_to_string(report)?)
    } else {
        Err(text.into())
    }
}

fn same(told: &Value, wanted: &Value) -> Result<(), Failed> {
    if told == wanted {
        Ok(())
    } else {
        Err(format!("wanted {wanted:#}\ngot {told:#}").into())
    }
}

/// A failure: its finding, its line in the file, the lanes with the blocked span and the arrow to the holder.
fn draws_a_failure(chromium: &str, page: &str) -> Result<(), Failed> {
    let told = answer_of(
        chromium,
        page,
        "#t0",
        "const all = (what) => [...document.querySelectorAll(what)];
         return {title: document.title, heading: document.querySelector('h2').textContent,
           wrong: all('#yaml li.wrong').map((line) => line.textContent),
           heads: all('.heads span').map((head) => head.textContent),
           items: all('.item > div:first-child').map((item) => item.textContent),
           spans: all('.span.blocked').length, arrows: all('.arrow').length,
           current: all('#trials a[aria-current]').length};",
    )?;
    same(
        &told,
        &json!({
            "title": "tidb-scenarios", "heading": "failed blocked",
            "wrong": ["9  - bob: update t set v = 2 where id = 1"],
            "heads": ["time", "alice", "bob"],
            "items": ["7: begin pessimistic", "8: update t set v = 1 where id = 1", "9: update t set v = 2 where id = 1",
                "blocked by alice (table t, row 1)"],
            "spans": 1, "arrows": 1, "current": 1,
        }),
    )
}

/// Keys: `j` and `Enter` open, a row shows what the server gave, `/` filters, `Escape` goes back.
fn obeys_keys(chromium: &str, page: &str) -> Result<(), Failed> {
    let told = answer_of(
        chromium,
        page,
        "",
        "const press = (key, on) => (on || document.activeElement).dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true}));
         const told = [];
         const current = () => document.querySelector('#trials a[aria-current] .name').textContent;
         told.push(current()); press('j'); told.push(current()); press('j'); told.push(current()); press('j'); told.push(current());
         press('k'); press('j');
         location.hash = document.querySelector('#trials a[aria-current]').getAttribute('href');
         dispatchEvent(new HashChangeEvent('hashchange'));
         const lanes = document.querySelector('.lanes');
         lanes.focus(); press('ArrowDown');
         told.push(document.querySelector('.step td').textContent);
         told.push(document.activeElement === lanes && lanes.getAttribute('aria-activedescendant'));
         press('/'); const search = document.getElementById('search'); told.push(document.activeElement === search);
         search.value = 'blocked'; search.dispatchEvent(new Event('input'));
         told.push([...document.querySelectorAll('#trials li')].filter((item) => !item.hidden).length);
         told.push(document.getElementById('shown').textContent);
         search.value = ''; search.dispatchEvent(new Event('input'));
         document.querySelector('.filter.passed').click();
         told.push([...document.querySelectorAll('#trials li')].filter((item) => !item.hidden).length);
         press('Escape'); told.push(document.activeElement === document.body);
         return told;",
    )?;
    same(
        &told,
        &json!([
            "blocked",
            "orders",
            "passes",
            "passes",
            "1",
            "row0",
            true,
            1,
            "1 of 3 trials",
            1,
            true
        ]),
    )
}

/// All interleavings: a row for each outcome, and a tree that opens.
fn draws_the_tree_of_choices(chromium: &str, page: &str) -> Result<(), Failed> {
    let told = answer_of(
        chromium,
        page,
        "#t1",
        "const nodes = () => document.querySelectorAll('[role=treeitem]').length;
         const before = nodes();
         const press = (key) => document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true}));
         document.querySelector('[role=treeitem]').focus(); press('ArrowRight');
         const opened = nodes(), state = document.activeElement.getAttribute('aria-expanded');
         press('ArrowRight'); const inner = document.activeElement.closest('[role=group]') !== null;
         press('ArrowLeft'); press('ArrowLeft');
         const select = document.getElementById('run');
         const buttons = document.querySelectorAll('td button'); buttons[buttons.length - 1].click();
         return {before, opened, state, inner, closed: nodes(), runs: select.options.length === buttons.length,
           chosen: Number(select.value) === buttons.length - 1,
           outcomes: document.querySelectorAll('tbody th[scope=row]').length === buttons.length};",
    )?;
    same(
        &told,
        &json!({"before": 2, "opened": 4, "state": "true", "inner": true, "closed": 2, "runs": true, "chosen": true,
            "outcomes": true}),
    )
}

/// 1,000 trials, one of them with 100,000 steps: only what can be seen is in the document.
fn scrolls_a_large_run(chromium: &str, page: &str) -> Result<(), Failed> {
    let begin = "<script type=\"application/json\" id=\"d2\">";
    let (before, rest) = page.split_once(begin).ok_or("the last trial")?;
    let (detail, after) = rest.split_once("</script>").ok_or("its end")?;
    let mut value: Value = serde_json::from_str(detail)?;
    let step = value[1]["runs"][0]["steps"][0].clone();
    let steps = (0..100_000_u64).map(|number| {
        let mut step = step.clone();
        step["s"] = json!(number * 100);
        step["e"] = json!(number * 100 + 50);
        step
    });
    value[1]["runs"][0]["steps"] = steps.collect();
    let mut large = format!("{before}{begin}{value}</script>{after}");
    let item = large.rfind("<li data-outcome=").ok_or("an item")?;
    let end = item + large[item..].find("</li>").ok_or("its end")? + "</li>".len();
    let more: String = (3..1_000)
        .map(|number| {
            large[item..end]
                .replace("\"2\"", &format!("\"{number}\""))
                .replace("#t2", &format!("#t{number}"))
        })
        .collect();
    large.insert_str(end, &more);
    let began = Instant::now();
    let told = answer_of(
        chromium,
        &large,
        "#t2",
        "const lanes = document.querySelector('.lanes');
         const first = document.querySelectorAll('.item').length;
         lanes.scrollTop = lanes.scrollHeight; lanes.dispatchEvent(new Event('scroll'));
         const items = [...document.querySelectorAll('.item')];
         return {trials: document.querySelectorAll('#trials li').length, few: first < 60 && items.length < 60,
           last: items[items.length - 1].id, size: items[0].getAttribute('aria-setsize')};",
    )?;
    same(
        &told,
        &json!({"trials": 1_000, "few": true, "last": "row99999", "size": "100000"}),
    )?;
    let took = began.elapsed();
    if took > Duration::from_secs(60) {
        return Err(format!("it took {took:?}").into());
    }
    Ok(())
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    type Test = fn(&str, &str) -> Result<(), Failed>;
    let tests: [(&str, Test); 4] = [
        ("draws_a_failure", draws_a_failure),
        ("obeys_keys", obeys_keys),
        ("draws_the_tree_of_choices", draws_the_tree_of_choices),
        ("scrolls_a_large_run", scrolls_a_large_run),
    ];
    let found = chromium();
    let made = std::sync::Arc::new(std::sync::OnceLock::new());
    let trials = tests.map(|(name, test)| {
        let made = std::sync::Arc::clone(&made);
        Trial::ignorable_test(name, move || {
            let Some(chromium) = found else {
                return Ok(Completion::ignored_with("there is no Chromium here"));
            };
            let page: &Result<String, String> =
                made.get_or_init(|| page().map_err(|failed| format!("{:?}", failed.message())));
            let page = page.as_ref().map_err(String::as_str)?;
            test(chromium, page).map(|()| Completion::Completed)
        })
    });
    libtest_mimic::run(&arguments, trials.into()).exit_code()
}
