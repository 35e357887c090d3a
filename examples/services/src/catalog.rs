//! `catalog.v1.Films`: the films, one by one, in batches, listed and searched.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::data::{Data, Page};
use crate::proto::catalog::v1::films_server::Films;
use crate::proto::catalog::v1::{
    BatchGetFilmsRequest, BatchGetFilmsResponse, Film, GetFilmRequest, ListFilmsRequest, ListFilmsResponse,
    SearchFilmsRequest, SearchFilmsResponse,
};
use crate::request::{check_batch, page_size};

/// The service's own state: the data alone.
#[derive(Debug)]
pub struct Catalog {
    data: Arc<Data>,
}

impl Catalog {
    pub fn new(data: Arc<Data>) -> Self {
        Self { data }
    }

    fn film(&self, id: u32) -> Result<Film, Status> {
        let film = self.data.film(id);
        film.cloned().ok_or_else(|| Status::not_found(format!("no film has the id {id}")))
    }
}

#[tonic::async_trait]
impl Films for Catalog {
    async fn get_film(&self, request: Request<GetFilmRequest>) -> Result<Response<Film>, Status> {
        self.film(request.get_ref().id).map(Response::new)
    }

    async fn batch_get_films(
        &self,
        request: Request<BatchGetFilmsRequest>,
    ) -> Result<Response<BatchGetFilmsResponse>, Status> {
        let ids = &request.get_ref().ids;
        check_batch(ids)?;
        let films: Result<Vec<Film>, Status> = ids.iter().map(|id| self.film(*id)).collect();
        Ok(Response::new(BatchGetFilmsResponse { films: films? }))
    }

    async fn list_films(&self, request: Request<ListFilmsRequest>) -> Result<Response<ListFilmsResponse>, Status> {
        let asked = request.get_ref();
        let filter = page_filter(asked);
        let offset = read_token(&asked.page_token, filter)?;
        let size = page_size(asked.page_size, 20, 500);
        let Page { films, next } = self.data.list_films(&asked.genre, asked.person_id, offset, size);
        Ok(Response::new(ListFilmsResponse {
            films,
            next_page_token: next.map_or_else(String::new, |next| write_token(next, filter)),
        }))
    }

    async fn search_films(
        &self,
        request: Request<SearchFilmsRequest>,
    ) -> Result<Response<SearchFilmsResponse>, Status> {
        let asked = request.get_ref();
        let size = page_size(asked.page_size, 20, 100);
        let films = self.data.search_films(&asked.query, size);
        Ok(Response::new(SearchFilmsResponse { films }))
    }
}

/// A token is only good for the list that it came from, so it carries a hash of what was filtered by.
fn page_filter(asked: &ListFilmsRequest) -> u32 {
    let genre = crate::data::hash(asked.genre.as_bytes());
    let both = genre ^ u64::from(asked.person_id).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let folded = (both ^ (both >> 32)) & u64::from(u32::MAX);
    u32::try_from(folded).unwrap_or_default()
}

fn write_token(offset: usize, filter: u32) -> String {
    let offset = u32::try_from(offset).unwrap_or(u32::MAX);
    format!("{:08x}{filter:08x}", offset ^ filter.rotate_left(9))
}

fn read_token(token: &str, filter: u32) -> Result<usize, Status> {
    if token.is_empty() {
        return Ok(0);
    }
    let parse = |half: Option<&str>| u32::from_str_radix(half?, 16).ok();
    let place = parse(token.get(..8));
    let made_for = parse(token.get(8..));
    match (place, made_for) {
        (Some(place), Some(made_for)) if made_for == filter && token.len() == 16 => {
            usize::try_from(place ^ filter.rotate_left(9)).map_err(|_| bad_token())
        }
        _ => Err(bad_token()),
    }
}

fn bad_token() -> Status {
    Status::invalid_argument("the page_token is not from a list with this genre and person_id")
}
