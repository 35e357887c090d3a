//! A request of HTTP/1.1 as it comes in: its head, and its body by its length or in chunks, each within a bound.

use anyhow::{Context, anyhow, bail};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use std::time::Duration;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout,
};

/// Bytes of a request's head, and of its body.
const MOST_HEAD: usize = 64 << 10;
const MOST_BODY: usize = 16 << 20;
/// Of a line between chunks, and lines behind the last one.
const MOST_LINE: usize = 4 << 10;
const MOST_TRAILERS: usize = 100;
/// A command that is silent for so long has gone away.
pub(super) const SILENT: Duration = Duration::from_secs(30);

/// What is read from, and what was read ahead.
#[derive(Debug)]
pub(super) struct Reading<S> {
    pub(super) stream: S,
    ahead: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Reading<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, ahead: Vec::new() }
    }

    pub(super) async fn head(&mut self) -> anyhow::Result<(Method, Uri, HeaderMap)> {
        let head = self.until(b"\r\n\r\n", MOST_HEAD).await.context("no request came")?;
        parsed(&String::from_utf8(head).context("the request's head is no text")?)
    }

    /// The body that the head announces.
    pub(super) async fn body(&mut self, headers: &HeaderMap) -> anyhow::Result<Vec<u8>> {
        let coding = headers.get(header::TRANSFER_ENCODING);
        let length = match headers.get(header::CONTENT_LENGTH) {
            _ if coding.is_some() => None,
            Some(value) => {
                let length = value.to_str().ok().and_then(|text| text.parse::<usize>().ok());
                Some(length.ok_or_else(|| anyhow!("`content-length` is no number"))?)
            }
            None => Some(0),
        };
        within(length.unwrap_or(0))?;
        if coding.is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked")) {
            bail!("a body with `transfer-encoding` can't be recorded, unless it is `chunked`");
        }
        if headers.contains_key(header::EXPECT) {
            self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
            self.stream.flush().await?;
        }
        match length {
            Some(length) => self.exactly(length).await,
            None => self.chunks().await,
        }
    }

    async fn chunks(&mut self) -> anyhow::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.until(b"\r\n", MOST_LINE).await?;
            let size = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
            let size = std::str::from_utf8(size).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()));
            let size = size.and_then(|text| usize::from_str_radix(text, 16).ok());
            let size = size.ok_or_else(|| anyhow!("a chunk of the body does not begin with its size"))?;
            if size == 0 {
                break;
            }
            within(body.len().saturating_add(size))?;
            body.extend(self.exactly(size).await?);
            if self.exactly(2).await? != b"\r\n" {
                bail!("a chunk of the body is longer than it says");
            }
        }
        for _ in 0..MOST_TRAILERS {
            if self.until(b"\r\n", MOST_LINE).await?.is_empty() {
                return Ok(body);
            }
        }
        bail!("too much stands behind the body")
    }

    /// What comes before these bytes, without them.
    async fn until(&mut self, end: &[u8], most: usize) -> anyhow::Result<Vec<u8>> {
        loop {
            if let Some(at) = self.ahead.windows(end.len()).position(|bytes| bytes == end) {
                let rest = self.ahead.split_off(at + end.len());
                let mut found = std::mem::replace(&mut self.ahead, rest);
                found.truncate(at);
                return Ok(found);
            }
            if self.ahead.len() > most {
                bail!("a head or a line of more than {most} bytes can't be recorded");
            }
            self.more(4 << 10).await?;
        }
    }

    async fn exactly(&mut self, count: usize) -> anyhow::Result<Vec<u8>> {
        while self.ahead.len() < count {
            self.more(64 << 10).await?;
        }
        let rest = self.ahead.split_off(count);
        Ok(std::mem::replace(&mut self.ahead, rest))
    }

    async fn more(&mut self, most: usize) -> anyhow::Result<()> {
        let mut more = vec![0; most];
        let count = timeout(SILENT, self.stream.read(&mut more)).await.context("the request stands still")??;
        if count == 0 {
            bail!("the request ended too soon");
        }
        self.ahead.extend_from_slice(more.get(..count).unwrap_or_default());
        Ok(())
    }
}

fn within(length: usize) -> anyhow::Result<()> {
    if length > MOST_BODY {
        bail!("a body of {length} bytes can't be recorded: at most {MOST_BODY}");
    }
    Ok(())
}

fn parsed(head: &str) -> anyhow::Result<(Method, Uri, HeaderMap)> {
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(uri)) = (first.next(), first.next()) else { bail!("this is no HTTP/1.1") };
    let mut headers = HeaderMap::new();
    for line in lines.filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').ok_or_else(|| anyhow!("`{line}` is no header"))?;
        headers.append(HeaderName::try_from(name)?, HeaderValue::try_from(value.trim())?);
    }
    Ok((method.parse()?, uri.parse()?, headers))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    async fn read(text: &str) -> Result<String, String> {
        let mut reading = Reading::new(Cursor::new(text.as_bytes().to_vec()));
        let told = |error: anyhow::Error| format!("{error:#}");
        let (_, _, headers) = reading.head().await.map_err(told)?;
        reading.body(&headers).await.map(|body| String::from_utf8(body).unwrap()).map_err(told)
    }

    #[tokio::test]
    async fn bodies_are_read_by_length_and_in_chunks_within_bounds() {
        let head = "POST /films HTTP/1.1\r\nhost: a\r\n";
        let chunked = |rest: &str| format!("{head}Transfer-Encoding: Chunked\r\n\r\n{rest}");
        for (text, body) in [
            (format!("{head}\r\n"), Ok("")),
            (format!("{head}content-length: 2\r\n\r\n{{}}more"), Ok("{}")),
            (chunked("3;of=a\r\nabc\r\n0A\r\n0123456789\r\n0\r\nx-sum: 1\r\n\r\n"), Ok("abc0123456789")),
            (chunked("3\r\nabcd\r\n0\r\n\r\n"), Err("longer than it says")),
            (chunked("-1\r\n\r\n"), Err("does not begin with its size")),
            (chunked("\r\n"), Err("does not begin with its size")),
            (chunked("3\r\nab"), Err("ended too soon")),
            (chunked("ffffffffffffffff\r\n"), Err("can't be recorded: at most 16777216")),
            (chunked(&format!("1000000\r\n{}\r\n1\r\nx\r\n", "x".repeat(16 << 20))), Err("at most 16777216")),
            (chunked(&format!("0\r\n{}", "a: b\r\n".repeat(101))), Err("too much stands behind")),
            (format!("{head}content-length: 16777217\r\n\r\n"), Err("can't be recorded")),
            (format!("{head}content-length: x\r\n\r\n"), Err("is no number")),
            (format!("{head}transfer-encoding: gzip, chunked\r\n\r\n"), Err("unless it is `chunked`")),
        ] {
            let shown = text.get(..80).unwrap_or(&text).to_owned();
            match (read(&text).await, body) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{shown}"),
                (Err(reason), Err(expected)) => assert!(reason.contains(expected), "{shown}: {reason}"),
                (found, _) => panic!("{shown}: {found:?}"),
            }
        }
    }
}
