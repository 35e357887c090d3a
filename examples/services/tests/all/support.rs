//! What the tests share: the demo's data, a service that runs, a request with a caller.

use std::sync::{Arc, LazyLock};

use demo_services::{Data, Running, SUBJECT, Service};
use tonic::Request;
use tonic::transport::Channel;

pub(crate) static DEMO: LazyLock<Arc<Data>> = LazyLock::new(|| Arc::new(Data::demo().unwrap()));

pub(crate) async fn start(service: Service) -> (Running, Channel) {
    let running = Running::start(service, DEMO.clone()).await.unwrap();
    let channel = Channel::from_shared(running.uri()).unwrap();
    let channel = channel.connect().await.unwrap();
    (running, channel)
}

pub(crate) fn from<T>(caller: &'static str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let metadata = request.metadata_mut();
    metadata.insert(SUBJECT, caller.parse().unwrap());
    request
}
