//! `trioxide repair …`: tools for the folder of a process that is stopped. Each only looks, unless it is told to act.

use std::fmt::Write;
use std::path::Path;
use std::process::ExitCode;

use crate::cli::RepairTool;
use crate::process::Failed;

pub(crate) fn run(tool: &RepairTool) -> ExitCode {
    let outcome = match tool {
        RepairTool::Wal { dir, yes } => wal(dir, *yes),
        RepairTool::Index { disk, yes } => index(disk, *yes),
    };
    match outcome {
        Ok(text) => {
            println!("{}", text.trim_end());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("trioxide: {error}");
            ExitCode::FAILURE
        }
    }
}

fn wal(dir: &Path, yes: bool) -> Result<String, Failed> {
    let found = raft_node::repair_wal(dir, yes)?;
    let mut text = String::new();
    for (file, offset, what) in &found.damages {
        writeln!(text, "damage in {} at byte {offset}: {what}", file.display())?;
    }
    for (group, last) in &found.groups {
        writeln!(text, "{group} ends at entry {last}")?;
    }
    match (&found.kept_in, found.damages.is_empty()) {
        (Some(kept), _) => writeln!(text, "the log was cut off; what stood behind is kept in {}", kept.display())?,
        (None, true) => writeln!(text, "the log is whole")?,
        (None, false) => writeln!(text, "nothing was changed; --yes ends the log at the first damage")?,
    }
    Ok(text)
}

/// The index holds nothing that the container files do not, so making it anew loses nothing; still, nobody should do it by
/// mistake.
fn index(disk: &Path, yes: bool) -> Result<String, Failed> {
    if !yes {
        return Ok(format!("{}: the index would be made anew from the container files; --yes does it", disk.display()));
    }
    let rebuilt = datanode::rebuild_index(disk)?;
    let mut text = String::new();
    writeln!(
        text,
        "{} containers, {} blocks, {} bytes, {} pipelines",
        rebuilt.containers, rebuilt.blocks, rebuilt.bytes, rebuilt.pipelines
    )?;
    for path in &rebuilt.unreadable {
        writeln!(text, "without a readable header, left alone: {}", path.display())?;
    }
    Ok(text)
}
