//! What documents say, and what there is none for.
