//! What a table, a view or a sequence of others is, so that a trial that has changed it is found out.

use super::answers::{ask, text};
use crate::connection::Connection;
use crate::sql::Product;

pub(super) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// The definition, and of a table also the number of its rows and a checksum of them: of their values, so that a
/// trial may delete rows and insert them again.
pub(super) async fn tell(
    session: &mut Connection,
    database: &str,
    name: &str,
    is_table: bool,
) -> Result<String, String> {
    let of = format!("{}.{}", quoted(database), quoted(name));
    let definition = ask(session, &format!("show create table {of}")).await?;
    let definition = definition.first().and_then(|row| row.get(1)).map(text);
    let definition = without_counter(&definition.unwrap_or_default());
    let next = match (is_table, session.product()) {
        (true, _) => rows(session, database, name, &of).await?,
        // The next value of a sequence; a view has none.
        (false, Product::TiDb) => ask(session, &format!("show table {of} next_row_id"))
            .await
            .map(|rows| joined(&rows))
            .unwrap_or_default(),
        (false, _) => String::new(),
    };
    Ok(format!("{definition} {next}"))
}

fn joined(rows: &[Vec<crate::history::SqlValue>]) -> String {
    let cells = rows.iter().flatten().map(text);
    cells.collect::<Vec<_>>().join(" ")
}

/// The number of the rows, and a sum over all of them.
async fn rows(session: &mut Connection, database: &str, name: &str, of: &str) -> Result<String, String> {
    let columns = format!(
        "select column_name from information_schema.columns where table_schema = {} and table_name = {} \
         order by ordinal_position",
        literal(database),
        literal(name)
    );
    let columns = ask(session, &columns).await?;
    let names = columns.iter().filter_map(|row| row.first()).map(text);
    // NULL is no text of digits.
    let cells: Vec<String> = names
        .map(|name| format!("ifnull(hex(cast({} as binary)), '-')", quoted(&name)))
        .collect();
    let sum = format!(
        "select count(*), sum(cast(conv(left(md5(concat_ws(',', {})), 15), 16, 10) as unsigned)) from {of}",
        cells.join(", ")
    );
    Ok(joined(&ask(session, &sum).await?))
}

/// The counter of AUTO_INCREMENT moves on with rows that are no longer there.
fn without_counter(definition: &str) -> String {
    let words = definition.split(' ');
    let kept =
        words.filter(|word| !word.starts_with("AUTO_INCREMENT=") && !word.starts_with("AUTO_ID_CACHE="));
    kept.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_is_no_part_of_a_definition() {
        assert_eq!(
            without_counter("CREATE TABLE `t` (`id` int AUTO_INCREMENT) AUTO_INCREMENT=30001 COMMENT='x'"),
            "CREATE TABLE `t` (`id` int AUTO_INCREMENT) COMMENT='x'"
        );
    }
}
