//! How much of everything an artifact may have. Looked at before anything is made of it: what is over a bound costs its bytes and no more.

use super::{ArtifactError, Sections};
use prost::encoding::decode_varint;
use std::collections::{HashMap, HashSet};

/// Bytes of `plugin.toml`.
const MANIFEST: usize = 1 << 20;
/// Bytes of the table of methods, and its lines.
const METHODS: usize = 1 << 20;
pub(super) const MOST_METHODS: usize = 5_000;
/// Bytes of the protos.
pub(super) const DESCRIPTORS: usize = 16 << 20;
/// Bytes of what the code says of its endpoints, and of the mocks.
pub const SCHEMA: usize = 8 << 20;
const MOCKS: usize = 8 << 20;
/// Of a manifest, of the schema, and of fallbacks.
pub(super) const MOST_ENDPOINTS: usize = 1_000;
/// In the protos: files, messages and enums, fields and values and methods, bytes of options and of whatever else is not counted one by
/// one, messages inside of messages, and files that import one another.
pub(super) const MOST_FILES: usize = 2_000;
const MOST_TYPES: usize = 20_000;
const MOST_MEMBERS: usize = 200_000;
const MOST_OTHER: usize = 2 << 20;
/// What a member has without options.
const PLAIN_MEMBER: usize = 256;
const DEEPEST: usize = 32;
const LONGEST_CHAIN: usize = 64;

/// What the parts of an artifact may be.
pub(super) fn check(sections: &Sections) -> Result<(), ArtifactError> {
    let sizes = [
        ("weft:manifest", sections.manifest.len(), MANIFEST),
        ("weft:methods", sections.methods.iter().map(|method| method.len() + 1).sum(), METHODS),
        ("weft:schema", sections.schema.len(), SCHEMA),
        ("weft:mocks", sections.mocks.len(), MOCKS),
    ];
    for (section, size, most) in sizes {
        within(section, size, most, "bytes")?;
    }
    within("weft:methods", sections.methods.len(), MOST_METHODS, "methods")
}

/// How many there are of what can be counted only when it was read.
pub(super) fn within(section: &'static str, count: usize, most: usize, of_what: &str) -> Result<(), ArtifactError> {
    no_more(count, most, of_what).map_err(|reason| ArtifactError::Bad { section, reason })
}

/// What a field of a descriptor holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    Message,
    Enum,
    Service,
    /// A field, a value, a method, an import: counted, not looked into.
    Member,
    /// The name of what is looked at.
    Name,
    /// What nobody counts one by one.
    Other,
}

impl Kind {
    /// Of the field with this number, by `google/protobuf/descriptor.proto`.
    fn of(self, field: u32) -> Self {
        match (self, field) {
            (_, 1) => Self::Name,
            (Self::File, 4) | (Self::Message, 3) => Self::Message,
            (Self::File, 5) | (Self::Message, 4) => Self::Enum,
            (Self::File, 6) => Self::Service,
            (Self::File, 3 | 7 | 10 | 11)
            | (Self::Message, 2 | 5 | 6 | 8 | 9 | 10)
            | (Self::Enum, 2 | 4 | 5)
            | (Self::Service, 2) => Self::Member,
            _ => Self::Other,
        }
    }
}

/// What there is in all files together.
#[derive(Debug, Default)]
pub(super) struct Sum {
    types: usize,
    members: usize,
    other: usize,
    depth: usize,
}

impl Sum {
    fn check(&self) -> Result<(), String> {
        let sums = [
            (self.types, MOST_TYPES, "messages, enums and services"),
            (self.members, MOST_MEMBERS, "fields, values and methods"),
            (self.other, MOST_OTHER, "bytes of options and comments"),
            (self.depth, DEEPEST, "messages inside of each other"),
        ];
        sums.into_iter().try_for_each(|(count, most, what)| no_more(count, most, what))
    }
}

pub(super) fn no_more(count: usize, most: usize, what: &str) -> Result<(), String> {
    if count > most { Err(format!("it has more than {most} {what}, which is the bound")) } else { Ok(()) }
}

/// Looks at a serialized `FileDescriptorSet` without making anything of it.
pub(super) fn check_descriptors(mut set: &[u8]) -> Result<Vec<File<'_>>, String> {
    let (mut files, mut sum) = (Vec::new(), Sum::default());
    while !set.is_empty() {
        match next(&mut set)? {
            (1, Some(file)) => files.push(look_into(file, &mut sum)?),
            (_, value) => sum.other += value.map_or(1, <[u8]>::len),
        }
        no_more(files.len(), MOST_FILES, "files")?;
        sum.check()?;
    }
    check_imports(&files)?;
    Ok(files)
}

/// What is seen of a file without reading it.
#[derive(Debug)]
pub(super) struct File<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) name: &'a [u8],
    /// Names of files.
    pub(super) imports: Vec<&'a [u8]>,
    /// Whether it is written in an edition, instead of a syntax.
    pub(super) is_edition: bool,
}

pub(super) fn look_into<'a>(file: &'a [u8], sum: &mut Sum) -> Result<File<'a>, String> {
    let mut seen = File { bytes: file, name: &[], imports: Vec::new(), is_edition: false };
    let mut open = vec![(Kind::File, file, 0)];
    while let Some((kind, mut rest, depth)) = open.pop() {
        sum.depth = sum.depth.max(depth);
        while !rest.is_empty() {
            let (field, value) = next(&mut rest)?;
            let value = value.unwrap_or_default();
            match kind.of(field) {
                Kind::Name if kind == Kind::File => seen.name = value,
                Kind::Name => {}
                Kind::Member => {
                    sum.members += 1;
                    sum.other += value.len().saturating_sub(PLAIN_MEMBER);
                    if kind == Kind::File && field == 3 {
                        seen.imports.push(value);
                    }
                }
                Kind::Other => {
                    sum.other += value.len() + 1;
                    seen.is_edition |= kind == Kind::File && field == 12 && value == b"editions";
                }
                inner => {
                    sum.types += 1;
                    open.push((inner, value, depth + usize::from(inner == Kind::Message)));
                }
            }
            sum.check()?;
        }
    }
    Ok(seen)
}

/// One field, and what it holds if that is bytes.
pub(super) fn next<'a>(rest: &mut &'a [u8]) -> Result<(u32, Option<&'a [u8]>), String> {
    let bad = || "it is no FileDescriptorSet".to_owned();
    let key = decode_varint(rest).map_err(|_| bad())?;
    let field = u32::try_from(key >> 3).map_err(|_| bad())?;
    let size = match key & 7 {
        0 => {
            decode_varint(rest).map_err(|_| bad())?;
            return Ok((field, None));
        }
        1 => 8,
        2 => decode_varint(rest).map_err(|_| bad())?,
        5 => 4,
        _ => return Err(bad()),
    };
    let (value, left) = usize::try_from(size).ok().and_then(|size| rest.split_at_checked(size)).ok_or_else(bad)?;
    *rest = left;
    Ok((field, (key & 7 == 2).then_some(value)))
}

/// Each file once, each import once, no circle, and no long chain: what reads them goes from one to the next on the stack.
fn check_imports(files: &[File<'_>]) -> Result<(), String> {
    let mut place = HashMap::new();
    for (at, File { name, .. }) in files.iter().enumerate() {
        if place.insert(*name, at).is_some() {
            return Err(format!("file {:?} is there twice", String::from_utf8_lossy(name)));
        }
    }
    let mut importers: Vec<Vec<usize>> = vec![Vec::new(); files.len()];
    let mut waits: Vec<usize> = vec![0; files.len()];
    for (at, (File { name, imports, .. }, waits)) in files.iter().zip(&mut waits).enumerate() {
        let imported: HashSet<_> = imports.iter().collect();
        if imported.len() < imports.len() {
            return Err(format!("file {:?} imports another one twice", String::from_utf8_lossy(name)));
        }
        for place in imported.into_iter().filter_map(|import| place.get(*import)) {
            importers.get_mut(*place).into_iter().for_each(|of| of.push(at));
            *waits += 1;
        }
    }
    // Those that import nothing, those that import only these, and so on.
    let mut level: Vec<usize> = (0..files.len()).filter(|at| waits.get(*at) == Some(&0)).collect();
    let (mut seen, mut levels) = (level.len(), 0);
    while !level.is_empty() {
        let mut above = Vec::new();
        for importer in level.iter().filter_map(|at| importers.get(*at)).flatten() {
            if let Some(waits) = waits.get_mut(*importer) {
                *waits -= 1;
                above.extend((*waits == 0).then_some(*importer));
            }
        }
        seen += above.len();
        levels += 1;
        level = above;
    }
    no_more(levels, LONGEST_CHAIN, "files that import one another in a chain")?;
    if seen < files.len() { Err("its files import one another in a circle".to_owned()) } else { Ok(()) }
}
