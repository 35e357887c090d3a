//! The Weft host: a backend-for-frontend platform with sandboxed plugins.
