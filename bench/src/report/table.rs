//! The report as text.

use super::{Report, Series, Target, Wanted};
use crate::{arms::Arm, measure::Row};
use std::fmt::Write as _;

/// Of lines with sentences.
const WIDTH: usize = 130;

pub(super) fn text(report: &Report) -> String {
    let mut out = format!("\n{}\n", report.machine);
    // Writing to a string can't fail; nor can it below.
    let _ = writeln!(
        out,
        "Driver, services and server under test share the cores. CPU-second: of the process under test.\n"
    );
    rows(&mut out, &report.rows);
    for series in &report.series {
        grown(&mut out, series);
    }
    for note in &report.notes {
        let _ = writeln!(out, "  {note}");
    }
    targets(&mut out, &report.targets);
    for (what, why) in &report.missing {
        let _ = writeln!(out, "  ----    {what}: {why}");
    }
    out
}

fn rows(out: &mut String, rows: &[Row]) {
    if rows.is_empty() {
        return;
    }
    let _ = writeln!(
        out,
        "{:<16} {:<13} {:>10} {:>7} {:>9} {:>8} {:>8} {:>8} {:>8} {:>9} {:>7}",
        "workload", "arm", "req/CPU-s", "spread", "req/s", "p50 ms", "p99 ms", "p99.9", "MiB", "upstream", "failed"
    );
    let mut before = "";
    for row in rows {
        if row.workload != before && !before.is_empty() {
            out.push('\n');
        }
        let name = if row.workload == before { "" } else { &row.workload };
        before = &row.workload;
        let _ = writeln!(
            out,
            "{name:<16} {:<13} {:>10.0} {:>6.0}% {:>9.0} {:>8.2} {:>8.2} {:>8.2} {:>8.0} {:>9.2} {:>7}",
            row.arm.name(),
            row.per_cpu_second,
            row.spread * 100.0,
            row.per_second,
            row.p50_ms,
            row.p99_ms,
            row.p999_ms,
            row.memory_mib,
            row.upstream_per_request,
            row.failures(),
        );
        for (reason, count) in &row.failed {
            let _ = writeln!(out, "{:<30} {count} × {reason}", "");
        }
    }
    out.push('\n');
    ratios(out, rows);
}

/// Each arm of ours against the others, per CPU-second.
fn ratios(out: &mut String, rows: &[Row]) {
    let bases = [Arm::Unsandboxed, Arm::HandWritten, Arm::Node];
    let mut lines = String::new();
    for row in rows.iter().filter(|row| matches!(row.arm, Arm::Isolated | Arm::Reuse)) {
        let against: Vec<String> = bases
            .iter()
            .filter_map(|base| {
                let base = rows.iter().find(|other| other.workload == row.workload && other.arm == *base)?;
                Some(format!("{:.2} × {}", row.per_cpu_second / base.per_cpu_second, base.arm.name()))
            })
            .collect();
        if !against.is_empty() {
            let _ = writeln!(lines, "  {:<16} {:<9} = {}", row.workload, row.arm.name(), against.join(" = "));
        }
    }
    if !lines.is_empty() {
        let _ = writeln!(out, "Requests per CPU-second, as ratios:\n{lines}");
    }
}

fn grown(out: &mut String, series: &Series) {
    let _ = writeln!(out, "{}", series.name);
    let _ = write!(out, "  {:>20}", series.along);
    for column in &series.columns {
        let _ = write!(out, " {column:>24}");
    }
    out.push('\n');
    for (x, figures) in &series.points {
        let _ = write!(out, "  {x:>20}");
        for figure in figures {
            let _ = write!(out, " {figure:>24.1}");
        }
        out.push('\n');
    }
    let mut line = String::new();
    for word in series.why.split(' ') {
        if line.chars().count() + word.chars().count() > WIDTH {
            let _ = writeln!(out, " {line}");
            line.clear();
        }
        line.push(' ');
        line.push_str(word);
    }
    let _ = writeln!(out, " {line}\n");
}

fn targets(out: &mut String, targets: &[Target]) {
    if targets.is_empty() {
        return;
    }
    let _ = writeln!(out, "\nTargets:");
    for Target { what, wanted, found, met } in targets {
        let (sign, bound) = match wanted {
            Wanted::AtLeast(least) => ("≥", least),
            Wanted::AtMost(most) => ("≤", most),
        };
        let verdict = if *met { "met" } else { "MISSED" };
        let by = if *met || *bound == 0.0 {
            String::new()
        } else {
            format!(" (by {:.0} %)", (found / bound - 1.0).abs() * 100.0)
        };
        let _ = writeln!(out, "  {verdict:<7} {what}: {found:.2}, wanted {sign} {bound}{by}");
    }
}
