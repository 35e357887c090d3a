//! The results as they stand in the README (a table and the plot) and in docs/inside/bench.md (everything).

use super::{
    Report,
    plot::{SHOWN, grouped},
    table,
};
use crate::{arms::Arm, fixture, measure::Row, say};
use anyhow::Context;
use std::{fmt::Write as _, fs, path::Path};

const BEGIN: &str = "<!-- bench: written by `cargo bench -- --readme` -->";
const END: &str = "<!-- /bench -->";
const ARMS: [Arm; 5] = [Arm::Isolated, Arm::Reuse, Arm::Unsandboxed, Arm::HandWritten, Arm::Node];

/// Writes what was found out into the repository.
pub(super) fn publish(report: &Report, command: &str, plot: Option<&str>) -> anyhow::Result<()> {
    let repository = fixture::repository();
    let readme = repository.join("README.md");
    let text = fs::read_to_string(&readme)?;
    let part = short(report, command);
    let text = replaced(&text, &part).with_context(|| format!("{} has no place for it: {BEGIN}", readme.display()))?;
    write(&readme, &text)?;
    write(&repository.join("docs/inside/bench.md"), &long(report, command))?;
    if let Some(plot) = plot {
        write(&repository.join("docs/inside/bench.svg"), plot)?;
    }
    Ok(())
}

fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(file, text).with_context(|| format!("{}", file.display()))?;
    say(format_args!("written: {}", file.display()));
    Ok(())
}

/// The text with another part between the marks.
fn replaced(text: &str, part: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{part}\n{END}{after}"))
}

/// For the README: who serves how many requests with a second of CPU time.
fn short(report: &Report, command: &str) -> String {
    let arms: Vec<Arm> = ARMS.into_iter().filter(|arm| report.rows.iter().any(|row| row.arm == *arm)).collect();
    let mut out = String::from("| requests per CPU-second (p99) |");
    // Writing to a string can't fail; nor can it below.
    let _ = writeln!(out, "{}", arms.iter().map(|arm| format!(" {} |", arm.name())).collect::<String>());
    let _ = writeln!(out, "|---|{}", "---:|".repeat(arms.len()));
    for (workload, title) in SHOWN {
        let of: Vec<&Row> = report.rows.iter().filter(|row| row.workload == workload).collect();
        if of.is_empty() {
            continue;
        }
        let _ = write!(out, "| {title} |");
        for arm in &arms {
            let _ = match of.iter().find(|row| row.arm == *arm) {
                Some(row) => write!(out, " {} ({:.1} ms) |", grouped(row.per_cpu_second), row.p99_ms),
                None => write!(out, " |"),
            };
        }
        out.push('\n');
    }
    let _ = writeln!(out, "\n![Requests per CPU-second of the server](docs/inside/bench.svg)\n");
    let _ =
        writeln!(out, "`{command}` on {}. Driver, services and the server under test share the cores.", report.machine);
    out
}

/// For docs/inside/bench.md.
fn long(report: &Report, command: &str) -> String {
    format!(
        "# Bench\n\nWritten by `{command}`. What is measured, and how: `cargo bench -- --help` and `bench/src/lib.rs`. \
         How the figures add up for a host and its users: [Scaling](../operators/scaling.md).\n\n![Requests per CPU-second of the server](bench.svg)\n\n\
         ```text\n{}```\n",
        table::text(report).trim_start_matches('\n')
    )
}
