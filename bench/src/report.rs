//! What was found out: the table, the targets, JSON, the plot.

mod machine;
mod markdown;
mod plot;
mod table;

use crate::{arguments::Arguments, fixture, measure::Row, say};
use anyhow::Context;
use machine::Machine;
pub(crate) use machine::memory as machine_memory;
use serde::Serialize;
use std::io::Write;

/// What a figure should be.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Wanted {
    AtLeast(f64),
    AtMost(f64),
}

#[derive(Debug, Serialize)]
struct Target {
    what: String,
    wanted: Wanted,
    found: f64,
    met: bool,
}

/// How a figure grows with another.
#[derive(Debug, Serialize)]
pub(crate) struct Series {
    pub(crate) name: String,
    /// What grows: `items per page`.
    pub(crate) along: String,
    /// What each point has, beside that: `CPU µs per request`, …
    pub(crate) columns: Vec<String>,
    pub(crate) points: Vec<(f64, Vec<f64>)>,
    /// What grows, how, and why; for people.
    pub(crate) why: String,
}

/// Everything that was found out so far.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    machine: Machine,
    rows: Vec<Row>,
    targets: Vec<Target>,
    series: Vec<Series>,
    notes: Vec<String>,
    /// What could not be measured, and why.
    missing: Vec<(String, String)>,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self {
            machine: Machine::look(),
            rows: Vec::new(),
            targets: Vec::new(),
            series: Vec::new(),
            notes: Vec::new(),
            missing: Vec::new(),
        }
    }

    pub(crate) fn rows(&mut self, rows: &[Row]) {
        self.rows.extend_from_slice(rows);
    }

    pub(crate) fn target(&mut self, what: &str, wanted: Wanted, found: f64) {
        let met = match wanted {
            Wanted::AtLeast(least) => found >= least,
            Wanted::AtMost(most) => found <= most,
        };
        self.targets.push(Target { what: what.to_owned(), wanted, found, met });
    }

    /// Targets that were missed so far.
    pub(crate) fn missed(&self) -> Vec<&str> {
        self.targets.iter().filter(|target| !target.met).map(|target| target.what.as_str()).collect()
    }

    pub(crate) fn series(&mut self, series: Series) {
        self.series.push(series);
    }

    pub(crate) fn note(&mut self, note: &str) {
        say(format_args!("    {note}"));
        self.notes.push(note.to_owned());
    }

    pub(crate) fn failed(&mut self, workload: &str, why: &str) {
        self.missing.push((workload.to_owned(), format!("failed: {why}")));
    }

    /// The table to standard output; JSON and plot to their files. A workload that failed fails the bench.
    pub(crate) fn write(&self, arguments: &Arguments) -> anyhow::Result<()> {
        std::io::stdout().write_all(table::text(self).as_bytes())?;
        let json = serde_json::to_vec_pretty(self)?;
        if let Some(file) = &arguments.json {
            std::fs::write(file, json).with_context(|| format!("{}", file.display()))?;
            say(format_args!("all figures: {}", file.display()));
        }
        let plot = match &arguments.plot {
            Some(file) => file.clone(),
            None => fixture::folder("")?.join("bench.svg"),
        };
        let svg = plot::svg(&self.rows, &self.machine);
        if let Some(svg) = &svg {
            std::fs::write(&plot, svg).with_context(|| format!("{}", plot.display()))?;
            say(format_args!("plot: {}", plot.display()));
        }
        if arguments.readme {
            markdown::publish(self, &arguments.command(), svg.as_deref())?;
        }
        let broken: Vec<_> = self.missing.iter().filter(|(_, why)| why.starts_with("failed")).collect();
        if let Some((what, why)) = broken.first() {
            anyhow::bail!("{} of the workloads could not be run; {what} {why}", broken.len());
        }
        Ok(())
    }
}
