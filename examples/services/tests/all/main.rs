//! The services over real sockets: what each method promises, what the control sees and does, how the process behaves.

mod catalog;
mod control;
mod data;
mod people;
mod process;
mod recommend;
mod reviews;
mod server;

use std::sync::{Arc, LazyLock};

use demo_services::{Data, Running, SUBJECT, Service};
use tonic::Request;
use tonic::transport::Channel;

static DEMO: LazyLock<Arc<Data>> = LazyLock::new(|| Arc::new(Data::demo().unwrap()));

async fn start(service: Service) -> (Running, Channel) {
    let running = Running::start(service, DEMO.clone()).await.unwrap();
    let channel = Channel::from_shared(running.uri()).unwrap();
    let channel = channel.connect().await.unwrap();
    (running, channel)
}

fn from<T>(caller: &'static str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let metadata = request.metadata_mut();
    metadata.insert(SUBJECT, caller.parse().unwrap());
    request
}
