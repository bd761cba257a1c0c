//! The form of the tables.

use om_core::policy::PolicyKind;

use crate::asking;

/// A line: what is asked and answered, and why.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    pub(crate) line: usize,
    pub(crate) cells: Vec<&'a str>,
    pub(crate) why: &'a str,
}

fn row((number, line): (usize, &str)) -> Option<Row<'_>> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let mut cells: Vec<&str> = line.split(" | ").map(str::trim).collect();
    let why = cells.pop()?;
    Some(Row { line: number + 1, cells, why })
}

pub(crate) fn rows(table: &str) -> impl Iterator<Item = Row<'_>> {
    table.lines().enumerate().filter_map(row)
}

/// A policy and the questions about it.
#[derive(Debug)]
pub(crate) struct Block<'a> {
    pub(crate) kind: PolicyKind,
    pub(crate) text: String,
    pub(crate) rows: Vec<Row<'a>>,
}

pub(crate) fn blocks(table: &str) -> Vec<Block<'_>> {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    let mut is_text = false;
    for (number, line) in table.lines().enumerate() {
        if let Some(kind) = line.strip_prefix("policy ") {
            blocks.push(Block { kind: asking::kind(kind), text: String::new(), rows: Vec::new() });
            is_text = true;
            continue;
        }
        let Some(block) = blocks.last_mut() else { continue };
        match line {
            "---" => is_text = false,
            _ if is_text => block.text.push_str(line),
            _ => block.rows.extend(row((number, line))),
        }
    }
    blocks
}
