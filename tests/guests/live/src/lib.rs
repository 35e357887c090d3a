//! The plugin with which the tests try answers in parts: one endpoint for each way in which a stream may go on and end.

use std::time::Duration;

use weft_sdk::prelude::*;

weft_sdk::clients!();

use catalog::v1::{Films, GetFilmRequest};
use people::v1::{GetPersonRequest, People};

/// Longer than any test.
const LONG: Duration = Duration::from_secs(3_600);

/// A part of a page.
#[data]
#[serde(tag = "part", rename_all = "kebab-case")]
enum Part {
    /// The film, which is there at once.
    Film { title: String },
    /// Who directed it, which takes longer.
    Director { name: String },
}

/// The fast part, then the slow one. Both are asked for at once.
#[get("/parts/{id}")]
async fn parts(Path(id): Path<u32>) -> Result<EventStream<Part>> {
    let director = spawn(People::get_person(GetPersonRequest { id }));
    let film = Films::get_film(GetFilmRequest { id }).await.or_not_found("film", id)?;
    Ok(EventStream::new(async move |events| {
        events.send(Part::Film { title: film.title }).await?;
        let director = director.await?;
        events.send(Event::new(Part::Director { name: director.name }).named("director").with_id("2")).await
    }))
}

/// What a client has said of where it left off.
#[data]
struct Since {
    since: Option<String>,
}

async fn open_for_long(since: Option<String>) -> EventStream<Since> {
    EventStream::new(async move |events| {
        events.send(Event::new(Since { since }).with_id("41")).await?;
        sleep(LONG).await;
        Ok(())
    })
}

/// One event, and then nothing.
#[get("/open")]
async fn open(request: Request) -> EventStream<Since> {
    open_for_long(request.headers().get("last-event-id").map(str::to_owned)).await
}

/// The same for one caller.
#[get("/mine")]
async fn mine(caller: Identity) -> EventStream<Since> {
    open_for_long(Some(caller.subject().to_owned())).await
}

#[data]
struct Many {
    count: u32,
    /// Of each event.
    bytes: usize,
}

/// So many events, as fast as they are taken.
#[get("/many")]
async fn many(Query(Many { count, bytes }): Query<Many>) -> EventStream<String> {
    EventStream::new(async move |events| {
        for _ in 0..count {
            events.send("x".repeat(bytes)).await?;
        }
        Ok(())
    })
}

/// A problem after the first event.
#[get("/fails")]
async fn fails() -> EventStream<u32> {
    EventStream::new(async |events| {
        events.send(1).await?;
        Err(Problem::not_found("event", 2))
    })
}

/// A problem before the first event.
#[get("/refuses")]
async fn refuses() -> Result<EventStream<u32>> {
    Err(Problem::not_found("stream", 1))
}

/// A panic after the first event.
#[get("/traps")]
async fn traps() -> EventStream<u32> {
    EventStream::new(async |events| {
        events.send(1).await?;
        #[expect(clippy::panic, reason = "is what is tried")]
        {
            panic!("as asked");
        }
    })
}

/// Computes after the first event, and never comes to an end.
#[get("/spins")]
async fn spins() -> EventStream<u32> {
    EventStream::new(async |events| {
        events.send(1).await?;
        loop {
            std::hint::black_box(());
        }
    })
}

/// Has not begun when its time is over.
#[get("/late")]
async fn late() -> EventStream<u32> {
    sleep(LONG).await;
    EventStream::new(async |_| Ok(()))
}

/// An ordinary answer beside the streams.
#[get("/plain")]
async fn plain() -> Json<u32> {
    Json(1)
}

weft_sdk::plugin!(parts, open, mine, many, fails, refuses, traps, spins, late, plain);
