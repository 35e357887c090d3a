//! Messages from outside: of an artifact, of a file that the operator gives, of a backend that tells of itself. One way in, with bounds.

use super::bounds::{self, Sum};
use prost::encoding::{WireType, encode_key, encode_varint};
use prost_reflect::DescriptorPool;
use std::collections::HashSet;

/// Most bytes of a `FileDescriptorSet`.
pub const LARGEST: usize = bounds::DESCRIPTORS;

/// Reads a serialized `FileDescriptorSet`, which is looked at before anything is made of it.
pub fn read_descriptors(set: &[u8]) -> Result<DescriptorPool, String> {
    bounds::no_more(set.len(), LARGEST, "bytes")?;
    bounds::check_descriptors(set)?;
    DescriptorPool::decode(set).map_err(|error| error.to_string())
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
        let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        let (name, imports) = bounds::look_into(file, &mut self.sum)?;
        if !self.known.insert(text(name)) {
            return Ok(Vec::new());
        }
        bounds::no_more(self.known.len(), bounds::MOST_FILES, "files")?;
        bounds::no_more(self.set.len() + file.len(), LARGEST, "bytes")?;
        encode_key(1, WireType::LengthDelimited, &mut self.set);
        encode_varint(file.len() as u64, &mut self.set);
        self.set.extend_from_slice(file);
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
    use prost_reflect::prost_types::{DescriptorProto, FileDescriptorProto};

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
}
