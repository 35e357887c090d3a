//! The plot for the README: for each workload and arm, requests per CPU-second, as bars.

use super::machine::Machine;
use crate::{arms::Arm, measure::Row};
use std::fmt::Write as _;

const WIDTH: f64 = 860.0;
const LEFT: f64 = 130.0;
const BAR: f64 = 15.0;
const GAP: f64 = 34.0;
const TOP: f64 = 64.0;

/// What is shown: those that all arms take part in.
pub(super) const SHOWN: [(&str, &str); 5] = [
    ("page-off", "Page of 100 items, nothing cached"),
    ("page-principal", "Page of 100 items, cached for each caller"),
    ("page-public", "Page of 100 items, cached for everybody"),
    ("lookup", "One small lookup"),
    ("levels", "Three levels"),
];

fn colour(arm: Arm) -> &'static str {
    match arm {
        Arm::Isolated => "#1d4ed8",
        Arm::Reuse => "#3b82f6",
        Arm::Unsandboxed => "#93c5fd",
        Arm::IsolatedBefore | Arm::ReuseBefore => "#d4d4d4",
        Arm::HandWritten => "#737373",
        Arm::Node => "#d97706",
        Arm::Naive => "#a8a29e",
    }
}

/// `None` if none of what is shown was run.
pub(super) fn svg(rows: &[Row], machine: &Machine) -> Option<String> {
    let mut body = String::new();
    let mut y = TOP;
    for (workload, title) in SHOWN {
        let of: Vec<&Row> = rows.iter().filter(|row| row.workload == workload).collect();
        let best = of.iter().map(|row| row.per_cpu_second).fold(0.0, f64::max);
        if of.is_empty() || best <= 0.0 {
            continue;
        }
        // Writing to a string can't fail; nor can it below.
        let _ = writeln!(body, r##"<text x="{LEFT}" y="{:.0}" font-weight="600">{title}</text>"##, y - 6.0);
        for row in of {
            let length = (WIDTH - LEFT - 190.0) * row.per_cpu_second / best;
            let middle = y + BAR - 4.0;
            let (name, colour) = (row.arm.name(), colour(row.arm));
            let _ = writeln!(
                body,
                r##"<text x="{:.0}" y="{middle:.1}" text-anchor="end">{name}</text><rect x="{LEFT}" y="{y:.1}" width="{length:.1}" height="{:.1}" rx="2" fill="{colour}"/><text x="{:.1}" y="{middle:.1}" class="n">{} · p99 {:.1} ms</text>"##,
                LEFT - 8.0,
                BAR - 3.0,
                LEFT + length + 6.0,
                grouped(row.per_cpu_second),
                row.p99_ms,
            );
            y += BAR;
        }
        y += GAP;
    }
    if body.is_empty() {
        return None;
    }
    let height = y + 4.0;
    let foot = machine.to_string().replace('&', "&amp;").replace('<', "&lt;");
    Some(format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0}" width="{WIDTH}" height="{height:.0}" font-family="system-ui, sans-serif" font-size="12">
<style>text{{fill:#1f2937}}.n{{fill:#6b7280}}@media (prefers-color-scheme:dark){{text{{fill:#e5e7eb}}.n{{fill:#9ca3af}}}}</style>
<text x="12" y="22" font-size="15" font-weight="600">Requests per CPU-second of the server (longer is better)</text>
{body}<text x="12" y="{:.0}" class="n" font-size="11">{foot}</text>
</svg>
"##,
        height - 8.0
    ))
}

/// 12,345.
pub(super) fn grouped(figure: f64) -> String {
    let digits = format!("{figure:.0}");
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
