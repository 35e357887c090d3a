//! Documents of OpenAPI: compared, and made into clients.

use weft_core::{
    compat::{Document, diff, grouped},
    typescript,
};

const KNOWN: &[u8] = include_bytes!("../corpus/contract/films");

/// Any bytes: a document that is the same as itself and of which one client can be made, or a reason.
pub fn contract(bytes: &[u8]) -> bool {
    let Ok(document) = Document::read(bytes) else { return false };
    let Ok(known) = Document::read(KNOWN) else { panic!("the corpus is read") };
    if let Ok(changes) = diff(&document, &document) {
        assert_eq!(changes, [], "a document is the same as itself");
    }
    for changes in [diff(&known, &document), diff(&document, &known)].into_iter().flatten() {
        let told = grouped(&changes);
        assert!(!told.replace('\n', "").contains(char::is_control), "nothing that a terminal obeys: {told:?}");
    }
    if let Ok(file) = typescript::file(&document) {
        assert_eq!(Ok(&file), typescript::file(&document).as_ref(), "the same document makes the same file");
        assert!(!file.contains(['\u{2028}', '\u{2029}']), "lines end where they are seen to end");
        let names = typescript::function_names(&document).unwrap_or_default();
        let has = |name: &str| ["(", "<"].iter().any(|next| file.contains(&format!("export function {name}{next}")));
        assert!(names.iter().all(|(_, name)| has(name)), "{names:?}");
    }
    true
}
