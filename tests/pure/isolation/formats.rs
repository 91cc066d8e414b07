//! The formats: what is read, and what is said of what can't be.

use expect_test::{Expect, expect};
use tidb_scenarios::isolation::{
    Format, HistoryBuilder, Level, Model, Status, Transaction, Value, analyze, check, read_history,
};

fn refused(text: &str, format: Option<Format>, expected: Expect) {
    let error = read_history(text.as_bytes(), format).expect_err("no history");
    expected.assert_eq(&error.to_string());
}

fn json(text: &str, expected: Expect) {
    refused(&format!("{{\"history\": 1}}\n{text}"), None, expected);
}

#[test]
fn mistakes_in_json_lines_have_their_place_and_what_to_do() {
    refused(
        "",
        None,
        expect!["1:1: the history has no transaction; nothing can be said of it"],
    );
    refused(
        "{}\n",
        None,
        expect![[r#"1:1: the first line is no header; write `{"history": 1}` before the transactions"#]],
    );
    refused(
        "{\"history\": 2}\n",
        None,
        expect!["1:1: this is version 2 of the format, and version 1 is what is read here"],
    );
    refused(
        "{\"history\": 1, \"mood\": 1}\n",
        None,
        expect![
            "1:21: unknown field `mood`, expected one of `history`, `workload`, `mode`, `isolation`, `read_lock`, `seed`, `repeat`, `total`"
        ],
    );
    refused(
        "{\"history\": 1, \"mode\": \"keen\"}\n",
        None,
        expect!["1:29: unknown variant `keen`, expected `pessimistic` or `optimistic`"],
    );
    json(
        "{\"process\": 0, \"status\": \"ok\", \"ops\": [",
        expect!["2:39: EOF while parsing a list"],
    );
    json(
        "{\"process\": 0, \"status\": \"fine\", \"ops\": []}",
        expect!["2:31: unknown variant `fine`, expected one of `ok`, `failed`, `unknown`"],
    );
    json(
        "{\"process\": 0, \"ops\": []}",
        expect![[r#"2:25: missing field `status`: "ok", "failed" or "unknown""#]],
    );
    json(
        "{\"status\": \"ok\", \"ops\": []}",
        expect!["2:27: missing field `process`"],
    );
    json(
        "{\"process\": 0, \"status\": \"ok\"}",
        expect!["2:30: missing field `ops`"],
    );
    json(
        "{\"process\": 0, \"status\": \"ok\", \"steps\": []}",
        expect![
            "2:38: unknown field `steps`, expected one of `process`, `invoke`, `return`, `status`, `start_ts`, `for_update_ts`, `commit_ts`, `place`, `ops`"
        ],
    );
    let ops = |ops: &str| format!("\n{{\"process\": 0, \"status\": \"ok\", \"ops\": [{ops}]}}");
    json(
        &ops("[\"apend\", 5, 1]"),
        expect!["3:47: unknown variant `apend`, expected one of `append`, `write`, `read`, `range`, `count`"],
    );
    json(
        &ops("[\"append\", 5]"),
        expect!["3:52: the operation has no value"],
    );
    json(
        &ops("[\"read\", 5]"),
        expect![
            "3:50: the operation has no result; leave out reads that did not return, and write null for what isn't there"
        ],
    );
    json(
        &ops("[\"read\", 5, [1], 3]"),
        expect!["3:57: invalid type: integer `3`, expected struct Details"],
    );
    json(
        &ops("[\"read\", 5, [1], {\"at\": 3}]"),
        expect!["3:61: unknown field `at`, expected one of `ts`, `lock`, `time`, `place`"],
    );
    json(
        &ops("[\"read\", 5, [1], {}, 3]"),
        expect!["3:62: the operation has too many parts"],
    );
    json(
        &ops("[\"append\", 5, 1.5]"),
        expect!["3:56: invalid type: floating point `1.5`, expected an integer, a text, or null"],
    );
    json(
        &ops("[\"append\", 5, 18446744073709551615]"),
        expect!["3:73: the integer is beyond 2^63; write it as a text"],
    );
    json(
        &ops("[\"append\", 5, -9223372036854775807]"),
        expect!["3:73: -9223372036854775807 is too small; write it as a text"],
    );
    json(
        &ops("[\"append\", 5, 1], [\"write\", 5, 2]"),
        expect!["3:1: key 5 is a list in one place and a register in another; use another key"],
    );
    json(
        &ops("[\"range\", 0, 5, [[7, 1]]]"),
        expect!["3:1: row 7 is outside of its range 0 to 5"],
    );
    json(
        &ops("[\"range\", 0, 5, [[3, 1], [3, 2]]]"),
        expect!["3:1: the range 0 to 5 has a row twice"],
    );
    json(
        "{\"process\": 0, \"status\": \"ok\", \"ops\": []} {}",
        expect!["2:43: trailing characters"],
    );
}

#[test]
fn histories_that_contradict_themselves_are_refused() {
    json(
        "{\"process\": 0, \"invoke\": 5, \"return\": 3, \"status\": \"ok\", \"ops\": []}",
        expect!["2:1: `return` (3) is before `invoke` (5); both are ns of one monotonic clock"],
    );
    json(
        "{\"process\": 0, \"invoke\": 5, \"status\": \"ok\", \"ops\": []}",
        expect!["2:1: `return` is missing; only a transaction with an unknown outcome has none"],
    );
    json(
        "{\"process\": 0, \"invoke\": 5, \"return\": 6, \"status\": \"ok\", \"ops\": []}\n{\"process\": 1, \"status\": \"ok\", \"ops\": []}",
        expect!["3:1: `invoke` is given for some transactions only; give it for all or for none"],
    );
    json(
        "{\"process\": 0, \"start_ts\": 0, \"status\": \"ok\", \"ops\": []}",
        expect!["2:1: start_ts is 0; leave out what is not known"],
    );
    let unusable = |text: &str, expected: Expect| {
        let history = super::notation::history(text);
        let error = analyze(&history).expect_err("it can't be judged");
        expected.assert_eq(&format!("{}: {error}", error.line.unwrap_or(0)));
    };
    unusable(
        "a: append x 1\nb failed: append x 1",
        expect![
            "3: value 1 is written to key x twice (first in line 2), so a read of it doesn't tell by whom; write each value of a key once, also when a transaction is tried again"
        ],
    );
    unusable(
        "a: write x 1\nb: write x 1\nc: read x 1",
        expect![
            "3: value 1 is written to key x twice (first in line 2), so a read of it doesn't tell by whom; write each value of a key once, also when a transaction is tried again, or give commit_ts and read timestamps"
        ],
    );
    unusable(
        "a 1-5: append x 1\na 4-6: append x 2",
        expect![
            "3: process a begins a transaction before its last one has returned; give each connection a process of its own"
        ],
    );
}

#[test]
fn promised_needs_the_mode() {
    let history = super::notation::history("a: append x 1");
    let error = check(&history, Level::Promised).expect_err("no mode");
    expect![[r#"`promised` needs to know the transactions' mode: add `"mode": "pessimistic"` (or optimistic) to the history's first line, or name a level"#]]
        .assert_eq(&error.to_string());
    let error = check(&history, Level::Timestamps).expect_err("no timestamps");
    expect![
        "no read has a timestamp to be judged by: give `start_ts` and `commit_ts`, or a `ts` of the read"
    ]
    .assert_eq(&error.to_string());
}

/// What Elle's own tests are about, in the shapes in which Jepsen writes.
const EDN: &str = "
; a comment, and #_ what is left out
{:type :invoke, :process 0, :f :txn, :value [[:append 5 1] [:r 6 nil]], :time 10, :index 0}
{:type :invoke, :process 1, :f :txn, :value [[:append 6 2] [:r 5 nil]], :time 11, :index 1}
{:type :info, :process :nemesis, :f :start-partition, :value [:majority {\"n1\" #{\"n2\"}}], :time 12}
#jepsen.history.Op{:type :ok, :process 1, :f :txn, :value [[:append 6 2] [:r 5 []]], :time 13, :index 2}
#jepsen.history.Op{:index 3, :time 14, :type :ok, :process 0, :f :txn, :value #_ignored [[:append 5 1] [:r 6 nil]], :extra {:a [1.5 2N -3 \\c \"s\\\"\\u0041\"]}}
{:type :invoke, :process 2, :f :txn, :value [[:r 5 nil] [:r 6 nil]], :time 20}
{:type :ok, :process 2, :f :txn, :value [[:r 5 [1]] [:r 6 [2]]], :time 21}
{:type :invoke, :process 3, :f :txn, :value [[:append 5 9]], :time 30}
{:type :fail, :process 3, :f :txn, :value [[:append 5 9]], :time 31, :error :conflict}
{:type :invoke, :process 3, :f :txn, :value [[:append 5 10]], :time 32}
";

#[test]
fn jepsen_histories_are_read() {
    for text in [EDN.to_owned(), format!("[{EDN}]"), format!("({EDN})")] {
        let history = read_history(text.as_bytes(), None).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(history.count(Status::Ok), 3);
        assert_eq!(history.count(Status::Failed), 1);
        assert_eq!(history.count(Status::Unknown), 1);
        let analysis = analyze(&history).expect("a history");
        assert!(analysis.holds(Model::StrongSnapshotIsolation) && !analysis.holds(Model::Serializable));
    }
    let registers = "
        [{:type :invoke, :process 0, :f :txn, :value [[:w :x 1]]} {:type :ok, :process 0, :f :txn, :value [[:w :x 1]]}
         {:type :invoke, :process 1, :f :txn, :value [[:r :x nil] [:w :y 1]]}
         {:type :invoke, :process 2, :f :txn, :value [[:r :y nil] [:w :x 2]]}
         {:type :ok, :process 1, :f :txn, :value [[:r :x 2] [:w :y 1]]}
         {:type :ok, :process 2, :f :txn, :value [[:r :y 1] [:w :x 2]]}]";
    let history = read_history(registers.as_bytes(), None).unwrap_or_else(|error| panic!("{error}"));
    let analysis = analyze(&history).expect("a history");
    assert_eq!(
        analysis.strongest(),
        [Model::ReadUncommitted],
        "each read what the other one wrote: G1c"
    );
}

#[test]
fn mistakes_in_edn_have_their_place_and_what_to_do() {
    let edn = |text: &str, expected: Expect| refused(text, Some(Format::Edn), expected);
    edn(
        "[{:type :invoke",
        expect!["1:16: the text ends before `}`; is the file whole?"],
    );
    edn(
        "{:type :ok, :process 0, :f :txn, :value []}",
        expect!["1:1: this process has not invoked an operation before"],
    );
    edn(
        "\n  {:process 0}",
        expect!["2:3: the operation has no :type; write :invoke, :ok, :fail or :info"],
    );
    edn(
        "{:type :begin, :process 0}",
        expect!["1:1: there is no type :begin; there are :invoke, :ok, :fail, :info"],
    );
    edn(
        "{:type :invoke, :process 0, :f :transfer, :value []}",
        expect![[
            r#"1:1: only :f :txn can be judged (lists: [:append k v], [:r k [..]]; registers: [:w k v], [:r k v]), and this is Keyword("transfer")"#
        ]],
    );
    edn(
        "{:type :invoke, :process 0, :f :txn, :value 5}",
        expect!["1:1: the invocation has no :value; write its operations, such as [[:r 5 nil]]"],
    );
    edn(
        "{:type :invoke, :process 0, :value [[:r 1 nil]]} {:type :invoke, :process 0, :value [[:r 1 nil]]}",
        expect![
            "1:50: this process has not completed its last operation; after :info it gets another number"
        ],
    );
    edn(
        "{:type :invoke, :process 0, :value [[:cas 1 2 3]]} {:type :ok, :process 0, :value [[:cas 1 2 3]]}",
        expect![[r#"1:52: an operation of a transaction is :append, :w or :r, not Keyword("cas")"#]],
    );
    edn(
        "[] [1]",
        expect!["1:4: something stands behind the history's end"],
    );
    edn(
        "5",
        expect![
            "1:1: an operation is a map, such as {:process 0, :type :ok, :f :txn, :value [[:append 5 1]]}"
        ],
    );
    edn("{:a}", expect!["1:1: the map has a key without a value"]);
    edn("}", expect!["1:1: `}` closes nothing"]);
    edn("\"abc", expect!["1:5: the text ends within a string"]);
    edn(
        &"[".repeat(200),
        expect!["1:67: more than 64 values stand in each other"],
    );
}

/// Whatever the bytes are, the readers end with a history or with an error.
#[test]
fn no_input_is_too_strange() {
    let mut random = super::agree::Random(99);
    let pieces: &[&[u8]] = &[
        b"{",
        b"}",
        b"[",
        b"]",
        b"\"history\"",
        b":",
        b"1",
        b",",
        b"\n",
        b"#",
        b"_",
        b"\"",
        b"\\",
        b":type",
        b" ",
        b":ok",
        b"\xff",
        b"null",
        b"-",
        b"9223372036854775807",
        b"ops",
        b"(",
        b"^",
        b";",
        b"process",
        b"\xc3\xa4",
    ];
    for _ in 0..20_000 {
        let count = random.below(30);
        let mut text = if random.below(2) == 0 {
            b"{\"history\":1}\n".to_vec()
        } else {
            Vec::new()
        };
        for _ in 0..count {
            text.extend_from_slice(pieces[random.below(pieces.len() as u64) as usize]);
        }
        for format in [None, Some(Format::Edn), Some(Format::JsonLines)] {
            if let Ok(history) = read_history(text.as_slice(), format) {
                drop(analyze(&history));
            }
        }
    }
}

#[test]
fn values_are_integers_texts_or_nothing() {
    let mut builder = HistoryBuilder::new();
    let names = builder.names_mut();
    let (a, b) = (names.text("a"), names.text("b"));
    assert_ne!(a, b);
    assert_eq!(names.text("a"), a);
    assert_eq!(
        (names.as_text(a), a.as_integer(), a.is_null()),
        (Some("a"), None, false)
    );
    let five = Value::integer(5).expect("not among the smallest");
    assert_eq!(
        (names.show(five).as_ref(), names.show(Value::NULL).as_ref()),
        ("5", "nil")
    );
    assert_eq!(Value::integer(i64::MIN), None);
    assert_eq!(
        Value::integer(i64::MAX).and_then(Value::as_integer),
        Some(i64::MAX)
    );
    builder
        .add(&Transaction::default())
        .expect("an empty transaction");
    assert_eq!(builder.finish().transactions(), 1);
}
