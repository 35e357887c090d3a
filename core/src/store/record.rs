//! What the second tier holds of a repeated write: who has claimed its key, for which request, and the answer once there is one.
//!
//! Whoever can write to the server can write anything here, so a record is read as strictly as what comes from a client: one version,
//! every length within its bound and within the bytes that are there, and nothing left over.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

/// The form. Hosts that know another one see that there is a record, and not what it says.
const VERSION: u8 = 1;
/// Bytes of the longest record; an answer that needs more is not kept.
pub const MOST: usize = 2 << 20;
/// Version, state, and owner: what a script has to see to know whose a record is.
pub(super) const HEAD: usize = 18;
/// Digits of a time in milliseconds, written by the server's own clock.
const DIGITS: usize = 16;
const MOST_HEADERS: usize = 200;
const MOST_MEMBERS: usize = 1_000;

const RUNNING: u8 = b'r';
const ANSWERED: u8 = b'a';
const UNKNOWN: u8 = b'u';

const PLAIN: u8 = b'b';
const PROBLEM: u8 = b'p';

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Random, one for each claim.
    pub owner: [u8; 16],
    /// Of everything that the request was.
    pub fingerprint: [u8; 32],
    pub state: State,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Its host says again and again that it is at it; afterwards nobody knows. Milliseconds of the server's clock.
    Running {
        until: u64,
    },
    Answered(Answer),
    Unknown(Why),
}

/// Why there is no answer to a request that may have been done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    NoAnswer,
    TooLarge,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub content: Content,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    Plain(Bytes),
    /// A problem document that is not complete yet.
    Problem {
        kind: String,
        title: String,
        detail: String,
        members: Vec<(String, String)>,
    },
}

impl Record {
    /// What a script puts before the time until which the lease lasts.
    pub(super) fn claim(owner: [u8; 16], fingerprint: [u8; 32]) -> Vec<u8> {
        let mut out = Self::head(owner, RUNNING).to_vec();
        out.extend_from_slice(&fingerprint);
        out
    }

    /// How the record of a request under way begins.
    pub(super) fn running(owner: [u8; 16]) -> [u8; HEAD] {
        Self::head(owner, RUNNING)
    }

    fn head(owner: [u8; 16], state: u8) -> [u8; HEAD] {
        let mut head = [VERSION; HEAD];
        let (first, rest) = head.split_at_mut(2);
        first.copy_from_slice(&[VERSION, state]);
        rest.copy_from_slice(&owner);
        head
    }

    /// `None`: there is more of it than a record may hold.
    pub fn write(&self) -> Option<Vec<u8>> {
        let state = match &self.state {
            State::Running { .. } => RUNNING,
            State::Answered(_) => ANSWERED,
            State::Unknown(_) => UNKNOWN,
        };
        let mut out = Self::head(self.owner, state).to_vec();
        out.extend_from_slice(&self.fingerprint);
        match &self.state {
            State::Running { until } => out.extend_from_slice(format!("{until:0DIGITS$}").as_bytes()),
            State::Unknown(Why::NoAnswer) => out.push(0),
            State::Unknown(Why::TooLarge) => out.push(1),
            State::Answered(answer) => answer.write(&mut out)?,
        }
        (out.len() <= MOST).then_some(out)
    }

    /// `None` for what another version has written, or anybody else.
    pub fn read(bytes: &Bytes) -> Option<Self> {
        if bytes.len() > MOST {
            return None;
        }
        let mut input = Input { whole: bytes, rest: bytes };
        let (version, state) = (input.byte()?, input.byte()?);
        if version != VERSION {
            return None;
        }
        let (owner, fingerprint) = (input.array()?, input.array()?);
        let state = match state {
            RUNNING => State::Running { until: digits(input.array()?)? },
            UNKNOWN => State::Unknown(match input.byte()? {
                0 => Why::NoAnswer,
                1 => Why::TooLarge,
                _ => return None,
            }),
            ANSWERED => State::Answered(Answer::read(&mut input)?),
            _ => return None,
        };
        input.rest.is_empty().then_some(Self { owner, fingerprint, state })
    }
}

fn digits(text: [u8; DIGITS]) -> Option<u64> {
    if !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(&text).ok()?.parse().ok()
}

impl Answer {
    fn write(&self, out: &mut Vec<u8>) -> Option<()> {
        out.extend_from_slice(&self.status.as_u16().to_be_bytes());
        count(out, self.headers.len(), MOST_HEADERS)?;
        for (name, value) in &self.headers {
            short(out, name.as_str().as_bytes())?;
            short(out, value.as_bytes())?;
        }
        match &self.content {
            Content::Plain(body) if body.len() > MOST => return None,
            Content::Plain(body) => {
                out.push(PLAIN);
                out.extend_from_slice(body);
            }
            Content::Problem { kind, title, detail, members } => {
                out.push(PROBLEM);
                [kind, title, detail].into_iter().try_for_each(|text| short(out, text.as_bytes()))?;
                count(out, members.len(), MOST_MEMBERS)?;
                for (name, value) in members {
                    short(out, name.as_bytes())?;
                    short(out, value.as_bytes())?;
                }
            }
        }
        Some(())
    }

    fn read(input: &mut Input<'_>) -> Option<Self> {
        // As for a plugin's response: what is outside is no status, or no final one.
        let status = Some(input.number()?).filter(|status| (200..600).contains(status))?;
        let mut headers = HeaderMap::new();
        for _ in 0..input.count(MOST_HEADERS)? {
            let (name, value) = (input.short()?, input.short()?);
            headers.append(HeaderName::from_lowercase(name).ok()?, HeaderValue::from_bytes(value).ok()?);
        }
        let content = match input.byte()? {
            PLAIN => Content::Plain(input.all()),
            PROBLEM => {
                let (kind, title, detail) = (input.text()?, input.text()?, input.text()?);
                let mut members = Vec::new();
                for _ in 0..input.count(MOST_MEMBERS)? {
                    members.push((input.text()?, input.text()?));
                }
                Content::Problem { kind, title, detail, members }
            }
            _ => return None,
        };
        Some(Self { status: StatusCode::from_u16(status).ok()?, headers, content })
    }
}

fn count(out: &mut Vec<u8>, count: usize, most: usize) -> Option<()> {
    let count = u16::try_from(count).ok().filter(|count| usize::from(*count) <= most)?;
    out.extend_from_slice(&count.to_be_bytes());
    Some(())
}

/// Bytes behind their length.
fn short(out: &mut Vec<u8>, bytes: &[u8]) -> Option<()> {
    out.extend_from_slice(&u16::try_from(bytes.len()).ok()?.to_be_bytes());
    out.extend_from_slice(bytes);
    (out.len() <= MOST).then_some(())
}

/// What is left to be read.
struct Input<'a> {
    whole: &'a Bytes,
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*first)
    }

    fn number(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    fn count(&mut self, most: usize) -> Option<usize> {
        self.number().map(usize::from).filter(|count| *count <= most)
    }

    fn short(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?.into();
        let (first, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(first)
    }

    fn text(&mut self) -> Option<String> {
        std::str::from_utf8(self.short()?).ok().map(str::to_owned)
    }

    /// Everything to the end, which is shared and not copied.
    fn all(&mut self) -> Bytes {
        self.whole.slice_ref(std::mem::take(&mut self.rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn contents() -> impl Strategy<Value = Content> {
        let plain = prop::collection::vec(any::<u8>(), 0..100).prop_map(|body| Content::Plain(body.into()));
        let members = prop::collection::vec((".{0,8}", ".{0,8}"), 0..4);
        let problem = (".{0,20}", ".{0,20}", ".{0,20}", members)
            .prop_map(|(kind, title, detail, members)| Content::Problem { kind, title, detail, members });
        prop_oneof![plain, problem]
    }

    fn states() -> impl Strategy<Value = State> {
        let headers = prop::collection::vec(("[a-z][a-z-]{0,8}", "[ -~]{0,12}"), 0..5).prop_map(|headers| {
            let parsed = |(name, value): (String, String)| -> (HeaderName, HeaderValue) {
                (name.parse().unwrap(), value.parse().unwrap())
            };
            let mut map = HeaderMap::new();
            headers.into_iter().map(parsed).for_each(|(name, value)| {
                map.append(name, value);
            });
            map
        });
        let answered = (200_u16..600, headers, contents()).prop_map(|(status, headers, content)| {
            State::Answered(Answer { status: StatusCode::from_u16(status).unwrap(), headers, content })
        });
        let running = (0..10_u64.pow(DIGITS as u32)).prop_map(|until| State::Running { until });
        let unknown = prop_oneof![Just(State::Unknown(Why::NoAnswer)), Just(State::Unknown(Why::TooLarge))];
        prop_oneof![answered, running, unknown]
    }

    proptest! {
        #[test]
        fn records_come_back_as_they_were_written_and_cut_ones_do_not(owner: [u8; 16], fingerprint: [u8; 32], state in states(), cut in 0_usize..200) {
            let record = Record { owner, fingerprint, state };
            let bytes = Bytes::from(record.write().unwrap());
            prop_assert_eq!(Record::read(&bytes), Some(record.clone()));
            let cut = bytes.slice(..cut.min(bytes.len() - 1));
            let plain = |record: &Record| matches!(&record.state, State::Answered(Answer { content: Content::Plain(_), .. }));
            // A body goes to the end of the record, wherever that is.
            prop_assert!(Record::read(&cut).is_none_or(|read| plain(&read) && plain(&record)));
            if !plain(&record) {
                prop_assert_eq!(Record::read(&Bytes::from([&bytes[..], b"x"].concat())), None);
            }
        }

        #[test]
        fn anything_else_is_nobodys(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let mut record = vec![VERSION];
            record.extend_from_slice(&bytes);
            if let Some(read) = Record::read(&Bytes::from(record)) {
                prop_assert_eq!(Record::read(&Bytes::from(read.write().unwrap())), Some(read));
            }
        }
    }

    #[test]
    fn what_is_over_a_bound_is_not_written() {
        let record = |headers: usize, body: usize, text: usize| {
            let many = (0..headers).map(|n| (HeaderName::try_from(format!("h-{n}")).unwrap(), HeaderValue::from(n)));
            let text = "x".repeat(text);
            let content = match body {
                0 => Content::Problem { kind: text, title: String::new(), detail: String::new(), members: vec![] },
                _ => Content::Plain(vec![0; body].into()),
            };
            let answer = Answer { status: StatusCode::OK, headers: many.collect(), content };
            Record { owner: [0; 16], fingerprint: [0; 32], state: State::Answered(answer) }.write()
        };
        assert!(record(MOST_HEADERS, 1, 0).is_some() && record(MOST_HEADERS + 1, 1, 0).is_none());
        assert!(record(0, MOST - 100, 0).is_some() && record(0, MOST, 0).is_none());
        assert!(record(0, 0, 0xffff).is_some() && record(0, 0, 0x1_0000).is_none());
    }
}
