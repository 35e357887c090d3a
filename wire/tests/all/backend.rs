//! Batched is as good as one by one: prost plays a backend in each style that a rule can tell of, and every key's answer must
//! be the single method's.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use proptest::{
    collection::{btree_map, hash_map, hash_set},
    prelude::*,
    sample::select,
};
use prost::Message;
use weft_wire::{Item, KeyList, KeyPath, Kind, Missing, Request, Rule, Shape, Spec};

use crate::support::{films, path};

#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Message)]
struct Name {
    #[prost(string, tag = "1")]
    shelf: String,
    #[prost(sint32, tag = "4")]
    number: i32,
}

#[derive(Clone, PartialEq, Message)]
struct GetBook {
    #[prost(message, tag = "3")]
    name: Option<Name>,
    #[prost(uint32, tag = "5")]
    view: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Book {
    #[prost(string, tag = "1")]
    title: String,
    #[prost(message, tag = "2")]
    name: Option<Name>,
}

#[derive(Clone, PartialEq, Message)]
struct GetBookReply {
    #[prost(message, tag = "9")]
    book: Option<Book>,
}

#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

/// `repeated Key keys = 1; uint32 view = 2;`
#[derive(Clone, PartialEq, Message)]
struct BatchByKeys {
    #[prost(message, repeated, tag = "1")]
    keys: Vec<Name>,
    #[prost(uint32, tag = "2")]
    view: u32,
}

/// `repeated GetBook requests = 8;`
#[derive(Clone, PartialEq, Message)]
struct BatchByRequests {
    #[prost(message, repeated, tag = "8")]
    requests: Vec<GetBook>,
}

#[derive(Clone, PartialEq, Message)]
struct Books {
    #[prost(message, repeated, tag = "9")]
    books: Vec<Book>,
    #[prost(message, repeated, tag = "2")]
    missing: Vec<Name>,
}

#[derive(Clone, PartialEq, Message)]
struct Outcome {
    #[prost(message, tag = "4")]
    name: Option<Name>,
    #[prost(oneof = "BookOrError", tags = "1, 2")]
    outcome: Option<BookOrError>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum BookOrError {
    #[prost(message, tag = "1")]
    Book(Book),
    #[prost(message, tag = "2")]
    Error(Status),
}

#[derive(Clone, PartialEq, Message)]
struct Outcomes {
    #[prost(message, repeated, tag = "1")]
    outcomes: Vec<Outcome>,
}

/// What the backend knows: a title, or why the book can't be had.
type Shelves = BTreeMap<Name, Result<String, Status>>;

fn names() -> impl Strategy<Value = Name> {
    (select(vec!["", "a", "b"]), -2..3i32).prop_map(|(shelf, number)| Name { shelf: shelf.to_owned(), number })
}

fn shelves() -> impl Strategy<Value = Shelves> {
    let status = (1..17i32, "[a-z]{0,4}").prop_map(|(code, message)| Status { code, message });
    btree_map(names(), prop_oneof![4 => "[a-z]{0,4}".prop_map(Ok), 1 => status.prop_map(Err)], 0..15)
}

/// What the backend says to one request.
#[derive(Debug, Clone, PartialEq)]
enum Said {
    Book(Book),
    Nothing,
    Error(Status),
}

fn say(shelves: &Shelves, name: &Name, view: u32) -> Said {
    match shelves.get(name) {
        Some(Ok(title)) => Said::Book(Book { title: format!("{title}{view}"), name: Some(name.clone()) }),
        Some(Err(status)) => Said::Error(status.clone()),
        None => Said::Nothing,
    }
}

fn paths(shelf: &[u32], number: &[u32]) -> Vec<KeyPath> {
    vec![path(shelf, Kind::String), path(number, Kind::Sint32)]
}

fn by_keys() -> Request {
    Request::Keys { keys: KeyList::Messages { field: vec![1], paths: paths(&[1], &[4]) }, carry: vec![(5, 2)] }
}

fn spec(request: Request, shape: Shape, missing: Missing) -> Spec {
    let mut spec = films();
    spec.key = paths(&[3, 1], &[3, 4]);
    spec.request = request;
    (spec.reply.shape, spec.reply.missing) = (shape, missing);
    spec
}

/// Asks for `names` through one batch. `serve` is the backend: the names and views asked for come in, a reply goes out.
fn ask(spec: Spec, names: &[Name], view: u32, serve: impl Fn(Vec<(Name, u32)>) -> Vec<u8>) -> Vec<Item> {
    let by_keys = matches!(spec.request, Request::Keys { .. });
    let rule = Rule::new(spec).unwrap();
    let request = |name: &Name| GetBook { name: Some(name.clone()), view }.encode_to_vec();
    let singles: Vec<_> = names.iter().map(|name| rule.split_request(&request(name).into()).unwrap()).collect();
    let rest = singles.first().map(|single| single.rest.clone()).unwrap_or_default();
    assert!(singles.iter().all(|single| single.rest == rest));
    let keys: Vec<_> = singles.into_iter().map(|single| single.key).collect();
    let batch = rule.merge(&rest, &keys);
    let bound: usize = keys.iter().map(|key| rule.key_len(&rest, key)).sum();
    assert_eq!(batch.len(), bound + rule.base_len(&rest), "exact for keys in messages");
    let asked = if by_keys {
        let batch = BatchByKeys::decode(batch).unwrap();
        batch.keys.into_iter().map(|name| (name, batch.view)).collect()
    } else {
        let requests = BatchByRequests::decode(batch).unwrap().requests;
        requests.into_iter().map(|request| (request.name.unwrap(), request.view)).collect()
    };
    rule.split_reply(&serve(asked).into(), &keys).unwrap()
}

fn said(item: &Item, decode: impl Fn(Bytes) -> Book) -> Said {
    match item {
        Item::Found(single) => Said::Book(decode(single.clone())),
        Item::Missing | Item::Elsewhere => Said::Nothing,
        Item::Failed(failure) => {
            let status = Status { code: failure.code as i32, message: failure.message.clone() };
            assert_eq!(Status::decode(failure.status.clone()).unwrap(), status);
            Said::Error(status)
        }
    }
}

fn book(single: Bytes) -> Book {
    Book::decode(single).unwrap()
}

fn wrapped_book(single: Bytes) -> Book {
    GetBookReply::decode(single).unwrap().book.unwrap()
}

prop_compose! {
    /// Distinct names in any order, what the backend knows, and the view asked for.
    fn cases()(
        names in hash_set(names(), 1..12), shelves in shelves(), view in 0..3u32,
    ) -> (Vec<Name>, Shelves, u32) {
        (names.into_iter().collect(), shelves, view)
    }
}

/// Books that fail are unknown to backends that have no words for failure.
fn without_errors(shelves: Shelves) -> Shelves {
    shelves.into_iter().filter(|(_, book)| book.is_ok()).collect()
}

proptest! {
    #[test]
    fn keyed_with_a_list_of_the_missing(
        (names, shelves, view) in cases(), in_field in any::<bool>(), whole in any::<bool>(),
    ) {
        let shelves = without_errors(shelves);
        let request = if whole { Request::Requests { field: vec![8] } } else { by_keys() };
        let list = KeyList::Messages { field: vec![2], paths: paths(&[1], &[4]) };
        let mut spec = spec(request, Shape::Keyed(paths(&[2, 1], &[2, 4])), Missing::Listed(list));
        spec.reply.items = vec![9];
        spec.reply.wrap = in_field.then_some(9);
        let items = ask(spec, &names, view, |mut asked| {
            asked.sort();
            let mut books = Books::default();
            for (name, view) in asked {
                match say(&shelves, &name, view) {
                    Said::Book(book) => books.books.push(book),
                    _ => books.missing.push(name),
                }
            }
            books.encode_to_vec()
        });
        let decode = if in_field { wrapped_book } else { book };
        for (item, name) in items.iter().zip(&names) {
            prop_assert_eq!(said(item, decode), say(&shelves, name, view));
        }
    }

    #[test]
    fn aligned_with_empty_for_the_missing((names, shelves, view) in cases()) {
        let shelves = without_errors(shelves);
        let mut spec = spec(by_keys(), Shape::Aligned, Missing::Empty);
        (spec.reply.items, spec.reply.wrap) = (vec![9], Some(9));
        let items = ask(spec, &names, view, |asked| {
            let book = |(name, view): &(Name, u32)| match say(&shelves, name, *view) {
                Said::Book(book) => book,
                _ => Book::default(),
            };
            Books { books: asked.iter().map(book).collect(), missing: vec![] }.encode_to_vec()
        });
        for (item, name) in items.iter().zip(&names) {
            prop_assert_eq!(said(item, wrapped_book), say(&shelves, name, view));
        }
    }

    #[test]
    fn outcomes((names, shelves, view) in cases(), in_field in any::<bool>(), keyed in any::<bool>()) {
        let shape = if keyed { Shape::Keyed(paths(&[4, 1], &[4, 4])) } else { Shape::Aligned };
        let mut spec = spec(Request::Requests { field: vec![8] }, shape, Missing::Omitted);
        (spec.reply.item, spec.reply.status) = (vec![1], Some(vec![2]));
        spec.reply.wrap = in_field.then_some(9);
        let items = ask(spec, &names, view, |mut asked| {
            if keyed {
                asked.sort();
            }
            let outcome = |(name, view)| {
                let outcome = match say(&shelves, &name, view) {
                    Said::Book(book) => Some(BookOrError::Book(book)),
                    Said::Error(status) => Some(BookOrError::Error(status)),
                    Said::Nothing => None,
                };
                Outcome { name: keyed.then_some(name), outcome }
            };
            Outcomes { outcomes: asked.into_iter().map(outcome).collect() }.encode_to_vec()
        });
        let decode = if in_field { wrapped_book } else { book };
        for (item, name) in items.iter().zip(&names) {
            prop_assert_eq!(said(item, decode), say(&shelves, name, view));
        }
    }
}

/// `map<sint32, Book> books = 1;`
#[derive(Clone, PartialEq, Message)]
struct BookMap {
    #[prost(map = "sint32, message", tag = "1")]
    books: HashMap<i32, Book>,
}

/// `map<string, Outcome> outcomes = 1;`
#[derive(Clone, PartialEq, Message)]
struct OutcomeMap {
    #[prost(map = "string, message", tag = "1")]
    outcomes: HashMap<String, Outcome>,
}

proptest! {
    #[test]
    fn a_map_of_items(known in hash_map(-9..9i32, "[a-z]{0,2}", 0..12), in_field in any::<bool>()) {
        let mut spec = spec(films().request, Shape::Map(Kind::Sint32), Missing::Omitted);
        spec.key = vec![path(&[4], Kind::Sint32)];
        spec.request = Request::Requests { field: vec![1] };
        spec.reply.wrap = in_field.then_some(9);
        let rule = Rule::new(spec).unwrap();
        let request = |number| Name { shelf: String::new(), number }.encode_to_vec();
        let keys: Vec<_> = (-9..9).map(|number| rule.split_request(&request(number).into()).unwrap().key).collect();
        let value = |title: &String| Book { title: title.clone(), name: None };
        let books = known.iter().map(|(number, title)| (*number, value(title))).collect();
        let items = rule.split_reply(&BookMap { books }.encode_to_vec().into(), &keys).unwrap();
        let decode = if in_field { wrapped_book } else { book };
        for (item, number) in items.iter().zip(-9..9) {
            let expected = known.get(&number).map_or(Said::Nothing, |title| Said::Book(value(title)));
            prop_assert_eq!(said(item, decode), expected);
        }
    }

    #[test]
    fn a_map_of_outcomes(known in hash_map("[a-c]{0,1}", any::<bool>(), 0..4)) {
        let mut spec = spec(films().request, Shape::Map(Kind::String), Missing::Omitted);
        spec.key = vec![path(&[1], Kind::String)];
        spec.request = Request::Requests { field: vec![1] };
        (spec.reply.item, spec.reply.status) = (vec![1], Some(vec![2]));
        let rule = Rule::new(spec).unwrap();
        let shelves = ["", "a", "b", "c"];
        let request = |shelf: &str| Name { shelf: shelf.to_owned(), number: 0 }.encode_to_vec();
        let keys: Vec<_> = shelves.iter().map(|shelf| rule.split_request(&request(shelf).into()).unwrap().key).collect();
        let status = Status { code: 7, message: "no".to_owned() };
        let outcome = |found: bool| {
            let outcome = if found { BookOrError::Book(Book::default()) } else { BookOrError::Error(status.clone()) };
            Outcome { name: None, outcome: Some(outcome) }
        };
        let outcomes = known.iter().map(|(shelf, found)| (shelf.clone(), outcome(*found))).collect();
        let items = rule.split_reply(&OutcomeMap { outcomes }.encode_to_vec().into(), &keys).unwrap();
        for (item, shelf) in items.iter().zip(shelves) {
            let expected = match known.get(shelf) {
                Some(true) => Said::Book(Book::default()),
                Some(false) => Said::Error(status.clone()),
                None => Said::Nothing,
            };
            prop_assert_eq!(said(item, book), expected);
        }
    }
}
