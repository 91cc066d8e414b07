//! Jepsen's histories of transactions on lists and registers: an invocation, and a completion of the same process.

use std::collections::HashMap;
use std::io::BufRead;

use super::super::builder::HistoryBuilder;
use super::super::history::Status;
use super::super::read_error::ReadError;
use super::super::transaction::{Action, Transaction};
use super::super::value::{Names, Value};
use super::{Edn, Reader};

/// An operation that was invoked and is not complete.
struct Invoked {
    line: u32,
    time: Option<u64>,
    value: Vec<Edn>,
}

/// Reads operations into a builder.
pub(in super::super) fn read(input: impl BufRead, builder: &mut HistoryBuilder) -> Result<(), ReadError> {
    let mut reader = Reader::new(input);
    let close = reader.open()?;
    let mut open: HashMap<String, (Edn, Invoked)> = HashMap::new();
    loop {
        // Where the operation begins, so that an error of it points there.
        reader.blanks()?;
        let (line, column) = (reader.line, reader.column);
        let Some(operation) = reader.next(close)? else {
            break;
        };
        let error = |message: String| ReadError::at(line, column, message);
        take(&operation, line, &mut open, builder).map_err(error)?;
    }
    if close.is_some() && reader.blanks()?.is_some() {
        return Err(ReadError::at(
            reader.line,
            reader.column,
            "something stands behind the history's end",
        ));
    }
    let mut left: Vec<(String, (Edn, Invoked))> = open.into_iter().collect();
    left.sort_by_key(|(_, (_, invoked))| invoked.line);
    for (_, (process, invoked)) in left {
        // What never completed may have happened.
        let line = invoked.line;
        let none = Edn::Sequence(invoked.value.clone());
        add(&process, &invoked, Status::Unknown, &none, None, builder)
            .map_err(|message| ReadError::at(line, 1, message))?;
    }
    Ok(())
}

fn take(
    operation: &Edn,
    line: u32,
    open: &mut HashMap<String, (Edn, Invoked)>,
    builder: &mut HistoryBuilder,
) -> Result<(), String> {
    if !matches!(operation, Edn::Map(_)) {
        return Err(
            "an operation is a map, such as {:process 0, :type :ok, :f :txn, :value [[:append 5 1]]}"
                .to_owned(),
        );
    }
    let Some(Edn::Keyword(kind)) = operation.get("type") else {
        return Err("the operation has no :type; write :invoke, :ok, :fail or :info".to_owned());
    };
    let process = operation.get("process").cloned().unwrap_or(Edn::Nil);
    let is_client = matches!(process, Edn::Integer(_) | Edn::Nil);
    let is_transaction = match operation.get("f") {
        None | Some(Edn::Nil) => true,
        Some(Edn::Keyword(f)) => f == "txn",
        Some(_) => false,
    };
    if !is_client {
        // The nemesis and the like: they do something to the database, and read and write nothing.
        return Ok(());
    }
    if !is_transaction {
        return Err(format!(
            "only :f :txn can be judged (lists: [:append k v], [:r k [..]]; registers: [:w k v], [:r k v]), and this is {:?}",
            operation.get("f").unwrap_or(&Edn::Nil)
        ));
    }
    let time = match operation.get("time") {
        Some(Edn::Integer(time)) => u64::try_from(*time).ok(),
        _ => None,
    };
    let value = operation.get("value").cloned().unwrap_or(Edn::Nil);
    let name = format!("{process:?}");
    let status = match kind.as_str() {
        "invoke" => {
            let Edn::Sequence(value) = value else {
                return Err(
                    "the invocation has no :value; write its operations, such as [[:r 5 nil]]".to_owned(),
                );
            };
            let invoked = Invoked { line, time, value };
            if open.insert(name, (process, invoked)).is_some() {
                return Err(
                    "this process has not completed its last operation; after :info it gets another number"
                        .to_owned(),
                );
            }
            return Ok(());
        }
        "ok" => Status::Ok,
        "fail" => Status::Failed,
        "info" => Status::Unknown,
        other => {
            return Err(format!(
                "there is no type :{other}; there are :invoke, :ok, :fail, :info"
            ));
        }
    };
    let Some((process, invoked)) = open.remove(&name) else {
        return Err("this process has not invoked an operation before".to_owned());
    };
    add(&process, &invoked, status, &value, time, builder)
}

fn add(
    process: &Edn,
    invoked: &Invoked,
    status: Status,
    value: &Edn,
    time: Option<u64>,
    builder: &mut HistoryBuilder,
) -> Result<(), String> {
    let mut transaction = Transaction::default();
    transaction.status = status;
    transaction.line = Some(invoked.line);
    transaction.invoke = invoked.time;
    transaction.returned = time.filter(|_| invoked.time.is_some() && status != Status::Unknown);
    if invoked.time.is_some() && time.is_none() && status != Status::Unknown {
        return Err("the completion has no :time, though its invocation has".to_owned());
    }
    let names = builder.names_mut();
    transaction.process = atom(process, names)?;
    // Only what completed has its reads.
    let has_reads = status == Status::Ok;
    let operations = match value {
        Edn::Sequence(operations) if has_reads => operations,
        _ if has_reads => return Err("the completion has no :value; write what was read".to_owned()),
        _ => &invoked.value,
    };
    for operation in operations {
        micro(operation, has_reads, &mut transaction, names)?;
    }
    builder.add(&transaction).map_err(|unusable| unusable.message)
}

/// `[:append 5 1]`, `[:w 5 1]`, `[:r 5 [1 2]]`.
fn micro(
    operation: &Edn,
    has_reads: bool,
    transaction: &mut Transaction,
    names: &mut Names,
) -> Result<(), String> {
    let parts = match operation {
        Edn::Sequence(parts) => parts.as_slice(),
        _ => &[],
    };
    let (Some(f), Some(key)) = (parts.first(), parts.get(1)) else {
        return Err("an operation of a transaction is [:append k v], [:w k v] or [:r k v]".to_owned());
    };
    let name = match f {
        Edn::Keyword(name) | Edn::Text(name) | Edn::Symbol(name) => name.as_str(),
        _ => "",
    };
    let key = atom(key, names)?;
    let value = parts.get(2).unwrap_or(&Edn::Nil);
    match name {
        "append" => {
            let value = atom(value, names)?;
            transaction.push(Action::Append(key, value));
        }
        "w" => {
            let value = atom(value, names)?;
            transaction.push(Action::Write(key, value));
        }
        "r" if !has_reads => {}
        "r" => match value {
            Edn::Sequence(values) => {
                let values = values
                    .iter()
                    .map(|value| atom(value, names))
                    .collect::<Result<Vec<Value>, String>>()?;
                transaction.read_list(key, values);
            }
            value => {
                let value = atom(value, names)?;
                transaction.push(Action::Read(key, value));
            }
        },
        _ => {
            return Err(format!(
                "an operation of a transaction is :append, :w or :r, not {f:?}"
            ));
        }
    }
    Ok(())
}

fn atom(value: &Edn, names: &mut Names) -> Result<Value, String> {
    match value {
        Edn::Nil => Ok(Value::NULL),
        Edn::Integer(integer) => Value::integer(*integer).ok_or_else(|| format!("{integer} is too small")),
        Edn::Text(text) | Edn::Symbol(text) | Edn::Number(text) => Ok(names.text(text)),
        Edn::Keyword(keyword) => Ok(names.text(&format!(":{keyword}"))),
        Edn::Boolean(value) => Ok(names.text(if *value { "true" } else { "false" })),
        Edn::Sequence(_) | Edn::Map(_) => {
            Err("a key or a value is an integer, a text or a keyword".to_owned())
        }
    }
}
