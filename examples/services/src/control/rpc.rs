//! `demo.v1.Control`: the control for those outside the process.

use tonic::{Request, Response, Status};

use super::Control;
use crate::proto::demo::v1::control_server;
use crate::proto::demo::v1::{
    GetCallsRequest, GetCallsResponse, ResetCallsRequest, ResetCallsResponse, SetBehaviourRequest, SetBehaviourResponse,
};

#[tonic::async_trait]
impl control_server::Control for Control {
    async fn get_calls(&self, _: Request<GetCallsRequest>) -> Result<Response<GetCallsResponse>, Status> {
        let calls = self.calls();
        Ok(Response::new(GetCallsResponse { calls }))
    }

    async fn reset_calls(&self, _: Request<ResetCallsRequest>) -> Result<Response<ResetCallsResponse>, Status> {
        self.reset();
        Ok(Response::new(ResetCallsResponse {}))
    }

    async fn set_behaviour(
        &self,
        request: Request<SetBehaviourRequest>,
    ) -> Result<Response<SetBehaviourResponse>, Status> {
        let SetBehaviourRequest { method, behaviour } = request.into_inner();
        self.set(&method, behaviour.unwrap_or_default())
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        Ok(Response::new(SetBehaviourResponse {}))
    }
}
