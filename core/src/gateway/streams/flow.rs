//! From the guest to the client: events as they come, signs of life in between, and a last word.

use super::{
    config::Config,
    ending::Ending,
    events::{self, HEARTBEAT},
};
use crate::gateway::sharing::Outcome;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use std::{
    pin::{Pin, pin},
    time::Duration,
};
use tokio::{sync::mpsc, time::Instant};

/// How long the last word waits for a client that takes nothing.
const LAST_WORD: Duration = Duration::from_secs(1);

/// Events on their way.
pub(super) struct Flow {
    config: Config,
    emitted: mpsc::Receiver<Bytes>,
    out: mpsc::Sender<Bytes>,
    /// Counted as the guest hands them over.
    pub(super) events: u64,
    pub(super) bytes: u64,
}

impl Flow {
    pub(super) fn new(config: Config, emitted: mpsc::Receiver<Bytes>, out: mpsc::Sender<Bytes>) -> Self {
        Self { config, emitted, out, events: 0, bytes: 0 }
    }

    /// To its end, whoever's that is. The guest goes on while its last event waits for the client, and waits with its next but one.
    pub(super) async fn until(
        &mut self,
        mut run: BoxFuture<'static, Outcome>,
        mut over: Pin<&mut impl Future<Output = Ending>>,
        request_id: &str,
    ) -> Ending {
        let mut heartbeat = pin!(tokio::time::sleep(self.config.heartbeat));
        let (mut outcome, mut is_all_through) = (None, false);
        let outcome = loop {
            if is_all_through && let Some(outcome) = &outcome {
                break outcome;
            }
            let next = tokio::select! {
                biased;
                () = self.out.closed() => return Ending::Client,
                ending = &mut over => return self.end(ending).await,
                next = self.emitted.recv(), if !is_all_through => next,
                ended = &mut run, if outcome.is_none() => {
                    outcome = Some(ended);
                    continue;
                }
                () = &mut heartbeat => Some(HEARTBEAT),
            };
            let Some(events) = next else {
                is_all_through = true;
                continue;
            };
            if events != HEARTBEAT {
                self.events += 1;
            }
            self.bytes += events.len() as u64;
            if self.bytes > self.config.bytes.0 {
                return self.end(Ending::Bytes).await;
            }
            let mut sending = pin!(self.out.send(events));
            let sent = loop {
                tokio::select! {
                    biased;
                    sent = &mut sending => break sent,
                    ending = &mut over => return self.end(ending).await,
                    ended = &mut run, if outcome.is_none() => outcome = Some(ended),
                }
            };
            if sent.is_err() {
                return Ending::Client;
            }
            heartbeat.as_mut().reset(Instant::now() + self.config.heartbeat);
        };
        match events::problem(outcome, request_id) {
            None => Ending::Done,
            Some(problem) => self.last(problem, Ending::Problem).await,
        }
    }

    /// Says why it ends here, though its guest may have more.
    async fn end(&self, ending: Ending) -> Ending {
        self.last(events::end(ending), ending).await
    }

    async fn last(&self, event: Bytes, ending: Ending) -> Ending {
        let _ = tokio::time::timeout(LAST_WORD, self.out.send(event)).await;
        ending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        gateway::output::{Body, Reply},
        model::{Fault, ProblemType},
        settings::{Document, Mistakes},
    };
    use http::{HeaderMap, StatusCode};
    use std::{future::pending, path::Path};
    use tokio::{sync::oneshot, task::JoinHandle};

    /// A stream under way: what the guest writes, what the client reads, how the guest ends, and who else ends it.
    struct UnderWay {
        guest: Option<mpsc::Sender<Bytes>>,
        client: Option<mpsc::Receiver<Bytes>>,
        done: Option<oneshot::Sender<Outcome>>,
        over: Option<oneshot::Sender<Ending>>,
        flow: JoinHandle<Ending>,
    }

    fn begun(toml: &str) -> UnderWay {
        let mistakes = Mistakes::new();
        let document = Document::parse(Path::new("weft.toml"), toml, &mistakes);
        let config = Config::read(&document.table(&mistakes));
        assert!(mistakes.is_empty());
        let ((guest, emitted), (out, client)) = (mpsc::channel(1), mpsc::channel(1));
        let ((done, ended), (over, is_over)) = (oneshot::channel(), oneshot::channel());
        let flow = tokio::spawn(async move {
            let run: BoxFuture<'static, Outcome> = Box::pin(async {
                match ended.await {
                    Ok(outcome) => outcome,
                    Err(_) => pending().await,
                }
            });
            let over = pin!(async { is_over.await.unwrap_or(Ending::Stop) });
            Flow::new(config, emitted, out).until(run, over, "an-id").await
        });
        UnderWay { guest: Some(guest), client: Some(client), done: Some(done), over: Some(over), flow }
    }

    impl UnderWay {
        async fn write(&self, events: &'static str) {
            self.guest.as_ref().unwrap().send(Bytes::from_static(events.as_bytes())).await.unwrap();
        }

        async fn read(&mut self) -> Option<String> {
            let events = self.client.as_mut().unwrap().recv().await?;
            Some(String::from_utf8(events.to_vec()).unwrap())
        }

        fn ends(&mut self, outcome: Outcome) {
            assert!(self.done.take().unwrap().send(outcome).is_ok());
            self.guest = None;
        }
    }

    fn good() -> Outcome {
        Ok(Reply { status: StatusCode::OK, headers: HeaderMap::new(), body: Body::Bytes(Bytes::new()) })
    }

    #[tokio::test(start_paused = true)]
    async fn while_nothing_comes_the_client_hears_that_the_stream_lives() {
        let mut stream = begun("heartbeat = \"10s\"");
        let since = Instant::now();
        assert_eq!(stream.read().await.unwrap(), ":\n\n");
        assert_eq!(since.elapsed().as_secs(), 10);
        tokio::time::advance(Duration::from_secs(4)).await;
        stream.write("data: 1\n\n").await;
        assert_eq!(stream.read().await.unwrap(), "data: 1\n\n");
        assert_eq!(stream.read().await.unwrap(), ":\n\n");
        assert_eq!(since.elapsed().as_secs(), 24, "an event is a sign of life as well");
        stream.ends(good());
        assert_eq!(stream.read().await, None);
        assert_eq!(stream.flow.await.unwrap(), Ending::Done);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_sent_arrives_before_the_problem_that_ends_it() {
        let mut stream = begun("");
        stream.write("data: 1\n\n").await;
        stream.write("data: 2\n\n").await;
        stream.ends(Err(Fault::new(ProblemType::PluginTrapped, "it has failed")));
        assert_eq!(stream.read().await.unwrap(), "data: 1\n\n");
        assert_eq!(stream.read().await.unwrap(), "data: 2\n\n");
        let last = stream.read().await.unwrap();
        let data = last.strip_prefix("event: weft.problem\ndata: ").unwrap();
        let problem: serde_json::Value = serde_json::from_str(data).unwrap();
        assert_eq!(problem["detail"], "it has failed");
        assert_eq!(problem["request_id"], "an-id");
        assert_eq!(stream.read().await, None);
        assert_eq!(stream.flow.await.unwrap(), Ending::Problem);
    }

    #[tokio::test(start_paused = true)]
    async fn who_ends_it_says_so_and_a_client_that_reads_nothing_keeps_nobody() {
        let mut stream = begun("");
        stream.over.take().unwrap().send(Ending::Token).unwrap();
        assert_eq!(stream.read().await.unwrap(), "event: weft.end\ndata: {\"reason\":\"token\"}\n\n");
        assert_eq!(stream.read().await, None);
        assert_eq!(stream.flow.await.unwrap(), Ending::Token);

        let mut stream = begun("");
        for _ in 0..3 {
            stream.write("data: 1\n\n").await;
        }
        stream.over.take().unwrap().send(Ending::Stop).unwrap();
        let since = Instant::now();
        assert_eq!((&mut stream.flow).await.unwrap(), Ending::Stop);
        assert_eq!(since.elapsed(), LAST_WORD);

        // Also where it is the guest that has ended, with a problem.
        let mut stream = begun("");
        stream.write("data: 1\n\n").await;
        stream.ends(Err(Fault::new(ProblemType::PluginTrapped, "it has failed")));
        assert_eq!((&mut stream.flow).await.unwrap(), Ending::Problem);
    }

    #[tokio::test(start_paused = true)]
    async fn more_bytes_than_it_may_have_end_it_and_so_does_its_client() {
        let mut stream = begun("bytes = \"1KiB\"");
        let (half, out): (&str, _) = (Box::leak(format!("data: {}\n\n", "x".repeat(592)).into_boxed_str()), "bytes");
        stream.write(half).await;
        stream.write(half).await;
        assert_eq!(stream.read().await.unwrap(), half);
        assert_eq!(stream.read().await.unwrap(), format!("event: weft.end\ndata: {{\"reason\":\"{out}\"}}\n\n"));
        assert_eq!(stream.flow.await.unwrap(), Ending::Bytes);

        let mut stream = begun("");
        stream.client = None;
        assert_eq!(stream.flow.await.unwrap(), Ending::Client);
        assert!(stream.done.unwrap().is_closed(), "its guest is gone");
    }
}
