//! Files as text, whatever editor wrote them.

use super::Mistake;
use std::{fs, path::Path};

/// The text of a file, without the mark that some editors put before it. What is no UTF-8 is told with its line.
pub fn text(file: &Path) -> Result<String, Mistake> {
    let mistake =
        |line, message| Mistake { file: file.display().to_string().into(), line, key: String::new(), message };
    let bytes = fs::read(file).map_err(|error| mistake(0, format!("can't be read: {error}")))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let good = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
        mistake(line, "is no UTF-8 from here on: save the file in that encoding".to_owned())
    })?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_taken_off_and_another_encoding_is_told_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("plugin.toml");
        let read = |bytes: &[u8]| {
            fs::write(&file, bytes).unwrap();
            text(&file).map_err(|mistake| (mistake.line, mistake.message))
        };
        assert_eq!(read(b"\xef\xbb\xbfname = \"a\"\r\n").unwrap(), "name = \"a\"\r\n");
        assert_eq!(read("# Grüße\n".as_bytes()).unwrap(), "# Grüße\n");
        let (line, told) = read(b"[plugin]\n# Gr\xfc\xdfe\n").unwrap_err();
        assert!(line == 2 && told.contains("is no UTF-8"), "{line}: {told}");
        assert_eq!(text(&folder.path().join("none")).unwrap_err().line, 0);
    }
}
