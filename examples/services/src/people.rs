//! `people.v1.People`: those who make films, and those who write about them.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::data::Data;
use crate::proto::people::v1::people_server;
use crate::proto::people::v1::{
    BatchGetPeopleRequest, BatchGetPeopleResponse, GetPersonRequest, Person, SearchPeopleRequest, SearchPeopleResponse,
};
use crate::request::{check_batch, page_size};

/// The service's own state: the data alone.
#[derive(Debug)]
pub struct People {
    data: Arc<Data>,
}

impl People {
    pub fn new(data: Arc<Data>) -> Self {
        Self { data }
    }
}

#[tonic::async_trait]
impl people_server::People for People {
    async fn get_person(&self, request: Request<GetPersonRequest>) -> Result<Response<Person>, Status> {
        let id = request.get_ref().id;
        match self.data.person(id) {
            Some(person) => Ok(Response::new(person.clone())),
            None => Err(Status::not_found(format!("no person has the id {id}"))),
        }
    }

    /// Highest id first, each person once: a client that pairs the reply with its ids by place breaks at once.
    async fn batch_get_people(
        &self,
        request: Request<BatchGetPeopleRequest>,
    ) -> Result<Response<BatchGetPeopleResponse>, Status> {
        let mut ids = request.into_inner().ids;
        check_batch(&ids)?;
        ids.sort_unstable_by(|a, b| b.cmp(a));
        ids.dedup();
        let people = ids.iter().filter_map(|id| self.data.person(*id)).cloned();
        Ok(Response::new(BatchGetPeopleResponse { people: people.collect() }))
    }

    async fn search_people(
        &self,
        request: Request<SearchPeopleRequest>,
    ) -> Result<Response<SearchPeopleResponse>, Status> {
        let asked = request.get_ref();
        let size = page_size(asked.page_size, 20, 100);
        let people = self.data.search_people(&asked.query, size);
        Ok(Response::new(SearchPeopleResponse { people }))
    }
}
