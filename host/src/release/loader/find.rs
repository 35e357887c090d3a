//! What lies in the plugin folder. Files that are removed from it go out of service. A folder that is away, is no folder, can't be read, or
//! has been replaced by an empty one is somebody's mistake, or a moment of somebody's work: what serves goes on.

use super::{
    Loader, Stamp,
    folder::{Identity, scan},
};
use std::{collections::BTreeMap, path::PathBuf};

impl Loader {
    /// All artifacts in the folder; `None` if it says nothing of what should be served.
    pub(super) fn find(&self) -> Option<BTreeMap<PathBuf, Stamp>> {
        let folder = &self.config.folder;
        let found = Identity::of(folder).and_then(|identity| Ok((identity, scan(folder)?)));
        let mut state = self.state();
        let trouble = match found {
            Ok((identity, found)) => {
                let is_replaced = state.folder.is_some_and(|before| before != identity);
                if !(is_replaced && found.is_empty() && !state.files.is_empty()) {
                    (state.folder, state.folder_trouble) = (Some(identity), None);
                    return Some(found);
                }
                "was replaced by an empty one; what serves goes on until something lies in it".to_owned()
            }
            Err(error) => format!("can't be read; what serves goes on: {error}"),
        };
        if state.folder_trouble.as_ref() != Some(&trouble) {
            tracing::error!(folder = %folder.display(), "the plugin folder {trouble}");
        }
        state.folder_trouble = Some(trouble);
        None
    }
}
