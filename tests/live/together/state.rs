//! What one trial changes of the server is as it was when the next one begins.

use crate::{LEFT, Ran, ask, command, folder, global, run, run_now};

#[test]
fn what_a_setup_sets_is_set_back_before_the_others() {
    let sets = "scenario: one that sets a global variable in its setup
serial: true
setup: set global tidb_retry_limit = 7
connections: [a]
steps:
  - a: select @@global.tidb_retry_limit
    value: 7
";
    let looks = "scenario: one that looks at it
connections: [a]
steps:
  - a: select @@global.tidb_retry_limit
    value: 10
";
    run(&[("s1", sets), ("s2", looks), ("s3", looks)]).assert_green(3);
    assert_eq!(global("tidb_retry_limit"), "10");
}

#[test]
fn what_any_part_sets_is_set_back() {
    for (part, text) in [
        (
            "steps",
            "steps: [{a: \"select 1; set @b = 1, @@global.net_write_timeout = 77\"}]",
        ),
        (
            "teardown",
            "teardown: set global net_write_timeout = 77\nsteps: [{a: select 1}]",
        ),
        (
            "a failed setup",
            "setup: [set global net_write_timeout = 77, insert into nowhere values (1)]\nsteps: [{a: select 1}]",
        ),
        (
            "a failing step",
            "steps: [{a: set global net_write_timeout = 77}, {a: select nothing}]",
        ),
        (
            "a prepared statement",
            "steps: [{a: \"prepare p from 'set global net_write_timeout = 77'\"}, {a: execute p}]",
        ),
        (
            "a comment that is executed",
            "steps: [{a: /*!40101 set global net_write_timeout = 77 */}]",
        ),
        (
            "every order",
            "setup: create table t (id int primary key)\npermutations: all\nsteps: [{a: set global net_write_timeout = 77}, {a: insert into t values (1)}, {b: select * from t}, {b: select 1}]",
        ),
        (
            "a final query",
            "steps: [{a: select 1}]\nexpect: {queries: [{sql: set global net_write_timeout = 77, affected: 0}]}",
        ),
    ] {
        let b = if text.contains("{b:") { ", b" } else { "" };
        let text = format!("scenario: x\nserial: true\nconnections: [a{b}]\n{text}\n");
        let ran = run(&[("changes", &text)]);
        assert_eq!(ran.results.len(), 1, "{part}: {}", ran.text);
        assert_eq!(global("net_write_timeout"), "60", "{part}: {}", ran.text);
        assert_eq!(
            ask("select count(*) from information_schema.schemata where schema_name = 'tidb_scenarios_undo'"),
            "0",
            "{part}: {}",
            ran.text
        );
    }
}

#[test]
fn accounts_are_what_they_were() {
    ask("create user if not exists 'keeps_its_rights'");
    ask("grant select on mysql.* to 'keeps_its_rights'");
    let text = "scenario: accounts come and go
serial: true
setup: |
  create user 'comes_by_itself' identified by 'secret';
  grant select on ${database}.* to 'comes_by_itself';
connections: [a]
steps:
  - a: grant insert on *.* to 'keeps_its_rights'
  - a: revoke select on mysql.* from 'keeps_its_rights'
  - a: set password for 'keeps_its_rights' = 'other'
  - a: create resource group comes_as_well ru_per_sec = 10
  - a: create placement policy comes_as_well followers = 1
  - a: create database comes_as_well
  - a: create global binding for select * from mysql.user where user = 'x' using select * from mysql.user where user = 'x'
";
    let rights = || {
        let rights = ask(
            "select group_concat(concat_ws(',', host, db, user, select_priv)) from mysql.db where user in ('keeps_its_rights', 'comes_by_itself')",
        );
        let user = ask(
            "select group_concat(concat_ws(',', user, authentication_string, insert_priv)) from mysql.user where user in ('keeps_its_rights', 'comes_by_itself')",
        );
        format!("{rights}; {user}")
    };
    let before = rights();
    run(&[("accounts", text)]).assert_green(1);
    assert_eq!(rights(), before);
    // What the server has in memory, too.
    let ran = run(&[(
        "after",
        "scenario: x\nconnections: [a]\nsteps: [{a: show grants for 'keeps_its_rights', rows: [[{match: 'USAGE'}], [{match: 'SELECT ON `?mysql'}]]}]\n",
    )]);
    ran.assert_green(1);
    for (sql, want) in [
        (
            "select count(*) from information_schema.resource_groups where name = 'comes_as_well'",
            "0",
        ),
        (
            "select count(*) from information_schema.placement_policies where policy_name = 'comes_as_well'",
            "0",
        ),
        (
            "select count(*) from information_schema.schemata where schema_name = 'comes_as_well'",
            "0",
        ),
        (
            "select count(*) from mysql.bind_info where original_sql like '%`user` = ?%' and status <> 'deleted'",
            "0",
        ),
    ] {
        assert_eq!(ask(sql), want, "{sql}");
    }
}

#[test]
fn what_cannot_be_set_back_is_red() {
    let _alone = LEFT.write();
    ask("create user if not exists 'gives_up'");
    ask("grant all on *.* to 'gives_up' with grant option");
    let text = "scenario: one that gives up its own rights
serial: true
connections: [a]
steps:
  - a: set global net_read_timeout = 33
teardown: revoke all, grant option on *.* from 'gives_up'
";
    let folder = folder(&[("gives_up", text)]);
    let ran = Ran::of(&command(folder.path(), "gives_up").output().expect("a run"));
    assert_eq!(
        ran.results,
        [("gives_up".to_owned(), "FAILED".to_owned())],
        "{}",
        ran.text
    );
    let told = "it cannot be told whether the server's accounts are what they were before the trial";
    assert!(ran.text.contains(told), "{}", ran.text);
    // The next run, which may do so, sets it back.
    let looks = "scenario: x
connections: [a]
steps:
  - a: show grants for 'gives_up'
    contains: [[{match: 'ALL PRIVILEGES'}]]
";
    let ran = run_now(&[("looks", looks)]);
    ran.assert_green(1);
    assert!(
        ran.text.contains("set back what a run that was killed has left"),
        "{}",
        ran.text
    );
    assert_eq!(global("net_read_timeout"), "30");
    ask("drop user 'gives_up'");
}

#[test]
fn what_no_text_tells_is_found_and_set_back() {
    let text = "scenario: a statement that only the server knows
connections: [a]
steps:
  - a: set @text = concat('set glo', 'bal tidb_ddl_reorg_batch_size = 300')
  - a: prepare p from @text
  - a: execute p
";
    let ran = run(&[("unknown", text)]);
    assert_eq!(
        ran.results,
        [("unknown".to_owned(), "FAILED".to_owned())],
        "{}",
        ran.text
    );
    assert!(
        ran.text.contains("this trial has changed the whole server"),
        "{}",
        ran.text
    );
    assert_eq!(global("tidb_ddl_reorg_batch_size"), "256");
    // One that changes nothing is green.
    let text = text.replace(
        "'set glo', 'bal tidb_ddl_reorg_batch_size = 300'",
        "'select ', '1'",
    );
    run(&[("unknown", &text)]).assert_green(1);
}

#[test]
fn rows_and_tables_of_others_that_are_not_what_they_were_are_red() {
    let _alone = LEFT.write();
    ask("create database others_own");
    ask(
        "create table others_own.t (id int primary key, n decimal(5, 2)) partition by hash (id) partitions 2",
    );
    ask("insert into others_own.t values (1, 1.25), (2, null)");
    ask("create table others_own.u (id int primary key, n decimal(5, 2))");
    let trial = |steps: &str| {
        let text = format!(
            "scenario: one that changes what others have\nserial: true\nconnections: [a]\nsteps:\n{steps}"
        );
        run_now(&[("changes", &text)])
    };
    let red = |steps: &str, back: &str| {
        let ran = trial(steps);
        assert_eq!(
            ran.results,
            [("changes".to_owned(), "FAILED".to_owned())],
            "{}",
            ran.text
        );
        let told = "`others_own.t` is not what it was before the trial";
        assert!(ran.text.contains(told), "{}", ran.text);
        ask(back);
    };
    red(
        "  - a: update others_own.t set n = 1.5 where id = 1\n",
        "update others_own.t set n = 1.25 where id = 1",
    );
    red(
        "  - a: use others_own\n  - a: delete from t where id = 2\n",
        "insert into others_own.t values (2, null)",
    );
    red(
        "  - a: alter table others_own.t exchange partition p0 with table others_own.u\n",
        "alter table others_own.t exchange partition p0 with table others_own.u",
    );
    red(
        "  - a: alter table others_own.t comment 'left'\n",
        "alter table others_own.t comment ''",
    );
    // What is put back is what it was.
    let back =
        "  - a: delete from others_own.t where id = 2\n  - a: insert into others_own.t values (2, null)\n";
    trial(back).assert_green(1);
    ask("drop database others_own");
}
