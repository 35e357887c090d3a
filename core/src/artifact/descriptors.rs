//! Messages from outside: of an artifact, of a file that the operator gives, of a backend that tells of itself. One way in, with bounds.

use super::bounds::{self, File, Sum};
use prost::encoding::{WireType, encode_key, encode_varint};
use prost_reflect::DescriptorPool;
use std::{borrow::Cow, collections::HashSet};

/// Most bytes of a `FileDescriptorSet`.
pub const LARGEST: usize = bounds::DESCRIPTORS;

/// Reads a serialized `FileDescriptorSet`, which is looked at before anything is made of it.
pub fn read_descriptors(set: &[u8]) -> Result<DescriptorPool, String> {
    let (pool, passed_over) = read_what_is_understood(set)?;
    passed_over.map_or(Ok(pool), Err)
}

/// As [`read_descriptors`], of a set in which there may be more than anybody needs: files that are written in an edition, which is not
/// understood, are passed over, and so is what imports them. Gives back what has to be said of them to whoever misses something.
pub fn read_what_is_understood(set: &[u8]) -> Result<(DescriptorPool, Option<String>), String> {
    bounds::no_more(set.len(), LARGEST, "bytes")?;
    let files = bounds::check_descriptors(set)?;
    let (set, passed_over) = without_editions(set, &files);
    let pool = DescriptorPool::decode(&*set).map_err(|error| error.to_string())?;
    Ok((pool, passed_over))
}

fn without_editions<'a>(set: &'a [u8], files: &[File<'a>]) -> (Cow<'a, [u8]>, Option<String>) {
    let mut left_out: HashSet<&[u8]> = files.iter().filter(|file| file.is_edition).map(|file| file.name).collect();
    if left_out.is_empty() {
        return (set.into(), None);
    }
    let names: Vec<_> = files.iter().filter(|file| file.is_edition).map(|file| text(file.name)).collect();
    // Chains of imports are bounded.
    loop {
        let needs = |file: &&File<'a>| file.imports.iter().any(|import| left_out.contains(import));
        let more: Vec<_> = files.iter().filter(needs).map(|file| file.name).collect();
        let before = left_out.len();
        left_out.extend(more);
        if left_out.len() == before {
            break;
        }
    }
    let mut left = Vec::with_capacity(set.len());
    for file in files.iter().filter(|file| !left_out.contains(file.name)) {
        put_file(&mut left, file.bytes);
    }
    (left.into(), Some(not_understood(&names)))
}

/// Says so of the first few, and what to do.
fn not_understood(names: &[String]) -> String {
    const SHOWN: usize = 3;
    let shown = names.iter().take(SHOWN).map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
    let more = if names.len() > SHOWN { " and others" } else { "" };
    format!(
        "{shown}{more}: written in an edition, which is not understood; give the same messages as syntax = \"proto3\", with `optional` before \
         each field that is neither repeated nor in a oneof"
    )
}

fn text(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

fn put_file(set: &mut Vec<u8>, file: &[u8]) {
    encode_key(1, WireType::LengthDelimited, set);
    encode_varint(file.len() as u64, set);
    set.extend_from_slice(file);
}

/// Files that come one by one, counted as they come, until they are a `FileDescriptorSet`.
#[derive(Debug, Default)]
pub struct Gathered {
    set: Vec<u8>,
    known: HashSet<String>,
    sum: Sum,
}

impl Gathered {
    /// Takes the files of a list (a `FileDescriptorSet`, or a `FileDescriptorResponse` of server reflection), one after the other; as
    /// [`Gathered::add`].
    pub fn add_all(&mut self, mut list: &[u8]) -> Result<Vec<String>, String> {
        let (mut imports, mut count) = (Vec::new(), 0);
        while !list.is_empty() {
            let (field, file) = bounds::next(&mut list)?;
            let Some(file) = file.filter(|_| field == 1) else { continue };
            // Also those that are there already: to look into one costs as much.
            count += 1;
            bounds::no_more(count, bounds::MOST_FILES, "files")?;
            imports.extend(self.add(file)?);
        }
        Ok(imports)
    }

    /// Takes a serialized `FileDescriptorProto`, unless there is one of that name. Gives back what it imports that is not there yet.
    pub fn add(&mut self, file: &[u8]) -> Result<Vec<String>, String> {
        let File { name, imports, .. } = bounds::look_into(file, &mut self.sum)?;
        if !self.known.insert(text(name)) {
            return Ok(Vec::new());
        }
        bounds::no_more(self.known.len(), bounds::MOST_FILES, "files")?;
        bounds::no_more(self.set.len() + file.len(), LARGEST, "bytes")?;
        put_file(&mut self.set, file);
        Ok(imports.into_iter().map(text).filter(|import| !self.has(import)).collect())
    }

    pub fn has(&self, file: &str) -> bool {
        self.known.contains(file)
    }

    /// The serialized set.
    pub fn into_set(self) -> Vec<u8> {
        self.set
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;
    use prost_reflect::prost_types::{DescriptorProto, FileDescriptorProto, FileDescriptorSet};

    fn file(name: &str, imports: &[&str], messages: usize) -> Vec<u8> {
        let message = |n| DescriptorProto { name: Some(format!("M{n}")), ..DescriptorProto::default() };
        let file = FileDescriptorProto {
            name: Some(name.to_owned()),
            package: Some(name.replace('.', "_")),
            dependency: imports.iter().map(|import| (*import).to_owned()).collect(),
            message_type: (0..messages).map(message).collect(),
            ..FileDescriptorProto::default()
        };
        file.encode_to_vec()
    }

    #[test]
    fn files_that_come_one_by_one_are_counted_as_they_come() {
        let mut gathered = Gathered::default();
        assert_eq!(gathered.add(&file("a", &["b", "c"], 1)).unwrap(), ["b", "c"]);
        assert!(gathered.add(&file("a", &["x"], 1)).unwrap().is_empty(), "it is there already");
        assert_eq!(gathered.add(&file("b", &["a", "c"], 0)).unwrap(), ["c"]);
        let error = gathered.add(&file("c", &[], 20_001)).unwrap_err();
        assert!(error.contains("more than 20000 messages"), "{error}");
        let many: Result<Vec<_>, _> =
            (0..=bounds::MOST_FILES).map(|n| gathered.add(&file(&n.to_string(), &[], 0))).collect();
        assert!(many.unwrap_err().contains("more than"));
    }

    #[test]
    fn what_was_gathered_is_read_within_the_same_bounds() {
        let gather = |files: &[Vec<u8>]| {
            let mut gathered = Gathered::default();
            files.iter().for_each(|file| drop(gathered.add(file).unwrap()));
            read_descriptors(&gathered.into_set())
        };
        let pool = gather(&[file("b", &["a"], 1), file("a", &[], 1)]).unwrap();
        assert!(pool.get_message_by_name("a.M0").is_some());
        let error = gather(&[file("a", &["b"], 0), file("b", &["a"], 0)]).unwrap_err();
        assert!(error.contains("in a circle"), "{error}");
    }

    /// A file with an empty message in the package of its name, as protoc writes it.
    fn written(name: &str, imports: &[&str], syntax: &str) -> FileDescriptorProto {
        let mut file = FileDescriptorProto::decode(file(name, imports, 1).as_slice()).unwrap();
        file.syntax = Some(syntax.to_owned());
        file
    }

    #[test]
    fn files_in_an_edition_are_passed_over_with_what_needs_them_and_told_to_whoever_misses_something() {
        let files = [
            written("old.proto", &[], "proto3"),
            written("new.proto", &["old.proto"], "editions"),
            written("above.proto", &["new.proto"], "proto3"),
        ];
        let set = FileDescriptorSet { file: files.to_vec() }.encode_to_vec();
        let (pool, passed_over) = read_what_is_understood(&set).unwrap();
        assert_eq!(pool.files().map(|file| file.name().to_owned()).collect::<Vec<_>>(), ["old.proto"]);
        let told = passed_over.unwrap();
        assert!(told.starts_with("\"new.proto\": written in an edition"), "{told}");
        assert!(told.contains("syntax = \"proto3\", with `optional` before each field"), "{told}");
        assert_eq!(read_descriptors(&set).unwrap_err(), told);
        let plain = FileDescriptorSet { file: files[..1].to_vec() }.encode_to_vec();
        assert!(read_descriptors(&plain).is_ok() && read_what_is_understood(&plain).unwrap().1.is_none());
    }
}
