//! Where in a JSON text a fault is that serde_json knows by line and column only: one that is not to be seen in what was read, as a field
//! that is there twice, or values so deep that nothing was read.

/// The path of the value at which the parser gave up.
pub(super) fn of(body: &[u8], error: &serde_json::Error) -> String {
    path(body.get(..offset(body, error)).unwrap_or(body))
}

/// Where the parser stood when it gave up.
fn offset(body: &[u8], error: &serde_json::Error) -> usize {
    let lines = body.split_inclusive(|&byte| byte == b'\n');
    let before: usize = lines.take(error.line().saturating_sub(1)).map(<[u8]>::len).sum();
    before + error.column()
}

/// A container that is still open, with the place in it that was reached.
enum Open<'a> {
    Object(&'a [u8]),
    Array(usize),
}

/// The path of the value at which `text`, the beginning of a JSON text, ends: `body.films[3].id`.
fn path(text: &[u8]) -> String {
    let mut open = Vec::new();
    let mut rest = text;
    let mut key_next = false;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'{' => {
                open.push(Open::Object(b""));
                key_next = true;
            }
            b'[' => open.push(Open::Array(0)),
            b'}' | b']' => {
                open.pop();
                key_next = false;
            }
            b',' => match open.last_mut() {
                Some(Open::Array(index)) => *index += 1,
                _ => key_next = true,
            },
            b'"' => {
                let (string, tail) = string(rest);
                rest = tail;
                if let (true, Some(Open::Object(key))) = (std::mem::take(&mut key_next), open.last_mut()) {
                    *key = string;
                }
            }
            _ => {}
        }
    }
    let mut path = String::from("body");
    for container in open {
        match container {
            Open::Object(b"") => {}
            Open::Object(key) => {
                path.push('.');
                path.push_str(&String::from_utf8_lossy(key));
            }
            Open::Array(index) => path.push_str(&format!("[{index}]")),
        }
    }
    path
}

/// Splits off the string that begins here, without its quotes.
fn string(text: &[u8]) -> (&[u8], &[u8]) {
    let mut escaped = false;
    let end = text.iter().position(|&byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    match end.and_then(|end| Some((text.get(..end)?, text.get(end + 1..)?))) {
        Some(parts) => parts,
        None => (text, b""),
    }
}
