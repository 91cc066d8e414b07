//! The statements of a spec in TiDB's words.

use super::model::{Block, Session, Spec};
use crate::import::dialect::{Level, Schema, Translated, postgres, split_postgres};
use crate::import::draft::{Action, Statement, Step};
use crate::import::origin::Origin;
use crate::import::sql_text::literal;
use crate::source::{SourceFile, Span};

/// What is to be known of the whole file before a statement is translated.
pub(crate) fn schema(spec: &Spec) -> Schema {
    let mut schema = Schema::default();
    let steps = spec.sessions.iter().flat_map(|session| {
        session
            .setup
            .iter()
            .chain(session.steps.iter().map(|step| &step.block))
    });
    for block in spec.setups.iter().chain(steps) {
        for (sql, _) in split_postgres(&block.text) {
            schema.note(sql);
        }
    }
    schema
}

/// A session's steps in TiDB's words.
pub(crate) struct Translator<'s> {
    file: &'s SourceFile,
    schema: &'s Schema,
    /// The level that the connection has.
    pub level: Level,
    /// Whether its transactions have others, so that each says its own.
    mixed: bool,
}

impl<'s> Translator<'s> {
    pub(crate) fn of(session: &Session, file: &'s SourceFile, schema: &'s Schema) -> Self {
        let blocks = session
            .setup
            .iter()
            .chain(session.steps.iter().map(|step| &step.block));
        let mut levels: Vec<Level> = Vec::new();
        let mut plain = false;
        for block in blocks {
            for (sql, _) in split_postgres(&block.text) {
                let found = postgres(sql, schema);
                match found.level {
                    Some(level) if !levels.contains(&level) => levels.push(level),
                    Some(_) => {}
                    None => plain |= found.text.as_deref() == Some("begin"),
                }
            }
        }
        // A transaction that says nothing has PostgreSQL's own level, unless the session set another.
        match levels.as_slice() {
            [] => Self {
                file,
                schema,
                level: Level::ReadCommitted,
                mixed: false,
            },
            [one]
                if !plain
                    || session
                        .setup
                        .as_ref()
                        .is_none_or(|block| !block.text.contains("LEVEL")) =>
            {
                Self {
                    file,
                    schema,
                    level: *one,
                    mixed: false,
                }
            }
            _ => Self {
                file,
                schema,
                level: Level::ReadCommitted,
                mixed: true,
            },
        }
    }

    pub(crate) fn step(&self, block: &Block) -> Step {
        let mut step = Step {
            comments: block.comments.clone(),
            ..Step::default()
        };
        let mut statements = Vec::new();
        for (sql, at) in split_postgres(&block.text) {
            let found = postgres(sql, self.schema);
            let origin = Origin::of(self.file, Span::at(block.at + at));
            step.comments.extend(origin.notes(found.notes));
            if let (true, Some(level)) = (self.mixed, found.level) {
                statements.push(format!("set transaction isolation level {}", level.on_tidb()));
            }
            statements.extend(found.text.map(|text| literal(&text)));
        }
        step.comments.dedup();
        step.action = Action::Sql(statements);
        step
    }
}

/// The statements of a setup.
pub(crate) fn block_statements(block: &Block, file: &SourceFile, schema: &Schema) -> Vec<Statement> {
    let mut found: Vec<Statement> = Vec::new();
    let mut comments = block.comments.clone();
    for (sql, at) in split_postgres(&block.text) {
        let Translated { text, notes, .. } = postgres(sql, schema);
        let origin = Origin::of(file, Span::at(block.at + at));
        comments.extend(origin.notes(notes));
        if let Some(text) = text {
            found.push(Statement {
                comments: std::mem::take(&mut comments),
                text: literal(&text),
            });
        }
    }
    if !comments.is_empty() {
        found.push(Statement {
            comments,
            text: String::new(),
        });
    }
    found
}
