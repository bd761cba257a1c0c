//! `trioxide repair …`: tools for the folder of a process that is stopped. Each only looks, unless it is told to act.

use std::path::Path;
use std::process::ExitCode;

use crate::cli::RepairTool;

pub(crate) fn run(tool: &RepairTool) -> ExitCode {
    let outcome = match tool {
        RepairTool::Index { disk, yes } => index(disk, *yes),
    };
    match outcome {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("trioxide: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The index holds nothing that the container files do not.
fn index(disk: &Path, yes: bool) -> Result<String, String> {
    let _ = (disk, yes);
    Err("not yet".to_owned())
}
