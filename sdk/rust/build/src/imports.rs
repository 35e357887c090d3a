//! Imports that are missing or can't be understood: all of them at once, and the folder that would have them.

use std::collections::BTreeSet;
use std::path::PathBuf;

use protox::file::FileResolver;

use crate::Error;
use crate::roots::Roots;

/// Follows the imports of these files.
pub(crate) fn check(roots: &Roots, files: &[&str]) -> Result<(), Error> {
    let mut left: Vec<String> = files.iter().map(|file| (*file).to_owned()).collect();
    let mut seen: BTreeSet<String> = left.iter().cloned().collect();
    let (mut missing, mut faults) = (Vec::new(), Vec::new());
    while let Some(name) = left.pop() {
        let Ok(file) = roots.open_file(&name) else {
            faults.extend(roots.unreadable(&name).map(|fault| fault.to_string()));
            continue;
        };
        for (place, import) in file.file_descriptor_proto().dependency.iter().enumerate() {
            if !seen.insert(import.clone()) && roots.locate(import).is_some() {
                continue;
            }
            match roots.open_file(import) {
                Err(error) if error.is_file_not_found() => {
                    missing.push((name.clone(), line(&file, place), import.clone()))
                }
                _ => left.push(import.clone()),
            }
        }
    }
    if missing.is_empty() {
        return if faults.is_empty() { Ok(()) } else { Err(Error::all(faults)) };
    }
    missing.sort();
    missing.dedup();
    let fitting: BTreeSet<PathBuf> = missing.iter().filter_map(|(_, _, import)| fitting(roots, import)).collect();
    let told =
        |(file, line, import): &(String, usize, String)| format!("{file}:{line}: import \"{import}\" is not found");
    faults.extend(missing.iter().map(told));
    let folders: Vec<_> = roots.folders().iter().map(|folder| folder.display().to_string()).collect();
    let hint = match fitting.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>() {
        fitting if fitting.is_empty() => "Add the folder that has them in build.rs.".to_owned(),
        fitting => format!("In build.rs, add {}: it has what is imported.", fitting.join(" and ")),
    };
    faults.push(format!("Imports were looked for in {}. {hint}", folders.join(", ")));
    Err(Error::all(faults))
}

fn line(file: &protox::file::File, place: usize) -> usize {
    let path = [3, i32::try_from(place).unwrap_or_default()];
    let info = file.file_descriptor_proto().source_code_info.as_ref();
    let location = info.and_then(|info| info.location.iter().find(|location| location.path == path));
    let line = location.and_then(|location| location.span.first().copied()).unwrap_or_default();
    usize::try_from(line).unwrap_or_default() + 1
}

/// The folder inside a root, or above one, from which this import would be found.
fn fitting(roots: &Roots, import: &str) -> Option<PathBuf> {
    let above = roots.folders().iter().flat_map(|root| root.ancestors().skip(1).take(4));
    let above = above.filter(|folder| folder.join(import).is_file()).map(PathBuf::from).next();
    let files = roots.files().ok()?;
    let inside = files.iter().find_map(|file| file.below(import));
    inside.or(above)
}
