//! `use weft_sdk::prelude::*;`: what nearly every plugin needs.

pub use futures_util::stream::{FuturesUnordered, StreamExt};
pub use futures_util::{join, select, try_join};
pub use schemars::JsonSchema;
pub use serde::{Deserialize, Serialize};

pub use crate::futures::{join_all, try_join_all};
pub use crate::{
    CallError, CallResult, CallResults, Code, Created, Event, EventStream, Events, Headers, Identity, IntoResponse,
    Json, NoContent, Path, Problem, Query, Request, Response, Result, Selection, Status, config, config_or, data,
    delete, get, log, patch, post, problem, put, sleep, span, spawn, timeout,
};
