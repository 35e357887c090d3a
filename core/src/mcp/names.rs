//! What tools are called: by one rule, from method and path, so that no two endpoints have one name, and each keeps its own while others
//! come and go.
//!
//! | of the endpoint | in the name |
//! |---|---|
//! | the method | in lower case |
//! | `/` | `_` |
//! | `{id}` | `by_id` |
//! | `{*rest}` | `all_rest` |
//! | letters and digits | as they are |
//! | `-`, `_` | `--`, `-_` |
//! | any other byte | `-` and its two hexadecimal digits |
//! | the literals `by` and `all` | `-62y`, `-61ll` |
//!
//! A name with more than 64 bytes is cut where one of these ends, to 30 at most, and gets `-h` and the first 32 hexadecimal digits of the
//! SHA-256 of the whole. The protocol lets names have 128 bytes and dots; what models are served by often only 64, and none.

use crate::{
    artifact::{EndpointName, normal},
    model::Digest,
};

/// Bytes of a name.
pub(super) const LONGEST: usize = 64;
/// Of one that is too long, those that are kept.
const KEPT: usize = 30;
/// Hexadecimal digits that stand for the rest.
const DIGITS: usize = 32;

/// `get_films_by_id` of `GET /films/{id}`.
pub fn tool_name(endpoint: &EndpointName) -> String {
    let mut name = Name::default();
    name.add(&endpoint.method.as_str().to_ascii_lowercase());
    for segment in endpoint.template().split('/').filter(|segment| !segment.is_empty()) {
        let parameter = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        match parameter.map(|inner| inner.strip_prefix('*').map_or((inner, "_by_"), |rest| (rest, "_all_"))) {
            Some((parameter, word)) => {
                name.add(word);
                name.encode(parameter);
            }
            None => {
                name.add("_");
                name.literal(&normal(segment));
            }
        }
    }
    name.finish()
}

/// A name as it grows.
#[derive(Default)]
struct Name {
    whole: String,
    /// Where the last piece ends that is kept of one that is too long.
    kept: usize,
}

impl Name {
    /// A piece that is not cut.
    fn add(&mut self, piece: &str) {
        self.whole.push_str(piece);
        if self.whole.len() <= KEPT {
            self.kept = self.whole.len();
        }
    }

    fn literal(&mut self, text: &str) {
        match text {
            "by" => self.add("-62y"),
            "all" => self.add("-61ll"),
            _ => self.encode(text),
        }
    }

    fn encode(&mut self, text: &str) {
        for byte in text.bytes() {
            match byte {
                b'-' => self.add("--"),
                b'_' => self.add("-_"),
                _ if byte.is_ascii_alphanumeric() => self.add(char::from(byte).encode_utf8(&mut [0; 4])),
                _ => self.add(&format!("-{byte:02x}")),
            }
        }
    }

    fn finish(self) -> String {
        let Self { mut whole, kept } = self;
        if whole.len() > LONGEST {
            let digest = Digest::of(whole.as_bytes()).hex();
            whole.truncate(kept);
            whole.push_str("-h");
            whole.extend(digest.chars().take(DIGITS));
        }
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::str::FromStr;

    fn name(endpoint: &str) -> String {
        tool_name(&EndpointName::from_str(endpoint).unwrap())
    }

    #[test]
    fn names_can_be_read() {
        for (endpoint, expected) in [
            ("GET /", "get"),
            ("GET /films/{id}", "get_films_by_id"),
            ("POST /films/{film_id}/rating", "post_films_by_film-_id_rating"),
            ("GET /watch-list", "get_watch--list"),
            ("GET /files/{*rest}", "get_files_all_rest"),
            ("GET /films/by/{by}", "get_films_-62y_by_by"),
            ("GET /all", "get_-61ll"),
            ("GET /a.b/%41", "get_a-2eb_A"),
            ("DELETE /caf%c3%a9", "delete_caf-25C3-25A9"),
        ] {
            assert_eq!(name(endpoint), expected, "{endpoint}");
        }
        let long = name(&format!("GET /{}", "films/".repeat(20).trim_end_matches('/')));
        assert_eq!(long, "get_films_films_films_films_fi-heb7fe0d3552ce781f08ede6f07604cb8");
    }

    /// The endpoint's method and template, in normal form, out of a name that was not cut: what shows that no two have the same.
    fn decoded(name: &str) -> Option<String> {
        let mut words: Vec<Vec<u8>> = vec![Vec::new()];
        // What no literal can be is told from one by what it was written with.
        let mut plain = vec![true];
        let mut bytes = name.bytes();
        while let Some(byte) = bytes.next() {
            match byte {
                b'_' => {
                    words.push(Vec::new());
                    plain.push(true);
                }
                b'-' => {
                    let decoded = match bytes.next()? {
                        escaped @ (b'-' | b'_') => escaped,
                        first => {
                            *plain.last_mut()? = false;
                            let digits = [first, bytes.next()?];
                            u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
                        }
                    };
                    words.last_mut()?.push(decoded);
                }
                _ => words.last_mut()?.push(byte),
            }
        }
        let mut words = words.into_iter().zip(plain).map(|(word, plain)| (String::from_utf8(word).unwrap(), plain));
        let mut endpoint = words.next()?.0.to_ascii_uppercase() + " ";
        while let Some((word, plain)) = words.next() {
            match word.as_str() {
                "by" if plain => endpoint += &format!("/{{{}}}", words.next()?.0),
                "all" if plain => endpoint += &format!("/{{*{}}}", words.next()?.0),
                _ => endpoint += &format!("/{word}"),
            }
        }
        Some(endpoint)
    }

    fn in_normal_form(endpoint: &EndpointName) -> String {
        let segments = endpoint.template().split('/').filter(|segment| !segment.is_empty());
        let path = segments.map(|segment| match segment.starts_with('{') {
            true => format!("/{segment}"),
            false => format!("/{}", normal(segment)),
        });
        format!("{} {}", endpoint.method, path.collect::<String>())
    }

    fn endpoints() -> impl Strategy<Value = EndpointName> {
        let word = prop_oneof![
            Just("by".to_owned()),
            Just("all".to_owned()),
            Just("-".to_owned()),
            Just("_".to_owned()),
            "[-_a-zB.~!%h0-9é]{1,12}",
            "-h[0-9a-f]{32}",
        ];
        let parameter = "[a-z_][a-z0-9_]{0,6}";
        let segment = (word, parameter, 0..3u8).prop_map(|(word, parameter, kind)| match kind {
            0 => format!("{{{parameter}}}"),
            _ => word,
        });
        let method = prop::sample::select(vec!["GET", "POST", "PUT", "PATCH", "DELETE"]);
        (method, prop::collection::vec(segment, 0..7), prop::option::of(parameter)).prop_filter_map(
            "no endpoint",
            |(method, mut segments, rest)| {
                segments.extend(rest.map(|rest| format!("{{*{rest}}}")));
                EndpointName::new(method, &format!("/{}", segments.join("/"))).ok()
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn a_name_is_within_the_alphabet_and_the_length(endpoint in endpoints()) {
            let name = tool_name(&endpoint);
            prop_assert!((1..=LONGEST).contains(&name.len()));
            prop_assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{name}");
        }

        /// What can be read back can't be the name of two. One that was cut can't be read, and so is no other's: `-h` stands for nothing.
        #[test]
        fn no_two_endpoints_have_one_name(endpoint in endpoints(), other in endpoints()) {
            let (name, others) = (tool_name(&endpoint), tool_name(&other));
            let alike = in_normal_form(&endpoint) == in_normal_form(&other);
            prop_assert_eq!(name == others, alike, "{} {}", endpoint, other);
            match decoded(&name) {
                Some(read) => prop_assert_eq!(read, in_normal_form(&endpoint)),
                None => prop_assert!(name.contains("-h"), "{}", name),
            }
        }
    }
}
